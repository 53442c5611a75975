// SPDX-License-Identifier: Apache-2.0
//
// Names and numbers of statuses against libnvme's, and the table to the statuses of the house.
#include "strata/nvme/status.h"

#include <nvme/types.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <string>
#include <vector>
// It uses size_t without including its header, and does not know of C++.
extern "C" {
#include <nvme/util.h>
}

#include "absl/strings/ascii.h"

namespace strata::nvme {
namespace {

std::vector<Status> NamedStatuses(bool is_fabrics) {
  std::vector<Status> named;
  for (uint16_t field = 0; field < 0x800; ++field) {
    const Status status = Status::FromField(field);
    if (status.name(is_fabrics) != "unknown" && status.type() != 7) named.push_back(status);
  }
  return named;
}

// What libnvme calls it, in lower case: its text is "Name: explanation".
std::string OracleName(Status status, bool is_fabrics) {
  const char* text = nvme_status_to_string(status.field(), is_fabrics);
  const std::string whole = text == nullptr ? "" : text;
  return absl::AsciiStrToLower(whole.substr(0, whole.find(':')));
}

TEST_CASE("status names are libnvme's") {
  CHECK(NamedStatuses(false).size() == 87);
  for (const bool is_fabrics : {false, true}) {
    for (const Status status : NamedStatuses(is_fabrics)) {
      CAPTURE(status.field(), is_fabrics);
      const std::string ours = absl::AsciiStrToLower(std::string(status.name(is_fabrics)));
      // For these four libnvme has a sentence instead of a name.
      if (status.field() >= 0x129 && status.field() <= 0x12c) {
        CHECK(OracleName(status, is_fabrics).find("i/o command set") != std::string::npos);
        continue;
      }
      CHECK(OracleName(status, is_fabrics).find(ours) != std::string::npos);
    }
  }
}

TEST_CASE("status numbers are libnvme's") {
  const auto is = [](StatusCode ours, int type, int code) {
    CHECK(static_cast<int>(ours) == (type << 8 | code));
  };
  is(StatusCode::kInvalidOpcode, NVME_SCT_GENERIC, NVME_SC_INVALID_OPCODE);
  is(StatusCode::kInvalidNamespace, NVME_SCT_GENERIC, NVME_SC_INVALID_NS);
  is(StatusCode::kSglInvalidLength, NVME_SCT_GENERIC, NVME_SC_SGL_INVALID_DATA);
  is(StatusCode::kTransientTransportError, NVME_SCT_GENERIC, NVME_SC_TRAN_TPORT_ERROR);
  is(StatusCode::kNamespaceWriteProtected, NVME_SCT_GENERIC, NVME_SC_NS_WRITE_PROTECTED);
  is(StatusCode::kLbaOutOfRange, NVME_SCT_GENERIC, NVME_SC_LBA_RANGE);
  is(StatusCode::kInvalidLogPage, NVME_SCT_CMD_SPECIFIC, NVME_SC_INVALID_LOG_PAGE);
  is(StatusCode::kFeatureNotChangeable, NVME_SCT_CMD_SPECIFIC, NVME_SC_FEATURE_NOT_CHANGEABLE);
  is(StatusCode::kConnectInvalidParameters, NVME_SCT_CMD_SPECIFIC, NVME_SC_CONNECT_INVALID_PARAM);
  is(StatusCode::kConnectInvalidHost, NVME_SCT_CMD_SPECIFIC, NVME_SC_CONNECT_INVALID_HOST);
  is(StatusCode::kCompareFailure, NVME_SCT_MEDIA, NVME_SC_COMPARE_FAILED);
  is(StatusCode::kUnrecoveredReadError, NVME_SCT_MEDIA, NVME_SC_READ_ERROR);
  is(StatusCode::kAnaTransition, NVME_SCT_PATH, NVME_SC_ANA_TRANSITION);
  is(StatusCode::kHostPathError, NVME_SCT_PATH, NVME_SC_HOST_PATH_ERROR);
  CHECK(Status(StatusCode::kInvalidField).DoNotRetry().field() ==
        (NVME_SC_INVALID_FIELD | NVME_SC_DNR));
  CHECK(Status::FromField(NVME_SC_CRD).retry_delay() == 3);
  CHECK(Status::FromField(NVME_SC_MORE).more());
}

TEST_CASE("the parts of a status") {
  CHECK(Status().ok());
  CHECK(Status().ToString() == "00/00h Successful Completion");
  const Status status = Status(StatusCode::kLbaOutOfRange).DoNotRetry();
  CHECK(!status.ok());
  CHECK(status.code() == StatusCode::kLbaOutOfRange);
  CHECK(status.type() == 0);
  CHECK(status.number() == 0x80);
  CHECK(status.do_not_retry());
  CHECK(status.retry_delay() == 0);
  CHECK(status.ToString() == "00/80h LBA Out of Range, do not retry");
  CHECK(Status::FromField(0x0123).ToString() == "01/23h unknown");
  CHECK(Status::FromField(0x0712).ToString() == "07/12h Vendor Specific");
  // Flags alone do not make an error of a success.
  CHECK(Status::FromField(0x6000).ok());
  CHECK(Status(StatusCode::kConnectInvalidHost).name() == "unknown");
  CHECK(Status(StatusCode::kConnectInvalidHost).name(true) == "Connect Invalid Host");
}

TEST_CASE("what a block device reports survives the way to the host and back") {
  using Code = absl::StatusCode;
  for (const block::Op op :
       {block::Op::kRead, block::Op::kWrite, block::Op::kFlush, block::Op::kDiscard,
        block::Op::kWriteZeroes, block::Op::kCompare, block::Op::kZoneAppend}) {
    CAPTURE(static_cast<int>(op));
    for (const Code code :
         {Code::kOk, Code::kDataLoss, Code::kUnavailable, Code::kResourceExhausted,
          Code::kOutOfRange, Code::kFailedPrecondition, Code::kPermissionDenied,
          Code::kInvalidArgument, Code::kUnimplemented, Code::kCancelled, Code::kInternal}) {
      CAPTURE(static_cast<int>(code));
      CHECK(Status::OfBlock(op, absl::Status(code, "x")).ToAbslCode() == code);
    }
    CHECK(Status::OfBlock(op, absl::AbortedError("x")).ToAbslCode() ==
          (op == block::Op::kCompare ? Code::kAborted : Code::kInternal));
    CHECK(!Status::OfBlock(op, absl::UnknownError("x")).ok());
  }
  // A lost device is worth another path; a lost block is not.
  CHECK(Status::OfBlock(block::Op::kRead, absl::UnavailableError("x")).type() == 3);
  CHECK(!Status::OfBlock(block::Op::kRead, absl::UnavailableError("x")).do_not_retry());
  CHECK(Status::OfBlock(block::Op::kRead, absl::DataLossError("x")).code() ==
        StatusCode::kUnrecoveredReadError);
  CHECK(Status::OfBlock(block::Op::kWrite, absl::DataLossError("x")).code() ==
        StatusCode::kWriteFault);
}

TEST_CASE("every status becomes an error with a name") {
  for (uint32_t field = 1; field < 0x8000; ++field) {
    const Status status = Status::FromField(static_cast<uint16_t>(field));
    const absl::Status error = status.ToAbsl("read");
    if (error.ok() != status.ok()) {
      CAPTURE(field);
      REQUIRE(error.ok() == status.ok());
    }
  }
  CHECK(Status(StatusCode::kLbaOutOfRange).ToAbsl("read of ns 1").message() ==
        "read of ns 1: 00/80h LBA Out of Range");
  CHECK(Status::FromField(0x2ff).ToAbslCode() == absl::StatusCode::kDataLoss);
  CHECK(Status::FromField(0x37f).ToAbslCode() == absl::StatusCode::kUnavailable);
  CHECK(Status::FromField(0x07f).ToAbslCode() == absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace strata::nvme

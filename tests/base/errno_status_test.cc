// SPDX-License-Identifier: Apache-2.0
#include "strata/base/errno_status.h"

#include <catch2/catch.hpp>
#include <cerrno>

#include "absl/strings/cord.h"

namespace strata {

TEST_CASE("an errno has one meaning, and its message says what it was about") {
  CHECK(ErrnoStatus(ENOENT, "/srv/data").ToString() ==
        "NOT_FOUND: /srv/data: No such file or directory");
  CHECK(ErrnoStatus(EEXIST, "x").code() == absl::StatusCode::kAlreadyExists);
  CHECK(ErrnoStatus(ENOSPC, "x").code() == absl::StatusCode::kResourceExhausted);
  CHECK(ErrnoStatus(EDQUOT, "x").code() == absl::StatusCode::kResourceExhausted);
  for (const int error : {EACCES, EPERM, EROFS}) {
    CHECK(ErrnoStatus(error, "x").code() == absl::StatusCode::kPermissionDenied);
  }
  for (const int error : {ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP}) {
    CHECK(ErrnoStatus(error, "x").code() == absl::StatusCode::kInvalidArgument);
  }
  for (const int error : {EIO, EMFILE, EBUSY, 99999}) {
    CHECK(ErrnoStatus(error, "x").code() == absl::StatusCode::kUnavailable);
  }
}

TEST_CASE("an annotated status keeps its code and what was attached to it") {
  absl::Status status = absl::DataLossError("wrong checksum");
  status.SetPayload("place", absl::Cord("block 7"));
  const absl::Status annotated = Annotate(status, "container 3");
  CHECK(annotated.code() == absl::StatusCode::kDataLoss);
  CHECK(annotated.message() == "container 3: wrong checksum");
  CHECK(annotated.GetPayload("place") == absl::Cord("block 7"));
  CHECK(Annotate(absl::OkStatus(), "x").ok());
}

}  // namespace strata

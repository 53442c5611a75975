// SPDX-License-Identifier: Apache-2.0
//
// Parts of the journal and the operations in them, on any bytes. What decodes must encode to the
// same bytes again, as a record has one form alone.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "containers/journal.h"
#include "format/journal_format.h"
#include "strata/base/check.h"

namespace strata::dedup {
namespace {

void CheckRefused(const absl::Status& status) {
  STRATA_CHECK(absl::IsDataLoss(status) || absl::IsUnimplemented(status), status.ToString());
}

void TryOperations(std::span<const std::byte> bytes) {
  JournalOperations again;
  const absl::Status status = VisitJournalOperations(bytes, [&](const JournalOperation& operation) {
    again.Add(operation.space, operation.kind, operation.key, operation.value);
    return absl::OkStatus();
  });
  if (!status.ok()) return CheckRefused(status);
  // A space that is named without an operation in it is not written again.
  STRATA_CHECK(again.bytes().size() <= bytes.size(), "operations grew");
}

}  // namespace
}  // namespace strata::dedup

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata::dedup;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  const absl::StatusOr<JournalPart> part = DecodeJournalPart(bytes);
  if (part.ok()) {
    const std::vector<std::byte> again = EncodeJournalPart(*part);
    STRATA_CHECK(again.size() == size && std::equal(again.begin(), again.end(), bytes.begin()),
                 "a part changed on its way");
    JournalRecords records;
    records.Add(*part, 1);
    records.Add(*part, 2);
    TryOperations(part->operations);
  } else {
    CheckRefused(part.status());
  }
  TryOperations(bytes);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto place = DecodeJournalPlace(text); place.ok()) {
    STRATA_CHECK(EncodeJournalPlace(*place) == text, "a place changed on its way");
  }
  if (const auto record = DecodeCheckpointRecord(text); record.ok()) {
    STRATA_CHECK(EncodeCheckpointRecord(*record) == text, "a record changed on its way");
  }
  return 0;
}

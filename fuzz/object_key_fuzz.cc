// SPDX-License-Identifier: Apache-2.0
//
// The parsers of names that clients and the kv store hand in: stored keys, object keys, version
// ids, bucket names.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "records/key_layout.h"
#include "records/names.h"
#include "records/upload_info.h"
#include "records/version_ids.h"
#include "strata/base/check.h"

namespace strata::object {
namespace {

void TryAll(std::string_view input) {
  if (const auto parsed = ParseObjectKey(input); parsed.has_value()) {
    // The table and the bucket id are the first 9 bytes.
    const std::string again =
        std::string(input.substr(0, 9)) + EscapeKey(parsed->key) + '\0' + '\1' + parsed->suffix;
    STRATA_CHECK(again == input, "a stored key parses to another");
  }
  const auto stored = ParseObjectKey(OlderKey(7, input, 9));
  STRATA_CHECK(stored.has_value() && stored->key == input, "a key does not come back");
  STRATA_CHECK(SequenceOfSuffix(stored->suffix) == 9, "a sequence does not come back");

  if (const auto version = ParseVersionId(input); version.has_value()) {
    STRATA_CHECK(version->is_null || VersionText(version->sequence, version->nonce) == input,
                 "a version id has two spellings");
  }
  (void)ParseUploadId(input);
  (void)PartNumberInKey(input);
  (void)DueTimeInKey(input);
  (void)CheckObjectKey(input);
  (void)CheckUserId(input);
  if (CheckBucketName(input).ok()) {
    STRATA_CHECK(input.size() >= 3 && input.size() <= 63, "a bucket name of a wrong length");
  }
}

}  // namespace
}  // namespace strata::object

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::object::TryAll({reinterpret_cast<const char*>(data), size});
  return 0;
}

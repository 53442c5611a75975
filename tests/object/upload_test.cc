// SPDX-License-Identifier: Apache-2.0
//
// Multipart uploads, and copies of whole objects and of parts.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "records/digests.h"
#include "records/key_layout.h"
#include "store_fixture.h"
#include "strata/base/hex.h"

namespace strata::object::test {
namespace {

constexpr size_t kPartBytes = ObjectLimits::kMinPartBytes;

struct Uploaded {
  UploadInfo upload;
  std::vector<CompletedPart> parts;
  std::string content;
  std::string md5s;
};

// Full parts, and a last one of `last_bytes`. They share their content with one another, so that
// many take little memory.
Uploaded UploadParts(StoreFixture& f, std::string_view key, size_t count, size_t last_bytes,
                     const PutOptions& options = {}, bool full_object_checksum = false) {
  Uploaded u;
  u.upload = Must(f.store().CreateUpload(
      "bkt", key, {.put = options, .full_object_checksum = full_object_checksum}));
  for (size_t i = 0; i < count; ++i) {
    std::string part = Content(77, i + 1 < count ? kPartBytes : last_bytes);
    if (!part.empty()) part[0] = static_cast<char>(i);
    u.parts.push_back(f.PutPart(u.upload, static_cast<uint32_t>(i + 1), part));
    u.md5s += DigestOf(ChecksumAlgorithm::kMd5, part);
    u.content += part;
  }
  return u;
}

absl::StatusOr<ObjectInfo> Complete(StoreFixture& f, const UploadInfo& upload,
                                    const std::vector<CompletedPart>& parts,
                                    const Conditions& conditions = {},
                                    const ContentClaims& claims = {}) {
  return f.store().CompleteUpload({upload.bucket, upload.key, upload.upload_id}, parts,
                                  {.conditions = conditions, .claims = claims});
}

TEST_CASE("An upload becomes one object with the parts' content and a -N ETag") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  PutOptions options;
  options.owner = "ada";
  options.metadata.user["color"] = "blue";
  const Uploaded u = UploadParts(f, "k", 3, 1234, options);
  CHECK(KeysOf(Must(f.store().List("bkt", {}))).empty());
  const ObjectInfo info = Must(Complete(f, u.upload, u.parts));
  CHECK(info.etag == ToHex(DigestOf(ChecksumAlgorithm::kMd5, u.md5s)) + "-3");
  CHECK(info.size_bytes == u.content.size());
  CHECK(info.part_count == 3);
  CHECK(info.owner == "ada");
  CHECK(Must(f.store().Head("bkt", "k", {})).metadata.user.at("color") == "blue");
  CHECK(f.Get("bkt", "k") == u.content);

  const auto reader = Must(f.store().OpenReader("bkt", "k", {.part_number = 2}));
  CHECK(reader->offset_bytes() == kPartBytes);
  CHECK(reader->size_bytes() == kPartBytes);
  CHECK(Must(ReadAll(reader.get())) == u.content.substr(kPartBytes, kPartBytes));
  CHECK(ReasonOf(f.TryGet("bkt", "k", {.part_number = 4})) == Reason::kInvalidPartNumber);

  // A read across two parts.
  std::string out(2000, '\0');
  CHECK(Must(reader->Read(kPartBytes - 1000,
                          std::as_writable_bytes(std::span(out.data(), out.size())))) == 2000);
  CHECK(out == u.content.substr(kPartBytes - 1000, 2000));

  Must(f.store().Delete("bkt", "k", "").status());
  f.ReapAll();
  CHECK(f.StreamCount() == 0);
}

TEST_CASE("A plain object has the one part 1, an empty one too") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  f.Put("bkt", "k", "content");
  f.Put("bkt", "empty", "");
  CHECK(f.Get("bkt", "k", {.part_number = 1}) == "content");
  CHECK(f.Get("bkt", "empty", {.part_number = 1}) == "");
  CHECK(ReasonOf(f.TryGet("bkt", "k", {.part_number = 2})) == Reason::kInvalidPartNumber);
}

TEST_CASE("Completing answers again the same, and not for other parts or after an abort") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const Uploaded u = UploadParts(f, "k", 2, 10);
  const ObjectInfo info = Must(Complete(f, u.upload, u.parts));
  const ObjectInfo again = Must(Complete(f, u.upload, u.parts));
  CHECK(again.etag == info.etag);
  CHECK(again.size_bytes == info.size_bytes);
  CHECK(again.modified_ns == info.modified_ns);
  CHECK(again.version_id == info.version_id);
  std::vector<CompletedPart> fewer(u.parts.begin(), u.parts.begin() + 1);
  CHECK(ReasonOf(Complete(f, u.upload, fewer)) == Reason::kNoSuchUpload);
  CHECK(ReasonOf(f.store().AbortUpload({"bkt", "k", u.upload.upload_id})) == Reason::kNoSuchUpload);
  CHECK(ReasonOf(f.store().CompleteUpload({"bkt", "other", u.upload.upload_id}, u.parts, {})) ==
        Reason::kNoSuchUpload);

  // Also when the object is gone, for a day.
  Must(f.store().Delete("bkt", "k", "").status());
  f.ReapAll();
  CHECK(Complete(f, u.upload, u.parts).ok());
  f.clock.now_ns += 25 * 3600 * static_cast<int64_t>(kSecondNs);
  f.ReapAll();
  CHECK(ReasonOf(Complete(f, u.upload, u.parts)) == Reason::kNoSuchUpload);
  Must(f.store().DeleteBucket("bkt"));
}

TEST_CASE("An upload's rules") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const UploadInfo upload = Must(f.store().CreateUpload("bkt", "k", {}));
  const std::string full = Content(5, kPartBytes);
  const CompletedPart one = f.PutPart(upload, 1, full);
  const CompletedPart two = f.PutPart(upload, 2, full);
  const CompletedPart small = f.PutPart(upload, 3, "small");
  const CompletedPart last = f.PutPart(upload, 10000, "last");

  CHECK(ReasonOf(Complete(f, upload, {})) == Reason::kInvalidPart);
  CHECK(ReasonOf(Complete(f, upload, {two, one})) == Reason::kInvalidPartOrder);
  CHECK(ReasonOf(Complete(f, upload, {one, one})) == Reason::kInvalidPartOrder);
  CHECK(ReasonOf(Complete(f, upload, {one, small, last})) == Reason::kEntityTooSmall);
  CompletedPart wrong = two;
  wrong.etag = one.etag.substr(1) + "0";
  CHECK(ReasonOf(Complete(f, upload, {one, wrong})) == Reason::kInvalidPart);
  wrong = two;
  wrong.part_number = 77;
  CHECK(ReasonOf(Complete(f, upload, {one, wrong})) == Reason::kInvalidPart);
  wrong = two;
  wrong.checksum = "abcd";
  CHECK(ReasonOf(Complete(f, upload, {one, wrong})) == Reason::kInvalidPart);
  CHECK(ReasonOf(Complete(f, upload, {one, two}, {}, {.size_bytes = 3})) == Reason::kWrongSize);
  for (const uint32_t bad : {0u, 10001u}) {
    CHECK(ReasonOf(f.TryPutPart(upload, bad, "x")) == Reason::kInvalidPartNumber);
  }
  CHECK(ReasonOf(f.store().GetUpload({"bkt", "k", "nonsense"})) == Reason::kNoSuchUpload);
  CHECK(ReasonOf(f.store().GetUpload({"bkt", "other", upload.upload_id})) == Reason::kNoSuchUpload);

  // After all these errors the upload can still be completed; what is not listed goes.
  CHECK(f.StreamCount() == 4);
  Must(Complete(f, upload, {one, last}).status());
  f.ReapAll();
  CHECK(f.StreamCount() == 2);
  CHECK(f.Get("bkt", "k") == full + "last");
}

TEST_CASE("A part that is uploaded again replaces the former") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const UploadInfo upload = Must(f.store().CreateUpload("bkt", "k", {}));
  const CompletedPart former = f.PutPart(upload, 1, "former");
  const CompletedPart newer = f.PutPart(upload, 1, "newer");
  CHECK(f.StreamCount() == 1);
  CHECK(ReasonOf(Complete(f, upload, {former})) == Reason::kInvalidPart);
  Must(Complete(f, upload, {newer}).status());
  CHECK(f.Get("bkt", "k") == "newer");
}

TEST_CASE("A part of an upload that ended meanwhile is refused, and leaves nothing") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const UploadInfo upload = Must(f.store().CreateUpload("bkt", "k", {}));
  auto writer = Must(f.store().NewPartWriter({"bkt", "k", upload.upload_id}, 1, std::nullopt));
  Must(writer->Write(AsBytes("content")));
  Must(f.store().AbortUpload({"bkt", "k", upload.upload_id}));
  CHECK(ReasonOf(writer->Finish({})) == Reason::kNoSuchUpload);
  CHECK(ReasonOf(f.store().AbortUpload({"bkt", "k", upload.upload_id})) == Reason::kNoSuchUpload);
  CHECK(f.StreamCount() == 0);
}

TEST_CASE("Many parts: a manifest, the reap queue, and readers that stay") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const Uploaded u = UploadParts(f, "k", 30, 99);
  Must(Complete(f, u.upload, u.parts).status());
  CHECK(f.Get("bkt", "k") == u.content);
  CHECK(Must(ReadAll(Must(f.store().OpenReader("bkt", "k", {.part_number = 30})).get())) ==
        u.content.substr(29 * kPartBytes));

  // The copy has streams of its own.
  const ObjectInfo copy = Must(f.store().Copy({.bucket = "bkt", .key = "k"}, "bkt", "copy", {}));
  CHECK(copy.part_count == 30);
  CHECK(f.StreamCount() == 60);

  auto reader = Must(f.store().OpenReader("bkt", "k", {}));
  Must(f.store().Delete("bkt", "k", "").status());
  f.ReapAll();
  CHECK(f.StreamCount() == 60);  // Pinned by the reader.
  Must(f.dedup().CollectGarbage({}).status());
  CHECK(Must(ReadAll(reader.get())) == u.content);
  reader.reset();
  CHECK(Must(f.store().ReapStreams(7)) == 7);
  CHECK(f.StreamCount() == 53);
  f.ReapAll();
  CHECK(f.StreamCount() == 30);
  CHECK(f.Get("bkt", "copy") == u.content);
  f.Put("bkt", "copy", "");
  f.ReapAll();
  CHECK(f.StreamCount() == 0);
}

TEST_CASE("Deleting a bucket aborts the uploads into it") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  for (int i = 0; i < 1100; ++i) {  // More than a page of them.
    const UploadInfo upload = Must(f.store().CreateUpload("bkt", "k" + std::to_string(i % 7), {}));
    if (i % 100 == 0) f.PutPart(upload, 1, "part " + std::to_string(i));
  }
  f.Put("bkt", "k", "content");
  CHECK(ReasonOf(f.store().DeleteBucket("bkt")) == Reason::kBucketNotEmpty);
  CHECK(f.StreamCount() == 12);
  Must(f.store().Delete("bkt", "k", "").status());
  Must(f.store().DeleteBucket("bkt"));
  f.ReapAll();
  CHECK(f.StreamCount() == 0);
}

TEST_CASE("Aborting an upload of many parts leaves them to the reaper") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const UploadInfo upload = Must(f.store().CreateUpload("bkt", "k", {}));
  for (uint32_t i = 1; i <= 150; ++i) f.PutPart(upload, i, "part " + std::to_string(i));
  CHECK(f.StreamCount() == 150);
  Must(f.store().AbortUpload({"bkt", "k", upload.upload_id}));
  Must(f.store().DeleteBucket("bkt"));
  f.ReapAll();
  CHECK(f.StreamCount() == 0);
}

constexpr int64_t kYearNs = 365ll * 24 * 3600 * 1'000'000'000;
constexpr int64_t kDayNs = 24ll * 3600 * 1'000'000'000;

TEST_CASE("Removals queued while the clock was ahead do not wait until that date") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const UploadInfo upload = Must(f.store().CreateUpload("bkt", "k", {}));
  for (uint32_t i = 1; i <= 150; ++i) f.PutPart(upload, i, "part " + std::to_string(i));
  f.clock.now_ns += kYearNs;
  Must(f.store().AbortUpload({"bkt", "k", upload.upload_id}));
  f.clock.now_ns -= kYearNs;
  f.ReapAll();
  CHECK(f.StreamCount() == 0);
}

TEST_CASE("A queue that an older version filled while the clock was ahead is reaped") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const UploadInfo upload = Must(f.store().CreateUpload("bkt", "k", {}));
  for (uint32_t i = 1; i <= 150; ++i) f.PutPart(upload, i, "part " + std::to_string(i));
  Must(f.store().AbortUpload({"bkt", "k", upload.upload_id}));
  const kv::SpaceId space =
      Must(f.kv().OpenSpace("object.records", {.access = kv::SpaceOptions::Access::kOrdered}));
  const kv::Page queue = Must(f.kv().NewSnapshot()->List(space, TableRange(Table::kReap), {}));
  REQUIRE(queue.items.size() == 1);
  Must(kv::RunTransaction(f.kv(), kv::Durability::kSync, [&](kv::Transaction& txn) {
    const absl::Status deleted = txn.Delete(space, queue.items[0].key);
    if (!deleted.ok()) return deleted;
    const auto later_ns = static_cast<uint64_t>(f.clock.now_ns + kYearNs);
    return txn.Put(space, ReapKey(later_ns, 1), queue.items[0].value);
  }));
  f.ReapAll();
  CHECK(f.StreamCount() == 0);
}

TEST_CASE("What a completion answered is kept for a day, and no longer where the clock was ahead") {
  for (const int64_t ahead_ns : {int64_t{0}, kYearNs}) {
    INFO("the clock was ahead by " << ahead_ns);
    StoreFixture f;
    Must(f.store().CreateBucket("bkt", ""));
    const UploadInfo upload = Must(f.store().CreateUpload("bkt", "k", {}));
    const CompletedPart part = f.PutPart(upload, 1, "part");
    f.clock.now_ns += ahead_ns;
    Must(Complete(f, upload, {part}).status());
    f.clock.now_ns -= ahead_ns;
    f.ReapAll();
    f.clock.now_ns += kDayNs - static_cast<int64_t>(kSecondNs);
    f.ReapAll();
    Must(Complete(f, upload, {part}).status());
    f.clock.now_ns += 2 * static_cast<int64_t>(kSecondNs);
    f.ReapAll();
    CHECK(ReasonOf(Complete(f, upload, {part})) == Reason::kNoSuchUpload);
  }
}

TEST_CASE("Checksums of uploads: composite, and over the full object") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  for (const ChecksumAlgorithm algorithm :
       {ChecksumAlgorithm::kCrc32, ChecksumAlgorithm::kCrc32c, ChecksumAlgorithm::kCrc64Nvme,
        ChecksumAlgorithm::kSha1, ChecksumAlgorithm::kSha256}) {
    for (const bool full_object : {false, true}) {
      INFO(ChecksumAlgorithmName(algorithm) << (full_object ? " full object" : " composite"));
      const bool is_crc =
          algorithm != ChecksumAlgorithm::kSha1 && algorithm != ChecksumAlgorithm::kSha256;
      PutOptions options;
      options.checksum_algorithm = algorithm;
      if (full_object && !is_crc) {
        CHECK(ReasonOf(f.store().CreateUpload("bkt", "k",
                                              {.put = options, .full_object_checksum = true})) ==
              Reason::kInvalidArgument);
        continue;
      }
      const Uploaded u = UploadParts(f, "k", 2, 777, options, full_object);
      std::string values;
      values += DigestOf(algorithm, std::string_view(u.content).substr(0, kPartBytes));
      values += DigestOf(algorithm, std::string_view(u.content).substr(kPartBytes));
      const bool is_full = full_object || algorithm == ChecksumAlgorithm::kCrc64Nvme;
      const std::string expected = DigestOf(algorithm, is_full ? u.content : values);
      CHECK(ReasonOf(Complete(f, u.upload, u.parts, {},
                              {.checksum = std::string(expected.size(), 'x')})) ==
            Reason::kBadDigest);
      const ObjectInfo info = Must(Complete(f, u.upload, u.parts, {}, {.checksum = expected}));
      REQUIRE(info.checksum.has_value());
      CHECK(ToHex(info.checksum->value) == ToHex(expected));
      CHECK(info.checksum->part_count == (is_full ? 0 : 2));
    }
  }
}

TEST_CASE("A part must have the checksum the upload was created with") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  PutOptions options;
  options.checksum_algorithm = ChecksumAlgorithm::kCrc32;
  const UploadInfo upload = Must(f.store().CreateUpload("bkt", "k", {.put = options}));
  CHECK(ReasonOf(f.store().NewPartWriter({"bkt", "k", upload.upload_id}, 1,
                                         ChecksumAlgorithm::kSha1)) == Reason::kInvalidArgument);
  CHECK(ReasonOf(f.TryPutPart(upload, 1, "content", {.checksum = "abcd"})) == Reason::kBadDigest);
  const ObjectInfo part = Must(f.TryPutPart(upload, 1, "content"));
  CHECK(part.checksum.value().algorithm == ChecksumAlgorithm::kCrc32);
}

TEST_CASE("Listing parts and uploads, a page at a time") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const UploadInfo upload = Must(f.store().CreateUpload("bkt", "dir/k", {}));
  for (const uint32_t i : {2u, 3u, 5u, 10000u}) f.PutPart(upload, i, "x");
  std::vector<uint32_t> numbers;
  uint32_t marker = 0;
  for (bool more = true; more;) {
    const PartsPage page =
        Must(f.store().ListParts({"bkt", "dir/k", upload.upload_id}, {marker, 3}));
    for (const PartInfo& part : page.parts) numbers.push_back(part.part_number);
    more = page.truncated;
    marker = page.parts.empty() ? 0 : page.parts.back().part_number;
  }
  CHECK(numbers == std::vector<uint32_t>{2, 3, 5, 10000});
  CHECK(Must(f.store().ListParts({"bkt", "dir/k", upload.upload_id}, {10000, 3})).parts.empty());
  CHECK(Must(f.store().ListParts({"bkt", "dir/k", upload.upload_id}, {~0u, 3})).parts.empty());

  f.clock.now_ns += kSecondNs;
  const UploadInfo later = Must(f.store().CreateUpload("bkt", "dir/k", {}));
  Must(f.store().CreateUpload("bkt", "a", {}).status());
  Must(f.store().CreateUpload("bkt", "z", {}).status());
  std::vector<std::string> listed;
  ListOptions options;
  options.max_keys = 1;
  std::string upload_marker;
  for (bool more = true; more;) {
    const UploadsPage page = Must(f.store().ListUploads("bkt", options, upload_marker));
    REQUIRE(page.uploads.size() == 1);
    listed.push_back(page.uploads[0].key + " " + page.uploads[0].upload_id);
    more = page.truncated;
    options.start_after = page.next_key_marker;
    upload_marker = page.next_upload_id_marker;
    REQUIRE(listed.size() < 10);
  }
  REQUIRE(listed.size() == 4);
  CHECK(listed[0].starts_with("a "));
  CHECK(listed[1] == "dir/k " + upload.upload_id);
  CHECK(listed[2] == "dir/k " + later.upload_id);
  CHECK(listed[3].starts_with("z "));

  const UploadsPage grouped = Must(f.store().ListUploads("bkt", {.delimiter = "/"}, ""));
  CHECK(grouped.uploads.size() == 2);
  CHECK(grouped.common_prefixes == std::vector<std::string>{"dir/"});
}

TEST_CASE("A copy shares no stream, keeps what the source was, and replaces metadata on demand") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  Must(f.store().CreateBucket("other", ""));
  const std::string content = Content(6, 200000);
  PutOptions options;
  options.metadata.user["color"] = "blue";
  options.checksum_algorithm = ChecksumAlgorithm::kCrc32;
  const ObjectInfo source = f.Put("bkt", "k", content, options);
  PutOptions as_bob;
  as_bob.owner = "bob";
  const ObjectInfo copy =
      Must(f.store().Copy({.bucket = "bkt", .key = "k"}, "other", "copy", {.put = as_bob}));
  CHECK(copy.etag == source.etag);
  CHECK(copy.checksum == source.checksum);
  CHECK(copy.owner == "bob");
  CHECK(Must(f.store().Head("other", "copy", {})).metadata.user.at("color") == "blue");
  CHECK(Must(f.store().GetBucketUsage("other")).new_bytes == 0);
  CHECK(f.StreamCount() == 2);
  Must(f.store().Delete("bkt", "k", "").status());
  Must(f.dedup().CollectGarbage({}).status());
  CHECK(f.Get("other", "copy") == content);

  // Onto itself, with other metadata and another checksum.
  PutOptions with_sha;
  with_sha.metadata.user["color"] = "red";
  with_sha.checksum_algorithm = ChecksumAlgorithm::kSha256;
  const ObjectInfo red =
      Must(f.store().Copy({.bucket = "other", .key = "copy"}, "other", "copy",
                          {.directives = {.replace_metadata = true}, .put = with_sha}));
  CHECK(ToHex(red.checksum->value) == ToHex(DigestOf(ChecksumAlgorithm::kSha256, content)));
  CHECK(Must(f.store().Head("other", "copy", {})).metadata.user.at("color") == "red");
  CHECK(f.Get("other", "copy") == content);
  CHECK(f.StreamCount() == 1);

  f.Put("bkt", "empty", "");
  Must(f.store().Copy({.bucket = "bkt", .key = "empty"}, "bkt", "e2", {}).status());
  CHECK(f.Get("bkt", "e2").empty());
  CHECK(ReasonOf(f.store().Copy({.bucket = "bkt", .key = "no"}, "bkt", "c", {})) ==
        Reason::kNoSuchKey);
  CHECK(ReasonOf(f.store().Copy({.bucket = "no-such", .key = "k"}, "bkt", "c", {})) ==
        Reason::kNoSuchBucket);
}

TEST_CASE("An older version can be copied, and so brought back") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  Must(f.store().SetVersioning("bkt", Versioning::kEnabled));
  const std::string one = f.Put("bkt", "k", "one").version_id;
  f.Put("bkt", "k", "two");
  Must(f.store().Copy({.bucket = "bkt", .key = "k", .version_id = one}, "bkt", "k", {}).status());
  CHECK(f.Get("bkt", "k") == "one");
  CHECK(Must(f.store().ListVersions("bkt", {})).objects.size() == 3);
}

TEST_CASE("Parts can be copied from objects and ranges of them") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const std::string content = Content(8, kPartBytes + 5000);
  f.Put("bkt", "src", content);
  const UploadInfo upload = Must(f.store().CreateUpload("bkt", "k", {}));
  const CopySource source{.bucket = "bkt", .key = "src"};
  const auto copy = [&](uint32_t number, std::optional<ByteRange> range) {
    return f.store().CopyPart({source, range}, {"bkt", "k", upload.upload_id}, number);
  };
  const PartInfo one = Must(copy(1, std::nullopt));
  CHECK(one.etag == ToHex(DigestOf(ChecksumAlgorithm::kMd5, content)));
  const PartInfo two = Must(copy(2, ByteRange{5000, 100}));
  CHECK(two.size_bytes == 100);
  for (const ByteRange& bad : {ByteRange{content.size(), 1}, ByteRange{0, content.size() + 1},
                               ByteRange{5, 0}, ByteRange{1, ~uint64_t{0}}}) {
    CHECK(ReasonOf(copy(3, bad)) == Reason::kInvalidRange);
  }
  std::vector<CompletedPart> parts(2);
  parts[0].part_number = 1;
  parts[0].etag = one.etag;
  parts[1].part_number = 2;
  parts[1].etag = two.etag;
  Must(Complete(f, upload, parts).status());
  CHECK(f.Get("bkt", "k") == content + content.substr(5000, 100));
}

}  // namespace
}  // namespace strata::object::test

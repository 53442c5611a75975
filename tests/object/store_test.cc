// SPDX-License-Identifier: Apache-2.0
//
// Buckets, plain objects, users: what every client does first.
#include <catch2/catch.hpp>
#include <string>

#include "records/digests.h"
#include "store_fixture.h"
#include "strata/base/hex.h"

namespace strata::object::test {
namespace {

TEST_CASE("An object comes back as it went in") {
  StoreFixture f;
  Must(f.store().CreateBucket("backups", "ada"));
  for (const size_t size : {0, 1, 4096, 100000, 3000000}) {
    INFO(size << " bytes");
    const std::string content = Content(size, size);
    PutOptions options;
    options.owner = "ada";
    options.metadata.content_type = "text/plain";
    options.metadata.user = {{"color", "blue"}, {"empty", ""}};
    options.metadata.tags = {{"k", "v"}};
    options.checksum_algorithm = ChecksumAlgorithm::kCrc32c;
    const ObjectInfo put = f.Put("backups", "monday.tar", content, options);
    CHECK(put.etag == ToHex(DigestOf(ChecksumAlgorithm::kMd5, content)));
    CHECK(put.size_bytes == size);
    CHECK(put.version_id == "null");

    const ObjectInfo head = Must(f.store().Head("backups", "monday.tar", {}));
    CHECK(head.etag == put.etag);
    CHECK(head.size_bytes == size);
    CHECK(head.owner == "ada");
    CHECK(head.modified_ns == static_cast<uint64_t>(f.clock.now_ns));
    CHECK(head.metadata.content_type == "text/plain");
    CHECK(head.metadata.user == options.metadata.user);
    CHECK(head.metadata.tags == options.metadata.tags);
    REQUIRE(head.checksum.has_value());
    CHECK(ToHex(head.checksum->value) == ToHex(DigestOf(ChecksumAlgorithm::kCrc32c, content)));
    CHECK(f.Get("backups", "monday.tar") == content);
    CHECK(f.StreamCount() == (size > 0 ? 1 : 0));
  }
}

TEST_CASE("Any range of an object can be read, and nothing behind its end") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const std::string content = Content(1, 300000);
  f.Put("bkt", "k", content);
  const auto reader = Must(f.store().OpenReader("bkt", "k", {}));
  std::string out(1000, '\0');
  const auto bytes = std::as_writable_bytes(std::span(out.data(), out.size()));
  for (const uint64_t offset : {0, 1, 65536, 200001, 299000}) {
    CHECK(Must(reader->Read(offset, bytes)) == 1000);
    CHECK(out == content.substr(offset, 1000));
  }
  CHECK(Must(reader->Read(299500, bytes)) == 500);
  CHECK(out.substr(0, 500) == content.substr(299500));
  CHECK(Must(reader->Read(300000, bytes)) == 0);
  CHECK(ReasonOf(reader->Read(300001, bytes)) == Reason::kInvalidRange);
}

TEST_CASE("A writer that is dropped, or whose claims are wrong, leaves nothing") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const std::string content = Content(2, 50000);
  {
    auto writer = Must(f.store().NewWriter("bkt", "dropped", {}));
    Must(writer->Write(AsBytes(content)));
  }
  ContentClaims right{.md5 = DigestOf(ChecksumAlgorithm::kMd5, content),
                      .checksum = DigestOf(ChecksumAlgorithm::kCrc64Nvme, content),
                      .sha256 = DigestOf(ChecksumAlgorithm::kSha256, content),
                      .size_bytes = content.size()};
  PutOptions options;
  options.checksum_algorithm = ChecksumAlgorithm::kCrc64Nvme;
  for (const int which : {0, 1, 2, 3}) {
    INFO("claim " << which << " is wrong");
    ContentClaims claims = right;
    if (which == 0) claims.md5 = std::string(16, 'x');
    if (which == 1) claims.checksum = std::string(8, 'x');
    if (which == 2) claims.sha256 = std::string(32, 'x');
    if (which == 3) claims.size_bytes = content.size() + 1;
    CHECK(ReasonOf(f.TryPut("bkt", "wrong", content, options, claims)) == Reason::kBadDigest);
  }
  CHECK(KeysOf(Must(f.store().List("bkt", {}))).empty());
  CHECK(f.StreamCount() == 0);
  CHECK(f.TryPut("bkt", "right", content, options, right).ok());
  CHECK(f.StreamCount() == 1);
}

TEST_CASE("A SHA-256 is not computed when the sender says it will not claim one") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  auto writer = Must(f.store().NewWriter("bkt", "k", {}));
  writer->OmitSha256();
  Must(writer->Write(AsBytes("content")));
  CHECK(ReasonOf(writer->Finish({.sha256 = std::string(32, 'x')})) == Reason::kInvalidArgument);

  PutOptions options;
  options.checksum_algorithm = ChecksumAlgorithm::kSha256;
  auto checksummed = Must(f.store().NewWriter("bkt", "k", options));
  checksummed->OmitSha256();
  Must(checksummed->Write(AsBytes("content")));
  const ObjectInfo info = Must(checksummed->Finish({}));
  CHECK(ToHex(info.checksum->value) == ToHex(DigestOf(ChecksumAlgorithm::kSha256, "content")));
}

TEST_CASE("A writer takes nothing after its end") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  auto writer = Must(f.store().NewWriter("bkt", "k", {}));
  Must(writer->Write(AsBytes("content")));
  Must(writer->Finish({}).status());
  CHECK(absl::IsFailedPrecondition(writer->Write(AsBytes("more"))));
  CHECK(absl::IsFailedPrecondition(writer->Finish({}).status()));
  CHECK(f.Get("bkt", "k") == "content");
}

TEST_CASE("Overwriting and deleting a plain object removes its stream") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  f.Put("bkt", "k", "one");
  f.Put("bkt", "k", "two");
  CHECK(f.StreamCount() == 1);
  CHECK(f.Get("bkt", "k") == "two");
  const DeleteResult deleted = Must(f.store().Delete("bkt", "k", ""));
  CHECK(deleted.existed);
  CHECK_FALSE(deleted.delete_marker);
  CHECK(deleted.version_id.empty());
  CHECK(f.StreamCount() == 0);
  CHECK(ReasonOf(f.TryGet("bkt", "k")) == Reason::kNoSuchKey);
  const DeleteResult again = Must(f.store().Delete("bkt", "k", ""));
  CHECK_FALSE(again.existed);
}

TEST_CASE("An open reader goes on reading what was deleted and collected") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const std::string content = Content(3, 500000);
  f.Put("bkt", "k", content);
  auto reader = Must(f.store().OpenReader("bkt", "k", {}));
  Must(f.store().Delete("bkt", "k", "").status());
  Must(f.dedup().CollectGarbage({}).status());
  CHECK(Must(ReadAll(reader.get())) == content);
  reader.reset();
  const dedup::GarbageReport report = Must(f.dedup().CollectGarbage({}));
  CHECK(report.streams_marked == 0);
}

TEST_CASE("Buckets: names, owners, and no end while something is in them") {
  StoreFixture f;
  Must(f.store().CreateBucket("first", "ada"));
  Must(f.store().CreateBucket("second", "bob"));
  CHECK(ReasonOf(f.store().CreateBucket("first", "ada")) == Reason::kBucketAlreadyOwnedByYou);
  CHECK(ReasonOf(f.store().CreateBucket("first", "bob")) == Reason::kBucketAlreadyExists);
  CHECK(ReasonOf(f.store().CreateBucket("NO", "bob")) == Reason::kInvalidBucketName);
  CHECK(Must(f.store().ListBuckets("")).size() == 2);
  const std::vector<BucketInfo> of_ada = Must(f.store().ListBuckets("ada"));
  REQUIRE(of_ada.size() == 1);
  CHECK(of_ada[0].name == "first");
  CHECK(of_ada[0].created_ns == static_cast<uint64_t>(f.clock.now_ns));

  f.Put("first", "k", "content");
  CHECK(ReasonOf(f.store().DeleteBucket("first")) == Reason::kBucketNotEmpty);
  Must(f.store().Delete("first", "k", "").status());
  Must(f.store().DeleteBucket("first"));
  for (const absl::Status& status :
       {f.store().DeleteBucket("first"), f.store().GetBucket("first").status(),
        f.TryGet("first", "k").status(), f.TryPut("first", "k", "x").status(),
        f.store().List("first", {}).status(), f.store().Delete("first", "k", "").status()}) {
    CHECK(ReasonOf(status) == Reason::kNoSuchBucket);
  }
  CHECK(Must(f.store().ListBuckets("ada")).empty());
}

TEST_CASE("A bucket made again does not see what was in it, and a writer does not cross over") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  auto writer = Must(f.store().NewWriter("bkt", "k", {}));
  Must(writer->Write(AsBytes("content")));
  Must(f.store().DeleteBucket("bkt"));
  Must(f.store().CreateBucket("bkt", ""));
  CHECK(ReasonOf(writer->Finish({})) == Reason::kNoSuchBucket);
  CHECK(KeysOf(Must(f.store().List("bkt", {}))).empty());
}

TEST_CASE("Bad keys and metadata are refused before content is taken") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  CHECK(ReasonOf(f.store().NewWriter("bkt", "", {})) == Reason::kInvalidArgument);
  CHECK(ReasonOf(f.store().NewWriter("bkt", std::string(1025, 'a'), {})) == Reason::kKeyTooLong);
  PutOptions options;
  options.metadata.user["k"] = std::string(3000, 'v');
  CHECK(ReasonOf(f.store().NewWriter("bkt", "k", options)) == Reason::kMetadataTooLarge);
}

TEST_CASE("Usage counts versions, bytes, and what was new") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const std::string content = Content(4, 200000);
  f.Put("bkt", "a", content);
  f.Put("bkt", "b", content);
  const BucketUsage usage = Must(f.store().GetBucketUsage("bkt"));
  CHECK(usage.object_count == 2);
  CHECK(usage.version_count == 2);
  CHECK(usage.logical_bytes == 400000);
  CHECK(usage.new_bytes == 200000);
  CHECK(usage.stored_bytes >= 200000);
  CHECK(usage.stored_bytes < 250000);
}

TEST_CASE("Users and keys") {
  StoreFixture f;
  User ada;
  ada.id = "ada";
  ada.display_name = "Ada Lovelace";
  ada.admin = true;
  Must(f.store().CreateUser(ada));
  CHECK(ReasonOf(f.store().CreateUser(ada)) == Reason::kUserAlreadyExists);
  const User found = Must(f.store().GetUser("ada"));
  CHECK(found.id == "ada");
  CHECK(found.display_name == "Ada Lovelace");
  CHECK(found.admin);
  CHECK(found.created_ns == static_cast<uint64_t>(f.clock.now_ns));
  User bob;
  bob.id = "bob";
  Must(f.store().CreateUser(bob));
  CHECK_FALSE(Must(f.store().GetUser("bob")).admin);
  CHECK(Must(f.store().ListUsers()).size() == 2);

  AccessKey key{"KEY1", "secret-one", "ada"};
  Must(f.store().AddAccessKey(key));
  Must(f.store().AddAccessKey({"KEY2", "secret-two", "ada"}));
  CHECK(Must(f.store().FindAccessKey("KEY1")).secret_key == "secret-one");
  key.secret_key = "secret-new";
  Must(f.store().AddAccessKey(key));
  CHECK(Must(f.store().FindAccessKey("KEY1")).secret_key == "secret-new");
  CHECK(absl::IsAlreadyExists(f.store().AddAccessKey({"KEY1", "secret-bob", "bob"})));
  CHECK(ReasonOf(f.store().AddAccessKey({"KEY3", "secret-3", "eve"})) == Reason::kNoSuchUser);
  const std::vector<AccessKey> keys = Must(f.store().ListAccessKeys("ada"));
  REQUIRE(keys.size() == 2);
  CHECK(keys[0].access_key == "KEY1");
  CHECK(keys[1].user_id == "ada");

  Must(f.store().DeleteAccessKey("KEY1"));
  CHECK(ReasonOf(f.store().FindAccessKey("KEY1")) == Reason::kNoSuchAccessKey);
  CHECK(ReasonOf(f.store().DeleteAccessKey("KEY1")) == Reason::kNoSuchAccessKey);
  CHECK(ReasonOf(f.store().FindAccessKey(std::string(5000, 'k'))) == Reason::kNoSuchAccessKey);

  Must(f.store().CreateBucket("bkt", "ada"));
  CHECK(ReasonOf(f.store().DeleteUser("ada")) == Reason::kBucketNotEmpty);
  Must(f.store().DeleteBucket("bkt"));
  Must(f.store().DeleteUser("ada"));
  CHECK(ReasonOf(f.store().FindAccessKey("KEY2")) == Reason::kNoSuchAccessKey);
  CHECK(ReasonOf(f.store().GetUser("ada")) == Reason::kNoSuchUser);
  CHECK(ReasonOf(f.store().DeleteUser("ada")) == Reason::kNoSuchUser);
}

// What a caller decided about one bucket must not happen to another of the same name.
TEST_CASE("Each call that names a bucket that is gone by its id is refused") {
  StoreFixture f;
  Store& store = f.store();
  Must(store.CreateBucket("other", ""));
  f.Put("other", "k", "from elsewhere");
  Must(store.CreateBucket("bkt", "ada"));
  const BucketInfo gone = Must(store.GetBucket("bkt"));
  CHECK(gone.id != 0);
  const UploadInfo old_upload = Must(store.CreateUpload(gone, "k", {}));
  const std::unique_ptr<ObjectWriter> writer = Must(store.NewWriter(gone, "k", {}));
  const std::unique_ptr<ObjectWriter> part =
      Must(store.NewPartWriter({gone, "k", old_upload.upload_id}, 1, std::nullopt));
  Must(store.DeleteBucket("bkt"));
  Must(store.CreateBucket("bkt", "bob"));
  f.Put("bkt", "k", "of bob");
  const UploadInfo upload = Must(store.CreateUpload("bkt", "k", {}));
  const std::string& id = upload.upload_id;
  const CopySource from_gone{.bucket = "bkt", .key = "k", .bucket_id = gone.id};
  const CopySource from_other{.bucket = "other", .key = "k"};

  const std::vector<std::pair<const char*, absl::Status>> results = {
      {"GetBucket", store.GetBucket(gone).status()},
      {"DeleteBucket", store.DeleteBucket(gone)},
      {"SetVersioning", store.SetVersioning(gone, Versioning::kEnabled)},
      {"GetBucketUsage", store.GetBucketUsage(gone).status()},
      {"NewWriter", store.NewWriter(gone, "k", {}).status()},
      {"Finish", writer->Finish({}).status()},
      {"OpenReader", store.OpenReader(gone, "k", {}).status()},
      {"Head", store.Head(gone, "k", {}).status()},
      {"Delete", store.Delete(gone, "k", "").status()},
      {"Delete of a version", store.Delete(gone, "k", "null").status()},
      {"SetTags", store.SetTags(gone, "k", "", {}).status()},
      {"ListObjectParts", store.ListObjectParts(gone, "k", {}, {0, 1}).status()},
      {"Copy", store.Copy(from_other, gone, "k", {}).status()},
      {"Copy from", store.Copy(from_gone, "other", "k", {}).status()},
      {"List", store.List(gone, {}).status()},
      {"ListVersions", store.ListVersions(gone, {}).status()},
      {"CreateUpload", store.CreateUpload(gone, "k", {}).status()},
      {"GetUpload", store.GetUpload({gone, "k", id}).status()},
      {"NewPartWriter", store.NewPartWriter({gone, "k", id}, 1, std::nullopt).status()},
      {"CopyPart", store.CopyPart({from_other}, {gone, "k", id}, 1).status()},
      {"CopyPart from", store.CopyPart({from_gone}, {"bkt", "k", id}, 1).status()},
      {"ListParts", store.ListParts({gone, "k", id}, {0, 1000}).status()},
      {"ListUploads", store.ListUploads(gone, {}, "").status()},
      {"CompleteUpload", store.CompleteUpload({gone, "k", id}, {{1, "x", {}}}, {}).status()},
      {"AbortUpload", store.AbortUpload({gone, "k", id})},
  };
  for (const auto& [call, status] : results) {
    INFO(call << ": " << status.ToString());
    CHECK(ReasonOf(status) == Reason::kNoSuchBucket);
  }
  CHECK(ReasonOf(part->Finish({})) == Reason::kNoSuchUpload);

  CHECK(f.Get("bkt", "k") == "of bob");
  CHECK(f.Get("other", "k") == "from elsewhere");
  CHECK(Must(store.ListVersions("bkt", {})).objects.size() == 1);
  CHECK(Must(store.GetBucket("bkt")).versioning == Versioning::kOff);
  CHECK(Must(store.ListParts({"bkt", "k", id}, {0, 1000})).parts.empty());
  Must(store.Head(Must(store.GetBucket("bkt")), "k", {}).status());
}

TEST_CASE("A bucket is not created for a user who is gone, nor for the next one of that name") {
  StoreFixture f;
  Must(f.store().CreateUser({.id = "ada", .display_name = ""}));
  const User ada = Must(f.store().GetUser("ada"));
  Must(f.store().CreateBucket("one", ada));
  Must(f.store().DeleteBucket("one"));
  Must(f.store().DeleteUser("ada"));
  CHECK(ReasonOf(f.store().CreateBucket("two", ada)) == Reason::kNoSuchUser);
  f.clock.now_ns += 1;
  Must(f.store().CreateUser({.id = "ada", .display_name = ""}));
  CHECK(ReasonOf(f.store().CreateBucket("two", ada)) == Reason::kNoSuchUser);
  Must(f.store().CreateBucket("two", Must(f.store().GetUser("ada"))));
}

TEST_CASE("Everything is there after reopening, on disk and in memory") {
  for (const bool on_disk : {false, true}) {
    INFO((on_disk ? "RocksDB and a file" : "memory"));
    auto f = on_disk ? std::make_unique<StoreFixture>(StoreFixture::kOnDisk)
                     : std::make_unique<StoreFixture>();
    const std::string content = Content(5, 700000);
    Must(f->store().CreateBucket("bkt", "ada"));
    Must(f->store().SetVersioning("bkt", Versioning::kEnabled));
    f->Put("bkt", "k", "older");
    f->Put("bkt", "k", content);
    User ada;
    ada.id = "ada";
    Must(f->store().CreateUser(ada));
    f->Reopen();
    CHECK(f->Get("bkt", "k") == content);
    CHECK(Must(f->store().ListVersions("bkt", {})).objects.size() == 2);
    CHECK(Must(f->store().GetBucket("bkt")).versioning == Versioning::kEnabled);
    CHECK(Must(f->store().GetUser("ada")).id == "ada");
  }
}

}  // namespace
}  // namespace strata::object::test

// SPDX-License-Identifier: Apache-2.0
//
// A forked child of a process with an open object store.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "store_fixture.h"
#include "support/forked_child.h"

namespace strata::object {
namespace {

using strata::test::ChildReport;
using strata::test::kMayForkBesideBusyThreads;
using strata::test::RunInChild;
using test::Content;
using test::StoreFixture;

std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// In the child: all calls of the store.
void UseStore(ChildReport& report, Store& store, const UploadInfo& upload) {
  report.Refused(store.CreateUser({.id = "eve", .display_name = ""}), "CreateUser");
  report.Refused(store.DeleteUser("ada"), "DeleteUser");
  report.Refused(store.GetUser("ada"), "GetUser");
  report.Refused(store.ListUsers(), "ListUsers");
  report.Refused(store.AddAccessKey({.access_key = "AKIAEXAMPLE0000000EVE",
                                     .secret_key = "0123456789012345678901234567890123456789",
                                     .user_id = "ada"}),
                 "AddAccessKey");
  report.Refused(store.DeleteAccessKey("AKIA"), "DeleteAccessKey");
  report.Refused(store.FindAccessKey("AKIA"), "FindAccessKey");
  report.Refused(store.ListAccessKeys("ada"), "ListAccessKeys");
  report.Refused(store.CreateBucket("another", "ada"), "CreateBucket");
  report.Refused(store.DeleteBucket("bucket"), "DeleteBucket");
  report.Refused(store.GetBucket("bucket"), "GetBucket");
  report.Refused(store.ListBuckets(""), "ListBuckets");
  report.Refused(store.SetVersioning("bucket", Versioning::kEnabled), "SetVersioning");
  report.Refused(store.GetBucketUsage("bucket"), "GetBucketUsage");
  report.Refused(store.NewWriter("bucket", "key", {}), "NewWriter");
  report.Refused(store.OpenReader("bucket", "key", {}), "OpenReader");
  report.Refused(store.Head("bucket", "key", {}), "Head");
  report.Refused(store.Delete("bucket", "key", ""), "Delete");
  CopySource source;
  source.bucket = "bucket";
  source.key = "key";
  report.Refused(store.Copy(source, "bucket", "copy", {}), "Copy");
  report.Refused(store.List("bucket", {}), "List");
  report.Refused(store.ListVersions("bucket", {}), "ListVersions");
  report.Refused(store.CreateUpload("bucket", "key", {}), "CreateUpload");
  const std::string& id = upload.upload_id;
  report.Refused(store.GetUpload({"bucket", "upload", id}), "GetUpload");
  report.Refused(store.NewPartWriter({"bucket", "upload", id}, 2, {}), "NewPartWriter");
  report.Refused(store.CopyPart({source}, {"bucket", "upload", id}, 2), "CopyPart");
  report.Refused(store.ListParts({"bucket", "upload", id}, {0, 10}), "ListParts");
  report.Refused(store.ListUploads("bucket", {}, ""), "ListUploads");
  report.Refused(store.CompleteUpload({"bucket", "upload", id}, {CompletedPart{}}, {}),
                 "CompleteUpload");
  report.Refused(store.AbortUpload({"bucket", "upload", id}), "AbortUpload");
  report.Refused(store.ReapStreams(10), "ReapStreams");
}

TEST_CASE("a forked child does not harm an object store") {
  StoreFixture fixture(StoreFixture::kOnDisk);
  const std::string content = Content(1, 3u << 20);
  test::Must(fixture.store().CreateBucket("bucket", "ada"));
  fixture.Put("bucket", "key", content);
  const UploadInfo upload = test::Must(fixture.store().CreateUpload("bucket", "upload", {}));
  const CompletedPart part = fixture.PutPart(upload, 1, content);
  auto reader = test::Must(fixture.store().OpenReader("bucket", "key", {}));
  auto writer = test::Must(fixture.store().NewWriter("bucket", "written", {}));
  test::Must(writer->Write(BytesOf(content).first(2u << 20)));

  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (kMayForkBesideBusyThreads && !stop)
      fixture.Put("bucket", "busy", content.substr(0, 100'000));
  });
  for (int i = 0; i < 6; ++i) {
    CHECK(RunInChild([&](ChildReport& report) {
            UseStore(report, fixture.store(), upload);
            std::string out(1000, '\0');
            report.Refused(reader->Read(0, std::as_writable_bytes(std::span(out))), "Read");
            report.Refused(writer->Write(BytesOf(content)), "Write");
            report.Refused(writer->Finish({}), "Finish");
            reader.reset();
            writer.reset();
          }) == 0);
  }
  stop = true;
  busy.join();

  CHECK(test::Must(test::ReadAll(reader.get())) == content);
  test::Must(writer->Write(BytesOf(content).subspan(2u << 20)));
  test::Must(writer->Finish({}));
  test::Must(fixture.store().CompleteUpload({"bucket", "upload", upload.upload_id}, {part}, {}));
  reader.reset();
  writer.reset();
  fixture.Reopen();
  for (const char* key : {"key", "written", "upload"}) CHECK(fixture.Get("bucket", key) == content);
}

}  // namespace
}  // namespace strata::object

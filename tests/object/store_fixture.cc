// SPDX-License-Identifier: Apache-2.0
#include "store_fixture.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "strata/base/check.h"
#include "strata/base/random.h"
#include "strata/block/devices.h"
#include "strata/kv/engines.h"

namespace strata::object::test {
namespace {

// Small containers and caches: tests make many stores.
constexpr uint64_t kDeviceBytes = 1u << 30;

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

absl::StatusOr<ObjectInfo> Fill(absl::StatusOr<std::unique_ptr<ObjectWriter>> writer,
                                std::string_view content, const ContentClaims& claims) {
  if (!writer.ok()) return writer.status();
  const absl::Status status = (*writer)->Write(Bytes(content));
  if (!status.ok()) return status;
  return (*writer)->Finish(claims);
}

}  // namespace

StoreFixture::StoreFixture() {
  kv_ = kv::CreateMemoryStore();
  device_ = Must(block::CreateMemoryDevice({.block_count = kDeviceBytes / 4096}));
  Open();
}

StoreFixture::StoreFixture(OnDisk) {
  folder_ = scratch_.emplace().path();
  Open();
}

StoreFixture::~StoreFixture() {
  store_.reset();
  dedup_.reset();
  device_.reset();
  kv_.reset();
}

void StoreFixture::Open() { Must(TryOpen()); }

absl::Status StoreFixture::TryOpen() {
  if (!folder_.empty()) {
    kv_ = Must(kv::OpenRocksDbStore({.directory = folder_ / "kv", .log = {}}));
    device_ = Must(block::OpenFileDevice(
        {.path = folder_ / "containers", .size_bytes = kDeviceBytes, .create = true}));
  }
  dedup::StoreOptions dedup_options;
  dedup_options.device = device_.get();
  dedup_options.kv = kv_.get();
  dedup_options.container_bytes = 1u << 20;
  dedup_options.journal = true;  // As the appliance has it.
  dedup_ = Must(dedup::Store::Open(dedup_options));
  StoreOptions options;
  options.dedup = dedup_.get();
  options.kv = kv_.get();
  options.clock = &clock;
  options.encryption_key = encryption_key;
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(options);
  if (store.ok()) store_ = *std::move(store);
  return store.status();
}

void StoreFixture::Reopen() { Must(TryReopen()); }

absl::Status StoreFixture::TryReopen() {
  store_.reset();
  dedup_.reset();
  if (!folder_.empty()) {
    device_.reset();
    kv_.reset();
  }
  return TryOpen();
}

absl::StatusOr<ObjectInfo> StoreFixture::TryPut(std::string_view bucket, std::string_view key,
                                                std::string_view content, const PutOptions& options,
                                                const ContentClaims& claims) {
  return Fill(store_->NewWriter(bucket, key, options), content, claims);
}

absl::StatusOr<std::string> StoreFixture::TryGet(std::string_view bucket, std::string_view key,
                                                 const GetOptions& options) {
  absl::StatusOr<std::unique_ptr<ObjectReader>> reader = store_->OpenReader(bucket, key, options);
  if (!reader.ok()) return reader.status();
  return ReadAll(reader->get());
}

absl::StatusOr<std::string> ReadAll(ObjectReader* reader) {
  std::string content(reader->size_bytes(), '\0');
  absl::StatusOr<size_t> read = reader->Read(
      reader->offset_bytes(), std::as_writable_bytes(std::span(content.data(), content.size())));
  if (!read.ok()) return read.status();
  STRATA_CHECK(*read == content.size(), "a reader gives as much as it says");
  return content;
}

absl::StatusOr<ObjectInfo> StoreFixture::TryPutPart(const UploadInfo& upload, uint32_t part_number,
                                                    std::string_view content,
                                                    const ContentClaims& claims) {
  return Fill(store_->NewPartWriter({upload.bucket, upload.key, upload.upload_id}, part_number,
                                    std::nullopt),
              content, claims);
}

CompletedPart StoreFixture::PutPart(const UploadInfo& upload, uint32_t part_number,
                                    std::string_view content) {
  const ObjectInfo info = Must(TryPutPart(upload, part_number, content));
  CompletedPart part;
  part.part_number = part_number;
  part.etag = info.etag;
  return part;
}

size_t StoreFixture::StreamCount() { return dedup_->Stats().stream_count; }

void StoreFixture::ReapAll() {
  while (Must(store_->ReapStreams(1000)) > 0) {
  }
}

std::string Content(uint64_t seed, size_t size) {
  Random random(seed);
  std::string content(size, '\0');
  random.Fill(std::as_writable_bytes(std::span(content.data(), content.size())));
  return content;
}

std::vector<std::string> KeysOf(const ListPage& page) {
  std::vector<std::string> keys = page.common_prefixes;
  for (const ObjectInfo& object : page.objects) keys.push_back(object.key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace strata::object::test

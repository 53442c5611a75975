// SPDX-License-Identifier: Apache-2.0
#include "forked_child.h"

#include <utility>

#include "strata/base/fork.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

class OwnWriter final : public Writer {
 public:
  // Null: made in a child, in which every call fails.
  OwnWriter(std::unique_ptr<Writer> writer, const ProcessMark& opener)
      : writer_(std::move(writer), opener) {}

  absl::Status Write(std::span<const std::byte> data) override {
    STRATA_RETURN_IF_ERROR(writer_.Check());
    return writer_->Write(data);
  }
  absl::StatusOr<StreamInfo> Prepare() override {
    STRATA_RETURN_IF_ERROR(writer_.Check());
    return writer_->Prepare();
  }
  absl::StatusOr<StreamInfo> Finish() override {
    STRATA_RETURN_IF_ERROR(writer_.Check());
    return writer_->Finish();
  }

  Writer* writer() const { return writer_.get(); }

 private:
  const ParentOwned<Writer> writer_;
};

class OwnReader final : public Reader {
 public:
  OwnReader(std::unique_ptr<Reader> reader, const ProcessMark& opener)
      : reader_(std::move(reader), opener) {}

  const StreamInfo& info() const override { return reader_->info(); }
  absl::StatusOr<size_t> Read(uint64_t offset_bytes, std::span<std::byte> out) override {
    STRATA_RETURN_IF_ERROR(reader_.Check());
    return reader_->Read(offset_bytes, out);
  }

 private:
  const ParentOwned<Reader> reader_;
};

class OwnStore final : public Store {
 public:
  explicit OwnStore(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  std::unique_ptr<Writer> NewWriter() override {
    return std::make_unique<OwnWriter>(store_.InForkedChild() ? nullptr : store_->NewWriter(),
                                       store_.opener());
  }
  absl::StatusOr<std::unique_ptr<Reader>> OpenReader(const StreamId& id) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Reader> reader, store_->OpenReader(id));
    return std::make_unique<OwnReader>(std::move(reader), store_.opener());
  }
  StreamId NewStreamId() override { return store_->NewStreamId(); }

  absl::Status Commit(kv::Transaction& txn, const Change& change,
                      kv::Durability durability) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    Change inner = change;
    for (Writer*& writer : inner.add) {
      // The store refuses what is another's.
      if (auto* const own = dynamic_cast<OwnWriter*>(writer)) writer = own->writer();
    }
    return store_->Commit(txn, inner, durability);
  }
  absl::Status Delete(const StreamId& id) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->Delete(id);
  }
  absl::StatusOr<StreamInfo> Stat(const StreamId& id) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->Stat(id);
  }
  absl::StatusOr<std::vector<StreamInfo>> List(const StreamId& after, size_t max_count) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->List(after, max_count);
  }
  absl::StatusOr<GarbageReport> CollectGarbage(const GarbageOptions& options) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->CollectGarbage(options);
  }
  absl::StatusOr<GarbageReport> Deduplicate(const DeduplicateOptions& options) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->Deduplicate(options);
  }
  absl::Status Sync() override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->Sync();
  }
  absl::StatusOr<VerifyReport> Verify(const VerifyOptions& options) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->Verify(options);
  }
  absl::Status RebuildIndex(const ProgressCallback& progress) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->RebuildIndex(progress);
  }
  dedup::Stats Stats() override {
    return store_.InForkedChild() ? dedup::Stats{} : store_->Stats();
  }

 private:
  const ParentOwned<Store> store_;
};

}  // namespace

std::unique_ptr<Store> RefuseForkedChildren(std::unique_ptr<Store> store) {
  return std::make_unique<OwnStore>(std::move(store));
}

}  // namespace strata::dedup

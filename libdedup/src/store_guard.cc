// SPDX-License-Identifier: Apache-2.0
#include "store_guard.h"

#include <utility>

#include "strata/base/fork.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

class GuardedWriter final : public Writer {
 public:
  // Null: every call fails, in a forked child or with `refusal`.
  GuardedWriter(std::unique_ptr<Writer> writer, const ProcessMark& opener, absl::Status refusal)
      : writer_(std::move(writer), opener), refusal_(std::move(refusal)) {}

  absl::Status Write(std::span<const std::byte> data) override {
    STRATA_RETURN_IF_ERROR(Check());
    return writer_->Write(data);
  }
  absl::StatusOr<StreamInfo> Prepare() override {
    STRATA_RETURN_IF_ERROR(Check());
    return writer_->Prepare();
  }
  absl::StatusOr<StreamInfo> Finish() override {
    STRATA_RETURN_IF_ERROR(Check());
    return writer_->Finish();
  }

  Writer* writer() const { return writer_.get(); }

 private:
  absl::Status Check() const {
    STRATA_RETURN_IF_ERROR(writer_.Check());
    return refusal_;
  }

  const ParentOwned<Writer> writer_;
  const absl::Status refusal_;
};

class GuardedWriterGroup final : public WriterGroup {
 public:
  // Null: as above.
  GuardedWriterGroup(std::unique_ptr<WriterGroup> group, const ProcessMark& opener,
                     absl::Status refusal)
      : opener_(opener), group_(std::move(group), opener), refusal_(std::move(refusal)) {}

  std::unique_ptr<Writer> NewWriter() override {
    return std::make_unique<GuardedWriter>(Check().ok() ? group_->NewWriter() : nullptr, opener_,
                                           refusal_);
  }
  absl::Status Prepare() override {
    STRATA_RETURN_IF_ERROR(Check());
    return group_->Prepare();
  }

 private:
  absl::Status Check() const {
    STRATA_RETURN_IF_ERROR(group_.Check());
    return refusal_;
  }

  const ProcessMark opener_;
  const ParentOwned<WriterGroup> group_;
  const absl::Status refusal_;
};

class GuardedReader final : public Reader {
 public:
  GuardedReader(std::unique_ptr<Reader> reader, const ProcessMark& opener)
      : reader_(std::move(reader), opener) {}

  const StreamInfo& info() const override { return reader_->info(); }
  absl::StatusOr<size_t> Read(uint64_t offset_bytes, std::span<std::byte> out) override {
    STRATA_RETURN_IF_ERROR(reader_.Check());
    return reader_->Read(offset_bytes, out);
  }

 private:
  const ParentOwned<Reader> reader_;
};

class GuardedStore final : public Store {
 public:
  GuardedStore(std::unique_ptr<Store> store, bool read_only)
      : store_(std::move(store)),
        write_refusal_(read_only
                           ? absl::FailedPreconditionError("dedup: the store was opened read-only")
                           : absl::OkStatus()) {}

  std::unique_ptr<Writer> NewWriter() override {
    return std::make_unique<GuardedWriter>(CheckWritable().ok() ? store_->NewWriter() : nullptr,
                                           store_.opener(), write_refusal_);
  }
  std::unique_ptr<WriterGroup> NewWriterGroup() override {
    return std::make_unique<GuardedWriterGroup>(
        CheckWritable().ok() ? store_->NewWriterGroup() : nullptr, store_.opener(), write_refusal_);
  }
  StoreSettings Settings() override {
    return store_.InForkedChild() ? StoreSettings{} : store_->Settings();
  }
  absl::StatusOr<std::unique_ptr<Reader>> OpenReader(const StreamId& id) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Reader> reader, store_->OpenReader(id));
    return std::make_unique<GuardedReader>(std::move(reader), store_.opener());
  }
  StreamId NewStreamId() override { return store_->NewStreamId(); }

  absl::Status Commit(kv::Transaction& txn, const Change& change,
                      kv::Durability durability) override {
    STRATA_RETURN_IF_ERROR(CheckWritable());
    Change inner = change;
    for (Writer*& writer : inner.add) {
      // The store refuses what is another's.
      if (auto* const own = dynamic_cast<GuardedWriter*>(writer)) writer = own->writer();
    }
    return store_->Commit(txn, inner, durability);
  }
  absl::Status Delete(const StreamId& id) override {
    STRATA_RETURN_IF_ERROR(CheckWritable());
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
    STRATA_RETURN_IF_ERROR(CheckWritable());
    return store_->CollectGarbage(options);
  }
  absl::StatusOr<GarbageReport> FoldDuplicates(const FoldOptions& options) override {
    STRATA_RETURN_IF_ERROR(CheckWritable());
    return store_->FoldDuplicates(options);
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
    STRATA_RETURN_IF_ERROR(CheckWritable());
    return store_->RebuildIndex(progress);
  }
  dedup::Stats Stats() override {
    return store_.InForkedChild() ? dedup::Stats{} : store_->Stats();
  }

 private:
  absl::Status CheckWritable() const {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return write_refusal_;
  }

  const ParentOwned<Store> store_;
  const absl::Status write_refusal_;
};

}  // namespace

std::unique_ptr<Store> GuardStore(std::unique_ptr<Store> store, bool read_only) {
  return std::make_unique<GuardedStore>(std::move(store), read_only);
}

}  // namespace strata::dedup

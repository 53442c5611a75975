// SPDX-License-Identifier: Apache-2.0
//
// A store that does something just before a transaction commits, as another session may at the
// worst moment, or fails the commit. It counts how commits end. One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "strata/base/random.h"
#include "strata/kv/store.h"

namespace strata::ofs {

class HookedStore final : public kv::Store {
 public:
  explicit HookedStore(kv::Store* base) : base_(base) {}

  // Runs once, in the next Commit() of a transaction.
  std::function<void()> before_commit;
  absl::Status next_commit;  // An error: the next Commit() has it, and does nothing.
  absl::Status next_answer;  // An error: the next Commit() has it, and is done all the same.
  int committed = 0;
  int aborted = 0;

  // From now on so many commits fail, applied or not; *failed counts them. Until `before_commit` is
  // set to something else.
  void FailSome(Random* random, double probability, int* failed) {
    before_commit = [this, random, probability, failed] {
      FailSome(random, probability, failed);
      if (!random->Chance(probability)) return;
      ++*failed;
      const absl::Status lost = absl::UnavailableError("the answer of the store was lost");
      (random->Chance(0.5) ? next_commit : next_answer) = lost;
    };
  }

  const kv::Limits& limits() const override { return base_->limits(); }
  absl::StatusOr<kv::SpaceId> OpenSpace(std::string_view name,
                                        const kv::SpaceOptions& options) override {
    return base_->OpenSpace(name, options);
  }
  std::unique_ptr<kv::Snapshot> NewSnapshot() override { return base_->NewSnapshot(); }
  std::unique_ptr<kv::Transaction> Begin() override {
    return std::make_unique<HookedTransaction>(this, base_->Begin());
  }
  absl::Status Write(const kv::WriteBatch& batch, kv::Durability durability) override {
    return base_->Write(batch, durability);
  }
  absl::Status Sync() override { return base_->Sync(); }
  absl::Status Checkpoint(const std::string& directory) override {
    return base_->Checkpoint(directory);
  }
  absl::StatusOr<uint64_t> WaitForChange(kv::SpaceId space, const kv::Range& range,
                                         uint64_t after_version, uint64_t timeout_ms) override {
    return base_->WaitForChange(space, range, after_version, timeout_ms);
  }
  uint64_t version() const override { return base_->version(); }

 private:
  class HookedTransaction final : public kv::Transaction {
   public:
    HookedTransaction(HookedStore* store, std::unique_ptr<kv::Transaction> base)
        : store_(store), base_(std::move(base)) {}

    absl::StatusOr<std::optional<std::string>> Get(kv::SpaceId space,
                                                   std::string_view key) override {
      return base_->Get(space, key);
    }
    absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
        kv::SpaceId space, const std::vector<std::string>& keys) override {
      return base_->MultiGet(space, keys);
    }
    absl::StatusOr<kv::Page> List(kv::SpaceId space, const kv::Range& range,
                                  const kv::PageOptions& options) override {
      return base_->List(space, range, options);
    }
    absl::StatusOr<std::optional<std::string>> GetUnchecked(kv::SpaceId space,
                                                            std::string_view key) override {
      return base_->GetUnchecked(space, key);
    }
    absl::StatusOr<kv::Page> ListUnchecked(kv::SpaceId space, const kv::Range& range,
                                           const kv::PageOptions& options) override {
      return base_->ListUnchecked(space, range, options);
    }
    absl::Status Put(kv::SpaceId space, std::string_view key, std::string_view value) override {
      return base_->Put(space, key, value);
    }
    absl::Status Delete(kv::SpaceId space, std::string_view key) override {
      return base_->Delete(space, key);
    }
    absl::Status DeleteRange(kv::SpaceId space, const kv::Range& range) override {
      return base_->DeleteRange(space, range);
    }
    absl::Status Commit(kv::Durability durability) override {
      if (store_->before_commit) std::exchange(store_->before_commit, nullptr)();
      if (!store_->next_commit.ok()) return std::exchange(store_->next_commit, absl::OkStatus());
      absl::Status status = base_->Commit(durability);
      if (status.ok()) ++store_->committed;
      if (status.ok() && !store_->next_answer.ok()) {
        return std::exchange(store_->next_answer, absl::OkStatus());
      }
      if (absl::IsAborted(status)) ++store_->aborted;
      return status;
    }

   private:
    HookedStore* const store_;
    const std::unique_ptr<kv::Transaction> base_;
  };

  kv::Store* const base_;
};

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// The budget of memory for what is between sockets and the store, all connections together: object
// content, documents, answers, large heads.
//
// A connection has at most one buffer of content for the asking; while that is full its socket is
// not read: that is the back-pressure. More and larger ones come from the budget, which may be used
// up, by clients that stand still; then a buffer is small, and everybody else is slower but not
// held up. Documents and heads are refused where they find no room.
//
//   BodyMemory::Claim claim = memory.TryClaim(size, BodyMemory::Use::kDocument);
//   if (!claim) return MakeError(ErrorCode::kSlowDown);
//
// Thread-safe. Buffers and claims may be destroyed in any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "strata/base/mutex.h"

namespace strata::s3 {

class BodyMemory final {
 public:
  // The size that moves content well: few hand-overs, and still in the cache.
  static constexpr size_t kFullBytes = 256 << 10;

  // What Take() gives beyond the budget.
  static constexpr size_t kMinBytes = 8 << 10;

  // Each has a share of the budget, so that none of them can take all of it from the others.
  enum class Use : uint8_t {
    kContent,          // Of objects, for callers that are known: all of the budget.
    kDocument,         // Requests and answers that are documents: a half, and one of any size.
    kUnauthenticated,  // What comes before it is known who asks: a quarter, or kFullBytes.
  };
  static constexpr size_t kUses = 3;

  // A part of the budget, for memory that its holder allocates.
  class Claim {
   public:
    Claim() = default;
    Claim(Claim&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          size_bytes_(other.size_bytes_),
          use_(other.use_),
          working_(other.working_) {}
    Claim& operator=(Claim&& other) noexcept;
    ~Claim() { Release(); }

    explicit operator bool() const { return owner_ != nullptr; }
    void Release();

   private:
    friend class BodyMemory;
    Claim(BodyMemory* owner, size_t size_bytes, Use use, bool working)
        : owner_(owner), size_bytes_(size_bytes), use_(use), working_(working) {}

    BodyMemory* owner_ = nullptr;
    size_t size_bytes_ = 0;
    Use use_ = Use::kContent;
    bool working_ = false;
  };

  class Buffer final {
   public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept
        : owner_(other.owner_),
          data_(std::move(other.data_)),
          size_bytes_(std::exchange(other.size_bytes_, 0)),
          claim_(std::move(other.claim_)) {}
    Buffer& operator=(Buffer&& other) noexcept;
    ~Buffer() { Release(); }

    std::span<std::byte> bytes() const { return {data_.get(), size_bytes_}; }
    explicit operator bool() const { return static_cast<bool>(claim_); }

   private:
    friend class BodyMemory;
    void Release();

    BodyMemory* owner_ = nullptr;  // Means something while `claim_` is set.
    std::unique_ptr<std::byte[]> data_;
    size_t size_bytes_ = 0;
    Claim claim_;
  };

  // REQUIRES: limit_bytes >= kFullBytes.
  explicit BodyMemory(size_t limit_bytes);
  ~BodyMemory();  // REQUIRES: no buffer and no claim is out.

  // Of `size_bytes`, at most kFullBytes; its content is not set. An empty Buffer: the budget, or
  // the share of `use`, is used up now.
  Buffer TryTake(size_t size_bytes, Use use = Use::kContent);

  // The same, or a buffer of at most kMinBytes when the budget is used up.
  // REQUIRES: the caller holds no other buffer, so that there are no more of these than
  // connections.
  Buffer Take(size_t size_bytes);

  // An empty Claim: the budget, or the share of `use`, is used up now.
  Claim TryClaim(size_t size_bytes, Use use);

  // For memory that is there already and cannot be given up: the budget may be exceeded by it.
  Claim ForceClaim(size_t size_bytes, Use use);

  // For work in this thread, which ends by itself: waits until there is room, or no other such work
  // is in progress. So the budget may be exceeded by one of them. Blocks.
  Claim ClaimForWork(size_t size_bytes);

  size_t used_bytes() const;

 private:
  bool Fits(size_t size_bytes, Use use) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Claim Grant(size_t size_bytes, Use use, bool working) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Buffer Make(Claim claim);
  void GiveBack(size_t size_bytes, Use use, bool working);
  void Keep(std::unique_ptr<std::byte[]> data);

  const size_t limit_bytes_;
  const std::array<size_t, kUses> share_bytes_;
  mutable Mutex mutex_;
  CondVar work_ended_;
  size_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // May be over the limit.
  std::array<size_t, kUses> used_by_use_ ABSL_GUARDED_BY(mutex_) = {};
  size_t working_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<std::byte[]>> spare_ ABSL_GUARDED_BY(mutex_);  // Full ones.
};

}  // namespace strata::s3

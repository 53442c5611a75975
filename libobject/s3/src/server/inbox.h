// SPDX-License-Identifier: Apache-2.0
//
// Bytes that were read from a connection and not yet used. It holds no memory while it is empty and
// at rest: most connections are idle. Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace strata::s3 {

class Inbox final {
 public:
  static constexpr size_t kFirstBytes = 16 << 10;

  std::span<const std::byte> unread() const { return {data_.get() + begin_, end_ - begin_}; }

  void Consume(size_t size_bytes) { begin_ += size_bytes; }

  // What Room() would allocate now beyond the first kFirstBytes.
  size_t growth_bytes() const {
    return data_ != nullptr && end_ == capacity_ && begin_ == 0 ? capacity_ * 2 : 0;
  }

  // Room behind the unread bytes; made if there is none. What is read into it is told to Added().
  std::span<std::byte> Room() {
    if (data_ == nullptr) Grow(kFirstBytes);
    if (end_ == capacity_) {
      if (begin_ > 0) {
        std::memmove(data_.get(), data_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
      } else {
        Grow(capacity_ * 2);
      }
    }
    return {data_.get() + end_, capacity_ - end_};
  }
  void Added(size_t size_bytes) { end_ += size_bytes; }

  // Frees the memory if nothing is unread.
  void Rest() {
    if (begin_ < end_) return;
    data_.reset();
    begin_ = end_ = capacity_ = 0;
  }

 private:
  void Grow(size_t capacity) {
    std::unique_ptr<std::byte[]> data(new std::byte[capacity]);
    if (data_ != nullptr) std::memcpy(data.get(), data_.get(), end_);
    data_ = std::move(data);
    capacity_ = capacity;
  }

  std::unique_ptr<std::byte[]> data_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;
};

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
//
// A first-in, first-out list of requests, linked through Request::driver.next: holding a request
// costs no allocation.
//
// Thread safety: none; it belongs to one channel.
#pragma once

#include "strata/block/device.h"

namespace strata::block {

class RequestQueue {
 public:
  bool empty() const { return head_ == nullptr; }
  Request* front() const { return head_; }

  // REQUIRES: *request is in no queue.
  void Push(Request* request) {
    request->driver.next = nullptr;
    (head_ == nullptr ? head_ : tail_->driver.next) = request;
    tail_ = request;
  }

  // REQUIRES: not empty.
  Request* Pop() {
    Request* request = head_;
    head_ = request->driver.next;
    return request;
  }

 private:
  Request* head_ = nullptr;
  Request* tail_ = nullptr;
};

}  // namespace strata::block

// SPDX-License-Identifier: Apache-2.0
//
// A first-in, first-out list of commands, linked through Command::driver.next.
//
// Thread safety: none.
#pragma once

#include "strata/nvme/device_queue.h"

namespace strata::nvme {

class CommandList {
 public:
  bool empty() const { return head_ == nullptr; }
  Command* front() const { return head_; }

  // REQUIRES: *command is in no list.
  void Push(Command* command) {
    command->driver.next = nullptr;
    (head_ == nullptr ? head_ : tail_->driver.next) = command;
    tail_ = command;
  }

  // REQUIRES: *command is in no list.
  void PushFront(Command* command) {
    command->driver.next = head_;
    if (head_ == nullptr) tail_ = command;
    head_ = command;
  }

  // REQUIRES: not empty.
  Command* Pop() {
    Command* command = head_;
    head_ = command->driver.next;
    return command;
  }

  // Takes out the commands that `is_wanted` and hands each to `take`.
  template <typename Wanted, typename Take>
  void TakeOut(Wanted is_wanted, Take take) {
    CommandList kept;
    CommandList taken;
    while (!empty()) {
      Command* command = Pop();
      (is_wanted(command) ? taken : kept).Push(command);
    }
    *this = kept;
    while (!taken.empty()) take(taken.Pop());
  }

 private:
  Command* head_ = nullptr;
  Command* tail_ = nullptr;
};

}  // namespace strata::nvme

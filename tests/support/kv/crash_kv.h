// SPDX-License-Identifier: Apache-2.0
//
// A kv store whose machine can lose power. Commits are remembered in order; after a power cut the
// new store holds all up to the last durable one and some of those that followed it, in order and
// without gaps: what a write-ahead log leaves behind.
//
//   CrashKv kv;
//   Workload(*kv.Open());
//   std::unique_ptr<CrashKv> survivor = kv.PowerCut(seed);
//   Verify(*survivor->Open());
//
// Thread safety: any thread; the stores that Open() gives outlive neither their CrashKv nor a
// PowerCut().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "strata/kv/store.h"

namespace strata::test {

class CrashKv {
 public:
  CrashKv();
  ~CrashKv();

  // A store with all that was committed. A reopening without a power cut loses nothing.
  std::unique_ptr<kv::Store> Open();

  // Asked before each commit; while it answers false commits fail with Unavailable.
  void SetPowered(std::function<bool()> powered);

  // The next `count` commits work; before the one after them is done, `on_cut` runs, and the power
  // is gone here too.
  void CutPowerAfter(uint64_t count, std::function<void()> on_cut);

  std::unique_ptr<CrashKv> PowerCut(uint64_t seed);

  uint64_t commit_count() const;
  uint64_t sync_count() const;

 private:
  friend class CrashEngine;
  struct State;
  explicit CrashKv(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace strata::test

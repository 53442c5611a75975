// SPDX-License-Identifier: Apache-2.0
//
// The engines that the contract suite runs over. A test case opens one with
//
//   const EngineUnderTest engine = EachEngine();
//   OpenedStore opened(engine);
//   Store& store = *opened;
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "strata/kv/engines.h"
#include "strata/kv/store.h"
#include "support/scratch_folder.h"

namespace strata::kv {

enum class EngineUnderTest { kMemory, kRocksDb };

inline std::ostream& operator<<(std::ostream& out, EngineUnderTest engine) {
  return out << (engine == EngineUnderTest::kMemory ? "memory" : "rocksdb");
}

inline EngineUnderTest EachEngine() {
  return GENERATE(EngineUnderTest::kMemory, EngineUnderTest::kRocksDb);
}

// A new, empty store. REQUIRES: its readers go before it.
class OpenedStore final {
 public:
  explicit OpenedStore(EngineUnderTest engine) {
    if (engine == EngineUnderTest::kMemory) {
      store_ = CreateMemoryStore();
      return;
    }
    RocksDbOptions options;
    options.directory = directory_.path();
    auto opened = OpenRocksDbStore(options);
    INFO(opened.status());
    REQUIRE(opened.ok());
    store_ = std::move(opened).value();
  }

  Store& operator*() const { return *store_; }
  Store* operator->() const { return store_.get(); }

 private:
  test::ScratchFolder directory_{test::ScratchFolder::MemoryBacked()};
  std::unique_ptr<Store> store_;
};

}  // namespace strata::kv

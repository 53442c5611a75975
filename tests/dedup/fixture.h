// SPDX-License-Identifier: Apache-2.0
//
// What the tests of libdedup share: data, and a store's life on some device and some kv store.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <span>
#include <vector>

#include "strata/base/random.h"
#include "strata/block/devices.h"
#include "strata/dedup/store.h"
#include "strata/kv/engines.h"
#include "support/seed.h"

namespace strata::dedup {

using Bytes = std::vector<std::byte>;

inline Bytes RandomBytes(uint64_t seed, size_t size) {
  Bytes bytes(size);
  Random(seed).Fill(bytes);
  return bytes;
}

// Half of it compresses well.
inline Bytes TextBytes(uint64_t seed, size_t size) {
  Bytes bytes = RandomBytes(seed, size);
  for (size_t i = 0; i < size; ++i) {
    if ((i / 64) % 2 == 0) bytes[i] = static_cast<std::byte>('a' + i % 7);
  }
  return bytes;
}

inline absl::StatusOr<StreamInfo> Put(Store& store, std::span<const std::byte> data) {
  const std::unique_ptr<Writer> writer = store.NewWriter();
  if (absl::Status status = writer->Write(data); !status.ok()) return status;
  return writer->Finish();
}

inline absl::StatusOr<Bytes> Get(Store& store, const StreamId& id) {
  absl::StatusOr<std::unique_ptr<Reader>> reader = store.OpenReader(id);
  if (!reader.ok()) return reader.status();
  Bytes data((*reader)->info().size_bytes);
  const absl::StatusOr<size_t> size = (*reader)->Read(0, data);
  if (!size.ok()) return size.status();
  data.resize(*size);
  return data;
}

// A store in memory that can be opened again and again.
struct MemoryHome {
  explicit MemoryHome(uint64_t device_bytes = 64u << 20)
      : device(*block::CreateMemoryDevice({.block_count = device_bytes / 4096})),
        kv(kv::CreateMemoryStore()) {
    options.device = device.get();
    options.kv = kv.get();
    options.container_bytes = 1u << 20;
  }

  Store& Open() {
    store.reset();
    absl::StatusOr<std::unique_ptr<Store>> opened = Store::Open(options);
    INFO(opened.status());
    REQUIRE(opened.ok());
    store = *std::move(opened);
    return *store;
  }
  StreamInfo Put(std::span<const std::byte> data) {
    const absl::StatusOr<StreamInfo> info = dedup::Put(*store, data);
    INFO(info.status());
    REQUIRE(info.ok());
    return *info;
  }
  Bytes Get(const StreamId& id) {
    const absl::StatusOr<Bytes> data = dedup::Get(*store, id);
    INFO(data.status());
    REQUIRE(data.ok());
    return *data;
  }
  GarbageReport Collect(double ratio = 0.7) {
    const absl::StatusOr<GarbageReport> report =
        store->CollectGarbage({.rewrite_below_live_ratio = ratio, .progress = nullptr});
    INFO(report.status());
    REQUIRE(report.ok());
    return *report;
  }
  // Everything that Verify() finds wrong.
  size_t Damages() {
    const absl::StatusOr<VerifyReport> report = store->Verify({});
    INFO(report.status());
    REQUIRE(report.ok());
    for (const std::string& damage : report->container_damage) UNSCOPED_INFO(damage);
    for (const Damage& damage : report->streams) UNSCOPED_INFO(damage.detail);
    for (const std::string& damage : report->index_damage) UNSCOPED_INFO(damage);
    return report->container_damage.size() + report->streams.size() + report->index_damage.size();
  }

  std::unique_ptr<block::Device> device;
  std::unique_ptr<kv::Store> kv;
  StoreOptions options;
  std::unique_ptr<Store> store;
};

}  // namespace strata::dedup

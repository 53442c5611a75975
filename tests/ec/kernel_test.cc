// SPDX-License-Identifier: Apache-2.0
//
// Every kernel against arithmetic one byte at a time.
#include "kernels.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "galois.h"
#include "kernel_table.h"
#include "linear_map.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::ec {
namespace {

// The product by shifts and the polynomial alone.
uint8_t SlowMultiply(unsigned a, unsigned b) {
  unsigned product = 0;
  for (; b != 0; b >>= 1) {
    if ((b & 1) != 0) product ^= a;
    a <<= 1;
    if (a > 255) a ^= 0x11d;
  }
  return static_cast<uint8_t>(product);
}

constexpr uint8_t kGuard = 0xA5;

// Shards of random bytes with guards around them, `skew` bytes from a 64-byte boundary.
class Shards {
 public:
  Shards(int count, size_t size, size_t skew, Random& random) : size_(size) {
    for (int i = 0; i < count; ++i) {
      memory_.emplace_back(size + 256, kGuard);
      const auto address = reinterpret_cast<uintptr_t>(memory_.back().data());
      starts_.push_back(64 + (64 - address % 64) % 64 + skew);
      random.Fill(std::as_writable_bytes(std::span(memory_.back()).subspan(starts_.back(), size)));
      pointers_.push_back(memory_.back().data() + starts_.back());
    }
  }
  uint8_t* const* pointers() { return pointers_.data(); }
  const uint8_t* const* const_pointers() { return pointers_.data(); }
  std::vector<uint8_t> Copy(int i) { return {pointers_[i], pointers_[i] + size_}; }
  bool AreGuardsIntact() {
    for (size_t i = 0; i < memory_.size(); ++i) {
      for (size_t at = 0; at < memory_[i].size(); ++at) {
        const bool inside = at >= starts_[i] && at < starts_[i] + size_;
        if (!inside && memory_[i][at] != kGuard) return false;
      }
    }
    return true;
  }

 private:
  const size_t size_;
  std::vector<std::vector<uint8_t>> memory_;
  std::vector<size_t> starts_;
  std::vector<uint8_t*> pointers_;
};

struct Case {
  int rows;
  int columns;
  size_t size;
  size_t skew;
  bool far;
  bool ones;
};

void CheckCase(Kernel kernel, const Case& c, Random& random) {
  INFO("kernel " << std::string(KernelName(kernel)) << ", " << c.rows << " x " << c.columns << ", "
                 << c.size << " bytes, skew " << c.skew << ", far " << c.far << ", ones "
                 << c.ones);
  const KernelOps& ops = *FindKernelOps(kernel);
  std::vector<uint8_t> coefficients(static_cast<size_t>(c.rows * c.columns), 1);
  if (!c.ones) random.Fill(std::as_writable_bytes(std::span(coefficients)));
  std::vector<uint8_t> tables(coefficients.size() * ops.table_bytes);
  ExpandTables(ops, c.rows, c.columns, coefficients, tables.data());
  Shards sources(c.columns, c.size, c.skew, random);
  Shards targets(c.rows, c.size, c.far ? 0 : (c.skew * 3) % 64, random);
  std::vector<std::vector<uint8_t>> expected;
  for (int r = 0; r < c.rows; ++r) {
    expected.emplace_back(c.size);
    for (int s = 0; s < c.columns; ++s) {
      const uint8_t coefficient =
          coefficients[static_cast<size_t>(r) * static_cast<size_t>(c.columns) + s];
      for (size_t i = 0; i < c.size; ++i) {
        expected.back()[i] ^= GaloisMultiply(coefficient, sources.pointers()[s][i]);
      }
    }
  }
  Product product;
  product.rows = c.rows;
  product.columns = c.columns;
  product.tables = tables.data();
  product.ones = c.ones;
  product.sources = sources.const_pointers();
  product.targets = targets.pointers();
  product.size_bytes = c.size;
  product.far = c.far;
  ops.multiply(product);
  for (int r = 0; r < c.rows; ++r) {
    INFO("target " << r);
    REQUIRE(targets.Copy(r) == expected[static_cast<size_t>(r)]);
  }
  REQUIRE(targets.AreGuardsIntact());
  REQUIRE(sources.AreGuardsIntact());
}

// The sources are what one source was and what it is.
void CheckUpdate(Kernel kernel, const Case& c, Random& random) {
  INFO("kernel " << std::string(KernelName(kernel)) << ", update of " << c.rows << " targets of "
                 << c.size << " bytes, skew " << c.skew << ", ones " << c.ones);
  const KernelOps& ops = *FindKernelOps(kernel);
  std::vector<uint8_t> coefficients(static_cast<size_t>(c.rows), 1);
  if (!c.ones) random.Fill(std::as_writable_bytes(std::span(coefficients)));
  std::vector<uint8_t> tables(coefficients.size() * ops.table_bytes);
  ExpandTables(ops, c.rows, 1, coefficients, tables.data());
  Shards sources(2, c.size, c.skew, random);
  Shards targets(c.rows, c.size, (c.skew * 3) % 64, random);
  std::vector<std::vector<uint8_t>> expected;
  for (int r = 0; r < c.rows; ++r) {
    expected.push_back(targets.Copy(r));
    for (size_t i = 0; i < c.size; ++i) {
      const uint8_t change = sources.pointers()[0][i] ^ sources.pointers()[1][i];
      expected.back()[i] ^= GaloisMultiply(coefficients[static_cast<size_t>(r)], change);
    }
  }
  Change change;
  change.rows = c.rows;
  change.tables = tables.data();
  change.ones = c.ones;
  change.old_source = sources.pointers()[0];
  change.new_source = sources.pointers()[1];
  change.targets = targets.pointers();
  change.size_bytes = c.size;
  ops.update(change);
  for (int r = 0; r < c.rows; ++r) {
    INFO("target " << r);
    REQUIRE(targets.Copy(r) == expected[static_cast<size_t>(r)]);
  }
  REQUIRE(targets.AreGuardsIntact());
  REQUIRE(sources.AreGuardsIntact());
}

TEST_CASE("the field's tables agree with the polynomial") {
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      REQUIRE(GaloisMultiply(static_cast<uint8_t>(a), static_cast<uint8_t>(b)) ==
              SlowMultiply(a, b));
    }
    if (a != 0) {
      REQUIRE(SlowMultiply(a, GaloisInverse(static_cast<uint8_t>(a))) == 1);
    }
  }
}

TEST_CASE("every kernel multiplies every byte by every coefficient") {
  std::vector<uint8_t> all(256);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i);
  const uint8_t* const source = all.data();
  for (const Kernel kernel : SupportedKernels()) {
    const KernelOps& ops = *FindKernelOps(kernel);
    for (unsigned coefficient = 0; coefficient < 256; ++coefficient) {
      uint8_t table[kMaxTableBytes];
      ops.expand(static_cast<uint8_t>(coefficient), table);
      std::vector<uint8_t> result(256);
      uint8_t* const target = result.data();
      Product product;
      product.rows = 1;
      product.columns = 1;
      product.tables = table;
      product.sources = &source;
      product.targets = &target;
      product.size_bytes = 256;
      ops.multiply(product);
      for (unsigned i = 0; i < 256; ++i) {
        INFO(std::string(KernelName(kernel)) << ": " << coefficient << " times " << i);
        REQUIRE(result[i] == SlowMultiply(coefficient, i));
      }
    }
  }
}

TEST_CASE("every kernel agrees with plain arithmetic at every size up to 700 bytes") {
  Random random(test::Seed());
  for (const Kernel kernel : SupportedKernels()) {
    for (size_t size = 1; size <= 700; ++size) {
      CheckCase(kernel, {2, 3, size, size % 64, false, false}, random);
      CheckUpdate(kernel, {3, 2, size, size % 64, false, size % 5 == 0}, random);
    }
  }
}

TEST_CASE("every kernel agrees with plain arithmetic over a grid of shapes") {
  Random random(test::Seed());
  for (const Kernel kernel : SupportedKernels()) {
    for (const int rows : {1, 2, 3, 4, 5, 6, 7, 13}) {
      for (const int columns : {1, 2, 5, 8, 9, 16, 17, 40}) {
        for (const size_t size : {1u, 63u, 64u, 2048u, 4500u}) {
          CheckCase(kernel, {rows, columns, size, random.Uniform(64), random.Chance(0.5), false},
                    random);
        }
      }
      for (const size_t size : {1u, 63u, 64u, 2048u, 9001u}) {
        CheckUpdate(kernel, {rows, 2, size, random.Uniform(64), false, random.Chance(0.2)}, random);
      }
    }
  }
}

TEST_CASE("every kernel adds shards up") {
  Random random(test::Seed());
  for (const Kernel kernel : SupportedKernels()) {
    for (const int columns : {1, 2, 3, 9, 17}) {
      for (const bool far : {false, true}) {
        CheckCase(kernel, {1, columns, 3001, 5, far, true}, random);
        CheckCase(kernel, {3, columns, 513, 0, far, true}, random);
      }
    }
  }
}

TEST_CASE("kernels are found by the names they have") {
  for (const Kernel kernel : SupportedKernels()) {
    CHECK(*ParseKernel(KernelName(kernel)) == kernel);
  }
  CHECK(*ParseKernel("fastest") == Kernel::kFastest);
  CHECK(absl::IsInvalidArgument(ParseKernel("quick").status()));
  CHECK(IsSupported(Kernel::kFastest));
  CHECK(IsSupported(Kernel::kPortable));
  CHECK(SupportedKernels().front() == Resolve(Kernel::kFastest));
  CHECK(Resolve(Kernel::kFastest) != Kernel::kIsaL);
}

}  // namespace
}  // namespace strata::ec

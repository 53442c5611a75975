// SPDX-License-Identifier: Apache-2.0
//
// A code, a length, scatter lists and a loss out of any bytes: all kernels must give what the
// portable one gives, and what is recoverable must come back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "strata/base/check.h"
#include "strata/base/random.h"
#include "strata/ec/code.h"

namespace strata::ec {
namespace {

// Numbers out of the input; zeros when it has ended.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  unsigned Next() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  uint64_t Next64() {
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | Next();
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

struct Shape {
  int k;
  int m;
  int groups;  // 0: Reed-Solomon.
};

std::unique_ptr<Code> Make(const Shape& shape, Kernel kernel) {
  auto code =
      shape.groups == 0
          ? CreateReedSolomon({.data_shards = shape.k, .parity_shards = shape.m, .kernel = kernel})
          : CreateLocallyRepairable({.data_shards = shape.k,
                                     .groups = shape.groups,
                                     .global_parities = shape.m,
                                     .kernel = kernel});
  STRATA_CHECK(code.ok(), code.status().ToString());
  return *std::move(code);
}

using Shards = std::vector<std::vector<std::byte>>;

std::vector<Bytes> Spans(Shards& shards, size_t begin, size_t end) {
  std::vector<Bytes> spans;
  for (size_t i = begin; i < end; ++i) spans.emplace_back(shards[i]);
  return spans;
}

// Cuts a shard in two or three.
std::vector<ConstBytes> Cut(ConstBytes shard, Random& random) {
  const size_t first = random.Uniform(shard.size() + 1);
  const size_t second = random.Uniform(shard.size() - first + 1);
  return {shard.first(first), shard.subspan(first, second), shard.subspan(first + second)};
}

void Run(Input input) {
  const bool local = (input.Next() & 1) != 0;
  const int groups = local ? 1 + static_cast<int>(input.Next() % 4) : 0;
  const int k = local ? groups * (1 + static_cast<int>(input.Next() % 6))
                      : 1 + static_cast<int>(input.Next() % 40);
  const Shape shape{k, 1 + static_cast<int>(input.Next() % (local ? 4 : 14)), groups};
  const size_t size = (input.Next() << 8 | input.Next()) % 9000;
  Random random(input.Next64());
  const auto reference = Make(shape, Kernel::kPortable);
  const auto total = static_cast<size_t>(reference->total_shards());
  Shards shards(total, std::vector<std::byte>(size));
  for (size_t i = 0; i < static_cast<size_t>(k); ++i) random.Fill(shards[i]);
  const auto data_bytes = Spans(shards, 0, static_cast<size_t>(k));
  const std::vector<ConstBytes> data(data_bytes.begin(), data_bytes.end());
  STRATA_CHECK(reference->Encode(data, Spans(shards, static_cast<size_t>(k), total)).ok(),
               "encoding");
  ShardSet present = reference->AllShards();
  const uint64_t losses = input.Next() % (total + 1);
  for (uint64_t i = 0; i < losses; ++i) present.reset(random.Uniform(total));

  // The parity that there would be were data shard `changed` other bytes.
  const auto changed = static_cast<int>(random.Uniform(static_cast<uint64_t>(k)));
  const auto at = static_cast<size_t>(changed);
  std::vector<std::byte> other(size);
  random.Fill(other);
  std::vector<ConstBytes> other_data = data;
  other_data[at] = other;
  Shards updated = shards;
  STRATA_CHECK(reference->Encode(other_data, Spans(updated, static_cast<size_t>(k), total)).ok(),
               "encoding");

  std::vector<std::vector<ConstBytes>> cuts;
  std::vector<ConstPieces> pieces;
  for (const ConstBytes shard : data) cuts.push_back(Cut(shard, random));
  for (const auto& cut : cuts) pieces.emplace_back(cut);
  for (const Kernel kernel : SupportedKernels()) {
    const auto code = Make(shape, kernel);
    Shards copy = shards;
    const auto parity = Spans(copy, static_cast<size_t>(k), total);
    for (const Bytes shard : parity) std::fill(shard.begin(), shard.end(), std::byte{0x77});
    std::vector<Pieces> parity_pieces;
    for (const Bytes& shard : parity) parity_pieces.emplace_back(&shard, 1);
    STRATA_CHECK(code->EncodePieces(pieces, parity_pieces).ok(), "encoding pieces");
    STRATA_CHECK(copy == shards,
                 std::string(KernelName(kernel)) + " gives other parity than the portable one");
    STRATA_CHECK(code->Update(changed, data[at], other, parity).ok(), "updating");
    STRATA_CHECK(copy == updated, "an update gives other parity than encoding does");
    STRATA_CHECK(code->Update(changed, other, data[at], parity).ok(), "updating");
    STRATA_CHECK(copy == shards, "an update and its reverse leave other parity");
    for (size_t i = 0; i < total; ++i) {
      if (!present[i]) std::fill(copy[i].begin(), copy[i].end(), std::byte{0x77});
    }
    const absl::Status status = code->Reconstruct(Spans(copy, 0, total), present);
    STRATA_CHECK(status.ok() == reference->IsRecoverable(present), status.ToString());
    STRATA_CHECK(!status.ok() || copy == shards, "other bytes came back");
  }
}

}  // namespace
}  // namespace strata::ec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::ec::Run({data, size});
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "linear_code.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "elimination.h"
#include "kernel_table.h"
#include "linear_map.h"
#include "strata/base/check.h"

namespace strata::ec {
namespace {

// The addresses of shards, as kernels want them.
template <typename Pointer, typename Shard>
std::array<Pointer, kMaxShards> Addresses(std::span<const Shard> shards) {
  std::array<Pointer, kMaxShards> addresses;
  for (size_t i = 0; i < shards.size(); ++i) {
    addresses[i] = reinterpret_cast<Pointer>(shards[i].data());
  }
  return addresses;
}

void Apply(const LinearMap& map, std::span<const ConstBytes> sources,
           std::span<const Bytes> targets) {
  const auto from = Addresses<const uint8_t*>(sources);
  const auto to = Addresses<uint8_t*>(targets);
  map.Apply(from.data(), to.data(), targets[0].size());
}

class LinearRepair final : public Repair {
 public:
  LinearRepair(std::vector<int> sources, std::vector<int> targets, LinearMap map)
      : sources_(std::move(sources)), targets_(std::move(targets)), map_(std::move(map)) {}

  std::span<const int> sources() const override { return sources_; }
  std::span<const int> targets() const override { return targets_; }

 protected:
  void DoRun(std::span<const ConstBytes> source_shards,
             std::span<const Bytes> target_shards) const override {
    Apply(map_, source_shards, target_shards);
  }

 private:
  const std::vector<int> sources_;
  const std::vector<int> targets_;
  const LinearMap map_;
};

// Nothing was wanted.
class EmptyRepair final : public Repair {
 public:
  std::span<const int> sources() const override { return {}; }
  std::span<const int> targets() const override { return {}; }

 protected:
  void DoRun(std::span<const ConstBytes>, std::span<const Bytes>) const override {}
};

class LinearCode final : public Code {
 public:
  LinearCode(std::string name, int data_shards, int parity_shards, std::vector<uint8_t> matrix,
             const KernelOps* ops)
      : name_(std::move(name)),
        data_shards_(data_shards),
        parity_shards_(parity_shards),
        matrix_(std::move(matrix)),
        ops_(ops),
        encoding_(ops, parity_shards, data_shards, matrix_) {}

  int data_shards() const override { return data_shards_; }
  int parity_shards() const override { return parity_shards_; }
  std::string name() const override { return name_; }
  std::span<const uint8_t> ParityMatrix() const override { return matrix_; }

  bool IsRecoverable(const ShardSet& present) const override {
    return Elimination(data_shards_, parity_shards_, matrix_, present).settles_all();
  }

 protected:
  void DoEncode(std::span<const ConstBytes> data, std::span<const Bytes> parity) const override {
    Apply(encoding_, data, parity);
  }

  void DoUpdate(int shard, ConstBytes old_data, ConstBytes new_data,
                std::span<const Bytes> parity) const override {
    std::array<uint8_t*, kMaxShards> targets;
    std::array<uint8_t, kMaxShards * kMaxTableBytes> tables;
    Change change;
    change.ones = true;
    for (int r = 0; r < parity_shards_; ++r) {
      const uint8_t coefficient = matrix_[static_cast<size_t>(r) * data_shards_ + shard];
      if (coefficient == 0) continue;
      targets[change.rows] = reinterpret_cast<uint8_t*>(parity[r].data());
      ops_->expand(coefficient, &tables[change.rows * ops_->table_bytes]);
      change.ones = change.ones && coefficient == 1;
      ++change.rows;
    }
    if (change.rows == 0) return;
    change.tables = tables.data();
    change.old_source = reinterpret_cast<const uint8_t*>(old_data.data());
    change.new_source = reinterpret_cast<const uint8_t*>(new_data.data());
    change.targets = targets.data();
    change.size_bytes = old_data.size();
    ops_->update(change);
  }

  absl::StatusOr<std::unique_ptr<Repair>> DoPlanRepair(const ShardSet& present,
                                                       const ShardSet& wanted) const override {
    if (wanted.none()) return std::make_unique<EmptyRepair>();
    const Elimination elimination(data_shards_, parity_shards_, matrix_, present);
    std::vector<int> targets;
    std::vector<std::vector<uint8_t>> sums;
    ShardSet used;
    for (int shard = 0; shard < total_shards(); ++shard) {
      if (!wanted[shard]) continue;
      std::optional<std::vector<uint8_t>> sum = elimination.Express(shard);
      if (!sum.has_value()) {
        return absl::DataLossError(absl::StrCat(name_, ": shard ", shard,
                                                " cannot be rebuilt from the ", present.count(),
                                                " shards that are present"));
      }
      for (int i = 0; i < total_shards(); ++i) {
        if ((*sum)[i] != 0) used.set(i);
      }
      targets.push_back(shard);
      sums.push_back(*std::move(sum));
    }
    std::vector<int> sources;
    for (int i = 0; i < total_shards(); ++i) {
      if (used[i]) sources.push_back(i);
    }
    std::vector<uint8_t> coefficients;
    for (const std::vector<uint8_t>& sum : sums) {
      for (const int source : sources) coefficients.push_back(sum[source]);
    }
    LinearMap map(ops_, static_cast<int>(targets.size()), static_cast<int>(sources.size()),
                  coefficients);
    return std::make_unique<LinearRepair>(std::move(sources), std::move(targets), std::move(map));
  }

 private:
  const std::string name_;
  const int data_shards_;
  const int parity_shards_;
  const std::vector<uint8_t> matrix_;
  const KernelOps* const ops_;
  const LinearMap encoding_;
};

}  // namespace

absl::Status CheckShape(int data_shards, int parity_shards) {
  if (data_shards < 1 || parity_shards < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a code has at least one data and one parity shard, not ", data_shards,
                     " and ", parity_shards));
  }
  if (data_shards > kMaxShards || parity_shards > kMaxShards - data_shards) {
    return absl::InvalidArgumentError(absl::StrCat(data_shards, " data and ", parity_shards,
                                                   " parity shards are more than ", kMaxShards));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Code>> CreateLinearCode(std::string name, int data_shards,
                                                       int parity_shards,
                                                       std::vector<uint8_t> matrix, Kernel kernel) {
  const KernelOps* const ops = FindKernelOps(kernel);
  if (ops == nullptr) {
    return absl::UnimplementedError(absl::StrCat("this CPU or this build cannot run the kernel '",
                                                 std::string(KernelName(kernel)), "'"));
  }
  return std::make_unique<LinearCode>(std::move(name), data_shards, parity_shards,
                                      std::move(matrix), ops);
}

}  // namespace strata::ec

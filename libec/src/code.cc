// SPDX-License-Identifier: Apache-2.0
//
// What every code has in common: checking calls, walking scatter lists, and verification, which is
// encoding into a buffer.
#include "strata/ec/code.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "piece_walk.h"
#include "strata/base/status_macros.h"

namespace strata::ec {
namespace {

constexpr size_t kVerifyRunBytes = 4096;

size_t SizeOf(ConstBytes shard) { return shard.size(); }

template <typename PieceBytes>
size_t SizeOf(std::span<const PieceBytes> pieces) {
  size_t size = 0;
  for (const PieceBytes& piece : pieces) size += piece.size();
  return size;
}

absl::Status CheckCount(const char* what, size_t count, size_t expected) {
  if (count == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("there are ", count, " ", what, " shards instead of ", expected));
}

// All `shards` are *size_bytes long, which the first shard of the call decides.
template <typename Shard>
absl::Status CheckSizes(const char* what, std::span<const Shard> shards, size_t size_bytes) {
  for (size_t i = 0; i < shards.size(); ++i) {
    const size_t size = SizeOf(shards[i]);
    if (size == size_bytes) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(what, " shard ", i, " has ", size, " bytes, others have ", size_bytes));
  }
  return absl::OkStatus();
}

// Checks two lists of shards and returns their length.
template <typename First, typename Second>
absl::StatusOr<size_t> CheckShards(const char* first_name, std::span<const First> first,
                                   size_t first_count, const char* second_name,
                                   std::span<const Second> second, size_t second_count) {
  STRATA_RETURN_IF_ERROR(CheckCount(first_name, first.size(), first_count));
  STRATA_RETURN_IF_ERROR(CheckCount(second_name, second.size(), second_count));
  const size_t size = !first.empty() ? SizeOf(first[0]) : !second.empty() ? SizeOf(second[0]) : 0;
  STRATA_RETURN_IF_ERROR(CheckSizes(first_name, first, size));
  STRATA_RETURN_IF_ERROR(CheckSizes(second_name, second, size));
  return size;
}

template <typename PieceBytes>
std::vector<std::span<const PieceBytes>> PiecesOf(std::span<const PieceBytes> shards) {
  std::vector<std::span<const PieceBytes>> pieces;
  for (const PieceBytes& shard : shards) pieces.emplace_back(&shard, 1);
  return pieces;
}

// Calls run(run of first, run of second, offset_bytes) until size_bytes are done. With
// `max_run_bytes` no run is longer than that.
template <typename First, typename Second, typename Run>
absl::Status ForEachRun(std::span<const std::span<const First>> first,
                        std::span<const std::span<const Second>> second, size_t size_bytes,
                        size_t max_run_bytes, const Run& run) {
  PieceWalk<First> first_walk(first);
  PieceWalk<Second> second_walk(second);
  for (size_t offset = 0; offset < size_bytes;) {
    const size_t bytes = std::min({first_walk.RunBytes(), second_walk.RunBytes(), max_run_bytes});
    STRATA_RETURN_IF_ERROR(run(first_walk.Take(bytes), second_walk.Take(bytes), offset));
    offset += bytes;
  }
  return absl::OkStatus();
}

absl::Status CheckKnown(const char* what, const ShardSet& shards, const ShardSet& all) {
  if ((shards & ~all).none()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a shard beyond the code's ", all.count(), " is called ", what));
}

// The spans of `numbers`, read-only or not.
template <typename Result, typename Shard>
std::vector<Result> Select(std::span<const Shard> shards, std::span<const int> numbers) {
  std::vector<Result> selected;
  for (const int number : numbers) selected.push_back(Result(shards[number]));
  return selected;
}

// The first place in which a row of `expected` differs from the parity.
absl::Status Compare(std::span<const Bytes> expected, std::span<const ConstBytes> parity,
                     int data_shards, size_t offset_bytes) {
  for (size_t r = 0; r < parity.size(); ++r) {
    if (std::memcmp(expected[r].data(), parity[r].data(), parity[r].size()) == 0) continue;
    const auto at = std::mismatch(parity[r].begin(), parity[r].end(), expected[r].begin()).first;
    return absl::DataLossError(absl::StrCat(
        "parity shard ", static_cast<size_t>(data_shards) + r, " does not fit the data at byte ",
        offset_bytes + static_cast<size_t>(at - parity[r].begin())));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Repair::Run(std::span<const ConstBytes> source_shards,
                         std::span<const Bytes> target_shards) const {
  STRATA_ASSIGN_OR_RETURN(const size_t size,
                          CheckShards("source", source_shards, sources().size(), "target",
                                      target_shards, targets().size()));
  if (size > 0) DoRun(source_shards, target_shards);
  return absl::OkStatus();
}

absl::Status Repair::RunPieces(std::span<const ConstPieces> source_shards,
                               std::span<const Pieces> target_shards) const {
  STRATA_ASSIGN_OR_RETURN(const size_t size,
                          CheckShards("source", source_shards, sources().size(), "target",
                                      target_shards, targets().size()));
  return ForEachRun(source_shards, target_shards, size, size, [&](auto from, auto to, size_t) {
    DoRun(from, to);
    return absl::OkStatus();
  });
}

ShardSet Code::AllShards() const {
  ShardSet all;
  for (int i = 0; i < total_shards(); ++i) all.set(i);
  return all;
}

absl::Status Code::Encode(std::span<const ConstBytes> data, std::span<const Bytes> parity) const {
  STRATA_ASSIGN_OR_RETURN(const size_t size, CheckShards("data", data, data_shards(), "parity",
                                                         parity, parity_shards()));
  if (size > 0) DoEncode(data, parity);
  return absl::OkStatus();
}

absl::Status Code::EncodePieces(std::span<const ConstPieces> data,
                                std::span<const Pieces> parity) const {
  STRATA_ASSIGN_OR_RETURN(const size_t size, CheckShards("data", data, data_shards(), "parity",
                                                         parity, parity_shards()));
  return ForEachRun(data, parity, size, size, [&](auto from, auto to, size_t) {
    DoEncode(from, to);
    return absl::OkStatus();
  });
}

absl::Status Code::Update(int shard, ConstBytes old_data, ConstBytes new_data,
                          std::span<const Bytes> parity) const {
  const ConstBytes both_data[] = {old_data, new_data};
  const std::span<const ConstBytes> both = both_data;
  if (shard < 0 || shard >= data_shards()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no data shard ", shard));
  }
  STRATA_ASSIGN_OR_RETURN(const size_t size, CheckShards("old and new data", both, 2, "parity",
                                                         parity, parity_shards()));
  if (size > 0) DoUpdate(shard, old_data, new_data, parity);
  return absl::OkStatus();
}

absl::Status Code::UpdatePieces(int shard, ConstPieces old_data, ConstPieces new_data,
                                std::span<const Pieces> parity) const {
  const ConstPieces both_data[] = {old_data, new_data};
  const std::span<const ConstPieces> both = both_data;
  if (shard < 0 || shard >= data_shards()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no data shard ", shard));
  }
  STRATA_ASSIGN_OR_RETURN(const size_t size, CheckShards("old and new data", both, 2, "parity",
                                                         parity, parity_shards()));
  return ForEachRun(both, parity, size, size, [&](auto from, auto to, size_t) {
    DoUpdate(shard, from[0], from[1], to);
    return absl::OkStatus();
  });
}

absl::Status Code::Verify(std::span<const ConstBytes> data,
                          std::span<const ConstBytes> parity) const {
  const std::vector<ConstPieces> data_pieces = PiecesOf(data);
  const std::vector<ConstPieces> parity_pieces = PiecesOf(parity);
  return VerifyPieces(data_pieces, parity_pieces);
}

absl::Status Code::VerifyPieces(std::span<const ConstPieces> data,
                                std::span<const ConstPieces> parity) const {
  STRATA_ASSIGN_OR_RETURN(const size_t size, CheckShards("data", data, data_shards(), "parity",
                                                         parity, parity_shards()));
  const size_t run_bytes = std::min(size, kVerifyRunBytes);
  std::vector<std::byte> buffer(run_bytes * static_cast<size_t>(parity_shards()));
  std::vector<Bytes> expected(static_cast<size_t>(parity_shards()));
  return ForEachRun(data, parity, size, kVerifyRunBytes,
                    [&](auto run_data, auto run_parity, size_t offset_bytes) {
                      const size_t bytes = run_parity[0].size();
                      for (size_t r = 0; r < expected.size(); ++r) {
                        expected[r] = Bytes(buffer).subspan(r * run_bytes, bytes);
                      }
                      DoEncode(run_data, expected);
                      return Compare(expected, run_parity, data_shards(), offset_bytes);
                    });
}

absl::Status Code::Reconstruct(std::span<const Bytes> shards, const ShardSet& present) const {
  STRATA_RETURN_IF_ERROR(CheckCount("stripe", shards.size(), total_shards()));
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<Repair> repair,
                          PlanRepair(present, AllShards() & ~present));
  STRATA_RETURN_IF_ERROR(CheckSizes("stripe", shards, shards[0].size()));
  return repair->Run(Select<ConstBytes>(shards, repair->sources()),
                     Select<Bytes>(shards, repair->targets()));
}

absl::Status Code::ReconstructPieces(std::span<const Pieces> shards,
                                     const ShardSet& present) const {
  STRATA_RETURN_IF_ERROR(CheckCount("stripe", shards.size(), total_shards()));
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<Repair> repair,
                          PlanRepair(present, AllShards() & ~present));
  STRATA_RETURN_IF_ERROR(CheckSizes("stripe", shards, SizeOf(shards[0])));
  std::vector<std::vector<ConstBytes>> source_pieces;
  std::vector<ConstPieces> sources;
  for (const int number : repair->sources()) {
    source_pieces.emplace_back(shards[number].begin(), shards[number].end());
  }
  for (const std::vector<ConstBytes>& pieces : source_pieces) sources.emplace_back(pieces);
  return repair->RunPieces(sources, Select<Pieces>(shards, repair->targets()));
}

absl::StatusOr<std::unique_ptr<Repair>> Code::PlanRepair(const ShardSet& present,
                                                         const ShardSet& wanted) const {
  STRATA_RETURN_IF_ERROR(CheckKnown("present", present, AllShards()));
  STRATA_RETURN_IF_ERROR(CheckKnown("wanted", wanted, AllShards()));
  if ((present & wanted).any()) {
    return absl::InvalidArgumentError("a shard that is present cannot be wanted too");
  }
  return DoPlanRepair(present, wanted);
}

}  // namespace strata::ec

// SPDX-License-Identifier: Apache-2.0
//
// The local parities are sums of their groups. The global rows are chosen so that any r + 1 losses
// can be repaired. What a decoder has, beside the global rows, is the sum of the local parities: a
// row of ones. If all square submatrices of (ones; global rows) are invertible, r + 1 losses of
// which p are local parities, g global ones and d data leave at least d usable rows: with p = 0 the
// r - g global rows and the ones, otherwise the r - g >= d global rows alone.
//
// One or two global rows: x and x^2 for points x. The minors of (1; x; x^2) are Vandermonde
// determinants, up to factors that are not zero (x -> x^2 is one to one). A loss of two in each of
// two groups leaves (a + b)(c + d)(a + b + c + d), where a, b and c, d are the points: not zero
// when differences within one group never equal those within another. That holds when each group
// takes its points from another multiple of the subfield GF(16), of which there are 17, which meet
// only in 0. So every pattern that leaves at most as many equations as unknowns is recoverable.
//
// Otherwise: a Cauchy matrix of r + 1 rows whose columns are scaled so that its first row is ones.
#include "absl/strings/str_cat.h"
#include "galois.h"
#include "linear_code.h"
#include "strata/base/status_macros.h"
#include "strata/ec/code.h"

namespace strata::ec {
namespace {

constexpr int kSubfieldPoints = 15;  // GF(16) without 0.
constexpr int kSubfieldMultiples = 17;

// Point `member` of group `group`. The powers of 2^17 are GF(16) without 0; multiplying by 2^group,
// group < 17, gives another multiple of it each time.
uint8_t GroupPoint(int group, int member) {
  return kGalois.power[static_cast<size_t>((kSubfieldMultiples * member + group) % 255)];
}

void AppendSquares(int data_shards, int groups, int global_parities, std::vector<uint8_t>& matrix) {
  const int group_shards = data_shards / groups;
  for (int r = 0; r < global_parities; ++r) {
    for (int c = 0; c < data_shards; ++c) {
      const uint8_t x = GroupPoint(c / group_shards, c % group_shards);
      matrix.push_back(r == 0 ? x : GaloisMultiply(x, x));
    }
  }
}

void AppendCauchy(int data_shards, int global_parities, std::vector<uint8_t>& matrix) {
  for (int r = 1; r <= global_parities; ++r) {
    for (int c = 0; c < data_shards; ++c) {
      matrix.push_back(GaloisMultiply(static_cast<uint8_t>(data_shards ^ c),
                                      GaloisInverse(static_cast<uint8_t>((data_shards + r) ^ c))));
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Code>> CreateLocallyRepairable(
    const LocallyRepairableOptions& options) {
  const int k = options.data_shards;
  const int l = options.groups;
  const int r = options.global_parities;
  if (l < 1 || r < 1 || l > kMaxShards || r > kMaxShards) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a local code has at least one group and one global parity, not ", l, " and ", r));
  }
  STRATA_RETURN_IF_ERROR(CheckShape(k, l + r));
  if (k % l != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(k, " data shards do not make ", l, " equal groups"));
  }
  const int group_shards = k / l;
  std::vector<uint8_t> matrix;
  for (int group = 0; group < l; ++group) {
    for (int c = 0; c < k; ++c) matrix.push_back(c / group_shards == group ? 1 : 0);
  }
  if (r <= 2 && group_shards <= kSubfieldPoints && l <= kSubfieldMultiples) {
    AppendSquares(k, l, r, matrix);
  } else {
    AppendCauchy(k, r, matrix);
  }
  return CreateLinearCode(absl::StrCat("lrc(", k, ",", l, ",", r, ")"), k, l + r, std::move(matrix),
                          options.kernel);
}

}  // namespace strata::ec

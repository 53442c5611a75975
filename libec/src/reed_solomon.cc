// SPDX-License-Identifier: Apache-2.0
//
// The Cauchy matrix of the points k + r (rows) and c (columns): 1 / ((k + r) + c). All points
// differ as long as k + m <= 256, so every square submatrix is a Cauchy matrix too and invertible,
// and that is what it takes for any k shards to give back the rest.
#include "absl/strings/str_cat.h"
#include "galois.h"
#include "linear_code.h"
#include "strata/base/status_macros.h"
#include "strata/ec/code.h"

namespace strata::ec {

absl::StatusOr<std::unique_ptr<Code>> CreateReedSolomon(const ReedSolomonOptions& options) {
  const int k = options.data_shards;
  const int m = options.parity_shards;
  STRATA_RETURN_IF_ERROR(CheckShape(k, m));
  std::vector<uint8_t> matrix;
  matrix.reserve(static_cast<size_t>(k) * static_cast<size_t>(m));
  for (int r = 0; r < m; ++r) {
    for (int c = 0; c < k; ++c) {
      // Scaling a column by a constant keeps submatrices invertible: a single row becomes ones.
      matrix.push_back(m == 1 ? uint8_t{1} : GaloisInverse(static_cast<uint8_t>((k + r) ^ c)));
    }
  }
  return CreateLinearCode(absl::StrCat("rs(", k, ",", m, ")"), k, m, std::move(matrix),
                          options.kernel);
}

}  // namespace strata::ec

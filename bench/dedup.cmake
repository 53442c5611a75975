# SPDX-License-Identifier: Apache-2.0
strata_add_bench(NAME dedup_bench LIB dedup SRCS dedup_bench.cc DEPS crypto absl::flat_hash_map absl::flat_hash_set)
strata_add_bench(NAME chunker_bench LIB dedup SRCS chunker_bench.cc DEPS absl::flat_hash_set)

# SPDX-License-Identifier: Apache-2.0
strata_add_bench(NAME block_bench LIB block SRCS block_bench.cc)

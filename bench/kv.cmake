# SPDX-License-Identifier: Apache-2.0
strata_add_bench(NAME kv_bench LIB kv SRCS kv_bench.cc)

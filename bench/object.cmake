# SPDX-License-Identifier: Apache-2.0
strata_add_bench(NAME object_bench LIB object SRCS object_bench.cc)

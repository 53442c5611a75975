# SPDX-License-Identifier: Apache-2.0
strata_add_bench(NAME nvmeof_link_bench LIB nvmeof SRCS nvmeof_link_bench.cc)

# SPDX-License-Identifier: Apache-2.0
strata_add_bench(NAME nvmeof_link_bench LIB nvmeof SRCS nvmeof_link_bench.cc)
strata_add_bench(NAME nvmeof_host_bench LIB nvmeof SRCS nvmeof_host_bench.cc)
strata_add_bench(NAME nvmeof_target_bench LIB nvmeof SRCS nvmeof_target_bench.cc ${PROJECT_SOURCE_DIR}/tests/support/nvmeof/raw_host.cc)

# SPDX-License-Identifier: Apache-2.0
strata_add_bench(NAME nvme_bench LIB nvme SRCS nvme_bench.cc)

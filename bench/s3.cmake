# SPDX-License-Identifier: Apache-2.0
strata_add_bench(NAME s3_bench LIB s3 SRCS s3_bench.cc)

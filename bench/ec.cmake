# SPDX-License-Identifier: Apache-2.0
strata_add_bench(NAME ec_bench LIB ec SRCS ec_bench.cc DEPS isal)

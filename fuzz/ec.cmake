# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(NAME ec_kernels_fuzz LIB ec SRCS ec_kernels_fuzz.cc CORPUS ec_kernels_corpus)
strata_add_fuzzer(NAME ec_shard_file_fuzz LIB ec SRCS ec_shard_file_fuzz.cc
                  CORPUS ec_shard_file_corpus)

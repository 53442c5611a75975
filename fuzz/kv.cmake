# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(
  NAME kv_differential_fuzz LIB kv CORPUS kv_differential_corpus
  SRCS kv_differential_fuzz.cc ${PROJECT_SOURCE_DIR}/tests/kv/differential.cc)
strata_add_fuzzer(NAME kv_record_fuzz LIB kv SRCS kv_record_fuzz.cc CORPUS kv_record_corpus)

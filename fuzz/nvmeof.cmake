# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(NAME nvmeof_pdu_fuzz LIB nvmeof SRCS nvmeof_pdu_fuzz.cc CORPUS nvmeof_pdu_corpus)
strata_add_fuzzer(
  NAME nvmeof_target_fuzz
  LIB nvmeof
  SRCS nvmeof_target_fuzz.cc ${PROJECT_SOURCE_DIR}/tests/support/nvmeof/raw_host.cc
  CORPUS nvmeof_target_corpus)
strata_add_fuzzer(
  NAME nvmeof_host_fuzz
  LIB nvmeof
  SRCS nvmeof_host_fuzz.cc
  CORPUS nvmeof_host_corpus)

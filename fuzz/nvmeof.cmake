# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(NAME nvmeof_pdu_fuzz LIB nvmeof SRCS nvmeof_pdu_fuzz.cc CORPUS nvmeof_pdu_corpus)

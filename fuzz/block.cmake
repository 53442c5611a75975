# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(NAME block_uri_fuzz LIB block SRCS block_uri_fuzz.cc CORPUS block_uri_corpus)

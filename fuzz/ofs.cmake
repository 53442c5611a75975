# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(NAME ofs_format_fuzz LIB ofs SRCS ofs_format_fuzz.cc CORPUS ofs_format_corpus)
strata_add_fuzzer(NAME ofs_record_fuzz LIB ofs SRCS ofs_record_fuzz.cc CORPUS ofs_record_corpus)

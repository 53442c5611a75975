# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(NAME object_record_fuzz LIB object SRCS object_record_fuzz.cc
                  CORPUS object_record_corpus)
strata_add_fuzzer(NAME object_key_fuzz LIB object SRCS object_key_fuzz.cc CORPUS object_key_corpus)

# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(NAME dedup_container_scan_fuzz LIB dedup SRCS dedup_container_scan_fuzz.cc
                  CORPUS dedup_container_scan_corpus)
strata_add_fuzzer(NAME dedup_format_fuzz LIB dedup SRCS dedup_format_fuzz.cc
                  CORPUS dedup_format_corpus)
strata_add_fuzzer(NAME dedup_journal_fuzz LIB dedup SRCS dedup_journal_fuzz.cc
                  CORPUS dedup_journal_corpus)
strata_add_fuzzer(NAME dedup_record_fuzz LIB dedup SRCS dedup_record_fuzz.cc
                  CORPUS dedup_record_corpus)
strata_add_fuzzer(NAME dedup_chunk_fuzz LIB dedup SRCS dedup_chunk_fuzz.cc ../tests/dedup/chunker_reference.cc
                  CORPUS dedup_chunk_corpus DEPS crypto)

# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(
  NAME nvme_command_fuzz
  LIB nvme
  SRCS nvme_command_fuzz.cc ${PROJECT_SOURCE_DIR}/tests/support/nvme/command_storm.cc
  CORPUS nvme_command_corpus)

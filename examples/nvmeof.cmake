# SPDX-License-Identifier: Apache-2.0
# nvme_read needs a target: the test is nvme_export, which runs it.
if(STRATA_BUILD_EXAMPLES)
  set(ARG_LIB nvmeof)
  set(ARG_SRCS nvme_read.cc)
  set(ARG_DEPS base)
  strata_add_program(example_nvme_read examples)
  strata_add_example(NAME nvme_export LIB nvmeof SRCS nvme_export.cc DEPS threads
                     ARGS "mem:?size=64M" $<TARGET_FILE:example_nvme_read>)
  unset(ARG_LIB)
  unset(ARG_SRCS)
  unset(ARG_DEPS)
endif()

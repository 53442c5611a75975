# SPDX-License-Identifier: Apache-2.0
strata_add_example(NAME ec_rebuild LIB ec SRCS ec_rebuild.cc)

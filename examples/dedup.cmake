# SPDX-License-Identifier: Apache-2.0
strata_add_example(NAME dedup_store LIB dedup SRCS dedup_store.cc)

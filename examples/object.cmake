# SPDX-License-Identifier: Apache-2.0
strata_add_example(NAME object_backup LIB object SRCS object_backup.cc)
strata_add_example(NAME object_readme LIB object SRCS object_readme.cc)

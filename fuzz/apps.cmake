# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(NAME apps_config_fuzz LIB apps SRCS apps_config_fuzz.cc CORPUS apps_config_corpus
                  DEPS strata_appliance)
strata_add_fuzzer(NAME apps_key_file_fuzz LIB apps SRCS apps_key_file_fuzz.cc
                  CORPUS apps_key_file_corpus DEPS strata_appliance)
strata_add_fuzzer(NAME apps_admin_fuzz LIB apps SRCS apps_admin_fuzz.cc CORPUS apps_admin_corpus
                  DEPS strata_appliance)
strata_add_fuzzer(NAME apps_status_fuzz LIB apps SRCS apps_status_fuzz.cc CORPUS apps_status_corpus
                  DEPS strata_daemon)

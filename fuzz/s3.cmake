# SPDX-License-Identifier: Apache-2.0
strata_add_fuzzer(NAME s3_authorization_fuzz LIB s3 SRCS s3_authorization_fuzz.cc
                  CORPUS s3_authorization_corpus)
strata_add_fuzzer(NAME s3_chunked_body_fuzz LIB s3 SRCS s3_chunked_body_fuzz.cc
                  CORPUS s3_chunked_body_corpus)
strata_add_fuzzer(NAME s3_http_parser_fuzz LIB s3 SRCS s3_http_parser_fuzz.cc
                  CORPUS s3_http_parser_corpus)
strata_add_fuzzer(NAME s3_request_fuzz LIB s3 SRCS s3_request_fuzz.cc CORPUS s3_request_corpus)
strata_add_fuzzer(NAME s3_text_fuzz LIB s3 SRCS s3_text_fuzz.cc CORPUS s3_text_corpus)
strata_add_fuzzer(NAME s3_xml_fuzz LIB s3 SRCS s3_xml_fuzz.cc CORPUS s3_xml_corpus)

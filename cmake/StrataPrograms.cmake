# SPDX-License-Identifier: Apache-2.0
#
# Programs built on the libraries: applications, tests, fuzzers, benches, examples. In all of them
# DEPS are names of Strata libraries, third parties (cmake/StrataThirdParty.cmake), or targets, and
# SRCS are relative to the calling folder.
#
#   strata_add_app(NAME stratad SRCS ... DEPS ...)             build/<preset>/bin/stratad, installed
#   strata_add_test(NAME x_test LIB dedup SRCS ... [DEPS ...] [TIMEOUT s] [LABELS ...] [ARGS ...])
#       A Catch2 binary, one ctest `dedup.x_test` labelled `dedup`. It sees LIB's private headers
#       (<lib folder>/src) and tests/ (for "support/seed.h").
#   strata_add_script_test(NAME x LIB dedup COMMAND ... [TIMEOUT s] [LABELS ...] [ENV A=B ...])
#       Any command as a ctest. Label what runs whole programs `e2e`: sanitizer runs leave it out.
#   strata_add_fuzzer(NAME dedup_recipe_fuzz LIB dedup SRCS ... CORPUS dir [DEPS ...])
#       A libFuzzer binary with STRATA_BUILD_FUZZ (Clang); always a ctest that replays the corpus.
#   strata_add_bench(NAME dedup_bench LIB dedup SRCS ... [DEPS ...])
#   strata_add_example(NAME dedup_store LIB dedup SRCS ... [DEPS ...] [ARGS ...])
#       Built, and run as a ctest with ARGS in an empty folder; it must exit 0.
#
# LIB is a library (nothing is added when it is switched off) or, for what tests the whole house, a
# subject: apps, python, e2e, tools, install, peers.

include_guard(GLOBAL)

# Makes an executable out of the caller's ARG_SRCS, ARG_LIB and ARG_DEPS.
function(strata_add_program target folder)
  add_executable(${target} ${ARG_SRCS})
  strata_compile_options(${target})
  if(ARG_LIB IN_LIST STRATA_LIBRARIES)
    list(PREPEND ARG_DEPS ${ARG_LIB})
  endif()
  strata_resolve(deps _static ${ARG_DEPS})
  target_link_libraries(${target} PRIVATE ${deps})
  if("catch2_main" IN_LIST ARG_DEPS)
    strata_precompile(${target} test)
  else()
    strata_precompile(${target} program)
  endif()
  if(CMAKE_CXX_FLAGS MATCHES "sanitize=thread")
    target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/tsan_suppressions.cc)
  endif()
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${folder})
endfunction()

# Every test has the label of its library and of one kind: unit, unless it says another (e2e: whole
# programs; guest: a virtual machine; sim: a simulated network). slow is said besides.
function(strata_describe_test test)
  set(labels ${ARG_LIB} ${ARG_LABELS})
  if(NOT "e2e" IN_LIST labels AND NOT "guest" IN_LIST labels AND NOT "sim" IN_LIST labels)
    list(APPEND labels unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  math(EXPR timeout "${ARG_TIMEOUT} * ${STRATA_TEST_TIMEOUT_FACTOR}")
  set_tests_properties(${test} PROPERTIES TIMEOUT ${timeout} LABELS "${labels}")
endfunction()

macro(strata_return_unless_built)
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${ARG_NAME}: stray '${ARG_UNPARSED_ARGUMENTS}'")
  endif()
  if(ARG_LIB IN_LIST STRATA_LIBRARIES AND NOT TARGET strata_${ARG_LIB}_static)
    return()
  endif()
endmacro()

function(strata_add_app)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "NAME;LIB" "SRCS;DEPS")
  strata_return_unless_built()
  strata_add_program(${ARG_NAME} bin)
  install(TARGETS ${ARG_NAME} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  strata_builds_for_install(${ARG_NAME})
endfunction()

function(strata_add_test)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "NAME;LIB;TIMEOUT" "SRCS;DEPS;LABELS;ARGS")
  strata_return_unless_built()
  if(NOT STRATA_BUILD_TESTS)
    return()
  endif()
  set(target ${ARG_LIB}_${ARG_NAME})
  list(APPEND ARG_DEPS catch2_main)
  strata_add_program(${target} tests)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  if(ARG_LIB IN_LIST STRATA_LIBRARIES)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/${STRATA_DIR_${ARG_LIB}}/src)
  endif()
  add_test(NAME ${ARG_LIB}.${ARG_NAME} COMMAND ${target} ${ARG_ARGS})
  strata_describe_test(${ARG_LIB}.${ARG_NAME})
endfunction()

function(strata_add_script_test)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "NAME;LIB;TIMEOUT" "COMMAND;LABELS;ENV")
  strata_return_unless_built()
  if(NOT STRATA_BUILD_TESTS)
    return()
  endif()
  add_test(NAME ${ARG_LIB}.${ARG_NAME} COMMAND ${ARG_COMMAND})
  strata_describe_test(${ARG_LIB}.${ARG_NAME})
  set_tests_properties(${ARG_LIB}.${ARG_NAME} PROPERTIES ENVIRONMENT "${ARG_ENV}")
endfunction()

function(strata_add_fuzzer)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "NAME;LIB;CORPUS" "SRCS;DEPS")
  strata_return_unless_built()
  set(sources ${ARG_SRCS})
  set(targets "")
  if(STRATA_BUILD_FUZZ)
    strata_add_program(${ARG_NAME} fuzz)
    target_link_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
    list(APPEND targets ${ARG_NAME})
    set_property(GLOBAL APPEND PROPERTY STRATA_FUZZERS
                 "${ARG_NAME} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_CORPUS}")
  endif()
  if(STRATA_BUILD_TESTS)
    set(ARG_SRCS ${sources} ${PROJECT_SOURCE_DIR}/fuzz/replay_main.cc)
    strata_add_program(${ARG_NAME}_replay tests)
    list(APPEND targets ${ARG_NAME}_replay)
    add_test(NAME ${ARG_LIB}.${ARG_NAME}_replay
             COMMAND ${ARG_NAME}_replay ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_CORPUS})
    set(ARG_LABELS fuzz)
    strata_describe_test(${ARG_LIB}.${ARG_NAME}_replay)
  endif()
  foreach(target IN LISTS targets)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/${STRATA_DIR_${ARG_LIB}}/src
                                                 ${PROJECT_SOURCE_DIR}/tests)
  endforeach()
endfunction()

function(strata_add_bench)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "NAME;LIB" "SRCS;DEPS")
  strata_return_unless_built()
  if(NOT STRATA_BUILD_BENCH)
    return()
  endif()
  list(APPEND ARG_DEPS benchmark)
  strata_add_program(${ARG_NAME} bench)
  target_include_directories(${ARG_NAME} PRIVATE ${PROJECT_SOURCE_DIR}/${STRATA_DIR_${ARG_LIB}}/src
                                                 ${PROJECT_SOURCE_DIR}/tests)
endfunction()

function(strata_add_example)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "NAME;LIB;TIMEOUT" "SRCS;DEPS;ARGS")
  strata_return_unless_built()
  if(NOT STRATA_BUILD_EXAMPLES)
    return()
  endif()
  strata_add_program(example_${ARG_NAME} examples)
  if(STRATA_BUILD_TESTS)
    add_test(NAME ${ARG_LIB}.example_${ARG_NAME}
             COMMAND ${PROJECT_SOURCE_DIR}/examples/run_in_empty_folder
                     $<TARGET_FILE:example_${ARG_NAME}> ${ARG_ARGS})
    set(ARG_LABELS example)
    strata_describe_test(${ARG_LIB}.example_${ARG_NAME})
  endif()
endfunction()

# SPDX-License-Identifier: Apache-2.0
#
# strata_precompile(TARGET library|program|test): the target's sources begin with headers that were
# compiled once (cmake/precompiled/). It saves a third of the time of a build from nothing. The kinds
# differ in their flags: libraries are position-independent and hide their symbols.
#
# Only with GCC: where Clang compiles, a source that forgot an #include is found.

include_guard(GLOBAL)

set(strata_precompile_default ${PROJECT_IS_TOP_LEVEL})
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(strata_precompile_default OFF)
endif()
option(STRATA_PRECOMPILE "Compile the headers that most sources include once" ${strata_precompile_default})

function(strata_precompile target kind)
  if(NOT STRATA_PRECOMPILE)
    return()
  endif()
  set(precompiled strata_precompiled_${kind})
  if(NOT TARGET ${precompiled})
    add_library(${precompiled} OBJECT ${STRATA_CMAKE_DIR}/precompiled/empty.cc)
    strata_compile_options(${precompiled})
    set(deps absl::status absl::statusor absl::strings absl::str_format absl::synchronization)
    set(header sources.h)
    if(kind STREQUAL "library")
      strata_hide_symbols(${precompiled})
    elseif(kind STREQUAL "test")
      list(APPEND deps catch2_main)
      set(header tests.h)
    endif()
    strata_resolve(deps "" ${deps})
    target_link_libraries(${precompiled} PRIVATE ${deps})
    target_precompile_headers(${precompiled} PRIVATE ${STRATA_CMAKE_DIR}/precompiled/${header})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${precompiled})
  # Flags of a source's own would have to be those of the headers.
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    get_source_file_property(options ${source} COMPILE_OPTIONS)
    if(options)
      set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()

# SPDX-License-Identifier: Apache-2.0
#
# strata_add_library(NAME n HDRS h... SRCS s... [DEPS strata-name...] [PUBLIC_DEPS third-party...]
#                    [PRIVATE_DEPS third-party...])
#
# One set of objects makes libstrata_n.a and libstrata_n.so. Here, strata::n is the static one: tests
# reach private symbols, programs are self-contained. The installed package offers strata::n (shared)
# and strata::n_static. DEPS are checked against cmake/StrataLayers.cmake. PUBLIC_DEPS appear in
# public headers; PRIVATE_DEPS do not, and consumers of the shared library never see them. Names of
# third parties are those of cmake/StrataThirdParty.cmake, absl::x, or targets.
# HDRS are relative to the folder and lie under include/; SRCS (and private headers) under src/.

include_guard(GLOBAL)
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
include(${CMAKE_CURRENT_LIST_DIR}/StrataLayers.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/StrataPrecompile.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/StrataThirdParty.cmake)

set(STRATA_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})
set(STRATA_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/strata)

# Flags that all of our code is compiled with, programs and tests included.
function(strata_compile_options target)
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_compile_options(
    ${target}
    PRIVATE -Wall -Wextra -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=
            $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
            $<$<BOOL:${STRATA_WERROR}>:-Werror>)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()

# A library's symbols are its own, unless STRATA_EXPORT says otherwise.
function(strata_hide_symbols target)
  set_target_properties(
    ${target} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                         VISIBILITY_INLINES_HIDDEN ON)
endfunction()

# Sets OUT to the targets of names: strata libraries (with SUFFIX) or third parties.
function(strata_resolve out suffix)
  set(targets "")
  foreach(name IN LISTS ARGN)
    if(name IN_LIST STRATA_LIBRARIES)
      if(NOT TARGET strata_${name}_static)
        message(FATAL_ERROR "strata: '${name}' is needed here but was not built before")
      endif()
      list(APPEND targets strata_${name}${suffix})
    else()
      strata_third_party(target ${name})
      list(APPEND targets ${target})
    endif()
  endforeach()
  set(${out} "${targets}" PARENT_SCOPE)
endfunction()

function(strata_add_library)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "NAME" "HDRS;SRCS;DEPS;PUBLIC_DEPS;PRIVATE_DEPS")
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "strata_add_library(${ARG_NAME}): stray '${ARG_UNPARSED_ARGUMENTS}'")
  endif()
  set(name ${ARG_NAME})
  foreach(dep IN LISTS ARG_DEPS)
    if(NOT dep IN_LIST STRATA_USES_${name})
      message(FATAL_ERROR "strata: the layer table does not let '${name}' use '${dep}' "
                          "(cmake/StrataLayers.cmake)")
    endif()
  endforeach()
  strata_resolve(public_targets "" ${ARG_PUBLIC_DEPS})
  strata_resolve(private_targets "" ${ARG_PRIVATE_DEPS})
  strata_resolve(static_deps _static ${ARG_DEPS})

  set(objects strata_${name}_objects)
  add_library(${objects} OBJECT ${ARG_SRCS} ${ARG_HDRS})
  strata_compile_options(${objects})
  strata_hide_symbols(${objects})
  strata_precompile(${objects} library)
  target_include_directories(${objects} PUBLIC include PRIVATE src)
  target_link_libraries(${objects} PUBLIC ${static_deps} ${public_targets}
                                   PRIVATE ${private_targets})

  add_library(strata_${name}_static STATIC $<TARGET_OBJECTS:${objects}>)
  add_library(strata::${name} ALIAS strata_${name}_static)
  strata_describe_library(strata_${name}_static)
  set_target_properties(strata_${name}_static PROPERTIES EXPORT_NAME ${name}_static)
  target_link_libraries(strata_${name}_static PUBLIC ${static_deps} ${public_targets}
                                              PRIVATE ${private_targets})

  if(STRATA_BUILD_SHARED)
    strata_resolve(shared_deps "" ${ARG_DEPS})
    add_library(strata_${name} SHARED $<TARGET_OBJECTS:${objects}>)
    strata_describe_library(strata_${name})
    set_target_properties(
      strata_${name}
      PROPERTIES EXPORT_NAME ${name} VERSION ${PROJECT_VERSION}
                 SOVERSION ${STRATA_SOVERSION} INSTALL_RPATH "$ORIGIN"
                 LINK_DEPENDS ${STRATA_CMAKE_DIR}/strata_exports.map)
    target_link_options(strata_${name} PRIVATE
                        -Wl,--version-script=${STRATA_CMAKE_DIR}/strata_exports.map)
    target_link_libraries(strata_${name} PUBLIC ${shared_deps} ${public_targets}
                                         PRIVATE ${private_targets})
    strata_install_library()
  endif()
  set_property(GLOBAL APPEND PROPERTY STRATA_BUILT ${name})
  set_property(GLOBAL PROPERTY STRATA_HDRS_${name} ${ARG_HDRS})
endfunction()

# What the static and the shared library have in common.
function(strata_describe_library target)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME strata_${name} LINKER_LANGUAGE CXX)
  target_compile_features(${target} INTERFACE cxx_std_20)
  target_include_directories(
    ${target} INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
                        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endfunction()

# Says that these targets are installed: `strata_installed` builds them, and nothing else.
function(strata_builds_for_install)
  if(NOT TARGET strata_installed)
    add_custom_target(strata_installed)
  endif()
  add_dependencies(strata_installed ${ARGN})
endfunction()

# Installs what strata_add_library() made: it reads that function's variables.
function(strata_install_library)
  strata_builds_for_install(strata_${name} strata_${name}_static)
  install(TARGETS strata_${name} EXPORT strata_${name}
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(TARGETS strata_${name}_static EXPORT strata_${name}_static
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT strata_${name} NAMESPACE strata:: DESTINATION ${STRATA_PACKAGE_DIR}
          FILE strata-${name}-targets.cmake)
  install(EXPORT strata_${name}_static NAMESPACE strata:: DESTINATION ${STRATA_PACKAGE_DIR}
          FILE strata-${name}-static-targets.cmake)
  foreach(header IN LISTS ARG_HDRS)
    get_filename_component(folder ${header} DIRECTORY)
    string(REGEX REPLACE "^include" "${CMAKE_INSTALL_INCLUDEDIR}" folder ${folder})
    install(FILES ${header} DESTINATION ${folder})
  endforeach()

  # The CMake component: what must be loaded before the targets of this one.
  set(COMPONENT_NAME ${name})
  set(COMPONENT_DEPS ${ARG_DEPS})
  set(COMPONENT_PUBLIC ${ARG_PUBLIC_DEPS})
  set(COMPONENT_PRIVATE ${ARG_PRIVATE_DEPS})
  configure_file(${STRATA_CMAKE_DIR}/strata-component.cmake.in
                 ${PROJECT_BINARY_DIR}/package/strata-${name}.cmake @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/package/strata-${name}.cmake
          DESTINATION ${STRATA_PACKAGE_DIR})

  set(requires "")
  set(requires_private "")
  foreach(dep IN LISTS ARG_DEPS)
    list(APPEND requires strata_${dep})
  endforeach()
  foreach(dep IN LISTS ARG_PUBLIC_DEPS)
    strata_third_party_pc(module ${dep})
    list(APPEND requires ${module})
  endforeach()
  foreach(dep IN LISTS ARG_PRIVATE_DEPS)
    strata_third_party_pc(module ${dep})
    list(APPEND requires_private ${module})
  endforeach()
  list(JOIN requires ", " PC_REQUIRES)
  file(RELATIVE_PATH PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  list(JOIN requires_private ", " PC_REQUIRES_PRIVATE)
  configure_file(${STRATA_CMAKE_DIR}/strata.pc.in
                 ${PROJECT_BINARY_DIR}/package/strata_${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/package/strata_${name}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# Call once, after the last library.
function(strata_install_package)
  configure_package_config_file(
    ${STRATA_CMAKE_DIR}/strata-config.cmake.in ${PROJECT_BINARY_DIR}/package/strata-config.cmake
    INSTALL_DESTINATION ${STRATA_PACKAGE_DIR})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/strata-config-version.cmake
                                   COMPATIBILITY SameMinorVersion)
  install(
    FILES ${PROJECT_BINARY_DIR}/package/strata-config.cmake
          ${PROJECT_BINARY_DIR}/package/strata-config-version.cmake
          ${STRATA_CMAKE_DIR}/StrataThirdParty.cmake
    DESTINATION ${STRATA_PACKAGE_DIR})
endfunction()

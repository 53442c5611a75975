# SPDX-License-Identifier: Apache-2.0
#
# What the compiler and the linker can do against the exploit of a bug that nobody has found yet: stack
# canaries, checked libc calls, tables of addresses that are read-only once the program runs, and Intel's
# control-flow enforcement. Each where the compiler has it. For programs of our own build alone: a parent
# project has its own policy, and a sanitizer finds more. tests/tools/hardening_test.py looks at the binaries.
include(CheckCXXCompilerFlag)
include(CheckPIESupported)

option(STRATA_HARDENING "Compile and link with hardening flags" ${PROJECT_IS_TOP_LEVEL})
if(NOT STRATA_HARDENING OR CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  return()
endif()

foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full)
  string(MAKE_C_IDENTIFIER "strata_has${flag}" known)
  check_cxx_compiler_flag(${flag} ${known})
  if(${known})
    add_compile_options(${flag})
  endif()
endforeach()
# It needs an optimising build. A distribution's compiler may have it defined already.
add_compile_options($<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
                    $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
add_link_options(LINKER:-z,relro,-z,now,-z,noexecstack)
check_pie_supported(LANGUAGES CXX)

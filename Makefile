# SPDX-License-Identifier: Apache-2.0
#
# Every target does its own set-up. Settings, on the command line or in the environment:
#   JOBS          compilers and tests at a time            [the processors]
#   CXX           the compiler, at a build folder's birth  [c++]
#   CMAKE_ARGS    more arguments for CMake
#   CTEST_ARGS    more arguments for ctest, as in: make test CTEST_ARGS='-L kv'
#   STRATA_DATA   where `make run` keeps its data          [./data]
#   GUEST         the scripts that `make guest` runs       [all]
#   SIM_STEPS     how many steps `make sim` takes         [1000000]
#   PJDFSTEST     a built checkout, for `make posix`       [its suite is skipped]
#   FUZZ_SECONDS  how long `make fuzz` runs each fuzzer    [60]
#   BASE          what `make check` takes for unchanged    [see tools/check]
#   PREFIX        where `make install` installs            [/usr/local]

JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
SIM_STEPS ?= 1000000
PREFIX ?= /usr/local
STRATA_DATA ?= data

# Whole programs under load are for the release build: a sanitizer's slowness tells nothing of them.
SANITIZER_SKIPS = ^(e2e|guest|slow)$$

BUILD = cmake --build build/$(1) -j $(JOBS)
CONFIGURE = $(CCACHE) cmake --preset $(1) --log-level=WARNING -Wno-dev $(CMAKE_ARGS) >/dev/null
# The old results go first, so that results always belong to the run.
CTEST = rm -f build/$(1)/results.xml && ctest --test-dir build/$(1) -j $(JOBS) --no-tests=error \
	--output-on-failure --output-junit $(CURDIR)/build/$(1)/results.xml $(CTEST_ARGS)

# Objects of one preset serve another: the build folder's name stays out of the hash.
CCACHE = $$(command -v ccache >/dev/null && echo env CMAKE_CXX_COMPILER_LAUNCHER=ccache)
export CCACHE_NOHASHDIR = 1
# Sources that begin with precompiled headers.
export CCACHE_SLOPPINESS = pch_defines,time_macros

.PHONY: help run test sim guest posix check bench asan tsan fuzz coverage demo install package format clean

help:
	@echo "make run | test | sim | guest | posix | check | bench | asan | tsan | fuzz | coverage | demo | install | package | format | clean"

run:
	@tools/bootstrap run
	@$(call CONFIGURE,release)
	@$(call BUILD,release) --target stratad strata
	@tools/run "$(STRATA_DATA)"

test:
	@tools/bootstrap test
	@$(call CONFIGURE,release)
	@$(call BUILD,release)
	@$(call CTEST,release)

sim:
	@tools/bootstrap test
	@$(call CONFIGURE,release)
	@$(call BUILD,release) --target ofs_simulation_test
	@STRATA_SIM_STEPS=$(SIM_STEPS) build/release/tests/ofs_simulation_test

guest:
	@tools/bootstrap guest
	@$(call CONFIGURE,release)
	@$(call BUILD,release) --target stratad strata nvmeof_fault_test
	@JOBS=$(JOBS) tools/guest $(GUEST)

posix:
	@tools/bootstrap test
	@$(call CONFIGURE,release)
	@$(call BUILD,release) --target strata
	@JOBS=$(JOBS) PJDFSTEST="$(PJDFSTEST)" tools/posix

check:
	@tools/bootstrap check
	@$(call CONFIGURE,release)
	@tools/check $(if $(BASE),--base $(BASE))

bench:
	@tools/bootstrap bench
	@$(call CONFIGURE,bench)
	@$(call BUILD,bench)
	@for bench in build/bench/bench/*_bench; do echo "== $${bench##*/}"; "$$bench" $(BENCH_ARGS) || exit 1; done

asan tsan:
	@tools/bootstrap test
	@$(call CONFIGURE,$@)
	@$(call BUILD,$@)
	@$(call CTEST,$@) -LE '$(SANITIZER_SKIPS)'

fuzz:
	@tools/bootstrap fuzz
	@$(call CONFIGURE,fuzz)
	@$(call BUILD,fuzz)
	@tools/fuzz build/fuzz $(FUZZ_SECONDS)

coverage:
	@tools/bootstrap coverage
	@$(call CONFIGURE,coverage)
	@$(call BUILD,coverage)
	@find build/coverage -name '*.gcda' -delete
	@$(call CTEST,coverage) -LE '$(SANITIZER_SKIPS)'
	@mkdir -p build/coverage/report
	@gcovr --root . --filter 'lib[a-z]*/' --gcov-ignore-parse-errors -j $(JOBS) \
		--html-details build/coverage/report/index.html --xml build/coverage/report/coverage.xml \
		--print-summary build/coverage
	@echo "build/coverage/report/index.html"

demo:
	@tools/bootstrap test
	@$(call CONFIGURE,release)
	@$(call BUILD,release) --target stratad strata
	@tools/demo

install:
	@tools/bootstrap run
	@$(call CONFIGURE,release)
	@$(call BUILD,release) --target strata_installed
	@cmake --install build/release --prefix "$(PREFIX)" >build/release/install.log
	@echo "installed to $(PREFIX)"

package:
	@tools/bootstrap run
	@$(call CONFIGURE,release)
	@$(call BUILD,release) --target strata_installed
	@cd build/release && cpack -B packages >cpack.log && ls packages/*.deb packages/*.tar.gz

format:
	@tools/bootstrap check
	@git ls-files -z -- '*.h' '*.cc' | xargs -0 clang-format-14 -i

clean:
	@rm -rf build

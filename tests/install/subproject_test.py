# SPDX-License-Identifier: Apache-2.0
"""Strata as a part of another project: it builds and tests nothing but what is linked, and leaves the project as it was.

  subproject_test.py SOURCE BUILD COMPILER     BUILD: a build of the whole, for what is installed from one
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE, BUILD = (pathlib.Path(a) for a in sys.argv[1:3])
COMPILER = sys.argv[3]
del sys.argv[1:]

PARENT = """
cmake_minimum_required(VERSION 3.25)
project(parent LANGUAGES CXX)
%s
get_property(folders GLOBAL PROPERTY USE_FOLDERS)
if(folders)
  message(FATAL_ERROR "a global property was set")
endif()
add_executable(program main.cc)
target_link_libraries(program PRIVATE strata::base)
enable_testing()
add_test(NAME own COMMAND program)
"""
WAYS = {
    "add_subdirectory": f"add_subdirectory({SOURCE} strata)",
    "FetchContent": ("include(FetchContent)\n"
                     f"FetchContent_Declare(strata SOURCE_DIR {SOURCE})\nFetchContent_MakeAvailable(strata)"),
}
MAIN = """
#include <span>
#include <strata/base/crc32c.h>
int main() { return strata::Crc32c(std::as_bytes(std::span("123456789", 9))) == 0xE3069283 ? 0 : 1; }
"""


def run(*command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=250, check=False)
    if result.returncode != 0:
        raise AssertionError(f"{command}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
    return result.stdout


class SubprojectTest(unittest.TestCase):
    def test_a_parent_builds_and_tests_what_it_links(self):
        for way, lines in WAYS.items():
            with self.subTest(way), tempfile.TemporaryDirectory(prefix="strata_subproject_") as folder:
                source = pathlib.Path(folder)
                build = source / "build"
                (source / "CMakeLists.txt").write_text(PARENT % lines)
                (source / "main.cc").write_text(MAIN)
                run("cmake", "-S", source, "-B", build, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={COMPILER}")
                cache = (build / "CMakeCache.txt").read_text()
                self.assertIn("CMAKE_BUILD_TYPE:STRING=\n", cache, "the parent has set none")
                for name in ("BUILD_TESTING", "CPACK", "Python_EXECUTABLE", "CMAKE_EXPORT_COMPILE_COMMANDS:BOOL=ON",
                             "pybind11_DIR", "Catch2_DIR", "CLI11_DIR"):
                    self.assertNotRegex(cache, f"(?m)^{name}", "nothing is set or looked for that is not needed")
                run("cmake", "--build", build)
                self.assertEqual({"libstrata_base.a"}, {path.name for path in build.rglob("libstrata_*")})
                self.assertEqual(["own"], re.findall(r"Test +#\d+: (\S+)", run("ctest", "--test-dir", build, "-N")))
                run("ctest", "--test-dir", build)
                run("cmake", "--install", build, "--prefix", source / "prefix")
                self.assertEqual([], [p for p in (source / "prefix").rglob("*") if p.is_file()])

    @unittest.skipUnless((BUILD / "build.ninja").exists(), "asks Ninja")
    def test_what_is_installed_is_built_before_and_nothing_else(self):
        commands = run("ninja", "-C", BUILD, "-t", "commands", "strata_installed").split()
        installed = set(re.findall(r'file\(INSTALL .*FILES "([^"]+)"',
                                   "".join(path.read_text() for path in BUILD.rglob("cmake_install.cmake")
                                           if "python" not in path.parts)))
        binaries = [pathlib.Path(path) for path in installed
                    if re.search(r"/(lib\w+\.a|lib\w+\.so[.\d]*|strata|stratad)$", path)]
        self.assertGreater(len(binaries), 4)
        for binary in binaries:
            self.assertIn(str(binary.relative_to(BUILD)), commands, "it is installed, but strata_installed does not build it")
        self.assertEqual([], [word for word in commands if re.match(r"(tests|fuzz|bench|examples|python)/", word)])


if __name__ == "__main__":
    unittest.main()

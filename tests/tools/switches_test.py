# SPDX-License-Identifier: Apache-2.0
"""Each library can be switched on alone: it brings what it stands on and nothing else; and the layer
table holds when CMake runs.

  switches_test.py SOURCE LIBRARY=NEEDED,NEEDED...     the libraries of this build and their rows of the table
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv[1])
USES = {name: [n for n in needed.split(",") if n]
        for name, needed in (argument.split("=") for argument in sys.argv[2:])}
del sys.argv[1:]

# Found by find_package; those that come by pkg-config are hidden together.
THIRD_PARTIES = ("zstd", "OpenSSL", "Boost", "EXPAT", "prometheus-cpp", "tomlplusplus", "CLI11",
                 "spdlog", "pybind11", "benchmark", "Python")


def closure(name):
    names = {name}
    for needed in USES[name]:
        names |= closure(needed)
    return names


def configure(source, build, *arguments):
    return subprocess.run(["cmake", "-S", source, "-B", build, "-G", "Ninja", *arguments],
                          capture_output=True, text=True, timeout=200)


class SwitchesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="strata_switches_")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def configure_alone(self, name, *arguments):
        build = self.folder / name
        result = configure(SOURCE, build, "-DSTRATA_BUILD_ALL=OFF",
                           f"-DSTRATA_BUILD_{name.upper()}=ON", *arguments)
        self.assertEqual(result.returncode, 0, result.stdout[-2000:] + result.stderr[-2000:])
        targets = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"],
                                 capture_output=True, text=True, timeout=60, check=True).stdout
        return set(re.findall(r"libstrata_(\w+)\.a:", targets)) & set(USES)

    def test_a_library_brings_what_it_stands_on_and_nothing_else(self):
        for name in USES:
            with self.subTest(name):
                self.assertEqual(self.configure_alone(name), closure(name))

    def test_the_lowest_library_looks_for_no_third_party_of_the_others(self):
        hidden = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{p}=TRUE" for p in THIRD_PARTIES]
        self.assertEqual(self.configure_alone("base", *hidden), {"base"})

    def test_cmake_refuses_what_the_layer_table_does_not_list(self):
        (self.folder / "liblow").mkdir()
        (self.folder / "liblow/name.cc").write_text("int name;\n")
        shutil.copytree(SOURCE / "cmake", self.folder / "cmake")
        (self.folder / "cmake/StrataLayers.cmake").write_text(
            "set(STRATA_LIBRARIES low high)\nset(STRATA_USES_low)\nset(STRATA_USES_high low)\n")
        (self.folder / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(x CXX)\n"
            "include(cmake/StrataLibrary.cmake)\n"
            "strata_add_library(NAME low SRCS liblow/name.cc DEPS high)\n")
        result = configure(self.folder, self.folder / "build")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("does not let 'low' use 'high'", " ".join(result.stderr.split()))


if __name__ == "__main__":
    unittest.main()

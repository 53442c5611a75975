# SPDX-License-Identifier: Apache-2.0
"""Every binary has what cmake/StrataHardening.cmake promises.

  hardening_test.py COMPILER BINARY-OR-STATIC-LIBRARY...
"""
import pathlib
import platform
import subprocess
import sys
import tempfile
import unittest

COMPILER = sys.argv[1]
FILES = [pathlib.Path(name) for name in sys.argv[2:]]
LIBRARIES = [file for file in FILES if file.suffix == ".a"]
BINARIES = [file for file in FILES if file.suffix != ".a"]
del sys.argv[1:]


def readelf(option, binary):
    return subprocess.run(["readelf", "--wide", option, binary], capture_output=True, text=True, check=True).stdout


def marks_programs(flag):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "empty.cc")
        source.write_text("int main() {}")
        program = source.with_suffix("")
        made = subprocess.run([COMPILER, flag, source, "-o", program], capture_output=True, check=False).returncode == 0
        return made and "IBT, SHSTK" in readelf("--notes", program)


class HardeningTest(unittest.TestCase):
    def each(self):
        self.assertTrue(BINARIES)
        return BINARIES

    def test_position_independent(self):
        for binary in self.each():
            self.assertIn("DYN", readelf("--file-header", binary), binary)

    def test_tables_of_addresses_are_read_only(self):
        for binary in self.each():
            self.assertIn("GNU_RELRO", readelf("--segments", binary))
            self.assertRegex(readelf("--dynamic", binary), r"BIND_NOW|\bNOW\b")

    def test_the_stack_is_not_executable(self):
        for binary in self.each():
            stack = [line for line in readelf("--segments", binary).splitlines() if "GNU_STACK" in line]
            self.assertEqual(1, len(stack))
            self.assertNotIn("RWE", stack[0])

    def test_stack_canaries(self):
        for binary in self.each():
            self.assertIn("__stack_chk_fail", readelf("--dyn-syms", binary))

    def test_checked_library_calls(self):
        # Not every library calls something that can be checked.
        programs = [binary for binary in self.each() if ".so" not in binary.name]
        for binary in programs:
            self.assertRegex(readelf("--dyn-syms", binary), r"__\w+_chk@")

    @unittest.skipUnless(platform.machine() == "x86_64" and marks_programs("-fcf-protection=full"),
                         "the compiler, or the C library's start-up files, know nothing of it")
    def test_control_flow_enforcement(self):
        for binary in self.each():
            self.assertIn("IBT, SHSTK", readelf("--notes", binary))

    @unittest.skipUnless(platform.machine() == "x86_64", "another kind of processor")
    def test_our_code_is_ready_for_control_flow_enforcement(self):
        for library in LIBRARIES:
            with self.subTest(library=library.name):
                notes = readelf("--notes", library)
                self.assertEqual(notes.count("File:"), notes.count("IBT, SHSTK"))


if __name__ == "__main__":
    unittest.main()

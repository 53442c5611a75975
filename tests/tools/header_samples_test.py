# SPDX-License-Identifier: Apache-2.0
"""The samples in the banners of public headers are those that header_samples_test.cc compiles and runs.

  header_samples_test.py SOURCE
"""
import pathlib
import re
import sys
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))
SAMPLE = re.compile(r"^  // Sample of (\S+)\n(.*?)^  // End\.\n", re.M | re.S)


class HeaderSamplesTest(unittest.TestCase):
    def test_headers_say_what_is_compiled(self):
        samples = SAMPLE.findall(pathlib.Path(__file__).with_suffix(".cc").read_text())
        self.assertGreaterEqual(len(samples), 6)
        for header, code in samples:
            with self.subTest(header=header):
                banner = (SOURCE / header).read_text().split("#pragma once")[0]
                quoted = "".join(f"//   {line[2:]}\n" for line in code.splitlines())
                self.assertIn(f"//\n{quoted}//\n", banner)

    def test_no_sample_was_run_together(self):
        """A formatter that fills comments joins statements into one line."""
        for header in SOURCE.glob("lib*/include/**/*.h"):
            for number, line in enumerate(header.read_text().splitlines(), 1):
                if line.startswith("//   "):
                    self.assertNotRegex(line, r"; (std::|STRATA_|auto )", f"{header}:{number}")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The README's examples are those that run: the C++ one is a part of examples/object_readme.cc, the Python one is run here."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))
PACKAGES = sys.argv.pop(1)


def block(language):
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", (SOURCE / "README.md").read_text(), re.M | re.S)
    assert len(blocks) == 1, f"README.md has {len(blocks)} blocks of {language}"
    return blocks[0]


class ReadmeTest(unittest.TestCase):
    def test_cpp_is_compiled(self):
        text = (SOURCE / "examples/object_readme.cc").read_text()
        compiled = text.split("// README begins.\n")[1].split("  // README ends.")[0]
        self.assertEqual(textwrap.dedent(compiled), block("cpp"))

    def test_python_runs(self):
        with tempfile.TemporaryDirectory(prefix="strata_readme_") as folder:
            result = subprocess.run([sys.executable, "-c", block("python")], cwd=folder, capture_output=True, text=True,
                                    timeout=60, check=False, env={**os.environ, "PYTHONPATH": PACKAGES})
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"^\d+ bytes stored for \d+\n$")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""tools/bootstrap installs what is missing and nothing else: run against stand-ins of dpkg and apt."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))


class BootstrapTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="strata_bootstrap_")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # Only these programs exist for the script.
        for name in ("sh", "env", "sed", "cat", "mktemp", "rm", "tail"):
            found = next(p for p in ("/usr/bin/" + name, "/bin/" + name) if os.path.exists(p))
            (self.folder / name).symlink_to(found)
        self.stand_in("apt-get", f'echo "$@" >>{self.folder}/calls; exit $(cat {self.folder}/apt_rc)')
        self.stand_in("id", "echo 0")
        (self.folder / "apt_rc").write_text("0")
        self.set_missing()

    def stand_in(self, name, body):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def set_missing(self, *packages):
        """dpkg-query knows every package as installed but these: one unknown, one removed."""
        lines = "".join(f"{p}) ;; " for p in packages[:1])
        lines += "".join(f"{p}) echo not-installed $p ;; " for p in packages[1:])
        self.stand_in("dpkg-query",
                      f'shift 3; for p in "$@"; do case $p in {lines} *) echo installed $p ;; '
                      "esac; done")

    def bootstrap(self, *groups):
        return subprocess.run([SOURCE / "tools/bootstrap", *groups], capture_output=True, text=True,
                              timeout=30, env={"PATH": str(self.folder)})

    def calls(self):
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def test_nothing_missing_is_silent(self):
        result = self.bootstrap("all")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertEqual(self.calls(), [])

    def test_installs_exactly_what_is_missing(self):
        self.set_missing("librocksdb-dev", "catch2")
        result = self.bootstrap("test")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.calls()[0], "update -q")
        self.assertTrue(self.calls()[1].endswith(" librocksdb-dev catch2"), self.calls())

    def test_run_needs_less_than_test(self):
        self.set_missing("catch2")
        self.assertEqual(self.bootstrap("run").returncode, 0)
        self.assertEqual(self.calls(), [])

    def test_apt_failure_is_reported(self):
        self.set_missing("catch2")
        (self.folder / "apt_rc").write_text("100")
        result = self.bootstrap("test")
        self.assertEqual(result.returncode, 1)
        self.assertIn("missing: catch2", result.stderr)

    def test_without_root_or_sudo_names_the_packages(self):
        self.set_missing("catch2")
        self.stand_in("id", "echo 1000")
        result = self.bootstrap("test")
        self.assertEqual(result.returncode, 1)
        self.assertIn("apt-get install catch2", result.stderr)
        self.assertEqual(self.calls(), [])

    def test_unknown_group_is_named(self):
        result = self.bootstrap("everything")
        self.assertEqual(result.returncode, 2)
        self.assertIn("'everything'", result.stderr)


if __name__ == "__main__":
    unittest.main()

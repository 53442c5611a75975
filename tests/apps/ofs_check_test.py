# SPDX-License-Identifier: Apache-2.0
"""strata ofs check: what it prints, and how it ends."""
import fcntl
import json
import pathlib
import subprocess
import tempfile
import unittest

import program
from support.appliance import BIN

DONE, ERROR, USAGE, DAMAGE = range(4)


class OfsCheckTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.meta = self.folder / "meta"
        disks = [f"file:{self.folder}/disk{n}?size=16M&create=1" for n in range(1, 7)]
        self.assertEqual(DONE, self.strata("ofs", "format", self.meta, *disks)[0])

    def strata(self, *arguments):
        result = subprocess.run([BIN / "strata", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                                check=False, env=program.clean_environment(), stdin=subprocess.DEVNULL)
        return result.returncode, result.stdout, result.stderr

    def check(self, *arguments):
        """The exit code and the answer in JSON."""
        code, out, _ = self.strata("--json", "ofs", "check", self.meta, *arguments)
        return code, json.loads(out)

    def test_a_filesystem_that_is_well(self):
        for arguments in ((), ("--data",)):
            code, answer = self.check(*arguments)
            self.assertEqual(DONE, code)
            self.assertEqual([], answer["findings"])
            self.assertEqual(1, answer["inodes"])
            self.assertFalse(answer["damaged"])
        code, out, _ = self.strata("ofs", "check", self.meta)
        self.assertEqual(DONE, code)
        self.assertIn("nothing is wrong", out)

    def test_a_damaged_superblock_and_an_absent_disk(self):
        before = {path.name: path.read_bytes() for path in self.folder.glob("disk*")}
        with open(self.folder / "disk3", "r+b") as disk:
            disk.seek(100)
            disk.write(b"rot")
        code, answer = self.check()
        self.assertEqual(DAMAGE, code)
        self.assertEqual({"superblock": 1}, answer["counts"])
        self.assertIn("disk 3", answer["findings"][0]["text"])
        (self.folder / "disk5").unlink()
        code, out, _ = self.strata("ofs", "check", self.meta, "--data")
        self.assertEqual(DAMAGE, code)
        self.assertIn("absent_disk: disk 5", out)
        self.assertIn("something is wrong", out)
        # Nothing was repaired, and nothing made again.
        self.assertFalse((self.folder / "disk5").exists())
        for name in ("disk1", "disk2", "disk4", "disk6"):
            self.assertEqual(before[name], (self.folder / name).read_bytes())
        self.assertNotEqual(before["disk3"], (self.folder / "disk3").read_bytes())

    def test_what_is_in_use_or_absent_is_refused(self):
        with open(self.meta / "lock", "r+", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.truncate(0)
            json.dump({"process": 1, "mount_point": "/no/such/place", "closing": False}, lock)
            lock.flush()
            code, _, err = self.strata("ofs", "check", self.meta)
        self.assertEqual(ERROR, code)
        self.assertIn("mounted on /no/such/place", err)
        self.assertIn(str(self.meta), err)
        code, _, err = self.strata("ofs", "check", self.folder / "absent")
        self.assertEqual(ERROR, code)
        self.assertIn("holds no filesystem", err)
        self.assertEqual(USAGE, self.strata("ofs", "check")[0])

    def test_help(self):
        code, out, _ = self.strata("ofs", "check", "--help")
        self.assertEqual(DONE, code)
        self.assertIn("Examples:", out)
        self.assertIn("--data", out)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""A disk without a free byte: a store of `strata dedup` on it is listed, verified and restored, and deleting and
collecting make room. The disk is a small tmpfs that only this process, and what it starts, can see."""
import ctypes
import json
import os
import random
import shutil
import subprocess
import unittest

import program
from support.appliance import temporary_folder

CLONE_NEWNS = 0x20000
MIB = 1 << 20
SEED = int(os.environ.get("STRATA_SEED", "43"))


def make_private_mounts():
    """From here on mounts are seen by this process and its children alone. False: not allowed."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode == 0


PRIVATE_MOUNTS = os.geteuid() == 0 and make_private_mounts()


@unittest.skipUnless(PRIVATE_MOUNTS, "mounting a small filesystem takes root and CAP_SYS_ADMIN")
class DedupFullDiskTest(unittest.TestCase):

    def setUp(self):
        self.folder = temporary_folder("dedup_full_disk")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", self.disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], capture_output=True)
        self.store = self.disk / "store"
        chooser = random.Random(SEED)
        self.bodies = {name: chooser.randbytes(18_000_000) for name in ("kept", "deleted")}
        for name, body in self.bodies.items():
            (self.folder / name).write_bytes(body)
            self.strata("ingest", self.folder / name, "--name", name)

    def strata(self, command, *operands, expect=0):
        result = subprocess.run([program.BIN / "strata", "--json", "dedup", command, "--store", self.store, *operands],
                                capture_output=True, timeout=120, check=False, cwd=self.folder,
                                env=program.clean_environment())
        self.assertEqual(result.returncode, expect, f"seed {SEED}: {command}: {result.stdout[-500:]} {result.stderr}")
        return json.loads(result.stdout)

    def fill(self):
        with open(self.disk / "filler", "ab", buffering=0) as filler:
            for size in (MIB, 4096, 1):
                try:
                    while filler.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass
        free = os.statvfs(self.disk)
        self.assertEqual(free.f_bavail, 0)

    def assert_restores(self, name, *options):
        self.strata("restore", name, "--output", self.folder / "back", "--force", *options)
        self.assertEqual((self.folder / "back").read_bytes(), self.bodies[name])

    def test_reading_deleting_and_collecting(self):
        self.fill()
        self.assertEqual(len(self.strata("list")["streams"]), 2)
        self.assert_restores("kept")
        self.fill()
        self.assert_restores("deleted")
        self.fill()
        self.assertFalse(self.strata("verify")["damaged"])

    def test_room_is_made(self):
        self.fill()
        self.strata("delete", "deleted")
        self.assertGreater(self.strata("gc")["freed_bytes"], 6_000_000)
        self.assertGreater(os.statvfs(self.disk).f_bavail * os.statvfs(self.disk).f_frsize, 6_000_000)
        self.assert_restores("kept")
        (self.disk / "filler").unlink()
        self.strata("ingest", self.folder / "deleted", "--name", "again")
        self.assertGreater((self.store / "reserve").stat().st_size, 0)
        self.assertFalse(self.strata("verify")["damaged"])

    def test_reading_alone_needs_no_reserve(self):
        (self.store / "reserve").unlink()
        self.fill()
        before = {path: path.stat().st_mtime_ns for path in self.store.rglob("*")}
        for options in (("--read-only",), ("--unlocked",)):
            self.assertEqual(len(self.strata("list", *options)["streams"]), 2)
            self.assert_restores("kept", *options)
        self.assertFalse(self.strata("verify", "--read-only")["damaged"])
        self.assertEqual(self.strata("stat", "--read-only")["streams"], 2)
        self.assertEqual({path: path.stat().st_mtime_ns for path in self.store.rglob("*")}, before)
        # Without being told, too: where the store cannot be opened for writing, it is opened to be read.
        self.assert_restores("deleted")


if __name__ == "__main__":
    unittest.main()

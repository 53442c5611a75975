# SPDX-License-Identifier: Apache-2.0
"""`strata ofs` for tests: a filesystem on six file disks in a folder of the test's own, mounted and unmounted.

    class MyTest(OfsTest):
        def test_it(self):
            self.make()
            mounted = self.mount()
            (self.point / "file").write_text("content")
            mounted.stop()
            self.ofs("status")                    # the answer, parsed; fails unless the exit code is 0

Nothing stays behind: mounts end with the test, and the folder with the interpreter.
"""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

from .appliance import BIN, temporary_folder
from .file_trees import copy_real_files

DISKS = range(1, 7)
DISK_BYTES = 64 << 20
TREE_BYTES = 20_000_000
_LIMIT_S = 100
_CAP_SYS_ADMIN = 21


def may_mount():
    """/dev/fuse can be opened, and this is root in its own right: nothing else is asked."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError:
        return False
    effective = int(next(line.split()[1] for line in pathlib.Path("/proc/self/status").read_text().splitlines()
                         if line.startswith("CapEff:")), 16)
    return bool(effective >> _CAP_SYS_ADMIN & 1)


def strata(*arguments):
    """(exit code, stdout, stderr)"""
    result = subprocess.run([BIN / "strata", *map(str, arguments)], capture_output=True, text=True, timeout=_LIMIT_S,
                            check=False, stdin=subprocess.DEVNULL)
    return result.returncode, result.stdout, result.stderr


class Mounted:
    """A `strata ofs mount`; constructed when the mount point can be used."""

    def __init__(self, *arguments):
        self._errors = tempfile.TemporaryFile("w+")  # A pipe that nobody reads would stop the mount.
        self.process = subprocess.Popen([BIN / "strata", "--json", "ofs", "mount", *map(str, arguments)],
                                        stdout=subprocess.PIPE, stderr=self._errors, text=True)
        line = self.process.stdout.readline()
        if not line.startswith('{"mounted"'):
            self.process.communicate(timeout=_LIMIT_S)
            raise AssertionError(self.said())
        self.state = json.loads(line)["mounted"]

    def said(self):
        """What it has written to stderr."""
        self._errors.seek(0)
        return self._errors.read()

    def end(self):
        """Returns (answer, what it said on stderr) when it has ended in order."""
        out, _ = self.process.communicate(timeout=_LIMIT_S)
        said = self.said()
        self._errors.close()
        assert self.process.returncode == 0, said
        return json.loads(out), said

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def kill9(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._errors.close()


@unittest.skipUnless(may_mount(), "/dev/fuse is not there, or this process may not mount")
class OfsTest(unittest.TestCase):
    """The filesystem `meta` with its disks `disk1` to `disk6`, and the mount point `mnt`, in `self.folder`."""

    _tree = None

    def setUp(self):
        self.folder = temporary_folder("ofs")
        self.meta = self.folder / "meta"
        self.point = self.folder / "mnt"
        self.point.mkdir()
        self.addCleanup(subprocess.run, ["umount", "-l", self.point], check=False, capture_output=True)
        self.mounts = []
        self.addCleanup(self._kill_all)

    def _kill_all(self):
        for mounted in self.mounts:
            if mounted.process.poll() is None:
                mounted.kill9()

    def disk(self, number, home=""):
        return self.folder / f"{home}disk{number}"

    def new_uri(self, number, home=""):
        """Of a disk that the command is to make."""
        return f"file:{self.disk(number, home)}?size={DISK_BYTES}&create=1"

    def make(self, home="", *options):
        code, out, err = strata("--json", "ofs", "format", self.folder / f"{home}meta",
                                *(self.new_uri(number, home) for number in DISKS), *options)
        self.assertEqual(0, code, err)
        return json.loads(out)

    def mount(self, *options):
        self.mounts.append(Mounted(self.meta, self.point, *options))
        return self.mounts[-1]

    def refused_mount(self):
        """What `mount` says instead."""
        code, out, err = strata("ofs", "mount", self.meta, self.point)
        self.assertEqual((1, ""), (code, out))
        return err

    def ofs(self, command, *arguments, code=0):
        """The answer of `strata ofs COMMAND meta ARGUMENTS`."""
        got, out, err = strata("--json", "ofs", *command.split(), self.meta, *arguments)
        self.assertEqual(code, got, err)
        return json.loads(out)

    def refused(self, command, *arguments):
        """What the command says when it exits with 1."""
        code, out, err = strata("ofs", *command.split(), self.meta, *arguments)
        self.assertEqual((1, ""), (code, out), err)
        return err

    @classmethod
    def tree(cls):
        """A folder of real files; one for all tests."""
        if OfsTest._tree is None:
            OfsTest._tree = temporary_folder("tree") / "tree"
            copy_real_files(OfsTest._tree, TREE_BYTES)
        return OfsTest._tree

    def copy_tree(self):
        subprocess.run(["cp", "-a", self.tree(), self.point], check=True, timeout=_LIMIT_S)

    def check_tree(self):
        subprocess.run(["diff", "-r", "--no-dereference", self.tree(), self.point / "tree"], check=True,
                       timeout=_LIMIT_S)

    def sync(self):
        """Makes durable what was closed."""
        root = os.open(self.point, os.O_RDONLY)
        os.fsync(root)
        os.close(root)

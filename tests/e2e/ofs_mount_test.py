# SPDX-License-Identifier: Apache-2.0
"""`strata ofs`: a filesystem on file disks, mounted, as an operator uses it: disks go, processes are killed."""
import json
import os
import shutil
import signal
import subprocess
import unittest

from support.appliance import BIN
from support.ofs import DISK_BYTES, OfsTest, strata


class MountTest(OfsTest):
    def test_two_disks_may_go(self):
        made = self.make()
        self.assertEqual("4+2", made["protection"])
        self.assertGreater(made["total_bytes"], 200 << 20)
        mounted = self.mount()
        self.assertEqual(str(self.point), mounted.state["mount_point"])
        self.copy_tree()
        # As in an operator's script: without a pause.
        subprocess.run(["fusermount3", "-u", self.point], check=True, timeout=100)
        self.disk(2).unlink()
        self.disk(5).unlink()
        second = self.mount()
        self.assertEqual("user", mounted.end()[0]["unmounted_by"])
        self.check_tree()
        answer, said = second.stop()
        self.assertEqual("signal", answer["unmounted_by"])
        for number in (2, 5):
            self.assertIn(f"disk {number} (file:{self.disk(number)}?size={DISK_BYTES}) is absent", said)
            self.assertFalse(self.disk(number).exists())
        self.assertEqual([], list(self.point.iterdir()))
        self.disk(1).unlink()
        said = self.refused_mount()
        for number in (1, 2, 5):
            self.assertIn(str(self.disk(number)), said)

    def test_sigterm_unmounts_and_says_so(self):
        self.make()
        process = subprocess.Popen([BIN / "strata", "ofs", "mount", self.meta, self.point], stdout=subprocess.PIPE,
                                   text=True)
        self.assertEqual(f"mounted {self.meta} on {self.point}\n", process.stdout.readline())
        (self.point / "file").write_text("content")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=100)
        self.assertEqual(0, process.returncode)
        self.assertIn(f"unmounted {self.point}", out)
        self.assertEqual([], list(self.point.iterdir()))
        self.mount()
        self.assertEqual("content", (self.point / "file").read_text())
        self.mounts[-1].stop()

    def test_killed_and_mounted_again(self):
        self.make()
        mounted = self.mount()
        self.copy_tree()
        self.sync()
        with open(self.point / "late", "wb", buffering=0) as late:
            late.write(b"synced")
            os.fsync(late.fileno())
            mounted.kill9()
        with self.assertRaises(OSError):
            os.stat(self.point)
        self.mount()
        self.check_tree()
        self.assertEqual(b"synced", (self.point / "late").read_bytes())
        self.mounts[-1].stop()

    def test_one_mount_at_a_time(self):
        self.make()
        mounted = self.mount()
        said = self.refused_mount()
        for word in (self.meta, self.point, mounted.state["process"]):
            self.assertIn(str(word), said)
        code, _, said = strata("ofs", "format", self.meta, f"file:{self.disk(9)}?size=64M&create=1", "--protection",
                               "mirror(1)")
        self.assertEqual(1, code)
        self.assertIn("in use", said)
        other = self.folder / "other"
        other.mkdir()
        (self.point / "file").write_text("still works")
        code, _, _ = strata("ofs", "mount", self.meta, other)
        self.assertEqual(1, code)
        self.assertEqual("still works", (self.point / "file").read_text())
        mounted.stop()

    def test_another_filesystems_disk_is_refused(self):
        self.make()
        self.make("other-")
        shutil.copyfile(self.disk(3, "other-"), self.disk(3))
        said = self.refused_mount()
        self.assertIn(str(self.disk(3)), said)
        self.assertIn("another filesystem", said)

    def test_space(self):
        made = self.make()
        code, out, _ = strata("--json", "ofs", "df", self.meta)
        self.assertEqual(0, code)
        empty = json.loads(out)
        self.assertEqual(made["total_bytes"], empty["total_bytes"])
        self.assertNotIn("mount_point", empty)
        mounted = self.mount()
        (self.point / "file").write_bytes(os.urandom(10_000_000))
        self.sync()
        used = json.loads(strata("--json", "ofs", "df", self.meta)[1])
        self.assertEqual(str(self.point), used["mount_point"])
        self.assertGreaterEqual(used["used_bytes"] - empty["used_bytes"], 9_000_000)
        self.assertIn(str(self.point), strata("ofs", "df", self.meta)[1])
        mounted.stop()

    def test_what_is_wrong_is_named(self):
        for arguments, code, word in (
                (("mount", self.folder / "absent", self.point), 1, "holds no filesystem"),
                (("df", self.folder), 1, "holds no filesystem"),
                (("mount", self.meta), 2, "mount_point"),
                (("format", self.meta), 2, "uris"),
                (("format", self.meta, "floppy:x"), 1, "failure domains"),
                (("format", self.meta, "floppy:x", "--protection", "mirror(1)"), 1, "floppy"),
                (("format", self.meta, "mem:?size=64M", "--protection", "lots"), 1, "lots"),
                (("format", self.meta, "mem:?size=64M", "--class", "fast"), 1, "fast")):
            got, _, said = strata("ofs", *arguments)
            self.assertEqual(code, got, said)
            self.assertIn(word, said)
        self.make()
        code, _, said = strata("ofs", "format", self.folder / "second", f"file:{self.disk(1)}?size=64M",
                               "--protection", "mirror(1)")
        self.assertEqual(1, code)
        self.assertIn(str(self.disk(1)), said)
        code, _, said = strata("ofs", "mount", self.meta, self.folder / "nowhere")
        self.assertEqual(1, code)
        self.assertIn("nowhere", said)
        self.mount().stop()  # None of it left a session.


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""A full disk: uploads get a clear error, everything else goes on, and room that is made is used again.

The data directory lies on a small filesystem of the test's own, mounted where only this process and what it starts can
see it; it goes with the process.
"""
import ctypes
import os
import random
import shutil
import subprocess
import unittest

from support.appliance import Appliance, seed, temporary_folder

CLONE_NEWNS = 0x20000
MIB = 1 << 20

# Fills what a write of whole MiB leaves over, so that not even a small one fits.
FILLER = "filler"


def make_private_mounts():
    """From here on mounts are seen by this process and its children alone. False: not allowed."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode == 0


PRIVATE_MOUNTS = os.geteuid() == 0 and make_private_mounts()


@unittest.skipUnless(PRIVATE_MOUNTS, "mounting a small filesystem takes root and CAP_SYS_ADMIN")
class DiskFull:
    """One filesystem; the classes below name it."""

    def setUp(self):
        self.chooser = random.Random(seed())
        self.folder = temporary_folder("disk_full")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.mount_point = self.folder / "mount"
        self.mount_point.mkdir()
        self.mount()
        self.addCleanup(subprocess.run, ["umount", "-l", self.mount_point], capture_output=True)
        self.appliance = Appliance(data=self.mount_point / "data")
        self.addCleanup(self.appliance.close)
        self.appliance.start()
        self.client = self.appliance.wire()
        self.addCleanup(lambda: self.client.close())
        self.client.make_bucket("bucket")
        self.stored = {}

    def put(self, size):
        key, body = f"object-{len(self.stored):04}", self.chooser.randbytes(size)
        answer = self.client.put("bucket", key, body)
        if answer.status == 200:
            self.stored[key] = body
        return answer

    def put_until_full(self, size=MIB):
        for _ in range(1000):
            answer = self.put(size)
            if answer.status != 200:
                return answer
        self.fail("the disk does not get full")

    def fill_by_others(self):
        """Somebody else takes the last byte of the filesystem."""
        with open(self.mount_point / FILLER, "ab", buffering=0) as filler:
            for size in (MIB, 4096, 1):
                try:
                    while True:
                        if filler.write(b"\0" * size) != size:
                            break
                except OSError:
                    pass

    def assert_full(self, answer):
        self.assertIn(answer.status, (503, 507), f"{answer.body[:300]!r}; the log ends:\n{self.appliance.log_tail()}")
        self.assertIn(answer.code, ("InsufficientStorage", "StorageFull", "XMinioStorageFull", "ServiceUnavailable",
                                    "QuotaExceeded"))
        self.assertTrue(answer.xml().findtext("Message"))

    def assert_all_there(self):
        self.assertEqual({key: len(body) for key, body in self.stored.items()},
                         {key: size for key, (size, _) in self.client.list("bucket").items()})
        for key, body in self.stored.items():
            self.assertEqual(body, self.client.get("bucket", key).expect(200).body, key)

    def assert_room_can_be_made(self):
        for key in sorted(self.stored)[::2]:
            self.client.delete("bucket", key).expect(204)
            del self.stored[key]
        self.appliance.strata("gc")
        self.put(MIB).expect(200)
        self.assert_all_there()
        self.appliance.strata("verify")

    def test_uploads_until_full_then_room_is_made(self):
        self.assert_full(self.put_until_full())
        self.assertGreater(len(self.stored), 20)
        self.assertEqual(200, self.appliance.http_get("/health")[0])
        self.assert_all_there()
        for size in (MIB, 5 * MIB):
            self.assert_full(self.put(size))
        self.assert_room_can_be_made()
        self.assert_full(self.put_until_full())  # And once more.
        self.assert_room_can_be_made()

    def test_a_multipart_upload_meets_the_end(self):
        upload = self.client.create_upload("bucket", "m")
        for number in range(1, 1000):
            answer = self.client.request("PUT", "/bucket/m", {"partNumber": number, "uploadId": upload},
                                         body=self.chooser.randbytes(5 * MIB))
            if answer.status != 200:
                break
        self.assert_full(answer)
        self.client.request("DELETE", "/bucket/m", {"uploadId": upload}).expect(204)
        self.appliance.strata("gc")
        self.put(MIB).expect(200)
        self.assert_all_there()

    def test_not_a_byte_left_then_restarts(self):
        self.put_until_full()
        self.fill_by_others()
        self.assert_all_there()
        for size in (1, 100_000):
            answer = self.put(size)  # May fit into what the store holds already; if not, the error is clear.
            if answer.status != 200:
                self.assert_full(answer)
        self.assert_all_there()
        # The metadata store needs a little room to open.
        (self.mount_point / FILLER).unlink()
        self.appliance.restart()
        self.client = self.appliance.wire()
        self.assert_all_there()
        self.appliance.kill9()
        self.appliance.start()
        self.client = self.appliance.wire()
        self.assert_all_there()
        self.assert_room_can_be_made()

    def test_the_metadata_meets_the_end(self):
        """Empty objects take no container; only their records grow, while no byte is left."""
        self.put(MIB).expect(200)
        self.fill_by_others()
        metadata = {"x-amz-meta-text": "m" * 1900}
        answer = None
        for number in range(60_000):
            key = f"empty-{number:05}"
            answer = self.client.put("bucket", key, b"", metadata)
            if answer.status != 200:
                break
            self.stored[key] = b""
        if answer.status == 200:
            self.fail("60,000 records fit into no space at all")
        self.assert_full(answer)
        listed = self.client.list("bucket")
        self.assertEqual(self.stored.keys(), listed.keys())
        (self.mount_point / FILLER).unlink()
        # A write of the metadata store failed: it takes no more until it is opened again.
        self.appliance.restart()
        self.client = self.appliance.wire()
        self.client.put("bucket", "after", b"room again", metadata).expect(200)
        self.stored["after"] = b"room again"
        self.appliance.restart()
        self.client = self.appliance.wire()
        self.assertEqual(self.stored.keys(), self.client.list("bucket").keys())
        self.assertEqual(b"room again", self.client.get("bucket", "after").expect(200).body)


class TmpfsFullTest(DiskFull, unittest.TestCase):
    def mount(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", self.mount_point], check=True)


class Ext4FullTest(DiskFull, unittest.TestCase):
    def mount(self):
        image = self.folder / "image"
        with open(image, "wb") as file:
            file.truncate(160 * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        # The loop device frees itself with the unmounting.
        result = subprocess.run(["mount", "-o", "loop", image, self.mount_point], capture_output=True, text=True,
                                check=False)
        if result.returncode != 0:
            self.skipTest(f"no loop device here: {result.stderr.strip()}")


if __name__ == "__main__":
    unittest.main()

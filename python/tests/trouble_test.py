# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a strata.dedup.Store: each time an exception that says what and where, and nothing else lost."""

import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import strata
import strata.dedup
import strata.ec

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/e2e"))

from support import read_only  # noqa: E402

SEED = int(os.environ.get("STRATA_SEED", "31"))

SUPERBLOCKS = (0, 512 << 10)  # docs/formats/dedup.md
SUPERBLOCK_BYTES = 4096


class TroubleTest(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="strata-trouble-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "store"
        self.containers = self.path / "containers"
        chooser = random.Random(SEED)
        self.bodies = [chooser.randbytes(10_000_000), chooser.randbytes(3_000_000)]
        with self.open() as store:
            self.ids = [store.put(body)["id"] for body in self.bodies]

    def open(self, path=None, **options):
        return strata.dedup.Store(path or self.path, max_size_bytes=1 << 30, **options)

    def assert_refused(self, error, words, named, path=None):
        for options in ({}, {"create": False}):
            with self.assertRaisesRegex(error, words) as caught:
                self.open(path, **options)
            self.assertIn(str(named), str(caught.exception))

    def assert_whole(self):
        with self.open() as store:
            for stream_id, body in zip(self.ids, self.bodies):
                with store.open(stream_id) as stream:
                    self.assertEqual(stream.read(), body)

    def test_a_read_only_directory(self):
        try:
            prefix = read_only.command(self.path)
        except read_only.NotPossible as error:
            self.skipTest(str(error))
        code = ("import strata, strata.dedup, sys\n"
                "try: strata.dedup.Store(sys.argv[1])\n"
                "except strata.PermissionDeniedError as e: print(isinstance(e, PermissionError), e)\n")
        said = subprocess.run([*prefix, sys.executable, "-c", code, self.path], check=True, capture_output=True,
                              text=True).stdout
        self.assertRegex(said, "True .*Read-only file system")
        self.assertIn(str(self.path), said)
        self.assert_whole()

    def test_a_truncated_containers_file(self):
        """What lay behind the cut is missed; the stream before it is whole."""
        written = len(self.containers.read_bytes().rstrip(b"\0"))  # The open container has its space already.
        os.truncate(self.containers, written - 2_000_000)
        with self.open() as store:
            with store.open(self.ids[0]) as stream:
                self.assertEqual(stream.read(), self.bodies[0])
            with store.open(self.ids[1]) as stream, self.assertRaises(strata.DataLossError) as caught:
                stream.read()
            self.assertIn(self.ids[1], str(caught.exception))
            self.assertIn(str(self.path), str(caught.exception))
            report = store.verify()
            self.assertEqual({damage["stream"] for damage in report["streams"]}, {self.ids[1]})
            # And the store goes on: what is put again is whole again.
            with store.open(store.put(self.bodies[1])["id"]) as stream:
                self.assertEqual(stream.read(), self.bodies[1])

    def test_an_emptied_containers_file(self):
        os.truncate(self.containers, 0)
        self.assert_refused(strata.FailedPreconditionError, "is empty", self.containers)

    def test_a_foreign_file(self):
        letter = self.folder / "letter"
        letter.write_text("Dear Ada,")
        self.assert_refused(strata.InvalidArgumentError, "not a directory", letter, letter)
        self.assertEqual(letter.read_text(), "Dear Ada,")

        own = self.folder / "own"
        self.containers.rename(own)
        noise = random.Random(SEED).randbytes(2 << 20)
        self.containers.write_bytes(noise)
        self.assert_refused(strata.DataLossError, "not that of a dedup store", self.containers)
        self.assertEqual(self.containers.read_bytes(), noise)
        own.rename(self.containers)
        self.assert_whole()

    def test_a_newer_format(self):
        whole = self.containers.read_bytes()
        with self.containers.open("r+b") as file:
            for place in SUPERBLOCKS:
                block = bytearray(whole[place:place + SUPERBLOCK_BYTES])
                struct.pack_into("<H", block, 8, 77)
                struct.pack_into("<I", block, SUPERBLOCK_BYTES - 4, strata.ec.crc32c(block[:-4]))
                file.seek(place)
                file.write(block)
        newer = self.containers.read_bytes()
        self.assert_refused(strata.UnimplementedError, "format version 77", self.containers)
        self.assertEqual(self.containers.read_bytes(), newer)
        self.containers.write_bytes(whole)
        self.assert_whole()

    def test_a_store_in_use(self):
        code = ("import strata.dedup, sys\n"
                "store = strata.dedup.Store(sys.argv[1])\n"
                "print('open', flush=True)\n"
                "sys.stdin.read()\n")
        with subprocess.Popen([sys.executable, "-c", code, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as holder:
            self.assertEqual(holder.stdout.readline(), "open\n")
            self.assert_refused(strata.FailedPreconditionError, f"in use by process {holder.pid}", self.path)
            holder.stdin.close()
        self.assert_whole()

    def test_an_absent_store(self):
        absent = self.folder / "absent"
        with self.assertRaisesRegex(strata.NotFoundError, f"{absent} does not exist"):
            self.open(absent, create=False)
        with self.assertRaisesRegex(strata.NotFoundError, f"{absent}/below"):
            self.open(absent / "below")
        self.assertFalse(absent.exists())


if __name__ == "__main__":
    unittest.main()

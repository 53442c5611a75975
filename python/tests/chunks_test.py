# SPDX-License-Identifier: Apache-2.0
"""chunks() and chunk_table(): the same cuts from every source, however it hands its bytes over."""

import hashlib
import io
import mmap
import os
import pathlib
import random
import tempfile
import threading
import unittest

import numpy as np

import strata
from strata import dedup

SEED = int(os.environ.get("STRATA_SEED", "21"))


class Dribble:
    """A file object that gives a little at a time, and less than asked."""

    def __init__(self, data, seed):
        self.stream = io.BytesIO(data)
        self.random = random.Random(seed)

    def read(self, count):
        return self.stream.read(min(count, self.random.choice([1, 7, 4095, 70_000])))


class SourcesTest(unittest.TestCase):

    def setUp(self):
        self.data = random.Random(SEED).randbytes(9_000_001)
        self.expected = dedup.chunk_lengths(self.data).tolist()

    def lengths(self, source, **options):
        return dedup.chunk_table(source, **options)["length"].tolist()

    def test_every_source_gives_the_same_cuts(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.data)
            file.flush()
            path = pathlib.Path(file.name)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, path.open("rb") as opened:
                sources = {
                    "str": file.name, "path": path, "bytes": self.data, "bytearray": bytearray(self.data),
                    "numpy": np.frombuffer(self.data, np.uint8), "mmap": mapped, "file": opened,
                    "stream": io.BytesIO(self.data), "dribble": Dribble(self.data, SEED),
                }
                for name, source in sources.items():
                    self.assertEqual(self.lengths(source, digest=False), self.expected, name)

    def test_numpy_of_any_shape_is_its_bytes(self):
        grid = np.arange(300_000, dtype=np.float64).reshape(300, 1000)
        self.assertEqual(self.lengths(grid), self.lengths(grid.tobytes()))
        with self.assertRaisesRegex(BufferError, "contiguous"):
            self.lengths(grid[:, ::2])

    def test_nothing_has_no_chunks(self):
        for nothing in (b"", io.BytesIO(), np.empty(0, np.uint8)):
            self.assertEqual(len(dedup.chunk_table(nothing)), 0)
            self.assertEqual(list(dedup.chunks(nothing)), [])

    def test_what_has_no_bytes_is_refused(self):
        with self.assertRaises(TypeError):
            dedup.chunk_table(17)
        with self.assertRaises(FileNotFoundError):
            dedup.chunk_table("/no/such/file")

    def test_a_failing_file_object_speaks_for_itself(self):
        class Broken:
            def read(self, count):
                raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            list(dedup.chunks(Broken()))


class TableTest(unittest.TestCase):

    def setUp(self):
        self.data = random.Random(SEED + 1).randbytes(3_000_000)

    def test_layout(self):
        table = dedup.chunk_table(self.data)
        self.assertEqual(table.dtype, np.dtype([("offset", "<u8"), ("length", "<u4"), ("digest", "S32")]))
        self.assertEqual(table["offset"].tolist(), [0, *np.cumsum(table["length"], dtype=np.int64)[:-1].tolist()])
        self.assertEqual(int(table["length"].sum()), len(self.data))

    def test_digests_are_those_of_the_chunks(self):
        whole = {offset: (length, digest) for offset, length, digest in dedup.chunks(self.data, digest=True)}
        table = dedup.chunk_table(self.data)
        for row, digest in zip(table, dedup.digests(table)):
            start, length = int(row["offset"]), int(row["length"])
            expected = hashlib.sha256(self.data[start:start + length]).digest()
            self.assertEqual(digest.tobytes(), expected)
            self.assertEqual(whole[start], (length, expected))

    def test_pairs_without_digests(self):
        table = dedup.chunk_table(self.data, digest=False)
        self.assertEqual(list(dedup.chunks(self.data)), list(zip(table["offset"].tolist(), table["length"].tolist())))
        self.assertFalse(dedup.digests(table).any())

    def test_all_algorithms_cut_a_stream_as_they_cut_a_buffer(self):
        for algo in dedup.algorithms():
            for sizes in ({}, {"avg": 1024}, {"min": 2048, "avg": 65536, "max": 1 << 20}):
                table = dedup.chunk_table(self.data, algo, **sizes)
                streamed = dedup.chunk_table(Dribble(self.data, SEED), algo, **sizes)
                self.assertTrue(np.array_equal(table, streamed), f"{algo} {sizes} seed {SEED}")
                self.assertEqual(int(table["length"].sum()), len(self.data), f"{algo} {sizes}")

    def test_the_average_alone_sets_the_bounds(self):
        lengths = dedup.chunk_table(self.data, avg=65536)["length"]
        self.assertTrue((lengths[:-1] >= 32768).all() and (lengths <= 131072).all())

    def test_a_key_moves_the_cuts(self):
        plain = dedup.chunk_table(self.data)
        secret = dedup.chunk_table(self.data, key=bytes(range(32)))
        self.assertFalse(np.array_equal(plain["offset"], secret["offset"]))
        with self.assertRaisesRegex(ValueError, "32 bytes"):
            dedup.chunk_table(self.data, key=b"short")

    def test_bad_parameters_are_told_at_once(self):
        with self.assertRaisesRegex(strata.InvalidArgumentError, "fastcdc2020"):
            dedup.chunks(self.data, "guess")
        with self.assertRaisesRegex(strata.InvalidArgumentError, "min"):
            dedup.chunks(self.data, min=1)

    def test_chunking_leaves_python_to_other_threads(self):
        """Many scans at once on threads give what each gives alone."""
        pieces = [self.data[n * 1000:] for n in range(8)]
        expected = [dedup.chunk_table(piece) for piece in pieces]
        found = [None] * len(pieces)

        def scan(n):
            found[n] = dedup.chunk_table(pieces[n])

        threads = [threading.Thread(target=scan, args=(n,)) for n in range(len(pieces))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one, other in zip(expected, found):
            self.assertTrue(np.array_equal(one, other))


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""strata.dedup as a researcher would use it."""

import hashlib
import io
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
import zipfile

import numpy as np

import strata
import strata.dedup

SEED = int(os.environ.get("STRATA_SEED", "20"))


class ChunksTest(unittest.TestCase):

    def setUp(self):
        self.data = random.Random(SEED).randbytes(1 << 20)

    def test_lengths_cover_the_data_and_keep_the_bounds(self):
        lengths = strata.dedup.chunk_lengths(self.data)
        self.assertEqual(lengths.dtype, np.uint32)
        self.assertEqual(int(lengths.sum()), len(self.data))
        self.assertTrue((lengths <= 16384).all())
        self.assertTrue((lengths[:-1] >= 4096).all())

    def test_any_contiguous_buffer_gives_the_same_cuts(self):
        expected = strata.dedup.chunk_lengths(self.data).tolist()
        for buffer in (bytearray(self.data), memoryview(self.data), np.frombuffer(self.data, np.uint8)):
            self.assertEqual(strata.dedup.chunk_lengths(buffer).tolist(), expected, type(buffer))

    def test_an_insertion_moves_only_near_boundaries(self):
        cuts = set(np.cumsum(strata.dedup.chunk_lengths(self.data), dtype=np.int64).tolist())
        moved = self.data[:1000] + b"X" + self.data[1000:]
        moved_cuts = np.cumsum(strata.dedup.chunk_lengths(moved), dtype=np.int64) - 1
        self.assertGreater(len(cuts & set(moved_cuts.tolist())), 0.9 * len(cuts))

    def test_bad_parameters_are_named(self):
        with self.assertRaisesRegex(strata.InvalidArgumentError, "min"):
            strata.dedup.chunk_lengths(self.data, min=1)
        with self.assertRaisesRegex(ValueError, "fastcdc2020"):
            strata.dedup.chunk_lengths(self.data, algo="guess")

    def test_fingerprint_is_sha256(self):
        self.assertEqual(strata.dedup.fingerprint(self.data), hashlib.sha256(self.data).digest())


class StoreTest(unittest.TestCase):

    def setUp(self):
        self.path = tempfile.mkdtemp(prefix="strata-python-")
        self.addCleanup(shutil.rmtree, self.path)
        self.data = random.Random(SEED).randbytes(3 << 20)

    def open(self, **options):
        return strata.dedup.Store(os.path.join(self.path, "store"), max_size_bytes=1 << 30, **options)

    def test_what_is_put_comes_back_after_reopening(self):
        with self.open() as store:
            info = store.put(self.data)
            self.assertEqual(info["size_bytes"], len(self.data))
        with self.open() as store, store.open(info["id"]) as stream:
            self.assertEqual(stream.read(), self.data)

    def test_the_same_data_again_is_not_stored_again(self):
        with self.open() as store:
            first = store.put(self.data)
            second = store.put(io.BytesIO(self.data))
            self.assertEqual(first["new_chunk_bytes"], len(self.data))
            self.assertEqual(second["new_chunk_bytes"], 0)
            self.assertEqual(store.stats()["logical_bytes"], 2 * len(self.data))
            self.assertEqual(store.stats()["duplicate_bytes"], len(self.data))

    def test_random_access(self):
        with self.open() as store:
            info = store.put(self.data)
            with store.open(info["id"]) as stream:
                self.assertEqual(stream.seek(-10, io.SEEK_END), len(self.data) - 10)
                self.assertEqual(stream.read(), self.data[-10:])
                stream.seek(1_000_001)
                self.assertEqual(stream.read(70_000), self.data[1_000_001:1_070_001])
                stream.seek(len(self.data) + 5)
                self.assertEqual(stream.read(), b"")

    def test_an_exception_abandons_the_stream(self):
        with self.open() as store:
            with self.assertRaises(RuntimeError):
                with store.writer() as stream:
                    stream.write(self.data)
                    raise RuntimeError("changed my mind")
            self.assertEqual(list(store), [])

    def test_deleted_space_comes_back(self):
        with self.open() as store:
            info = store.put(self.data)
            store.delete(info["id"])
            with self.assertRaises(strata.NotFoundError):
                store.open(info["id"])
            seen = []
            store.collect_garbage(progress=lambda phase, done, total: seen.append(phase))
            self.assertTrue(seen)
            self.assertLess(store.stats()["unique_bytes"], len(self.data) / 20)

    def test_a_progress_callback_cancels_and_its_exception_arrives(self):
        with self.open() as store:
            store.put(self.data)
            with self.assertRaises(strata.CancelledError):
                store.verify(progress=lambda *_: False)
            with self.assertRaises(ZeroDivisionError):
                store.verify(progress=lambda *_: 1 // 0)
            self.assertEqual(store.verify()["streams"], [])

    def test_an_encrypted_store_opens_with_its_key_alone(self):
        key = random.Random(SEED).randbytes(32)
        with self.open(encryption_key=key) as store:
            info = store.put(self.data)
        for wrong in (None, bytes(32)):
            with self.assertRaises(strata.InvalidArgumentError, msg=repr(wrong)):
                self.open(encryption_key=wrong)
        with self.assertRaisesRegex(ValueError, "32 bytes"):
            self.open(encryption_key=b"short")
        with self.open(encryption_key=key) as store, store.open(info["id"]) as stream:
            self.assertEqual(stream.read(), self.data)

    def test_what_post_process_stored_twice_is_folded(self):
        data = random.Random(SEED).randbytes(20_000_000)  # The container that is open, of 8 MiB, is left alone.
        for mode in ("hybrid", "post-process"):
            with self.subTest(mode), strata.dedup.Store(os.path.join(self.path, mode), mode=mode,
                                                        max_size_bytes=1 << 30) as store:
                infos = [store.put(data) for _ in range(2)]
                if mode == "post-process":
                    self.assertEqual(infos[1]["new_chunk_bytes"], len(data))
                seen = []
                report = store.deduplicate(progress=lambda phase, done, total: seen.append(phase))
                self.assertTrue(seen)
                if mode == "post-process":
                    self.assertGreater(report["duplicate_chunks"], 0)
                self.assertLess(store.stats()["unique_bytes"], 1.1 * len(data))
                for info in infos:
                    with store.open(info["id"]) as stream:
                        self.assertEqual(stream.read(), data)
        with self.assertRaisesRegex(ValueError, "post-process"):
            self.open(mode="later")

    def test_what_was_deferred_is_compressed_by_garbage_collection(self):
        data = b"well compressible " * 100_000
        with self.open(defer_compression=True) as store:
            info = store.put(data)
            before = store.stats()
            self.assertGreater(before["deferred_bytes"], 0)
            self.assertEqual(store.collect_garbage()["deferred_bytes"], before["deferred_bytes"])
            after = store.stats()
            self.assertEqual(after["deferred_bytes"], 0)
            self.assertLess(after["compressed_bytes"], before["compressed_bytes"])
            with store.open(info["id"]) as stream:
                self.assertEqual(stream.read(), data)

    def test_every_compression_reads_back(self):
        data = b"well compressible " * 100_000
        for name in ("none", "lz4", "zstd", "gzip"):
            with self.subTest(name), strata.dedup.Store(os.path.join(self.path, name), compression=name,
                                                        max_size_bytes=1 << 30, workers=1) as store:
                info = store.put(data)
                with store.open(info["id"]) as stream:
                    self.assertEqual(stream.read(), data)
        with self.assertRaisesRegex(ValueError, "gzip"):
            self.open(compression="middle-out")

    def test_streams_are_files_like_any_other(self):
        """Buffered readers and writers, copyfileobj, tarfile: what expects a file gets one."""
        with self.open() as store:
            with io.BufferedWriter(store.writer()) as stream:
                raw = stream.raw
                with tarfile.open(fileobj=stream, mode="w|") as archive:
                    archive.add(__file__, "test.py")
            with io.BufferedReader(store.open(raw.info["id"])) as stream:
                with tarfile.open(fileobj=stream) as archive, open(__file__, "rb") as own:
                    self.assertEqual(archive.extractfile("test.py").read(), own.read())
                self.assertEqual(stream.seek(3), 3)
                self.assertEqual(stream.tell(), 3)
                target = bytearray(10)
                self.assertEqual(stream.readinto(target), 10)
            self.assertTrue(stream.closed)
            with self.assertRaisesRegex(ValueError, "before the start"):
                store.open(raw.info["id"]).seek(-1)

    def test_a_second_opener_is_refused(self):
        with self.open():
            code = ("import strata, strata.dedup, sys\n"
                    "try: strata.dedup.Store(sys.argv[1])\n"
                    "except strata.FailedPreconditionError as e: print(e)\n")
            said = subprocess.run([sys.executable, "-c", code, os.path.join(self.path, "store")], check=True,
                                  capture_output=True, text=True).stdout
            self.assertIn(str(os.getpid()), said)

    def test_threads_share_a_store(self):
        with self.open() as store:
            pieces = [random.Random(SEED + n).randbytes(500_000) for n in range(4)]
            infos = [None] * 4

            def put(n):
                infos[n] = store.put(pieces[n])

            threads = [threading.Thread(target=put, args=(n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for info, piece in zip(infos, pieces):
                with store.open(info["id"]) as stream:
                    self.assertEqual(stream.read(), piece)

    def test_a_reader_outlives_the_store_object(self):
        store = self.open()
        stream = store.open(store.put(self.data)["id"])
        store.close()
        self.assertEqual(stream.read(100), self.data[:100])
        with self.assertRaisesRegex(ValueError, "closed"):
            store.stats()
        stream.close()


class ArgumentsTest(unittest.TestCase):
    KEY = b"a-key-of-thirty-two-bytes-______"

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="strata-python-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def open(self, name="store", **options):
        return strata.dedup.Store(self.folder / name, max_size_bytes=1 << 30, **options)

    def test_a_key_is_never_shown(self):
        for options in ({"encrypt": 1, "encryption_key": self.KEY}, {"encryption_key": self.KEY, "level": "high"},
                        {"key": self.KEY, "levle": 3}, {"encryption_key": self.KEY.decode()},
                        {"encryption_key": self.KEY + b"x"}, {"key": self.KEY, "min": "small"}):
            with self.subTest(list(options)), self.assertRaises((TypeError, ValueError)) as caught:
                self.open(**options)
            self.assertNotIn("thirty", str(caught.exception))
        for call in (strata.dedup.chunks, strata.dedup.chunk_table, strata.dedup.chunk_lengths):
            with self.assertRaises((TypeError, ValueError)) as caught:
                list(call(b"data", key=self.KEY, normalization="much"))
            self.assertNotIn("thirty", str(caught.exception))
        self.assertNotIn("thirty", repr(strata.chunks.Parameters(key=self.KEY)))

    def test_a_key_opens_what_it_made(self):
        with self.open(encryption_key=self.KEY) as store:
            stream_id = store.put(b"bytes")["id"]
        with self.open(encryption_key=bytearray(self.KEY)) as store:
            self.assertEqual(store.open(stream_id).read(), b"bytes")
        with self.assertRaises(strata.Error):
            self.open(encryption_key=self.KEY[::-1])

    def test_paths_are_paths(self):
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        for path in (None, 7, 1.5, ["store"]):
            with self.assertRaises(TypeError):
                strata.dedup.Store(path)
        self.assertEqual(os.listdir(), [])
        odd = os.fsencode(self.folder) + b"/not-utf8-\xff"
        for path in (odd, os.fsdecode(odd)):
            strata.dedup.Store(path, max_size_bytes=1 << 30).close()
        self.assertEqual(os.listdir(os.fsencode(self.folder)), [b"not-utf8-\xff"])
        with self.assertRaisesRegex(strata.NotFoundError, "not-utf8"):
            strata.dedup.Store(odd + b"/below/it", create=False)

    def test_put_takes_what_chunks_takes(self):
        text = "some text, and an umlaut: \u00e4\n" * 1000
        file = self.folder / "file"
        file.write_text(text, encoding="utf-8")
        content = file.read_bytes()
        with self.open() as store:
            with open(file, encoding="utf-8") as opened:
                sources = [str(file), file, content, bytearray(content), io.BytesIO(content), opened]
                for source in sources:
                    self.assertEqual(store.open(store.put(source)["id"]).read(), content, type(source))
            with self.assertRaisesRegex(TypeError, "StringIO has text"):
                store.put(io.StringIO(text))
            with self.assertRaises(FileNotFoundError):
                store.put("no-such-file")
        expected = strata.dedup.chunk_lengths(content).tolist()
        with open(file, encoding="utf-8") as opened:
            for source in (str(file), file, io.BytesIO(content), opened):
                self.assertEqual(strata.dedup.chunk_lengths(source).tolist(), expected)
        with open(file, encoding="utf-8") as opened:
            self.assertEqual([length for _, length in strata.dedup.chunks(opened)], expected)

    def test_archives_are_written_through(self):
        (self.folder / "file").write_bytes(b"content" * 5000)
        with self.open() as store:
            for mode in ("w", "w|", "w|gz"):
                with store.writer() as writer:
                    with tarfile.open(fileobj=writer, mode=mode) as archive:
                        archive.add(self.folder / "file", "file")
                with store.open(writer.info["id"]) as stream, tarfile.open(fileobj=stream) as archive:
                    self.assertEqual(archive.extractfile("file").read(), b"content" * 5000, mode)
            with store.writer() as writer, zipfile.ZipFile(writer, "w") as archive:
                archive.write(self.folder / "file", "file")
            with store.open(writer.info["id"]) as stream, zipfile.ZipFile(stream) as archive:
                self.assertEqual(archive.read("file"), b"content" * 5000)


if __name__ == "__main__":
    unittest.main()

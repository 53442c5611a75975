# SPDX-License-Identifier: Apache-2.0
"""Calls that compute or wait leave Python to other threads; what threads share stays whole."""

import os
import random
import sys
import tempfile
import threading
import time
import unittest

import numpy as np

import strata.dedup
import strata.ec
import strata.object
from strata.chunks import Parameters

SEED = int(os.environ.get("STRATA_SEED", "37"))


class ThreadsTest(unittest.TestCase):

    def setUp(self):
        self.data = random.Random(SEED).randbytes(16 << 20)
        # Nobody is made to give Python up: a thread that sees another one inside a call was let in by that call.
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1000)

    def seen_inside(self, call):
        """How often this thread ran while another one was in `call`."""
        state = {"inside": False, "error": None}

        def other():
            state["inside"] = True
            try:
                call()
            except BaseException as error:
                state["error"] = error
            state["inside"] = False

        thread = threading.Thread(target=other)
        thread.start()
        count = 0
        while thread.is_alive():
            count += state["inside"]
            time.sleep(0)
        if state["error"]:
            raise state["error"]
        return count

    def assert_lets_others_run(self, call):
        """A busy machine may not run us in time: then once more. A call that keeps Python to itself never passes."""
        for _ in range(50):
            if self.seen_inside(call):
                return
        self.fail("no other thread ran meanwhile")

    def test_the_trial_itself(self):
        self.assertEqual(self.seen_inside(lambda: sum(range(100_000))), 0)
        self.assertGreater(self.seen_inside(lambda: time.sleep(0.05)), 0)

    def test_chunking(self):
        self.assert_lets_others_run(lambda: strata.dedup.chunk_lengths(self.data, "rabin"))
        self.assert_lets_others_run(lambda: strata.dedup.chunk_table(self.data))
        self.assert_lets_others_run(lambda: strata.dedup.fingerprint(self.data))

    def test_the_store(self):
        with tempfile.TemporaryDirectory(prefix="strata-threads-") as folder:
            with strata.dedup.Store(os.path.join(folder, "store"), max_size_bytes=1 << 30) as store:
                self.assert_lets_others_run(lambda: store.put(self.data))
                info = store.put(self.data)

                def read():
                    with store.open(info["id"]) as stream:
                        stream.readinto(bytearray(len(self.data)))

                self.assert_lets_others_run(read)
                self.assert_lets_others_run(store.verify)
                self.assert_lets_others_run(store.collect_garbage)
                self.assert_lets_others_run(store.deduplicate)

    def test_erasure_codes(self):
        shards = np.frombuffer(self.data, np.uint8).reshape(4, -1)
        code = strata.ec.ReedSolomon(4, 3, kernel=strata.ec.kernels()[0])
        self.assert_lets_others_run(lambda: code.encode(shards))


class SharedFilesTest(unittest.TestCase):
    """Threads that share a file object, or close it or its store under one another: errors at most, never the end of the process."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="strata-threads-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.piece = random.Random(SEED).randbytes(200_000)

    def stores(self):
        """(name, a way to a writer, a way from its info to a reader, close) of both modules."""
        dedup = strata.dedup.Store(os.path.join(self.folder, "dedup"), max_size_bytes=1 << 30)
        yield "dedup", dedup.writer, lambda info: dedup.open(info["id"]), dedup
        objects = strata.object.Store(os.path.join(self.folder, "objects"), max_size_bytes=1 << 30)
        objects.create_bucket("bucket", owner="ada")
        yield ("object", lambda: objects.writer("bucket", "key"), lambda info: objects.open("bucket", info["key"]),
               objects)

    def in_threads(self, *calls):
        """Runs all together; returns what each raised, or None."""
        raised = [None] * len(calls)
        start = threading.Barrier(len(calls))

        def run(n):
            start.wait()
            try:
                calls[n]()
            except BaseException as error:
                raised[n] = error

        threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return raised

    def test_two_threads_on_one_writer(self):
        for name, new_writer, open_info, store in self.stores():
            with self.subTest(name), store:
                writer = new_writer()

                def write():
                    for _ in range(20):
                        writer.write(self.piece)

                self.assertEqual(self.in_threads(write, write, write), [None] * 3)
                self.assertEqual(writer.tell(), 60 * len(self.piece))
                writer.close()
                with open_info(writer.info) as stream:
                    for _ in range(60):
                        self.assertEqual(stream.read(len(self.piece)), self.piece)

    def test_two_threads_on_one_reader(self):
        for name, new_writer, open_info, store in self.stores():
            with self.subTest(name), store:
                with new_writer() as writer:
                    for _ in range(30):
                        writer.write(self.piece)
                stream = open_info(writer.info)
                found = []

                def read():
                    while data := stream.read(len(self.piece)):
                        found.append(data == self.piece)

                self.assertEqual(self.in_threads(read, read, read), [None] * 3)
                self.assertEqual(found, [True] * 30, "each piece went to one thread")
                stream.close()

    def test_closing_under_a_call(self):
        for name, new_writer, open_info, store in self.stores():
            with store:
                with new_writer() as writer:
                    for _ in range(30):
                        writer.write(self.piece)
                info = writer.info
                for round_ in range(20):
                    with self.subTest(name, round=round_):
                        stream = open_info(info)
                        raised = self.in_threads(stream.read, stream.read, stream.close)
                        writer = new_writer()

                        def write():
                            for _ in range(5):
                                writer.write(self.piece)

                        raised += self.in_threads(write, writer.close, writer.abandon)
                        for error in raised:
                            self.assertIsInstance(error, (type(None), ValueError))

    def test_the_bare_readers_and_writers(self):
        """Without the locks of the file objects."""
        for name, new_writer, open_info, store in self.stores():
            with self.subTest(name), store:
                with new_writer() as writer:
                    for _ in range(10):
                        writer.write(self.piece)
                for _ in range(20):
                    bare = open_info(writer.info)._reader
                    buffer = bytearray(len(self.piece))
                    raised = self.in_threads(lambda: [bare.read_into(0, buffer) for _ in range(10)], bare.info,
                                             lambda: [bare.read_into(7, bytearray(900)) for _ in range(10)], bare.close)
                    bare = new_writer()._writer
                    raised += self.in_threads(lambda: bare.write(self.piece), lambda: bare.write(self.piece),
                                              bare.finish, bare.abandon)
                    for error in raised:
                        self.assertTrue(error is None or isinstance(error, (ValueError, strata.Error)), repr(error))

    def test_closing_a_store_under_a_call(self):
        for round_ in range(5):
            for name, new_writer, _, store in self.stores():
                with self.subTest(name, round=round_):
                    with new_writer() as writer:
                        writer.write(self.piece)
                    calls = ((store.stats, store.verify, store.collect_garbage, lambda: list(store)) if name == "dedup"
                             else (store.buckets, lambda: list(store.list("bucket")),
                                   lambda: store.head("bucket", "key"), lambda: store.delete("bucket", "key")))
                    for error in self.in_threads(*calls, store.close):
                        self.assertIsInstance(error, (type(None), ValueError))
                    if name == "object":
                        again = strata.object.Store(os.path.join(self.folder, "objects"))
                        again.delete("bucket", "key")
                        again.delete_bucket("bucket")
                        again.close()

    def test_two_threads_on_one_scanner(self):
        scanner = Parameters().scanner("lincdc", True)

        def scan():
            for _ in range(20):
                scanner.update(self.piece)
                scanner.take()

        self.assertEqual(self.in_threads(scan, scan, scanner.finish), [None] * 3)


if __name__ == "__main__":
    unittest.main()

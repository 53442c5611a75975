# SPDX-License-Identifier: Apache-2.0
"""A forked child of a process with open stores: refused by every call, and harmless. One that is spawned opens its own."""

import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import threading
import traceback
import unittest

import strata.dedup
import strata.object
from strata import FailedPreconditionError

SEED = int(os.environ.get("STRATA_SEED", "41"))


def in_child(body):
    """The exit status of a forked child that runs `body`."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            body()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def is_refused_its_own(path):
    """What a worker process meets that was forked while its parent had a store open."""
    try:
        strata.dedup.Store(path)
    except FailedPreconditionError as error:
        assert "must exec" in str(error), error
        return
    raise AssertionError("opened")


def put_and_read_own(path, data):
    """What a worker process does with a store of its own."""
    with strata.dedup.Store(path) as store:
        info = store.put(data)
        with store.open(info["id"]) as stream:
            assert stream.read() == data


class ForkTest(unittest.TestCase):

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.data = random.Random(SEED).randbytes(3 << 20)

    def refuses(self, call):
        with self.assertRaisesRegex(FailedPreconditionError, f"opened by process {os.getppid()}"):
            call()

    def test_a_child_does_not_harm_a_dedup_store(self):
        path = os.path.join(self.folder, "store")
        store = strata.dedup.Store(path, workers=2)
        info = store.put(self.data)
        reader = store.open(info["id"])
        self.assertEqual(reader.read(1000), self.data[:1000])
        writer = store.writer()
        writer.write(self.data)

        def use_all():
            self.refuses(lambda: store.put(b"child"))
            self.refuses(lambda: store.stat(info["id"]))
            self.refuses(lambda: store.delete(info["id"]))
            self.refuses(store.collect_garbage)
            self.refuses(store.verify)
            self.refuses(lambda: list(store))
            self.refuses(lambda: store.open(info["id"]))
            reader.seek(2 << 20)
            self.refuses(lambda: reader.read(1 << 20))
            self.refuses(lambda: writer.write(self.data))
            store.close()

        self.assertEqual(in_child(use_all), 0)
        self.assertEqual(in_child(lambda: None), 0)
        reader.seek(0)
        self.assertEqual(reader.read(), self.data)
        reader.close()
        writer.close()
        store.close()
        with strata.dedup.Store(path) as again:
            for stream in (info, writer.info):
                with again.open(stream["id"]) as whole:
                    self.assertEqual(whole.read(), self.data)

    def test_a_child_does_not_harm_an_object_store(self):
        path = os.path.join(self.folder, "store")
        store = strata.object.Store(path)
        store.create_bucket("bucket", "ada")
        store.put("bucket", "key", self.data)

        def use_all():
            self.refuses(lambda: store.create_bucket("another", "ada"))
            self.refuses(lambda: store.put("bucket", "child", b"was here"))
            self.refuses(lambda: store.open("bucket", "key"))
            self.refuses(lambda: store.head("bucket", "key"))
            self.refuses(lambda: store.delete("bucket", "key"))
            self.refuses(lambda: list(store.list("bucket")))
            store.close()

        self.assertEqual(in_child(use_all), 0)
        with store.open("bucket", "key") as whole:
            self.assertEqual(whole.read(), self.data)
        store.close()
        with strata.object.Store(path) as again:
            with again.open("bucket", "key") as whole:
                self.assertEqual(whole.read(), self.data)

    def test_multiprocessing_beside_a_busy_thread(self):
        path = os.path.join(self.folder, "store")
        fork = multiprocessing.get_context("fork")
        spawn = multiprocessing.get_context("spawn")
        with strata.dedup.Store(path, workers=2) as store:
            stop = threading.Event()
            stored = []

            def write():
                chooser = random.Random(SEED + 1)
                while not stop.is_set():
                    data = chooser.randbytes(300_000)
                    stored.append((store.put(data)["id"], data))

            thread = threading.Thread(target=write)
            thread.start()
            for round_number in range(4):
                own = os.path.join(self.folder, f"own-{round_number}")
                workers = [fork.Process(target=is_refused_its_own, args=(own,)),
                           spawn.Process(target=put_and_read_own, args=(own, self.data))]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join(120)
                    self.assertEqual(worker.exitcode, 0)
            stop.set()
            thread.join()
        with strata.dedup.Store(path) as again:
            for stream, data in stored:
                with again.open(stream) as whole:
                    self.assertEqual(whole.read(), data)


if __name__ == "__main__":
    unittest.main()

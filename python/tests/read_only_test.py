# SPDX-License-Identifier: Apache-2.0
"""Stores that are opened to be read alone."""

import os
import random
import shutil
import tempfile
import unittest

import strata.dedup
import strata.object
from strata import FailedPreconditionError, NotFoundError

SEED = int(os.environ.get("STRATA_SEED", "47"))


class ReadOnlyTest(unittest.TestCase):

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "store")
        self.data = random.Random(SEED).randbytes(2 << 20)

    def content(self):
        return {os.path.join(folder, name): os.stat(os.path.join(folder, name)).st_mtime_ns
                for folder, _, names in os.walk(self.path) for name in names}

    def test_dedup(self):
        with self.assertRaises(NotFoundError):
            strata.dedup.Store(self.path, read_only=True)
        self.assertFalse(os.path.exists(self.path))
        with strata.dedup.Store(self.path) as store:
            info = store.put(self.data)
            with self.assertRaisesRegex(FailedPreconditionError, "in use by process"):
                strata.dedup.Store(self.path, read_only=True)
            with strata.dedup.Store(self.path, assume_unlocked=True) as reader:
                self.assertEqual(reader.open(info["id"]).read(), self.data)
        before = self.content()
        with strata.dedup.Store(self.path, read_only=True) as store, \
                strata.dedup.Store(self.path, read_only=True) as second:
            for reader in (store, second):
                self.assertEqual(reader.open(info["id"]).read(), self.data)
            self.assertEqual([stream["id"] for stream in store], [info["id"]])
            self.assertEqual(store.verify()["streams"], [])
            for call in (lambda: store.put(b"new"), lambda: store.delete(info["id"]), store.collect_garbage):
                with self.assertRaisesRegex(FailedPreconditionError, "read-only"):
                    call()
        self.assertEqual(self.content(), before)

    def test_object(self):
        with strata.object.Store(self.path) as store:
            store.create_bucket("bucket", "ada")
            store.put("bucket", "key", self.data)
        before = self.content()
        with strata.object.Store(self.path, read_only=True) as store:
            self.assertEqual(store.buckets(), ["bucket"])
            self.assertEqual([info["key"] for info in store.list("bucket")], ["key"])
            with store.open("bucket", "key") as stream:
                self.assertEqual(stream.read(), self.data)
            for call in (lambda: store.put("bucket", "new", b"x"), lambda: store.put("bucket", "empty", b""),
                         lambda: store.delete("bucket", "key"), lambda: store.create_bucket("other", "ada")):
                with self.assertRaisesRegex(FailedPreconditionError, "read-only"):
                    call()
        self.assertEqual(self.content(), before)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""strata.object as a backup script would use it."""

import hashlib
import io
import os
import pathlib
import random
import shutil
import tempfile
import unittest

import strata
import strata.object

SEED = int(os.environ.get("STRATA_SEED", "21"))


class ObjectTest(unittest.TestCase):

    def setUp(self):
        path = tempfile.mkdtemp(prefix="strata-python-")
        self.addCleanup(shutil.rmtree, path)
        self.store = strata.object.Store(os.path.join(path, "store"), max_size_bytes=1 << 30)
        self.addCleanup(self.store.close)
        self.store.create_bucket("backups", owner="ada")
        self.data = random.Random(SEED).randbytes(2 << 20)

    def test_put_head_get(self):
        info = self.store.put("backups", "a/b", self.data, content_type="text/plain", metadata={"host": "x"})
        self.assertEqual(info["etag"], hashlib.md5(self.data).hexdigest())
        head = self.store.head("backups", "a/b")
        self.assertEqual((head["size_bytes"], head["content_type"], head["metadata"]),
                         (len(self.data), "text/plain", {"host": "x"}))
        with self.store.open("backups", "a/b") as stream:
            stream.seek(77)
            self.assertEqual(stream.read(), self.data[77:])

    def test_listing(self):
        for key in ("a/1", "a/2", "b/1", "c"):
            self.store.put("backups", key, io.BytesIO(b"x"))
        self.assertEqual([info["key"] for info in self.store.list("backups")], ["a/1", "a/2", "b/1", "c"])
        objects, folders = self.store.folders("backups")
        self.assertEqual(([info["key"] for info in objects], folders), (["c"], ["a/", "b/"]))

    def test_versions(self):
        self.store.set_versioning("backups", True)
        old = self.store.put("backups", "k", b"old")
        self.store.put("backups", "k", b"new")
        self.store.delete("backups", "k")
        with self.assertRaises(strata.NotFoundError):
            self.store.head("backups", "k")
        with self.store.open("backups", "k", old["version_id"]) as stream:
            self.assertEqual(stream.read(), b"old")

    def test_copy_and_delete(self):
        self.store.put("backups", "k", self.data)
        self.store.copy("backups", "k", "backups", "copy")
        self.store.delete("backups", "k")
        with self.store.open("backups", "copy") as stream:
            self.assertEqual(stream.read(), self.data)
        with self.assertRaises(strata.FailedPreconditionError):
            self.store.delete_bucket("backups")
        self.store.delete("backups", "copy")
        self.store.delete_bucket("backups")
        self.assertEqual(self.store.buckets(), [])

    def test_a_store_with_an_encryption_key(self):
        path = pathlib.Path(tempfile.mkdtemp(prefix="strata-python-"))
        self.addCleanup(shutil.rmtree, path)
        key = bytes(range(32))
        with strata.object.Store(path / "store", max_size_bytes=1 << 30, encryption_key=key) as store:
            store.create_bucket("bucket", owner="ada")
            store.put("bucket", "key", self.data)
        with self.assertRaises(strata.Error):
            strata.object.Store(path / "store")
        with strata.object.Store(path / "store", encryption_key=key) as store:
            self.assertEqual(store.open("bucket", "key").read(), self.data)

    def test_a_key_is_never_shown(self):
        key = b"a-key-of-thirty-two-bytes-______"
        for options in ({"encryption_key": key, "max_size_bytes": "many"}, {"encryption_key": key.decode()},
                        {"encryption_key": key + b"x"}):
            with self.assertRaises((TypeError, ValueError)) as caught:
                strata.object.Store("never-made", **options)
            self.assertNotIn("thirty", str(caught.exception))
        self.assertFalse(os.path.exists("never-made"))

    def test_paths_are_paths(self):
        for path in (None, 7, 1.5):
            with self.assertRaises(TypeError):
                strata.object.Store(path)
        self.assertFalse(os.path.exists("None"))

    def test_put_takes_a_path(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.data)
            file.flush()
            self.store.put("backups", "k", file.name)
        self.assertEqual(self.store.open("backups", "k").read(), self.data)

    def test_errors_name_what_is_wrong(self):
        with self.assertRaisesRegex(strata.NotFoundError, "nowhere"):
            self.store.put("nowhere", "k", b"")
        with self.assertRaisesRegex(strata.NotFoundError, "missing"):
            self.store.open("backups", "missing")
        with self.assertRaises(strata.AlreadyExistsError):
            self.store.create_bucket("backups", owner="bob")


if __name__ == "__main__":
    unittest.main()

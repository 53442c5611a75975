# SPDX-License-Identifier: Apache-2.0
"""stratad with the settings of its deduplicating store: modes and the folding of what was stored twice, compressions,
threads, and an encryption key."""
import os
import random
import re
import subprocess
import unittest

import program
from program import CONFIG, DATA, wait_until
from support.appliance import Appliance, seed, temporary_folder

BODY_BYTES = 20_000_000


class ModesTest(unittest.TestCase):
    def setUp(self):
        self.body = random.Random(seed()).randbytes(BODY_BYTES)

    def start(self, data=None, **settings):
        """A running stratad with settings of the section [storage] or, by another's name first, of that one."""
        variables = {"STRATA_" + (name if name.startswith("maintenance_") else "storage_" + name).upper(): str(value)
                     for name, value in settings.items()}
        appliance = Appliance(data=data, environment=variables)
        self.addCleanup(appliance.close)
        return appliance.start()

    def put(self, appliance, *keys):
        wire = appliance.wire()
        wire.make_bucket("bucket")
        for key in keys:
            wire.put("bucket", key, self.body).expect(200)

    def assert_reads(self, appliance, *keys):
        for key in keys:
            self.assertEqual(self.body, appliance.wire().get("bucket", key).expect(200).body, key)

    def test_every_mode_stores_once_in_the_end(self):
        for mode in ("inline", "hybrid", "post-process"):
            with self.subTest(mode):
                appliance = self.start(mode=mode, worker_threads=2)
                self.put(appliance, "first", "second")
                stored = appliance.strata("stat")["unique_bytes"]
                if mode == "post-process":
                    self.assertGreater(stored, 1.9 * BODY_BYTES)
                report = appliance.strata("gc")
                self.assertLess(appliance.strata("stat")["unique_bytes"], 1.1 * BODY_BYTES)
                if mode != "hybrid":  # Which finds more or less of it at once.
                    self.assertEqual(mode == "post-process", report["duplicate_chunks"] > 0)
                self.assert_reads(appliance, "first", "second")
                self.assertFalse(appliance.strata("verify")["damaged"])
                appliance.close()

    def test_maintenance_compresses_what_was_deferred(self):
        self.body = self.body[:BODY_BYTES // 2].hex().encode()
        appliance = self.start(defer_compression="true", maintenance_gc_interval_s=1, maintenance_reap_interval_s=1)
        self.put(appliance, "first")
        wait_until(lambda: re.search(r"compressed [1-9]\d* bytes", appliance.log_text()), "a collection of its own", 60)
        wait_until(lambda: appliance.strata("stat")["deferred_bytes"] == 0, "and all of it", 60)
        self.assertLess(appliance.strata("stat")["compressed_bytes"], 0.7 * BODY_BYTES)
        self.assert_reads(appliance, "first")
        self.assertFalse(appliance.strata("verify")["damaged"])

    def test_maintenance_folds(self):
        appliance = self.start(mode="post-process", maintenance_gc_interval_s=1, maintenance_reap_interval_s=1)
        self.put(appliance, "first", "second")
        wait_until(lambda: re.search(r"folded [1-9]\d* chunks", appliance.log_text()), "a fold of its own", 60)
        wait_until(lambda: appliance.strata("stat")["unique_bytes"] < 1.1 * BODY_BYTES, "and all of it", 60)
        self.assert_reads(appliance, "first", "second")

    def test_back_to_inline(self):
        appliance = self.start(mode="post-process")
        self.put(appliance, "first", "second")
        appliance.stop()
        again = self.start(data=appliance.data)
        again.access_key, again.secret_key = appliance.access_key, appliance.secret_key
        self.assertGreater(again.strata("stat")["unique_bytes"], 1.9 * BODY_BYTES)
        again.strata("gc")  # Of equal chunks that lie apart only the newest counts as needed.
        self.assertLess(again.strata("stat")["unique_bytes"], 1.1 * BODY_BYTES)
        self.assert_reads(again, "first", "second")

    def test_gzip(self):
        self.body = b"well compressible " * 100_000
        appliance = self.start(compression="gzip", compression_level=3, region_size="1M")
        self.put(appliance, "key")
        self.assertGreater(appliance.strata("stat")["compression_ratio"], 10)
        self.assert_reads(appliance, "key")


class EncryptionTest(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder("encryption")
        self.key = os.urandom(32).hex()
        self.key_file = self.write("key", self.key + "\n")
        self.data = self.folder / "data"

    def write(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def appliance(self, key_file):
        appliance = Appliance(data=self.data, environment={"STRATA_STORAGE_ENCRYPTION_KEY_FILE": str(key_file)})
        self.addCleanup(appliance.close)
        return appliance

    def refused(self, expected_code, key_file):
        """What stratad said when it did not start."""
        variables = {"STRATA_STORAGE_ENCRYPTION_KEY_FILE": str(key_file)} if key_file else {}
        code, out, err = program.stratad("--data", self.data, "--s3", "127.0.0.1:0", "--metrics", "127.0.0.1:0",
                                         **variables)
        self.assertEqual(expected_code, code, err)
        self.assertNotIn(self.key, out + err)
        return err

    def test_a_store_opens_with_its_key_alone(self):
        body = os.urandom(1_000_000)
        appliance = self.appliance(self.key_file).start()
        wire = appliance.wire()
        wire.make_bucket("bucket")
        wire.put("bucket", "key", body).expect(200)
        appliance.stop()
        self.assertNotIn(self.key, appliance.log_text())
        for path in (p for p in self.data.rglob("*") if p.is_file()):
            content = path.read_bytes()
            self.assertNotIn(body[5000:5100], content, f"{path} holds content in clear")
            for key in (self.key.encode(), bytes.fromhex(self.key)):
                self.assertNotIn(key, content, f"{path} holds the key")

        self.assertIn("encryption_key is missing", self.refused(DATA, None))
        other = self.write("other", os.urandom(32).hex())
        self.assertIn("is not the one that the store was made with", self.refused(DATA, other))

        # The offline command line goes by the same settings, and says the same.
        command = [program.BIN / "strata", "--data", self.data, "stat"]
        for key_file, code in ((None, 1), (other, 1), (self.key_file, 0)):
            variables = {"STRATA_STORAGE_ENCRYPTION_KEY_FILE": str(key_file)} if key_file else {}
            result = subprocess.run(command, capture_output=True, text=True, check=False,
                                    env=program.clean_environment(**variables))
            self.assertEqual(code, result.returncode, result.stderr)
            self.assertEqual(code == 1, "encryption_key" in result.stderr, result.stderr)

        again = self.appliance(self.key_file)
        again.access_key, again.secret_key = appliance.access_key, appliance.secret_key
        again.start()
        self.assertEqual(body, again.wire().get("bucket", "key").expect(200).body)

    def test_a_key_file_that_cannot_be_used(self):
        for path, words in ((self.folder / "absent", "cannot read"), (self.write("short", "abc"), "64 hexadecimal"),
                            (self.write("open", self.key, 0o644), "chmod 0600"), (self.folder, "not a file")):
            with self.subTest(words):
                err = self.refused(CONFIG, path)
                self.assertIn(str(path), err)
                self.assertIn(words, err)
                self.assertFalse(self.data.exists(), "nothing is made without the key")

    def test_a_store_made_without_a_key_takes_none(self):
        appliance = Appliance(data=self.data)
        self.addCleanup(appliance.close)
        appliance.start().stop()
        self.assertIn("made without one", self.refused(DATA, self.key_file))


if __name__ == "__main__":
    unittest.main()

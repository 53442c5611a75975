# SPDX-License-Identifier: Apache-2.0
"""Bytes that change on the disk are found, named, and never given to a client."""
import http.client
import json
import random
import subprocess
import unittest

import program
from support.appliance import Appliance, seed

OBJECT_BYTES = 300_000
OBJECTS = 12


class DamageTest(unittest.TestCase):
    def setUp(self):
        self.chooser = random.Random(seed())
        self.appliance = Appliance()
        self.addCleanup(self.appliance.close)
        self.appliance.start()
        wire = self.appliance.wire()
        wire.make_bucket("bucket")
        self.bodies = {f"object-{n:02}": self.chooser.randbytes(OBJECT_BYTES) for n in range(OBJECTS)}
        for key, body in self.bodies.items():
            wire.put("bucket", key, body).expect(200)
        self.appliance.stop()

    def damage(self, key, offset):
        """Changes one byte of an object's content where it lies on the disk: random bytes do not compress, so it is
        there as it is."""
        path = self.appliance.data / "containers"
        pattern = self.bodies[key][offset:offset + 32]
        content = path.read_bytes()
        place = content.find(pattern)
        self.assertGreater(place, 0, f"{key} is not found in {path}")
        self.assertEqual(-1, content.find(pattern, place + 1), "stored twice")
        with open(path, "r+b") as file:
            file.seek(place)
            file.write(bytes([pattern[0] ^ 0x40]))

    def assert_reads(self, damaged):
        """Undamaged objects read whole; the damaged one fails visibly."""
        for key, body in self.bodies.items():
            wire = self.appliance.wire()
            try:
                answer = wire.get("bucket", key)
            except (OSError, http.client.HTTPException) as error:
                self.assertEqual(damaged, key, f"cut off: {error!r}")
                partial = getattr(error, "partial", b"")
                self.assertLess(len(partial), OBJECT_BYTES)
                self.assertEqual(body[:len(partial)], partial, "what came before the cut is right")
                continue
            if key == damaged:
                self.assertEqual(500, answer.status, "the damaged object was answered")
            else:
                self.assertEqual(200, answer.status, f"{key}: {answer.body[:300]}")
                self.assertEqual(body, answer.body)

    def assert_verify_names(self, damaged):
        report = self.appliance.strata("verify", expect=3)
        self.assertTrue(report["damaged"])
        self.assertEqual([("bucket", damaged)], [(o["bucket"], o["key"]) for o in report["objects"]])
        self.assertEqual(1, len({stream["stream"] for stream in report["streams"]}))
        text = subprocess.run([program.BIN / "strata", "--data", self.appliance.data, "verify"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(3, text.returncode)
        self.assertIn(f"bucket/{damaged}", text.stdout)

    def test_content(self):
        damaged = self.chooser.choice(sorted(self.bodies))
        self.damage(damaged, self.chooser.randrange(OBJECT_BYTES - 32))
        with self.subTest("without stratad"):
            self.assert_verify_names(damaged)
        self.appliance.start()
        with self.subTest("with stratad"):
            self.assert_verify_names(damaged)
            self.assert_reads(damaged)
            self.assertGreater(self.appliance.metrics()["strata_dedup_corruptions_total"], 0)
        # The damaged object is replaced, the old content collected: all is well again.
        wire = self.appliance.wire()
        self.bodies[damaged] = self.chooser.randbytes(OBJECT_BYTES)
        wire.put("bucket", damaged, self.bodies[damaged]).expect(200)
        self.assert_reads(None)

    def test_a_collection_does_not_make_it_worse(self):
        damaged = self.chooser.choice(sorted(self.bodies))
        self.damage(damaged, self.chooser.randrange(OBJECT_BYTES - 32))
        self.appliance.start()
        for key in sorted(self.bodies)[::2]:
            if key != damaged:
                self.appliance.wire().delete("bucket", key).expect(204)
                del self.bodies[key]
        result = subprocess.run(self.appliance.strata_command("gc", "--rewrite-below", "1"), capture_output=True,
                                text=True, timeout=120, check=False)
        self.assertIn(result.returncode, (0, 1), result.stderr)
        json.loads(result.stdout)
        self.assert_reads(damaged)
        self.assertEqual([("bucket", damaged)], [(o["bucket"], o["key"])
                                                 for o in self.appliance.strata("verify", expect=3)["objects"]])


if __name__ == "__main__":
    unittest.main()

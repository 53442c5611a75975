# SPDX-License-Identifier: Apache-2.0
"""What `strata stat`, /metrics and the disk say of the same data agrees, and space that is freed really returns."""
import random
import time
import unittest

from support import crash_load
from support.appliance import SCALE, Appliance, seed

OBJECTS = 40
OBJECT_BYTES = int(1_000_000 * max(SCALE, 0.1))

# Containers are given space whole; the last one of each kind may be open and partly empty.
CONTAINER_BYTES = 8 << 20
OPEN_CONTAINERS = 3

# What recipes add to the bytes of unique chunks: 40 bytes or so for a chunk of 8 KiB.
RECIPES = 1.01

GAUGES = {"logical_bytes": "strata_dedup_logical_bytes", "unique_bytes": "strata_dedup_unique_bytes",
          "compressed_bytes": "strata_dedup_compressed_bytes", "container_bytes": "strata_dedup_container_bytes",
          "streams": "strata_dedup_streams", "chunks": "strata_dedup_chunks"}


class ReductionTest(unittest.TestCase):
    def setUp(self):
        self.chooser = random.Random(seed())
        self.appliance = Appliance()
        self.addCleanup(self.appliance.close)
        self.appliance.start()
        self.wire = self.appliance.wire()
        self.addCleanup(self.wire.close)
        self.wire.make_bucket("bucket")
        self.before = self.appliance.allocated_bytes()

    def put_all(self, prefix, bodies):
        for number, body in enumerate(bodies):
            self.wire.put("bucket", f"{prefix}/{number}", body).expect(200)

    def bodies(self):
        return [self.chooser.randbytes(OBJECT_BYTES) for _ in range(OBJECTS)]

    def settled(self):
        """`strata stat` after the background work that follows requests, the same twice."""
        last = None
        for _ in range(100):
            now = {name: self.appliance.strata("stat")[name] for name in GAUGES}
            if now == last:
                return self.appliance.strata("stat")
            last = now
            time.sleep(0.1)
        self.fail("`strata stat` does not come to rest")

    def assert_all_agree(self):
        stat = self.settled()
        metrics = self.appliance.metrics()
        for name, gauge in GAUGES.items():
            self.assertEqual(stat[name], metrics[gauge], f"`strata stat` and /metrics differ in {name}")
        # The containers' bytes on the filesystem, from the file and as stat gives them.
        allocated = self.appliance.allocated_bytes()
        self.assertEqual(allocated, stat["device_allocated_bytes"])
        self.assertAlmostEqual(allocated, stat["container_bytes"], delta=OPEN_CONTAINERS * CONTAINER_BYTES,
                               msg=f"the disk and `strata stat` disagree: {stat}")
        # Each step of the reduction is one: logical >= unique >= compressed, and containers hold that.
        self.assertGreaterEqual(stat["container_bytes"], stat["compressed_bytes"])
        return stat

    def test_incompressible_data_and_its_copy(self):
        bodies = self.bodies()
        total = sum(map(len, bodies))
        self.put_all("first", bodies)
        first = self.assert_all_agree()
        self.assertEqual(total, first["logical_bytes"])
        self.assertEqual(total, sum(size for size, _ in self.wire.list("bucket").values()))
        # Random bytes have nothing in common; the recipes of the streams are counted apart.
        self.assertEqual(total, first["unique_bytes"])
        self.assertLess(first["recipe_bytes"], total * (RECIPES - 1))
        self.assertEqual(total, first["compressed_bytes"])
        self.assertLess(first["container_bytes"], total * 1.05 + OPEN_CONTAINERS * CONTAINER_BYTES)

        self.put_all("second", bodies)
        second = self.assert_all_agree()
        self.assertEqual(2 * total, second["logical_bytes"])
        self.assertEqual(total, second["unique_bytes"], "the second copy is all known")
        self.assertLess(second["container_bytes"], first["container_bytes"] + CONTAINER_BYTES)
        self.assertAlmostEqual(2, second["dedup_ratio"], delta=0.02)

        usage, = self.appliance.strata("bucket", "usage", "bucket")["buckets"]
        self.assertEqual((2 * OBJECTS, 2 * total, total),
                         (usage["objects"], usage["logical_bytes"], usage["new_bytes"]))

    def test_an_insertion_costs_a_few_chunks(self):
        body = self.chooser.randbytes(8_000_000)
        self.wire.put("bucket", "a", body).expect(200)
        first = self.settled()
        self.wire.put("bucket", "b", body[:3_000_001] + b"inserted" + body[3_000_001:]).expect(200)
        second = self.settled()
        self.assertLess(second["unique_bytes"] - first["unique_bytes"], 100_000)

    def test_compressible_data(self):
        words = [bytes(self.chooser.randbytes(3).hex(), "ascii") for _ in range(500)]
        text = b" ".join(self.chooser.choices(words, k=2_000_000))
        self.wire.put("bucket", "text", text).expect(200)
        stat = self.assert_all_agree()
        self.assertLess(stat["compressed_bytes"], stat["unique_bytes"] * 0.5)

    def test_server_side_copy_takes_nothing(self):
        self.wire.put("bucket", "a", self.chooser.randbytes(5_000_000)).expect(200)
        first = self.settled()
        self.wire.put("bucket", "b", b"", {"x-amz-copy-source": "/bucket/a"}).expect(200)
        second = self.settled()
        self.assertEqual(first["unique_bytes"], second["unique_bytes"])
        self.assertEqual(2 * first["logical_bytes"], second["logical_bytes"])

    def test_deleted_space_returns_to_the_filesystem(self):
        kept, dropped = self.bodies(), self.bodies()
        for number, (keep, drop) in enumerate(zip(kept, dropped)):  # Neighbours in the same containers.
            self.wire.put("bucket", f"kept/{number}", keep).expect(200)
            self.wire.put("bucket", f"dropped/{number}", drop).expect(200)
        full = self.assert_all_agree()
        for number in range(OBJECTS):
            self.wire.delete("bucket", f"dropped/{number}").expect(204)
        report = self.appliance.strata("gc")
        half = self.assert_all_agree()
        total = sum(map(len, kept))
        self.assertGreater(report["freed_bytes"], total * 0.8, f"deleted {total} bytes: {report}")
        self.assertEqual(total, half["logical_bytes"])
        self.assertLess(half["device_allocated_bytes"], full["device_allocated_bytes"] - total * 0.8)
        for number, keep in enumerate(kept):
            self.assertEqual(keep, self.wire.get("bucket", f"kept/{number}").expect(200).body)

        for number in range(OBJECTS):
            self.wire.delete("bucket", f"kept/{number}").expect(204)
        self.appliance.strata("gc")
        empty = self.assert_all_agree()
        self.assertEqual(0, empty["streams"])
        self.assertLess(empty["device_allocated_bytes"], self.before + OPEN_CONTAINERS * CONTAINER_BYTES)
        self.appliance.restart()
        self.assert_all_agree()

    def test_a_backup_of_yesterday_and_today(self):
        """Many objects, few of them changed: the second costs about the changes."""
        chooser, bodies = self.chooser, crash_load.Bodies(self.chooser)
        day = [bodies.make(chooser, chooser.randint(1, 200_000)) for _ in range(100)]
        self.put_all("yesterday", day)
        first = self.settled()
        for place in chooser.sample(range(100), 5):
            day[place] = chooser.randbytes(50_000)
        self.put_all("today", day)
        second = self.assert_all_agree()
        self.assertLess(second["unique_bytes"] - first["unique_bytes"], 5 * 50_000 + 1)
        self.appliance.restart()
        again = self.assert_all_agree()
        for name in GAUGES:
            delta = CONTAINER_BYTES if name == "container_bytes" else 0  # Open ones are sealed.
            self.assertAlmostEqual(second[name], again[name], delta=delta, msg=f"{name} changed by a restart")


if __name__ == "__main__":
    unittest.main()

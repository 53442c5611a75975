# SPDX-License-Identifier: Apache-2.0
"""Whatever computes or waits leaves Python to other threads meanwhile."""

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


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Mixed load for as long as STRATA_SOAK_S says [30]: what stratad takes of memory, descriptors and disk does not creep.

Two hours are the real thing: STRATA_SOAK_S=7200 STRATA_BIN=build/release/bin python3 tests/e2e/soak_test.py
On a machine that has other work to do, STRATA_SOAK_PAUSE_MS is how long each of the clients waits after a request [0].
"""
import http.client
import os
import random
import statistics
import threading
import time
import unittest

from support import s3_wire
from support.appliance import Appliance, seed

MIB = 1 << 20
DURATION_S = float(os.environ.get("STRATA_SOAK_S", "30"))
PAUSE_S = float(os.environ.get("STRATA_SOAK_PAUSE_MS", "0")) / 1000
WORKERS = 6
KEYS = 2000
# From the third quarter to the last. A short run is still warming up.
MOST_GROWTH = 8 * MIB if DURATION_S >= 3600 else 64 * MIB


class Worker(threading.Thread):
    """A client that keeps the number of objects where it is, and every now and then breaks off or asks for nonsense."""

    def __init__(self, number, appliance, pool, chooser_seed, end):
        super().__init__(name=f"client {number}", daemon=True)
        self.appliance, self.pool, self.end = appliance, pool, end
        self.chooser = random.Random(chooser_seed)
        self.client = appliance.wire()
        self.requests = 0
        self.findings = []

    def run(self):
        kinds, weights = zip((self.put, 40), (self.get, 40), (self.list, 5), (self.delete, 8), (self.copy, 5),
                             (self.upload, 1), (self.break_off, 2), (self.ask_nonsense, 2), (self.reconnect, 2))
        while time.monotonic() < self.end and not self.findings:
            try:
                self.chooser.choices(kinds, weights)[0]()
                self.requests += 1
                time.sleep(PAUSE_S)
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.findings.append(f"{self.name}: {error!r}")
        self.client.close()

    def key(self):
        return f"folder-{self.chooser.randrange(20)}/{self.chooser.randrange(KEYS // 20)}"

    def body(self):
        size = int(2 ** self.chooser.uniform(0, 20))
        start = self.chooser.randrange(len(self.pool) - size)
        return self.chooser.randbytes(8) + self.pool[start:start + size]

    def put(self):
        self.client.put("soak", self.key(), self.body()).expect(200)

    def get(self):
        self.client.get("soak", self.key()).expect(200, 404)

    def list(self):
        prefix = f"folder-{self.chooser.randrange(20)}/"
        self.client.request("GET", "/soak", query={"list-type": "2", "prefix": prefix}).expect(200)

    def delete(self):
        self.client.delete("soak", self.key()).expect(204)

    def copy(self):
        source, target = self.key(), self.key()
        if source != target:
            headers = {"x-amz-copy-source": s3_wire.path_of("soak", source)}
            self.client.put("soak", target, b"", headers).expect(200, 404)

    def upload(self):
        key = self.key()
        path = s3_wire.path_of("soak", key)
        created = self.client.request("POST", path, query={"uploads": ""}).expect(200)
        upload_id = created.xml().findtext("UploadId")
        part = self.client.request("PUT", path, query={"partNumber": 1, "uploadId": upload_id}, body=self.body()).expect(200)
        if self.chooser.random() < 0.5:
            self.client.complete_upload("soak", key, upload_id, {1: part.etag}).expect(200)
        else:
            self.client.request("DELETE", path, query={"uploadId": upload_id}).expect(204)

    def break_off(self):
        """A body that ends too early: the connection is gone afterwards."""
        path = s3_wire.path_of("soak", self.key())
        headers = s3_wire.sign("PUT", path, {}, {"Host": self.appliance.s3_endpoint}, s3_wire.UNSIGNED,
                               self.appliance.access_key, self.appliance.secret_key)
        connection = http.client.HTTPConnection(self.appliance.s3_endpoint, timeout=60)
        connection.putrequest("PUT", path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "Content-Length": "1000000"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(self.pool[:self.chooser.randrange(100_000)])
        connection.close()

    def ask_nonsense(self):
        self.client.request("GET", s3_wire.path_of("soak", self.key()), query={"nonsense-sub": ""}).expect(200, 400, 404)
        self.client.request("DELETE", s3_wire.path_of("soak", self.key()), query={"acl": ""}).expect(400, 405, 501)

    def reconnect(self):
        self.client.close()
        self.client = self.appliance.wire()


class SoakTest(unittest.TestCase):
    def test_nothing_creeps(self):
        appliance = Appliance()
        self.addCleanup(appliance.close)
        appliance.start()
        run_seed = seed()
        chooser = random.Random(run_seed)
        pool = chooser.randbytes(16 * MIB)
        client = appliance.wire()
        client.make_bucket("soak")
        client.close()
        begin = time.monotonic()
        workers = [Worker(number, appliance, pool, chooser.getrandbits(32), begin + DURATION_S) for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        samples = []
        while any(worker.is_alive() for worker in workers):
            time.sleep(min(10, DURATION_S / 60))
            samples.append((time.monotonic() - begin, appliance.rss_bytes(), appliance.open_files(),
                            appliance.allocated_bytes()))
        for worker in workers:
            worker.join()
        self.assertEqual([], [finding for worker in workers for finding in worker.findings], f"STRATA_SEED={run_seed}")

        quarter = len(samples) // 4
        third, last = samples[2 * quarter:3 * quarter], samples[3 * quarter:]
        for name, at in (("RSS", 1), ("files", 2), ("disk", 3)):
            values = [statistics.median(sample[at] for sample in samples[i * quarter:(i + 1) * quarter]) for i in range(4)]
            unit = 1 if name == "files" else MIB
            print(f"{name}, by quarter: " + ", ".join(f"{value / unit:.1f}" for value in values))
        print(f"{sum(worker.requests for worker in workers)} requests in {samples[-1][0]:.0f} s", flush=True)
        for at, most in ((1, MOST_GROWTH), (2, 20)):
            growth = (statistics.median(sample[at] for sample in last) - statistics.median(sample[at] for sample in third))
            self.assertLess(growth, most, f"STRATA_SEED={run_seed}")
        appliance.strata("verify")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""stratad keeps its data on a disk of another machine: `storage.device` is a namespace of an NVMe/TCP target, which is
killed and started again under load. No request fails for it, and what was acknowledged is there afterwards."""
import concurrent.futures
import os
import random
import subprocess
import threading
import time
import unittest

from support import crash_load
from support.appliance import SCALE, Appliance, StartError, free_ports, seed, temporary_folder
from support.nvme_target import Target

try:
    import boto3
except ImportError:
    boto3 = None

NQN = "nqn.2026-11.org.example:storage"
KILLS = max(3, int(6 * SCALE))
WORKERS = 4
PART_BYTES = 5 << 20


class RemoteStorageTest(unittest.TestCase):
    def setUp(self):
        self.chooser = random.Random(seed())
        self.disk = temporary_folder("remote") / "disk"
        self.port, = free_ports(1)
        self.target = None
        self.serve()
        self.addCleanup(lambda: self.target.kill9())

    def serve(self):
        self.target = Target(f"file:{self.disk}?size=2G&create=1", "--nqn", NQN, "--listen", f"127.0.0.1:{self.port}")

    def uri(self, options=""):
        return f"nvme-tcp:127.0.0.1:{self.port}/{NQN}?nsid=1&reconnect_ms=50&connect_timeout_ms=60000{options}"

    def appliance(self, options=""):
        appliance = Appliance(environment={"STRATA_STORAGE_DEVICE": self.uri(options)})
        self.addCleanup(appliance.close)
        return appliance

    def kill_and_serve(self, pause_s=0.0):
        self.target.kill9()
        time.sleep(pause_s)
        self.serve()

    @unittest.skipUnless(boto3, "boto3 is not installed; tools/bootstrap test installs it")
    def test_s3_works_on_it(self):
        appliance = self.appliance("&hdgst=1&ddgst=1").start()
        client = appliance.boto3()
        client.create_bucket(Bucket="smoke")
        bodies = {f"key/{size}": self.chooser.randbytes(size) for size in (0, 1, 4096, 100_000, 3_000_000)}
        for key, body in bodies.items():
            client.put_object(Bucket="smoke", Key=key, Body=body, Metadata={"size": str(len(body))})
        upload = client.create_multipart_upload(Bucket="smoke", Key="parts")["UploadId"]
        parts = [self.chooser.randbytes(PART_BYTES), self.chooser.randbytes(1000)]
        etags = [client.upload_part(Bucket="smoke", Key="parts", UploadId=upload, PartNumber=number, Body=part)["ETag"]
                 for number, part in enumerate(parts, 1)]
        client.complete_multipart_upload(Bucket="smoke", Key="parts", UploadId=upload, MultipartUpload={
            "Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]})
        bodies["parts"] = b"".join(parts)
        client.copy_object(Bucket="smoke", Key="copy", CopySource="smoke/key/3000000")
        bodies["copy"] = bodies["key/3000000"]
        client.delete_object(Bucket="smoke", Key="key/1")
        del bodies["key/1"]

        def check():
            client = appliance.boto3()
            listed = {entry["Key"]: entry["Size"] for entry in client.list_objects_v2(Bucket="smoke")["Contents"]}
            self.assertEqual({key: len(body) for key, body in bodies.items()}, listed)
            for key, body in bodies.items():
                self.assertEqual(body, client.get_object(Bucket="smoke", Key=key)["Body"].read(), key)
            tail = client.get_object(Bucket="smoke", Key="parts", Range="bytes=-1500")["Body"].read()
            self.assertEqual(bodies["parts"][-1500:], tail)
        check()
        self.kill_and_serve()  # Nothing is in flight, and the next request finds the new one.
        check()
        appliance.restart()
        check()
        appliance.strata("gc")
        appliance.strata("verify")
        self.assertGreater(self.disk.stat().st_blocks * 512, 8_000_000, "the data are somewhere else")

    def test_the_target_is_killed_under_puts(self):
        appliance = self.appliance().start()
        client = appliance.wire()
        client.make_bucket(crash_load.PLAIN)
        client.make_bucket(crash_load.VERSIONED)
        client.request("PUT", f"/{crash_load.VERSIONED}", query={"versioning": ""}, body=(
            b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")).expect(200)
        ledger = crash_load.Ledger(WORKERS)
        bodies = crash_load.Bodies(self.chooser)
        workers = [crash_load.Worker(number, appliance.wire(300), ledger, bodies, self.chooser.getrandbits(32))
                   for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        acknowledged = []
        for _ in range(KILLS):
            time.sleep(self.chooser.uniform(0.2, 1.0))
            self.kill_and_serve(self.chooser.choice((0, 0.3)))
            before = sum(worker.acknowledged for worker in workers)
            self.assertTrue(self.soon(lambda: sum(w.acknowledged for w in workers) > before + WORKERS),
                            "requests do not go on after a kill; stratad's log ends:\n" + appliance.log_tail())
            acknowledged.append(sum(worker.acknowledged for worker in workers))
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join(300)
            self.assertFalse(worker.is_alive(), f"{worker.name} hangs; stratad's log ends:\n{appliance.log_tail()}")
        print(f"{KILLS} kills of the target, acknowledged after each: {acknowledged}", flush=True)

        self.check(appliance, ledger, "before a restart")
        self.assertEqual(0, appliance.stop(), appliance.log_tail())
        appliance.start()
        self.check(appliance, ledger, "after a restart")
        appliance.strata("verify")
        appliance.kill9()
        self.kill_and_serve()
        appliance.start()
        self.check(appliance, ledger, "after both were killed")
        self.assertEqual(0, appliance.stop(), appliance.log_tail())
        # The same without the daemon.
        offline = subprocess.run(appliance.strata_command("verify"), capture_output=True, text=True, timeout=300,
                                 check=False, env={**os.environ, "STRATA_STORAGE_DEVICE": self.uri()})
        self.assertEqual(0, offline.returncode, offline.stdout + offline.stderr)

    @staticmethod
    def soon(condition):
        for _ in range(1200):
            if condition():
                return True
            time.sleep(0.05)
        return False

    def check(self, appliance, ledger, when):
        client = appliance.wire()
        findings = crash_load.check(client, ledger)
        client.close()
        self.assertEqual([], findings, f"{when}; stratad's log ends:\n{appliance.log_tail()}")

    def test_more_readers_than_queues(self):
        self.target.kill9()
        exporter = Appliance(environment={"STRATA_NVME_LISTEN": f"127.0.0.1:{self.port}",
                                          "STRATA_NVME_DISCOVERY": ""})
        self.addCleanup(exporter.close)
        exporter.start()
        exporter.strata("nvme", "subsystem", "create", NQN, "--allow-any-host")
        exporter.strata("nvme", "namespace", "add", NQN, f"file:{self.disk}?size=1G&create=1")
        appliance = self.appliance("&queues=4&depth=128").start()
        client = appliance.wire()
        client.make_bucket("many")
        bodies = {f"{number}": self.chooser.randbytes(2_000_000) for number in range(16)}
        for key, body in bodies.items():
            client.put("many", key, body).expect(200)
        appliance.restart()
        together = threading.Barrier(len(bodies))

        def read(key):
            reader = appliance.wire()
            together.wait(60)
            answers = [reader.get("many", key) for _ in range(3)]
            reader.close()
            return [(answer.status, answer.body == bodies[key]) for answer in answers]
        with concurrent.futures.ThreadPoolExecutor(len(bodies)) as readers:
            for answers in readers.map(read, bodies):
                self.assertEqual([(200, True)] * 3, answers, appliance.log_tail())
        connections = exporter.strata("nvme", "connections")["connections"]
        self.assertEqual([0, 1, 2, 3, 4], sorted(c["queue"] for c in connections))
        self.assertEqual(1, len({c["controller"] for c in connections}))
        self.assertEqual(0, appliance.stop(), appliance.log_tail())

    def test_without_a_target_stratad_says_what_it_misses(self):
        self.target.kill9()
        with self.assertRaises(StartError) as failed:
            self.appliance().start()
        self.assertIn(f"127.0.0.1:{self.port}", str(failed.exception))
        self.assertIn("Connection refused", str(failed.exception))


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""stratad is killed again and again under load: nothing acknowledged is lost, nothing half-written is seen.

Afterwards the store verifies clean, and everything it took for crashed writes can be collected. The judge itself is
judged too: a ledger that is wrong on purpose must be found out.
"""
import random
import shutil
import subprocess
import time
import unittest

from support import crash_load
from support.appliance import SCALE, Appliance, seed
from support.ledger import ABSENT, Content

ROUNDS = max(5, int(50 * SCALE))
WORKERS = 6


class CrashTest(unittest.TestCase):
    def setUp(self):
        self.seed = seed()
        self.chooser = random.Random(self.seed)
        self.appliance = Appliance()
        self.addCleanup(self.appliance.close)
        self.appliance.start()
        self.ledger = crash_load.Ledger(WORKERS)
        self.bodies = crash_load.Bodies(self.chooser)
        client = self.appliance.wire()
        client.make_bucket(crash_load.PLAIN)
        client.make_bucket(crash_load.VERSIONED)
        client.request("PUT", f"/{crash_load.VERSIONED}", query={"versioning": ""}, body=(
            b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")).expect(200)
        client.close()

    def load(self, duration_s, end):
        """Runs the workers, calls end() in the middle of it all, and waits for them. Returns acknowledged requests."""
        workers = [crash_load.Worker(number, self.appliance.wire(20), self.ledger, self.bodies,
                                     self.chooser.getrandbits(32)) for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        time.sleep(duration_s)
        end(workers)
        for worker in workers:
            worker.join(60)
            self.assertFalse(worker.is_alive(), f"{worker.name} hangs; stratad's log ends:\n{self.appliance.log_tail()}")
        return sum(worker.acknowledged for worker in workers)

    def check(self, when):
        client = self.appliance.wire()
        findings = crash_load.check(client, self.ledger)
        client.close()
        if findings:
            self.fail(f"{when} (STRATA_SEED={self.seed}):\n" + "\n".join(findings[:20])
                      + f"\nstratad's log ends:\n{self.appliance.log_tail()}")

    def test_kill_under_load(self):
        acknowledged = 0
        collections_cut = 0
        for number in range(1, ROUNDS + 1):
            collector = None
            if self.chooser.random() < 0.4:
                collector = subprocess.Popen(self.appliance.strata_command("gc"), stdout=subprocess.DEVNULL,
                                             stderr=subprocess.DEVNULL)
                self.addCleanup(collector.kill)
            acknowledged += self.load(self.chooser.uniform(0.1, 1.0), lambda _: self.appliance.kill9())
            if collector is not None:
                collections_cut += collector.wait(30) != 0
            if number % 10 == 0 or number == ROUNDS:
                # Between two starts the containers are all that is left.
                shutil.rmtree(self.appliance.data / "meta")
                self.appliance.strata("rebuild-metadata")
            self.appliance.start()
            self.check(f"after kill {number} of {ROUNDS}")
        print(f"{ROUNDS} kills, {acknowledged} requests acknowledged, {collections_cut} collections cut short",
              flush=True)
        self.assertGreater(acknowledged, ROUNDS * 10, "hardly any load: the kills prove nothing")

        self.appliance.strata("gc")
        self.check("after a garbage collection")
        self.appliance.strata("verify")
        self.assertEqual(0, self.appliance.stop())
        self.appliance.strata("verify")  # The same without the daemon.
        self.appliance.start()
        self.check("after an ordinary stop")
        self.check_that_all_space_comes_back()

    def check_that_all_space_comes_back(self):
        client = self.appliance.wire()
        crash_load.delete_everything(client)
        client.close()
        full = self.appliance.strata("stat")
        self.appliance.strata("gc")
        empty = self.appliance.strata("stat")
        self.assertEqual(0, empty["streams"], f"streams that nobody owns are left: {empty}")
        self.assertEqual(0, empty["logical_bytes"])
        self.assertLess(empty["container_bytes"], full["container_bytes"] / 5, str(empty))

    def test_the_judge_finds_what_is_lost(self):
        self.load(1.0, lambda workers: [worker.stop() for worker in workers])
        self.check("without any crash")
        present = [key for key, register in self.ledger.registers.items() if register.certain()[1] is not ABSENT]
        lost, replaced, undeleted = self.chooser.sample(present, 3)
        client = self.appliance.wire()
        self.addCleanup(client.close)
        client.delete(crash_load.PLAIN, lost).expect(204)
        client.put(crash_load.PLAIN, replaced, b"half-writ").expect(200)
        self.ledger.registers[undeleted].settle(ABSENT)
        client.put(crash_load.PLAIN, "nobody's", b"x").expect(200)
        version = next(v for v in self.ledger.versions if v.content is not ABSENT)
        version.content = Content.of(b"other bytes")
        gone = self.ledger.versions[-1]
        if gone is not version:
            client.delete(crash_load.VERSIONED, gone.key, {"versionId": gone.version_id}).expect(204)
        findings = "\n".join(crash_load.check(client, self.ledger))
        for expected in (f"{lost}: found nothing", f"{replaced}: found 9 bytes", f"{undeleted}: found",
                         "nobody's: is listed", f"{version.key} version {version.version_id}: found",
                         f"{gone.key} version {gone.version_id}: is acknowledged and gone"):
            self.assertIn(expected, findings)
        client.delete(crash_load.PLAIN, "nobody's").expect(204)
        self.assertEqual([], crash_load.check(client, self.ledger), "what was found once is settled")


if __name__ == "__main__":
    unittest.main()

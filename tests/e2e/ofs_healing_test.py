# SPDX-License-Identifier: Apache-2.0
"""`strata ofs` when disks fail: degraded mounts, replacing, draining, healing and scrubbing, as an operator does it,
both through the mount and while nothing is mounted."""
import errno
import fcntl
import os
import random
import signal
import subprocess
import threading
import time
import unittest

from support.appliance import BIN
from support.nvme_target import Target
from support.ofs import DISK_BYTES, DISKS, OfsTest, strata

MIB = 1 << 20
LIMIT_S = 60


def paths_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class HealingTest(OfsTest):
    def make_with_tree(self):
        self.make("", "--protection", "4+2")
        self.mount()
        self.copy_tree()
        self.mounts[-1].stop()

    def open_if(self, is_mounted, *options):
        if is_mounted:
            self.mount(*options)

    def close_if(self, is_mounted):
        if is_mounted:
            self.mounts[-1].stop()

    def check_tree_without(self, *disks):
        """As many more disks may go as the protection says, and nothing is lost."""
        for number in disks:
            self.disk(number).unlink()
        self.mount()
        self.check_tree()
        self.mounts[-1].stop()

    def states(self):
        return {disk["number"]: disk["state"] for disk in self.ofs("disk list")["disks"]}

    def wait_until(self, condition, what):
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    # Disks that are lost

    def replace_lost_disks(self, is_mounted):
        self.make_with_tree()
        self.disk(2).unlink()
        self.disk(5).unlink()
        self.open_if(is_mounted)
        if is_mounted:
            self.check_tree()

        status = self.ofs("status")
        self.assertEqual(is_mounted, status["mounted"])
        self.assertEqual([2, 5], status["absent_disks"])
        self.assertEqual([2, 5], [disk["number"] for disk in status["disks"] if not disk["present"]])
        # Nobody has said that they are lost.
        self.assertEqual([2, 5], self.ofs("heal", "--wait", code=3)["absent_disks"])
        code, out, _ = strata("ofs", "heal", self.meta, "--wait")
        self.assertEqual(3, code)
        self.assertIn("disk 5 cannot be used", out)
        # On four disks there is nowhere to go.
        self.ofs("disk fail", "2", "--reason", "it clicks")
        healed = self.ofs("heal", "--wait", code=3)
        self.assertGreater(healed["groups_left"], 0)
        self.assertEqual([5], healed["absent_disks"])
        self.assertIn("has nowhere to go", healed["problems"][0])
        self.assertIn("still holds units", self.refused("disk remove", "2"))

        answer = self.ofs("disk replace", "2", self.new_uri(7))
        self.assertEqual((7, 2, "failed"),
                         (answer["disk"]["number"], answer["replaced"]["number"], answer["replaced"]["state"]))
        self.assertEqual(answer["disk"]["domain"], answer["replaced"]["domain"])
        self.ofs("disk replace", "5", self.new_uri(5))  # In the same slot, with the same name.
        healed = self.ofs("heal", "--wait")
        self.assertEqual((0, [], []), (healed["groups_left"], healed["absent_disks"], healed["problems"]))
        for number in ("2", "5"):
            self.assertEqual("removed", self.ofs("disk remove", number)["disk"]["state"])
        scrubbed = self.ofs("scrub")
        self.assertGreater(scrubbed["stripes"], 0)
        self.assertEqual((0, 0, []), (scrubbed["lost_ranges"], scrubbed["units_repaired"], scrubbed["problems"]))
        self.assertEqual({1, 3, 4, 6, 7, 8}, {n for n, state in self.states().items() if state == "online"})
        self.close_if(is_mounted)
        self.check_tree_without(1, 6)

    def test_lost_disks_are_replaced_while_mounted(self):
        self.replace_lost_disks(True)

    def test_lost_disks_are_replaced_while_not_mounted(self):
        self.replace_lost_disks(False)

    def test_a_mount_heals_by_itself(self):
        self.make_with_tree()
        self.disk(4).unlink()
        self.mount("--heal-rate", "0")
        self.ofs("disk replace", "4", self.new_uri(7))
        left = self.ofs("heal")  # Only asks.
        self.assertGreater(left["groups_left"], 0)
        self.assertNotIn("groups_moved", left)
        self.mounts[-1].stop()
        self.mount("--heal-rate", "1G")
        self.wait_until(lambda: self.ofs("status")["groups_left"] == 0, "the mount does not heal")
        self.ofs("disk remove", "4")
        self.mounts[-1].stop()
        self.check_tree_without(1, 2)

    def test_a_mount_is_killed_while_it_heals(self):
        """The disk that units move to stops answering, so that the healing is at work when its process is killed."""
        self.make_with_tree()
        with Target(self.new_uri(7), "--listen", "127.0.0.1:0") as target:
            uri = f"nvme-tcp:{target.address}:{target.port}/{target.nqn}?nsid=1"
            mounted = self.mount("--heal-rate", "0")
            self.ofs("disk add", uri)
            self.ofs("disk drain", "3")
            free = {disk["number"]: disk["free_bytes"] for disk in self.ofs("disk list")["disks"]}
            target.process.send_signal(signal.SIGSTOP)
            with subprocess.Popen([BIN / "strata", "ofs", "heal", self.meta, "--wait"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as client:
                self.wait_until(lambda: any(disk["free_bytes"] < free[disk["number"]] and disk["number"] == 7
                                            for disk in self.ofs("disk list")["disks"]), "nothing is moved")
                self.assertIsNone(client.poll())
                mounted.kill9()
                out, err = client.communicate(timeout=LIMIT_S)
            target.process.send_signal(signal.SIGCONT)
            self.assertEqual((1, ""), (client.returncode, out))
            self.assertIn("the process that runs the commands", err)
            self.mount("--heal-rate", "0")
            self.check_tree()
            self.assertGreater(self.ofs("status")["groups_left"], 0)
            healed = self.ofs("heal", "--wait")
            self.assertGreater(healed["groups_moved"], 0)
            self.assertEqual(0, healed["groups_left"])
            self.ofs("disk remove", "3")
            self.mounts[-1].stop()
            self.check_tree_without(1, 2)

    # Disks that leave

    def test_a_disk_is_drained_while_files_are_written(self):
        self.make_with_tree()
        self.mount()
        self.ofs("disk add", self.new_uri(7))
        stop = threading.Event()
        written = {}
        done = []

        def write():
            chooser = random.Random(3)
            while not stop.is_set():
                name = f"file{len(done) % 40}"
                written[name] = chooser.randbytes(chooser.randrange(400_000))
                with open(self.point / name, "wb") as file:
                    file.write(written[name])
                    file.flush()
                    os.fsync(file.fileno())
                done.append(name)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            self.assertEqual("draining", self.ofs("disk drain", "3")["disk"]["state"])
            healed = self.ofs("heal", "--wait")
            self.assertEqual(0, healed["groups_left"])
            removed = self.ofs("disk remove", "3")
            self.assertEqual("removed", removed["disk"]["state"])
            count = len(done)
            self.wait_until(lambda: len(done) > count or not writer.is_alive(), "nothing is written any more")
        finally:
            stop.set()
            writer.join()
        self.assertGreater(len(written), 0)
        self.mounts[-1].stop()
        self.check_tree_without(3, 1, 2)
        self.mount()
        for name, content in written.items():
            self.assertEqual(content, (self.point / name).read_bytes(), name)
        self.mounts[-1].stop()

    def test_a_disk_is_lost_for_a_while(self):
        self.make_with_tree()
        self.disk(6).rename(self.folder / "away")
        self.mount()
        (self.point / "late").write_bytes(b"x" * 300_000)
        self.ofs("disk fail", "6")
        self.mounts[-1].stop()
        (self.folder / "away").rename(self.disk(6))
        self.assertEqual("online", self.ofs("disk online", "6")["disk"]["state"])
        healed = self.ofs("heal", "--wait")
        self.assertEqual((0, []), (healed["groups_left"], healed["absent_disks"]))
        self.assertEqual(0, self.ofs("scrub")["lost_ranges"])
        self.check_tree_without(1, 2)

    # Disks that rot

    def damage(self, number, begin, end, step=1):
        """Inverts every step-th byte of these of a disk's file."""
        with open(self.disk(number), "r+b") as disk:
            for at in range(begin, end, step) if step > 1 else (begin,):
                size = 1 if step > 1 else end - begin
                disk.seek(at)
                old = disk.read(size)
                disk.seek(at)
                disk.write(bytes(byte ^ 0xff for byte in old))

    def test_flipped_bytes_are_repaired(self):
        self.make_with_tree()
        for is_mounted, number in ((False, 3), (True, 5)):
            self.damage(number, MIB + 1000, DISK_BYTES - MIB, step=65_536)
            self.open_if(is_mounted, "--heal-rate", "0")
            scrubbed = self.ofs("scrub")
            self.assertGreater(scrubbed["units_repaired"], 0)
            self.assertEqual((0, []), (scrubbed["lost_ranges"], scrubbed["lost"]))
            wrong = {disk["number"]: disk["wrong_checksums"] + disk["wrong_heads"]
                     for disk in self.ofs("disk list")["disks"]}
            if is_mounted:  # Counters are those of a session.
                self.assertEqual([number], [n for n, count in wrong.items() if count > 0])
            self.assertEqual(0, self.ofs("scrub")["units_repaired"])
            self.close_if(is_mounted)
        self.check_tree_without(1, 2)  # So the others are all needed.

    def test_a_mount_does_not_wait_for_who_should_read_its_log(self):
        self.make_with_tree()
        self.damage(3, MIB + 1000, DISK_BYTES - MIB, step=8192)
        # Each damaged unit is a line. The pipe holds few of them, and nobody reads it.
        mount = subprocess.Popen([BIN / "strata", "--json", "ofs", "mount", self.meta, self.point],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            fcntl.fcntl(mount.stderr, fcntl.F_SETPIPE_SZ, 4096)
            self.assertIn("mounted", mount.stdout.readline())
            self.assertGreater(self.ofs("scrub")["units_repaired"], 50)
        finally:
            mount.terminate()
            self.assertIn("wrong", mount.communicate(timeout=60)[1])

    def test_what_is_lost_is_named_and_the_rest_is_read(self):
        self.make_with_tree()
        for number in (1, 2, 3):
            self.damage(number, MIB, 4 * MIB)  # The first segments.
        scrubbed = self.ofs("scrub", code=3)
        self.assertGreater(scrubbed["lost_ranges"], 0)
        code, out, _ = strata("ofs", "scrub", self.meta)
        self.assertEqual(3, code)
        self.mount("--heal-rate", "0")
        again = self.ofs("scrub", code=3)
        self.assertEqual(scrubbed["lost"], again["lost"])
        lost = {}
        for piece in scrubbed["lost"]:
            self.assertIn(piece["path"], out)
            lost.setdefault(piece["path"], []).append(range(piece["offset"], piece["offset"] + piece["bytes"]))
        names = paths_below(self.tree())
        self.assertLess(len(lost), len(names))
        self.assertLessEqual(set(lost), {f"/tree/{name}" for name in names})
        for name in names:
            want = (self.tree() / name).read_bytes()
            ranges = lost.get(f"/tree/{name}", [])
            if not ranges:
                self.assertEqual(want, (self.point / "tree" / name).read_bytes(), name)
                continue
            file = os.open(self.point / "tree" / name, os.O_RDONLY)
            for at in range(0, len(want), 4096):
                is_lost = any(piece.start < at + 4096 and at < piece.stop for piece in ranges)
                try:
                    got = os.pread(file, 4096, at)
                    self.assertFalse(is_lost, f"{name}: {at} was said to be lost")
                    self.assertEqual(want[at:at + 4096], got, name)
                except OSError as error:
                    self.assertEqual(errno.EIO, error.errno)
                    self.assertTrue(is_lost, f"{name}: {at} was not said to be lost")
            os.close(file)
        self.mounts[-1].stop()

    # Wrong use

    def test_wrong_use_is_refused_by_name(self):
        self.make()
        self.make("other-")
        with open(self.folder / "ext4", "wb") as carries:
            carries.truncate(DISK_BYTES)
            carries.seek(1024 + 56)
            carries.write(b"\x53\xef")
        before = self.ofs("status")["disks"]
        for is_mounted in (False, True):
            self.open_if(is_mounted)
            for command, arguments, words in (
                    ("disk drain", ["77"], ["there is no disk 77"]),
                    ("disk replace", ["77", self.new_uri(9)], ["there is no disk 77"]),
                    ("disk remove", ["1"], ["disk 1 is online"]),
                    ("disk add", [f"file:{self.disk(4)}?size={DISK_BYTES}"], [self.disk(4)]),
                    ("disk add", [f"file:{self.disk(4)}"], [self.disk(4)]),
                    ("disk add", [f"file:{self.folder}/ext4"], ["ext4", "carries an ext"]),
                    ("disk add", [f"file:{self.disk(1, 'other-')}"], [self.disk(1, "other-"), "carries"]),
                    ("disk add", [f"file:{self.folder}/none"], [f"{self.folder}/none"]),
                    ("disk add", ["floppy:x"], ["floppy"]),
                    ("disk replace", ["3", f"file:{self.folder}/ext4"], ["ext4"]),
                    ("disk replace", ["3", self.new_uri(9), "--class", "fast"], ["fast"])):
                with self.subTest(command=command, arguments=arguments, is_mounted=is_mounted):
                    said = self.refused(command, *arguments)
                    for word in words:
                        self.assertIn(str(word), said)
            for arguments in (("disk", "fail", self.meta), ("disk", "fail", self.meta, "x"), ("disk", "lose", self.meta)):
                self.assertEqual(2, strata("ofs", *arguments)[0])
            self.assertFalse(self.disk(9).exists())
            self.close_if(is_mounted)
        self.assertEqual(before, self.ofs("status")["disks"])
        code, _, said = strata("ofs", "scrub", self.folder)
        self.assertEqual(1, code)
        self.assertIn("holds no filesystem", said)


if __name__ == "__main__":
    unittest.main()

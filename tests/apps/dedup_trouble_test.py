# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a store of `strata dedup`: each time a clear error that names the path, and nothing else lost."""
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import unittest

import program
from support import read_only
from support.appliance import temporary_folder
from support.crc32c import crc32c

OK, ERROR, _, DAMAGE = range(4)
SEED = int(os.environ.get("STRATA_SEED", "29"))

SUPERBLOCKS = (0, 512 << 10)  # docs/formats/dedup.md
SUPERBLOCK_BYTES = 4096

# Every command that opens the store, with operands that are right for the one of setUp().
COMMANDS = (("list",), ("stat",), ("verify",), ("gc",), ("delete", "old"), ("restore", "old"), ("ingest", "monday"))


class DedupTroubleTest(unittest.TestCase):
    """The store has two streams: `old` in containers that are sealed, `new` at the end."""

    def setUp(self):
        self.folder = temporary_folder("dedup_trouble")
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = self.folder / "store"
        chooser = random.Random(SEED)
        self.bodies = {"old": chooser.randbytes(10_000_000), "new": chooser.randbytes(3_000_000)}
        for name, body in self.bodies.items():
            (self.folder / name).write_bytes(body)
            self.answer("ingest", self.folder / name, "--name", name)
        (self.folder / "monday").write_bytes(chooser.randbytes(100_000))

    def run_strata(self, *arguments, command=(), expect=OK):
        result = subprocess.run([*map(str, command), program.BIN / "strata", "--json", "dedup", *map(str, arguments)],
                                capture_output=True, timeout=120, check=False, cwd=self.folder,
                                env=program.clean_environment())
        if expect is not None:
            self.assertEqual(result.returncode, expect, f"seed {SEED}: {arguments}: {result.stdout[-500:]} {result.stderr}")
        return result

    def answer(self, command, *operands, store=None, **how):
        return json.loads(self.run_strata(command, "--store", store or self.store, *operands, **how).stdout)

    def error(self, command, *operands, store=None, prefix=()):
        """What a command says that must fail: its error, after looking at the form of it."""
        result = self.run_strata(command, "--store", store or self.store, *operands, command=prefix, expect=ERROR)
        error = json.loads(result.stdout)["error"]
        self.assertEqual(result.stderr.decode(), f"strata: {error['message']}\n", "one line says why")
        return error

    def assert_refused(self, code, words, path, commands=COMMANDS, **how):
        """Every command fails, says `words`, names `path`."""
        for command in commands:
            with self.subTest(command=command):
                error = self.error(*command, **how)
                self.assertEqual(error["code"], code, error)
                self.assertIn(words, error["message"])
                self.assertIn(str(path), error["message"])

    def assert_whole(self):
        for name, body in self.bodies.items():
            target = self.folder / f"{name}.back"
            self.answer("restore", name, "--output", target, "--force")
            self.assertEqual(target.read_bytes(), body, name)
        self.assertFalse(self.answer("verify")["damaged"])

    def content(self, *left_out):
        """{path: digest} of the store's files, but for what an opening may write."""
        return {path: hashlib.sha256(path.read_bytes()).digest() for path in sorted(self.store.rglob("*"))
                if path.is_file() and path.name not in left_out}

    def test_a_read_only_directory(self):
        try:
            prefix = read_only.command(self.store)
        except read_only.NotPossible as error:
            self.skipTest(str(error))
        before = self.content()
        writing = [command for command in COMMANDS if command[0] in ("gc", "delete", "ingest")]
        self.assert_refused("PERMISSION_DENIED", "Read-only file system", self.store, writing, prefix=prefix)
        def read(name, *operands):
            return json.loads(self.run_strata(name, "--store", self.store, *operands, command=prefix).stdout)

        self.assertEqual(len(read("list")["streams"]), 2)
        self.assertEqual(read("stat")["streams"], 2)
        self.assertFalse(read("verify")["damaged"])
        for options in ((), ("--read-only",), ("--unlocked",)):
            read("restore", "new", "--output", self.folder / "back", "--force", *options)
            self.assertEqual((self.folder / "back").read_bytes(), self.bodies["new"])
        self.assertEqual(self.content(), before)
        self.assertFalse((self.folder / "restored").exists())

        empty = self.folder / "empty"
        empty.mkdir()
        for store in (empty, empty / "below"):
            self.assert_refused("PERMISSION_DENIED", "Read-only file system", store, [("ingest", "monday")], store=store,
                                prefix=read_only.command(empty))
        error = self.error("restore", "old", "--output", empty / "target", prefix=read_only.command(empty))
        self.assertIn(str(empty / "target"), error["message"])
        self.assertIn("Read-only file system", error["message"])
        self.assertEqual(list(empty.iterdir()), [])
        self.assert_whole()

    def test_a_truncated_containers_file(self):
        """Wherever the file ends now: a stream comes back whole, or an error says that it does not."""
        containers = self.store / "containers"
        size = containers.stat().st_size
        original = self.folder / "original"
        shutil.copytree(self.store, original)
        lengths = [0, 1, 4095, 4096, SUPERBLOCKS[1], 1 << 20, 9 << 20, size - 1]
        lengths += [random.Random(SEED).randrange(1 << 20, size) for _ in range(4)]
        for length in lengths:
            with self.subTest(length=length):
                shutil.rmtree(self.store)
                shutil.copytree(original, self.store)
                os.truncate(containers, length)
                for name, body in self.bodies.items():
                    target = self.folder / f"{name}.back"
                    target.unlink(missing_ok=True)
                    result = self.run_strata("restore", "--store", self.store, name, "--output", target, expect=None)
                    if result.returncode == OK:
                        self.assertEqual(target.read_bytes(), body)
                        continue
                    self.assertEqual(result.returncode, ERROR)
                    message = json.loads(result.stdout)["error"]["message"]
                    self.assertIn(str(self.store), message)
                    self.assertFalse(target.exists(), "a stream that is not whole")
                    self.assertLess(length, size - (1 << 20), f"{name} was not at the end: {message}")
                    if length > 9 << 20:
                        self.assertIn(f"'{name}'", message)
                if 9 << 20 <= length < size - (5 << 20):
                    report = self.answer("verify", expect=DAMAGE)
                    self.assertIn("old", {stream["name"] for stream in report["streams"]})
                    for stream in report["streams"]:
                        self.assertRegex(stream["detail"], "container [0-9]+ was not full when the store was opened")

    def test_a_lost_end_of_the_containers_file(self):
        """What lacks a full container is refused and left alone. Lengthened, it is read as far as it goes."""
        containers = self.store / "containers"
        self.bodies["last"] = random.Random(SEED + 1).randbytes(10_000_000)
        (self.folder / "last").write_bytes(self.bodies["last"])
        self.answer("ingest", self.folder / "last", "--name", "last")
        whole = containers.read_bytes()
        os.truncate(containers, 15 << 20)
        self.assert_refused("DATA_LOSS", f"was cut short: it has {15 << 20} bytes of at least {17 << 20}", containers)
        self.assertEqual(containers.stat().st_size, 15 << 20)

        os.truncate(containers, 17 << 20)
        report = self.answer("verify", expect=DAMAGE)
        self.assertEqual({stream["name"] for stream in report["streams"]}, {"last"})
        self.assertTrue(report["container_damage"])
        for stream in report["streams"]:
            self.assertRegex(stream["detail"], "container [0-9]+ (is damaged|was not full)")
        for name in ("old", "new"):
            self.answer("restore", name, "--output", self.folder / "back", "--force")
            self.assertEqual((self.folder / "back").read_bytes(), self.bodies[name])
        self.assertIn("'last'", self.error("restore", "last", "--output", self.folder / "absent")["message"])

        with containers.open("r+b") as file:
            file.write(whole)
        self.assert_whole()

    def test_the_next_backup_heals_damage(self):
        """What a verification found is known to the next process: the same data is stored again, and every copy reads."""
        containers = self.store / "containers"
        with containers.open("r+b") as file:
            file.seek(3_000_000)
            byte = file.read(1)
            file.seek(3_000_000)
            file.write(bytes([byte[0] ^ 1]))
        report = self.answer("verify", expect=DAMAGE)
        damage, = report["streams"]
        self.assertEqual(damage["name"], "old")
        self.assertLess(damage["size_bytes"], 100_000, "one chunk")
        self.assertEqual(report["index_damage"], [])

        self.answer("ingest", self.folder / "old", "--name", "copy")
        for name in ("old", "copy"):
            self.answer("restore", name, "--output", self.folder / "back", "--force")
            self.assertEqual((self.folder / "back").read_bytes(), self.bodies["old"], name)
        self.assertEqual(self.answer("verify", expect=DAMAGE)["streams"], [], "the place is damaged, no stream is")
        self.answer("gc")
        self.answer("rebuild-index")
        self.assert_whole()

    def test_a_foreign_file(self):
        target = self.folder / "letter"
        target.write_text("Dear Ada,")
        self.assert_refused("INVALID_ARGUMENT", "is not a directory", target, store=target)
        self.assertEqual(target.read_text(), "Dear Ada,")

        containers = self.store / "containers"
        own = self.folder / "own"
        containers.rename(own)
        noise = random.Random(SEED).randbytes(2 << 20)
        containers.write_bytes(noise)
        self.assert_refused("DATA_LOSS", "not that of a dedup store", containers)
        self.assertEqual(containers.read_bytes(), noise, "the foreign file is as it was")
        own.rename(containers)
        self.assert_whole()

        meta = self.store / "meta"
        meta.rename(self.folder / "own_meta")
        meta.write_text("Dear Ada,")
        for command in COMMANDS:
            self.assertIn(str(meta), self.error(*command)["message"])
        self.assertEqual(meta.read_text(), "Dear Ada,")
        meta.unlink()
        (self.folder / "own_meta").rename(meta)
        self.assert_whole()

    def test_the_containers_of_another_store(self):
        other = self.folder / "other"
        self.answer("ingest", self.folder / "monday", store=other)
        own = self.folder / "own"
        (self.store / "containers").rename(own)
        shutil.copy(other / "containers", self.store / "containers")
        self.assert_refused("FAILED_PRECONDITION", "do not belong together", self.store / "containers")
        self.assertEqual((self.store / "containers").read_bytes(), (other / "containers").read_bytes())
        own.rename(self.store / "containers")
        self.assert_whole()

    def test_a_newer_format(self):
        containers = self.store / "containers"
        with containers.open("r+b") as file:
            olds = []
            for place in SUPERBLOCKS:
                file.seek(place)
                block = bytearray(file.read(SUPERBLOCK_BYTES))
                olds.append(bytes(block))
                struct.pack_into("<H", block, 8, 77)
                struct.pack_into("<I", block, SUPERBLOCK_BYTES - 4, crc32c(block[:-4]))
                file.seek(place)
                file.write(block)
        before = hashlib.sha256(containers.read_bytes()).digest()
        self.assert_refused("UNIMPLEMENTED", "format version 77, this program knows", containers)
        self.assertEqual(hashlib.sha256(containers.read_bytes()).digest(), before, "nothing was written to it")
        with containers.open("r+b") as file:
            for place, old in zip(SUPERBLOCKS, olds):
                file.seek(place)
                file.write(old)
        self.assert_whole()

    def test_a_store_in_use(self):
        holder = subprocess.Popen([program.BIN / "strata", "dedup", "ingest", "--store", self.store, "--name", "piped", "-"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=program.clean_environment())
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        body = os.urandom(2_000_000)
        holder.stdin.write(body)  # More than a pipe holds: it has opened the store by now.
        holder.stdin.flush()
        program.wait_until(lambda: (self.store / "lock").read_text() == str(holder.pid), "the lock names its holder")
        self.assert_refused("FAILED_PRECONDITION", f"in use by process {holder.pid}", self.store)
        holder.communicate(timeout=60)
        self.assertEqual(holder.returncode, OK)
        self.bodies["piped"] = body
        self.assert_whole()

    def test_half_a_store(self):
        for name in ("containers", "meta"):
            part = self.store / name
            part.rename(self.folder / "own")
            left = sorted(self.store.iterdir())
            self.assert_refused("FAILED_PRECONDITION", "is missing", part)
            self.assertEqual(sorted(self.store.iterdir()), left, "nothing was made in its place")
            (self.folder / "own").rename(part)
        self.assert_whole()

    def test_a_foreign_directory(self):
        foreign = self.folder / "letters"
        foreign.mkdir()
        (foreign / "letter").write_text("Dear Ada,")
        self.assert_refused("NOT_FOUND", "holds no store", foreign, COMMANDS[:-1], store=foreign)
        self.assertEqual([path.name for path in foreign.iterdir()], ["letter"])
        for name, code in (("containers", "FAILED_PRECONDITION"), ("meta", "INVALID_ARGUMENT")):
            (foreign / "letter").replace(foreign / name)
            self.assert_refused(code, "meta is", foreign / "meta", store=foreign)
            self.assertEqual([path.name for path in foreign.iterdir()], [name])
            (foreign / name).replace(foreign / "letter")

    def test_a_foreign_directory_with_the_names_of_ours(self):
        foreign = self.folder / "letters"
        (foreign / "meta").mkdir(parents=True)
        (foreign / "lock").write_text("of the safe: 12-7-3")
        self.assert_refused("NOT_FOUND", "holds no store", foreign, COMMANDS[:-1], store=foreign)
        self.assert_refused("FAILED_PRECONDITION", "somebody else's", foreign / "lock", COMMANDS[-1:], store=foreign)
        self.assertEqual((foreign / "lock").read_text(), "of the safe: 12-7-3")
        self.assertEqual(sorted(path.name for path in foreign.iterdir()), ["lock", "meta"])
        self.assertEqual(list((foreign / "meta").iterdir()), [])

    def test_an_absent_store(self):
        absent = self.folder / "absent"
        self.assert_refused("NOT_FOUND", "does not exist", absent, COMMANDS[:-1], store=absent)
        self.assertFalse(absent.exists())


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""`strata dedup`: files into a store and back, what was saved, damage, and what it refuses."""
import fcntl
import json
import os
import random
import re
import shutil
import struct
import subprocess
import termios
import unittest

import program
from support.appliance import temporary_folder

OK, ERROR, USAGE, DAMAGE = range(4)
SEED = int(os.environ.get("STRATA_SEED", "23"))


class DedupTest(unittest.TestCase):

    def setUp(self):
        self.folder = temporary_folder("dedup")
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = self.folder / "store"
        self.data = random.Random(SEED).randbytes(1_500_000)
        self.file = self.folder / "monday"
        self.file.write_bytes(self.data)

    def run_strata(self, *arguments, stdin=b"", expect=OK):
        """Returns (stdout as bytes, stderr as text)."""
        result = subprocess.run([program.BIN / "strata", *map(str, arguments)], capture_output=True, timeout=120,
                                check=False, env=program.clean_environment(), input=stdin, cwd=self.folder)
        self.assertEqual(result.returncode, expect, f"seed {SEED}: {arguments}: {result.stdout[-500:]} {result.stderr}")
        return result.stdout, result.stderr.decode()

    def dedup(self, command, *arguments, **how):
        """The JSON answer of a command on the store."""
        return json.loads(self.run_strata("--json", "dedup", command, "--store", self.store, *arguments, **how)[0])

    def test_a_file_comes_back_and_the_second_time_costs_nothing(self):
        first = self.dedup("ingest", self.file, "--name", "a")
        second = self.dedup("ingest", self.file, "--name", "b")
        self.assertEqual((first["logical_bytes"], first["new_bytes"]), (len(self.data), len(self.data)))
        self.assertEqual(second["new_bytes"], 0)
        self.dedup("restore", "b", "--output", self.folder / "back")
        self.assertEqual((self.folder / "back").read_bytes(), self.data)
        self.assertEqual([s["name"] for s in self.dedup("list")["streams"]], ["a", "b"])
        stat = self.dedup("stat")
        self.assertEqual((stat["streams"], stat["logical_bytes"]), (2, 2 * len(self.data)))
        self.assertGreater(stat["dedup_ratio"], 1.9)
        text, _ = self.run_strata("dedup", "stat", "--store", self.store)
        self.assertIn(b"compressed", text)
        self.assertIn(b"####", text)

    def test_pipes(self):
        self.dedup("ingest", "--name", "piped", "-", stdin=self.data)
        out, _ = self.run_strata("dedup", "restore", "--store", self.store, "piped", "--output", "-")
        self.assertEqual(out, self.data)
        self.run_strata("dedup", "ingest", "--store", self.store, "-", expect=ERROR)

    def test_folders(self):
        tree = self.folder / "tree"
        (tree / "sub").mkdir(parents=True)
        (tree / "one").write_bytes(self.data[:100_000])
        (tree / "sub" / "two").write_bytes(self.data[50_000:300_000])
        (tree / "sub" / "empty").write_bytes(b"")
        (tree / "link").symlink_to("one")
        self.dedup("ingest", tree, "--name", "v1")
        self.assertEqual([s["name"] for s in self.dedup("list", "v1")["streams"]], ["v1", "v1/link", "v1/one", "v1/sub", "v1/sub/empty", "v1/sub/two"])
        self.dedup("restore", "v1", "--output", self.folder / "again")
        for name in ("one", "sub/two", "sub/empty"):
            self.assertEqual((self.folder / "again" / name).read_bytes(), (tree / name).read_bytes(), name)
        self.dedup("restore", "v1/sub", "--output", self.folder / "part")
        self.assertEqual(sorted(p.name for p in (self.folder / "part").iterdir()), ["empty", "two"])
        self.assertEqual(len(self.dedup("delete", "v1")["deleted"]), 6)

    def test_names_are_taken_and_given_back(self):
        self.dedup("ingest", self.file, "--name", "a")
        error = self.dedup("ingest", self.file, "--name", "a", expect=ERROR)["error"]
        self.assertEqual(error["code"], "ALREADY_EXISTS")
        self.file.write_bytes(self.data[::-1])
        self.dedup("ingest", self.file, "--name", "a", "--force")
        self.assertEqual(self.dedup("stat")["streams"], 1)
        error = self.dedup("restore", "a", "--output", self.file, expect=ERROR)["error"]
        self.assertEqual(error["code"], "ALREADY_EXISTS")
        self.dedup("delete", "a")
        before = self.dedup("stat")["disk_bytes"]
        self.assertGreater(self.dedup("gc")["containers_freed"], 0)
        self.assertLess(self.dedup("stat")["disk_bytes"], before - len(self.data))
        self.assertEqual(self.dedup("restore", "a", expect=ERROR)["error"]["code"], "NOT_FOUND")
        self.assertEqual(self.dedup("delete", "a", expect=ERROR)["error"]["code"], "NOT_FOUND")

    def test_a_name_does_not_lead_out_of_the_folder(self):
        self.dedup("ingest", self.file, "--name", "top/../../escaped")
        error = self.dedup("restore", "top", "--output", self.folder / "below", expect=ERROR)["error"]
        self.assertIn("leads out", error["message"])
        self.assertFalse((self.folder.parent / "escaped").exists())

    def test_what_post_process_stored_twice_is_folded(self):
        data = random.Random(SEED).randbytes(2_000_000)  # Both times into one container.
        self.file.write_bytes(data)
        for name in ("a", "b"):
            self.dedup("ingest", "--mode", "post-process", "--workers", "1", self.file, "--name", name)
        self.assertGreater(self.dedup("stat")["unique_bytes"], 1.9 * len(data))
        self.assertEqual(self.dedup("gc")["duplicate_chunks"], 0)
        self.assertGreater(self.dedup("gc", "--fold", "--max-rate", "1G")["duplicate_chunks"], 0)
        self.assertLess(self.dedup("stat")["unique_bytes"], 1.1 * len(data))
        for name in ("a", "b"):
            self.dedup("restore", name, "--output", self.folder / name)
            self.assertEqual((self.folder / name).read_bytes(), data)
        self.run_strata("dedup", "ingest", "--store", self.store, "--mode", "later", self.file, expect=USAGE)

    def test_what_ingest_deferred_is_compressed_by_gc(self):
        data = random.Random(SEED).randbytes(1_500_000).hex().encode()
        self.file.write_bytes(data)
        self.dedup("ingest", "--defer-compression", self.file, "--name", "a")
        stat = self.dedup("stat")
        # The last region may be too short to be probed; then it is compressed at once.
        self.assertGreater(stat["compressed_bytes"], len(data) - 8192)
        self.assertEqual(stat["deferred_bytes"], stat["compressed_bytes"])
        words = self.run_strata("dedup", "stat", "--store", self.store)[0].decode()
        self.assertIn("await their compression", words)
        self.assertEqual(self.dedup("gc", "--level", "3", "--region", "1M")["deferred_bytes"], stat["deferred_bytes"])
        stat = self.dedup("stat")
        self.assertEqual(stat["deferred_bytes"], 0)
        self.assertLess(stat["compressed_bytes"], 0.7 * len(data))
        self.assertNotIn(b"await", self.run_strata("dedup", "stat", "--store", self.store)[0])
        self.dedup("restore", "a", "--output", self.folder / "back")
        self.assertEqual((self.folder / "back").read_bytes(), data)

    def test_gc_compresses_as_ingest_said(self):
        chooser = random.Random(SEED)
        words = [chooser.randbytes(chooser.randrange(2, 6)).hex() for _ in range(2000)]
        for name in ("a", "b"):
            self.file.write_text(" ".join(chooser.choice(words) for _ in range(150_000)))
            self.dedup("ingest", "--level", "19", self.file, "--name", name)
        both = self.dedup("stat")["compressed_bytes"]
        self.dedup("delete", "a")
        self.assertGreater(self.dedup("gc")["live_bytes_copied"], 0)
        self.assertLess(self.dedup("stat")["compressed_bytes"], 0.52 * both)
        again = self.dedup("gc")
        self.assertEqual((again["freed_bytes"], again["containers_freed"], again["live_bytes_copied"]), (0, 0, 0))
        self.dedup("restore", "b", "--output", self.folder / "back")
        self.assertEqual((self.folder / "back").read_bytes(), self.file.read_bytes())

    def test_an_encrypted_store_opens_with_its_key_alone(self):
        key, other = self.folder / "key", self.folder / "other"
        for path in (key, other):
            path.write_text(os.urandom(32).hex())
            path.chmod(0o600)
        self.dedup("ingest", "--key-file", key, self.file, "--name", "a")
        self.assertNotIn(self.data[5000:5100], (self.store / "containers").read_bytes())
        self.dedup("restore", "--key-file", key, "a", "--output", self.folder / "back")
        self.assertEqual((self.folder / "back").read_bytes(), self.data)
        for arguments, words in (((), "encryption_key is missing"), (("--key-file", other), "is not the one"),
                                 (("--key-file", self.folder / "absent"), str(self.folder / "absent"))):
            for command in (("list",), ("stat",), ("verify",), ("gc",), ("delete", "a"), ("restore", "a"),
                            ("ingest", self.file, "--name", "b")):
                error = self.dedup(*command, *arguments, expect=ERROR)["error"]
                self.assertIn(words, error["message"])
                self.assertNotIn(key.read_text(), error["message"])
        key.chmod(0o644)
        self.assertIn("chmod 0600", self.dedup("list", "--key-file", key, expect=ERROR)["error"]["message"])
        key.chmod(0o600)
        self.assertEqual(len(self.dedup("list", "--key-file", key)["streams"]), 1)

    def test_damage_is_named(self):
        self.dedup("ingest", self.file, "--name", "precious")
        self.assertFalse(self.dedup("verify")["damaged"])
        containers = self.store / "containers"
        with containers.open("r+b") as file:
            content = file.read(4 << 20)
            # A stretch from the middle of the data, which random bytes keep uncompressed.
            place = content.index(self.data[700_000:700_032])
            file.seek(place)
            file.write(b"\0" * 32)
        report = self.dedup("verify", expect=DAMAGE)
        self.assertTrue(report["damaged"])
        self.assertEqual({s["name"] for s in report["streams"]}, {"precious"})
        text, _ = self.run_strata("dedup", "verify", "--store", self.store, expect=DAMAGE)
        self.assertIn(b"LOST     precious, ", text)
        error = self.dedup("restore", "precious", "--output", self.folder / "back", expect=ERROR)["error"]
        self.assertEqual(error["code"], "DATA_LOSS")
        self.assertFalse((self.folder / "back").exists())

    def test_lost_metadata_is_made_again_from_the_containers(self):
        self.dedup("ingest", self.file, "--name", "home/monday")
        self.dedup("ingest", self.file, "--name", "tuesday")
        self.dedup("delete", "tuesday")
        shutil.rmtree(self.store / "meta")
        _, error = self.run_strata("dedup", "list", "--store", self.store, expect=ERROR)
        self.assertIn("rebuild-metadata", error)
        answer = self.dedup("rebuild-metadata")
        self.assertEqual((answer["streams_found"], answer["lost"], answer["damaged"]), (1, [], False))
        self.assertEqual([s["name"] for s in self.dedup("list")["streams"]], ["home/monday"])
        self.dedup("restore", "home/monday", "--output", self.folder / "back")
        self.assertEqual((self.folder / "back").read_bytes(), self.data)
        text, _ = self.run_strata("dedup", "rebuild-metadata", "--store", self.store)
        self.assertIn(b"1 streams", text)
        self.assertTrue((self.store / "meta.old").exists())

    def test_scan_stores_nothing(self):
        other = self.folder / "tuesday"
        other.write_bytes(self.data[:700_000] + b"!" + self.data[700_000:])
        out, _ = self.run_strata("--json", "dedup", "scan", self.file, other)
        answer = {row["algorithm"]: row for row in json.loads(out)["algorithms"]}
        self.assertEqual(len(answer), 9)
        self.assertGreater(answer["fastcdc2020"]["ratio"], 1.8)
        self.assertEqual([v["logical_bytes"] for v in answer["ram"]["versions"]], [1_500_000, 1_500_001])
        self.assertLess(answer["fastcdc2020"]["versions"][1]["new_bytes"], 100_000)
        text, _ = self.run_strata("dedup", "scan", "--algo", "lincdc", "--avg", "16K", "--max", "64K", self.file, other)
        self.assertIn(b"lincdc", text)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["monday", "tuesday"])

    def test_what_is_wrong_is_said(self):
        self.assertEqual(self.dedup("list", expect=ERROR)["error"]["code"], "NOT_FOUND")
        self.assertFalse(self.store.exists())
        self.run_strata("dedup", "ingest", "--store", self.store, self.folder / "missing", expect=ERROR)
        self.run_strata("dedup", expect=USAGE)
        self.run_strata("dedup", "ingest", "--algo", "guess", self.file, expect=USAGE)
        self.run_strata("dedup", "scan", "--avg", "many", self.file, expect=USAGE)

    def stderr_of_a_terminal(self, *arguments, columns=80):
        """What a command draws there."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
        with subprocess.Popen([program.BIN / "strata", *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=theirs,
                              cwd=self.folder, env=program.clean_environment()) as process:
            os.close(theirs)
            drawn = b""
            try:
                while piece := os.read(ours, 65536):
                    drawn += piece
            except OSError:  # The end of a terminal that nobody has open any more.
                pass
            os.close(ours)
        self.assertEqual(process.returncode, OK, drawn)
        return drawn.decode()

    def test_a_terminal_shows_progress_and_keeps_none_of_it(self):
        for command in (("ingest", self.file, "--name", "a"), ("verify",), ("restore", "a", "--output", "back")):
            drawn = self.stderr_of_a_terminal("dedup", command[0], "--store", self.store, *command[1:])
            self.assertRegex(drawn, r"\[#* *\] +\d+ %  \w+  .* of ", command)
            self.assertTrue(drawn.endswith("\r\033[K"), repr(drawn[-40:]))
        drawn = self.stderr_of_a_terminal("dedup", "scan", self.file, columns=30)
        self.assertLess(max(len(line) for line in re.split(r"\r\033\[K", drawn)), 30)
        self.assertEqual(self.stderr_of_a_terminal("--json", "dedup", "scan", self.file), "")
        self.assertEqual(self.run_strata("dedup", "scan", self.file)[1], "", "nothing but on a terminal")

    def test_help_has_examples(self):
        for command in ((), ("scan",), ("ingest",), ("restore",), ("list",), ("delete",), ("gc",), ("verify",), ("stat",)):
            out, _ = self.run_strata("dedup", *command, "--help")
            self.assertIn(b"Examples:\n  strata dedup " + b" ".join(c.encode() for c in command), out)


if __name__ == "__main__":
    unittest.main()

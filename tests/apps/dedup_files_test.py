# SPDX-License-Identifier: Apache-2.0
"""`strata dedup` with files of every kind: what comes back, what is said, and that one bad file ends nothing but itself."""
import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import threading
import unittest

import program
from support.appliance import temporary_folder

OK, ERROR, USAGE, DAMAGE = range(4)
NOBODY = 0xFFFFFFFF  # The id in entries of an ACL that name no one.


class DedupFilesTest(unittest.TestCase):

    def setUp(self):
        self.folder = temporary_folder("dedup_files")
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = self.folder / "store"
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        self.back = self.folder / "back"

    def run_strata(self, *arguments, expect=OK, **how):
        result = subprocess.run([program.BIN / "strata", *arguments], capture_output=True, timeout=120, check=False,
                                env=program.clean_environment(), cwd=self.folder, stdin=subprocess.DEVNULL, **how)
        self.assertEqual(result.returncode, expect, f"{arguments}: {result.stdout[-800:]} {result.stderr}")
        return result

    def dedup(self, command, *arguments, **how):
        return json.loads(self.run_strata("--json", "dedup", command, "--store", self.store, *arguments, **how).stdout)

    def round_trip(self):
        self.dedup("ingest", self.tree, "--name", "v")
        return self.dedup("restore", "v", "--output", self.back)

    def test_modes_times_links_pipes_and_empty_folders_come_back(self):
        (self.tree / "secret").write_bytes(b"secret")
        (self.tree / "secret").chmod(0o600)
        (self.tree / "tool").write_bytes(b"tool")
        (self.tree / "tool").chmod(0o4755)
        (self.tree / "empty").mkdir(mode=0o710)
        (self.tree / "closed").mkdir()
        (self.tree / "closed" / "inside").write_bytes(b"inside")
        (self.tree / "link").symlink_to("../nowhere\n")
        os.mkfifo(self.tree / "pipe", 0o640)
        os.link(self.tree / "secret", self.tree / "twin")
        for path in (self.tree / "secret", self.tree / "empty", self.tree / "closed"):
            os.utime(path, ns=(1_000_000_000_123_456_789, 987_654_321_987_654_321))
        (self.tree / "closed").chmod(0o500)
        self.round_trip()
        for path in [self.tree, *self.tree.rglob("*")]:
            copy = self.back / path.relative_to(self.tree)
            self.assertEqual(copy.lstat().st_mode, path.lstat().st_mode, path)
            self.assertEqual(copy.lstat().st_mtime_ns, path.lstat().st_mtime_ns, path)
        self.assertEqual(os.readlink(self.back / "link"), "../nowhere\n")
        self.assertTrue(os.path.samefile(self.back / "secret", self.back / "twin"))
        self.assertEqual((self.back / "closed" / "inside").read_bytes(), b"inside")
        # One of the links comes back alone, and outlives the other.
        self.dedup("delete", "v/secret")
        self.dedup("restore", "v/twin", "--output", self.folder / "twin")
        self.assertEqual((self.folder / "twin").read_bytes(), b"secret")
        for path in (self.tree / "closed", self.back / "closed"):
            path.chmod(0o700)

    def test_owners_come_back_for_root(self):
        if os.geteuid() != 0:
            self.skipTest("only root gives files away")
        (self.tree / "theirs").write_bytes(b"theirs")
        os.chown(self.tree / "theirs", 12345, 23456)
        (self.tree / "theirs").chmod(0o2711)
        os.symlink("theirs", self.tree / "link")
        os.chown(self.tree / "link", 12345, 23456, follow_symlinks=False)
        self.round_trip()
        for name in ("theirs", "link"):
            info = (self.back / name).lstat()
            self.assertEqual((info.st_uid, info.st_gid), (12345, 23456), name)
        self.assertEqual(stat.S_IMODE((self.back / "theirs").stat().st_mode), 0o2711)

    def test_holes_stay_holes(self):
        sparse = self.tree / "sparse"
        with sparse.open("wb") as file:
            file.write(b"head")
            file.seek(1 << 40)
            file.write(b"tail")
            file.truncate((1 << 40) + (1 << 30))
        if sparse.stat().st_blocks * 512 > 1 << 20:
            self.skipTest("no sparse files here")
        answer = self.dedup("ingest", sparse, "--name", "s")  # A TiB in no time.
        self.assertLess(answer["logical_bytes"], 1 << 20)
        self.assertEqual(answer["streams"][0]["size_bytes"], sparse.stat().st_size)
        self.dedup("restore", "s", "--output", self.back)
        self.assertEqual(self.back.stat().st_size, sparse.stat().st_size)
        self.assertLess(self.back.stat().st_blocks * 512, 1 << 20)
        with self.back.open("rb") as file:
            self.assertEqual(file.read(8), b"head\0\0\0\0")
            file.seek(1 << 40)
            self.assertEqual(file.read(8), b"tail\0\0\0\0")

    def test_a_name_beside_its_part_name_and_the_longest_names(self):
        names = ["x", "x.part", "x" * 255, ".strata-0.part"]
        for name in names:
            (self.tree / name).write_bytes(name.encode())
        self.round_trip()
        self.assertEqual({p.name: p.read_bytes() for p in self.back.iterdir()}, {n: n.encode() for n in names})

    def test_extended_attributes_and_acls_come_back(self):
        file, folder = self.tree / "file", self.tree / "folder"
        file.write_bytes(b"file")
        folder.mkdir()
        entries = ((1, 6, NOBODY), (2, 4, 12345), (4, 4, NOBODY), (16, 6, NOBODY), (32, 0, NOBODY))
        acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
        given = {file: {"user.note": b"a\0b", "user.empty": b"", "system.posix_acl_access": acl},
                 folder: {"user.kind": b"folder", "system.posix_acl_default": acl}}
        try:
            for path, attributes in given.items():
                for name, value in attributes.items():
                    os.setxattr(path, name, value)
        except OSError as error:
            self.skipTest(f"this filesystem has no such attributes: {error}")
        answer = self.round_trip()
        self.assertEqual(answer["not_kept"], [])
        for path, attributes in given.items():
            copy = self.back / path.relative_to(self.tree)
            self.assertEqual({name: os.getxattr(copy, name) for name in os.listxattr(copy)}, attributes)
            self.assertEqual(copy.stat().st_mode, path.stat().st_mode)

    def test_a_file_that_changes_while_it_is_read_is_said(self):
        growing, calm = self.tree / "growing", self.tree / "calm"
        growing.write_bytes(os.urandom(1 << 20) * 48)
        calm.write_bytes(b"calm")
        done = threading.Event()

        def grow():
            with open(growing, "ab", buffering=0) as file:
                while not done.wait(0.0005) and file.tell() < 1 << 28:
                    file.write(b"more")

        writer = threading.Thread(target=grow)
        writer.start()
        try:
            answer = self.dedup("ingest", self.tree, "--name", "v")
        finally:
            done.set()
            writer.join()
        self.assertEqual(answer["changed"], [str(growing)])
        self.dedup("restore", "v", "--output", self.back)
        stored = (self.back / "growing").read_bytes()
        self.assertTrue(growing.read_bytes().startswith(stored))
        self.assertGreaterEqual(len(stored), 48 << 20)

    def test_one_file_that_cannot_be_read_does_not_end_the_others(self):
        (self.tree / "good").write_bytes(b"good")
        (self.tree / "also").write_bytes(b"also")
        deep = self.folder
        answer = self.dedup("ingest", self.tree, self.folder / "absent", expect=ERROR)
        self.assertEqual([f["code"] for f in answer["failed"]], ["NOT_FOUND"])
        self.assertEqual(len(answer["streams"]), 3)
        said = self.run_strata("dedup", "ingest", "--store", self.store, "--force", self.tree, deep / "absent", expect=ERROR)
        self.assertIn(b"absent: No such file", said.stderr)

    def test_a_damaged_file_does_not_end_the_restore_of_the_others(self):
        bodies = {name: os.urandom(3_000_000) for name in ("a", "b", "c")}
        for name, body in bodies.items():
            (self.tree / name).write_bytes(body)
        self.dedup("ingest", self.tree, "--name", "v", "--compression", "none")
        containers = self.store / "containers"
        with containers.open("r+b") as file:
            file.seek(file.read().index(bodies["b"][1_500_000:1_500_032]))
            file.write(bytes(32))
        answer = self.dedup("restore", "v", "--output", self.back, expect=ERROR)
        self.assertEqual([f["name"] for f in answer["failed"]], ["v/b"])
        self.assertEqual({p.name for p in self.back.iterdir()}, {"a", "c"})
        for name in ("a", "c"):
            self.assertEqual((self.back / name).read_bytes(), bodies[name])

    def test_names_command_no_terminal_and_are_exact_in_json(self):
        for name in (b"\x1b]0;gotcha\x07", b"two\nlines", b"latin-\xe9", "\u202egnp.txt".encode()):
            with open(os.path.join(os.fsencode(self.tree), name), "wb") as file:
                file.write(b"x")
        self.dedup("ingest", self.tree, "--name", "v")
        shown = self.run_strata("dedup", "list", "--store", self.store).stdout
        self.assertNotIn(b"\x1b", shown)
        self.assertIn(rb"$'v/two\nlines'", shown)
        self.assertIn(rb"$'v/latin-\xe9'", shown)
        self.assertNotIn("\u202e".encode(), shown)
        names = [s["name"] for s in self.dedup("list")["streams"]]
        self.assertIn("v/\x1b]0;gotcha\x07", names)
        self.assertIn("v/latin-\0e9", names)
        self.dedup("restore", b"v/latin-\xe9", "--output", self.back)
        self.assertEqual(self.back.read_bytes(), b"x")

    def test_planted_links_lead_nowhere(self):
        (self.tree / "sub").mkdir()
        (self.tree / "sub" / "file").write_bytes(b"new")
        self.dedup("ingest", self.tree, "--name", "v")
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        self.back.mkdir()
        (self.back / "sub").symlink_to(elsewhere)
        answer = self.dedup("restore", "v", "--force", "--output", self.back, expect=ERROR)
        self.assertTrue(answer["failed"])
        self.assertEqual(list(elsewhere.iterdir()), [])
        (self.back / "sub").unlink()
        (self.back / "sub").mkdir()
        target = elsewhere / "target"
        target.write_bytes(b"old")
        (self.back / "sub" / "file").symlink_to(target)
        self.dedup("restore", "v", "--force", "--output", self.back)
        self.assertEqual(target.read_bytes(), b"old")
        self.assertEqual((self.back / "sub" / "file").read_bytes(), b"new")

    def test_options_that_the_store_overrides_are_refused(self):
        (self.tree / "a").write_bytes(b"a")
        self.dedup("ingest", self.tree, "--name", "1", "--algo", "fastcdc2020")
        error = self.dedup("ingest", self.tree, "--name", "2", "--algo", "rabin", expect=ERROR)["error"]
        self.assertIn("was made with --algo fastcdc2020", error["message"])
        error = self.dedup("ingest", self.tree, "--name", "2", "--avg", "16K", "--max", "64K", expect=ERROR)["error"]
        self.assertIn("--avg", error["message"])
        self.dedup("ingest", self.tree, "--name", "2", "--algo", "fastcdc2020", "--avg", "8K")
        answer = self.dedup("stat")
        self.assertEqual((answer["chunker"]["algorithm"], answer["last_ingest"]["compression"], answer["encrypted"]),
                         ("fastcdc2020", "zstd", False))
        # Not what its kv store takes ahead while `stat` has it open.
        taken = sum(os.lstat(os.path.join(folder, name)).st_blocks * 512
                    for folder, _, names in os.walk(self.store) for name in names)
        self.assertLess(abs(answer["disk_bytes"] - taken), 1 << 20)

    def test_an_interrupted_ingest_says_so_and_leaves_a_whole_store(self):
        for sent, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with subprocess.Popen([program.BIN / "strata", "dedup", "ingest", "--store", self.store, "--name", f"p{code}", "-"],
                                  stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=program.clean_environment()) as process:
                process.stdin.write(b"x" * 300_000)
                process.stdin.flush()
                program.wait_until(lambda p=process: (self.store / "lock").exists() and
                                   (self.store / "lock").read_text() == str(p.pid), "it holds the store")
                process.send_signal(sent)  # It waits for a pipe that says nothing more.
                self.assertEqual(process.wait(timeout=60), code)
        self.assertFalse(self.dedup("verify")["damaged"])
        self.assertEqual(self.dedup("list")["streams"], [])

    def test_the_store_below_what_is_taken_in_is_left_out(self):
        (self.tree / "a").write_bytes(b"a")
        self.store = self.tree / "store"
        self.dedup("ingest", self.tree, "--name", "1")
        answer = self.dedup("ingest", self.tree, "--name", "2")
        self.assertEqual([s["name"] for s in answer["streams"]], ["2", "2/a"])
        self.assertIn("the store itself", answer["not_kept"][0]["what"])

    def test_many_small_files_share_what_they_take(self):
        for i in range(500):
            (self.tree / f"{i:03}").write_bytes(f"contents{i:03}".encode())
        self.dedup("ingest", self.tree, "--name", "v")
        self.assertLess(self.dedup("stat")["compressed_bytes"], 100_000)
        self.dedup("restore", "v", "--output", self.back)
        for i in range(500):
            self.assertEqual((self.back / f"{i:03}").read_bytes(), f"contents{i:03}".encode())
        self.assertEqual(len(self.dedup("delete", "v")["deleted"]), 501)


if __name__ == "__main__":
    unittest.main()

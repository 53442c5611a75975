# SPDX-License-Identifier: Apache-2.0
"""`strata ec`: files to shard files and back, through every kind of loss that docs/formats/ec.md speaks of."""
import json
import os
import random
import shutil
import subprocess
import unittest

import program
from support.appliance import temporary_folder
from support.crc32c import crc32c

OK, ERROR, USAGE, DAMAGE = range(4)
SEED = int(os.environ.get("STRATA_SEED", "20"))
HEADER = 128


def checksum(data):
    return crc32c(data).to_bytes(4, "little")


def run(*arguments):
    """Returns (exit code, stdout, stderr) of strata."""
    result = subprocess.run([program.BIN / "strata", *map(str, arguments)], capture_output=True, text=True, timeout=120,
                            check=False, env=program.clean_environment(), stdin=subprocess.DEVNULL)
    return result.returncode, result.stdout, result.stderr


class ErasureTest(unittest.TestCase):

    def setUp(self):
        self.folder = temporary_folder("erasure")
        self.addCleanup(shutil.rmtree, self.folder)
        self.file = self.folder / "archive.tar"
        self.content = random.Random(SEED).randbytes(1_000_003)
        self.file.write_bytes(self.content)

    def ec(self, *arguments, expect=OK):
        code, out, error = run("ec", *arguments)
        self.assertEqual(code, expect, out + error)
        return out + error

    def shards(self):
        return sorted(self.folder.glob("archive.tar.ec.*"))

    def encode(self, *options):
        self.ec("encode", "--unit", "4K", *options, self.file)
        self.file.unlink()
        return self.shards()

    def assert_decodes(self, shards, *options):
        said = self.ec("decode", "--force", *options, *shards)
        self.assertEqual(self.file.read_bytes(), self.content)
        return said

    @staticmethod
    def flip(path, offset):
        content = bytearray(path.read_bytes())
        content[offset] ^= 1
        path.write_bytes(content)

    def test_any_four_of_six(self):
        shards = self.encode()
        self.assertEqual([path.name[-3:] for path in shards], ["000", "001", "002", "003", "004", "005"])
        self.ec("verify", *shards)
        for a in range(6):
            for b in range(a):
                self.assert_decodes([path for i, path in enumerate(shards) if i not in (a, b)])
        self.file.unlink()
        self.assertIn(f"{self.file}: stripe 0: rs(4,2): shard 3 cannot be rebuilt from the 3 shards that are present",
                      self.ec("decode", *shards[:3], expect=ERROR))
        self.assertFalse(self.file.exists())
        self.assertEqual(list(self.folder.glob("*.part")), [])

    def test_every_size_around_a_stripe(self):
        for size in (0, 1, 3, 4, 5, 2047, 2048, 2049, 4096, 6143):
            self.content = random.Random(size).randbytes(size)
            self.file.write_bytes(self.content)
            self.ec("encode", "--force", "--unit", "512", self.file)
            shards = self.shards()
            self.ec("verify", *shards)
            self.assert_decodes(shards[2:])

    def test_different_units_of_every_shard_are_damaged(self):
        shards = self.encode()
        for i, path in enumerate(shards):  # Stripe 2 * i of shard i.
            self.flip(path, HEADER + 2 * i * 4096 + 17)
        said = self.ec("verify", *shards, expect=DAMAGE)
        self.assertIn("the file can be had", said)
        self.assertIn("1 units do not fit their checksums, the first in stripe 10", said)
        said = self.assert_decodes(shards)
        self.assertIn("4 units rebuilt", said)  # Damaged parity is not even read where data is whole.

    def test_damaged_headers_and_checksums(self):
        shards = self.encode()
        self.flip(shards[0], 30)
        self.flip(shards[5], shards[5].stat().st_size - 6)
        said = self.ec("verify", *shards, expect=DAMAGE)
        self.assertIn("the header's checksum does not fit it", said)
        self.assertIn("shard 0 is missing", said)
        self.assertIn("the checksum of the checksums does not fit them", said)
        self.assert_decodes(shards)
        os.truncate(shards[4], 100)
        self.assertEqual(self.ec("verify", *shards, expect=DAMAGE).count(f"{shards[4]}: it ends too early"), 1)
        os.truncate(shards[1], 5000)
        self.file.unlink()
        self.assertIn("THE FILE IS LOST", self.ec("verify", *shards, expect=DAMAGE))
        self.ec("decode", *shards, expect=ERROR)
        self.assertFalse(self.file.exists())

    def test_a_header_alone_may_claim_anything(self):
        header = bytearray(HEADER - 4)
        header[0:8] = b"STRATAEC"
        header[8], header[12], header[16], header[17], header[18] = 1, HEADER, 1, 254, 1
        header[24:32] = (1 << 61).to_bytes(8, "little")  # A thousand million stripes of 4 GiB.
        header[35] = 1  # Units of 16 MiB.
        claim = self.folder / "claim.ec.000"
        claim.write_bytes(header + checksum(header))
        said = self.ec("verify", claim, expect=DAMAGE)
        self.assertIn("THE FILE IS LOST: no shard is whole", said)
        self.assertIn("it has 128 bytes instead of", said)
        self.assertIn("no shard is whole", self.ec("decode", claim, expect=ERROR))

    def test_a_file_that_does_not_fit_its_checksum_is_lost(self):
        shards = self.encode()
        for path in shards:
            content = bytearray(path.read_bytes())
            content[-8] ^= 1
            content[-4:] = checksum(content[-4 * (-(-len(self.content) // 16384) + 2):-4])
            path.write_bytes(content)
        self.assertIn("THE FILE IS LOST: it does not fit its checksum", self.ec("verify", *shards, expect=DAMAGE))
        self.assertIn("does not fit its checksum", self.ec("decode", *shards, expect=ERROR))
        self.assertFalse(self.file.exists())

    def test_verification_says_of_missing_shards_what_decoding_does(self):
        shards = self.encode()
        self.assertIn("the file can be had", self.ec("verify", *shards[2:], expect=DAMAGE))
        said = self.ec("verify", *shards[3:], expect=DAMAGE)
        self.assertIn("THE FILE IS LOST: stripe 0: rs(4,2): shard 0 cannot be rebuilt from the 3 shards", said)
        for path in shards:
            path.unlink()
        self.content = b""
        self.file.write_bytes(b"")
        shards = self.encode()
        self.assertIn("the file can be had", self.ec("verify", shards[5], expect=DAMAGE))
        self.assert_decodes(shards[5:])

    def test_encodings_of_one_name_are_not_mixed(self):
        copies = [self.folder / "a", self.folder / "b"]
        for copy in copies:
            copy.mkdir()
            self.ec("encode", "--output", copy, self.file)
        mixed = [copies[i % 2] / f"archive.tar.ec.00{i}" for i in range(6)]
        for i in (1, 3, 5):  # All in one folder, as a careless copy leaves them.
            shutil.copy(mixed[i], copies[0] / mixed[i].name)
            mixed[i] = copies[0] / mixed[i].name
        said = self.ec("decode", "--force", *mixed, expect=ERROR)
        self.assertIn("archive.tar.ec.NNN are of different encodings", said)
        self.assertFalse((copies[0] / "archive.tar").exists())
        self.assertEqual(self.ec("verify", *mixed, expect=DAMAGE).count("3 of 6 shards, THE FILE IS LOST"), 2)

    def test_a_pipe_is_not_waited_for(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        self.assertIn("not a regular file", self.ec("encode", pipe, expect=ERROR))
        self.assertIn("cannot be read", self.ec("decode", pipe, expect=ERROR))

    def test_a_locally_repairable_code(self):
        shards = self.encode("--data-shards", "6", "--parity-shards", "4", "--groups", "2")
        self.assertEqual(len(shards), 10)
        self.assertIn("lrc(6,2,2)", self.ec("verify", *shards))
        self.assert_decodes([path for i, path in enumerate(shards) if i not in (0, 1, 3, 6)])

    def test_json_names_what_is_there(self):
        answer = json.loads(run("--json", "ec", "encode", self.file)[1])["files"][0]
        self.assertEqual((answer["code"], answer["file_bytes"]), ("rs(4,2)", len(self.content)))
        shards = self.shards()
        self.assertEqual(answer["shards"], [str(path) for path in shards])
        self.assertEqual(answer["shard_bytes"], shards[0].stat().st_size)
        code, out, _ = run("--json", "ec", "verify", *shards[1:])
        answer = json.loads(out)
        self.assertEqual(code, DAMAGE)
        self.assertEqual((answer["damaged"], answer["sets"][0]["missing"], answer["sets"][0]["recoverable"]),
                         (True, [0], True))

    def test_several_files_at_once(self):
        other = self.folder / "other"
        other.write_bytes(b"other")
        shards = self.folder / "shards"
        shards.mkdir()
        self.ec("encode", "--output", shards, self.file, other)
        everything = list(shards.iterdir())
        self.assertEqual(len(everything), 12)
        self.ec("verify", *everything)
        self.assertIn("2 files", self.ec("decode", "--output", self.folder / "x", *everything, expect=ERROR))
        self.ec("decode", *everything)
        self.assertEqual((shards / "archive.tar").read_bytes(), self.content)
        self.assertEqual((shards / "other").read_bytes(), b"other")
        mixed = [path for path in everything if path.name.startswith("other")] + [everything[0], everything[0]]
        self.assertIn("is the same shard as", self.ec("verify", *mixed, expect=DAMAGE))

    def test_nothing_is_replaced_unasked(self):
        shards = self.encode()
        self.file.write_bytes(b"mine")
        self.assertIn("exists already", self.ec("decode", *shards, expect=ERROR))
        self.assertEqual(self.file.read_bytes(), b"mine")
        self.assertIn("exists already", self.ec("encode", self.file, expect=ERROR))
        self.ec("verify", *shards)

    def test_what_a_killed_run_left_is_in_nobodys_way(self):
        for left in ("archive.tar.ec.002.part", ".strata-000000000000.part"):
            (self.folder / left).write_bytes(b"left")
        self.ec("encode", self.file)
        self.assertEqual(len([p for p in self.shards() if p.suffix != ".part"]), 6)
        self.assertEqual((self.folder / "archive.tar.ec.002.part").read_bytes(), b"left")

    def test_a_file_stands_for_its_shards(self):
        shards = self.encode()
        shards[1].unlink()
        self.ec("verify", self.file, expect=DAMAGE)
        self.ec("decode", self.file)
        self.assertEqual(self.file.read_bytes(), self.content)

    def test_lost_shards_are_written_again(self):
        shards = self.encode()
        originals = [path.read_bytes() for path in shards]
        shards[1].unlink()
        self.flip(shards[4], HEADER + 4096 + 5)
        self.assertIn("2 shards written", self.ec("repair", self.file))
        self.assertEqual([path.read_bytes() for path in self.shards()], originals)
        self.ec("verify", self.file)
        self.assertIn("0 shards written", self.ec("repair", self.file))
        for path in shards[:3]:
            path.unlink()
        self.ec("repair", self.file, expect=ERROR)
        self.assertEqual(len(self.shards()), 3)
        self.assertEqual(list(self.folder.glob(".strata*")), [])

    def test_mistakes_are_named(self):
        self.assertIn("more than 255", self.ec("encode", "--data-shards", "300", self.file, expect=ERROR))
        self.assertIn("power of two", self.ec("encode", "--unit", "1000", self.file, expect=ERROR))
        self.assertIn("--unit", self.ec("encode", "--unit", "lots", self.file, expect=USAGE))
        self.assertIn("No such file", self.ec("encode", self.folder / "absent", expect=ERROR))
        self.assertIn("not a regular file", self.ec("encode", self.folder, expect=ERROR))
        self.assertIn("not a shard file", self.ec("decode", self.file, expect=ERROR))
        self.ec("encode", expect=USAGE)
        self.assertEqual(self.shards(), [])


if __name__ == "__main__":
    unittest.main()

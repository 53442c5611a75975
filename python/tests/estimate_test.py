# SPDX-License-Identifier: Apache-2.0
"""estimate(): its figures against a plain count over Python sets, its tables, cancellation, pictures."""

import collections
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import unittest

import strata
from strata import dedup

SEED = int(os.environ.get("STRATA_SEED", "22"))


def plain_chunks(path, algo):
    """[(digest, length)] of one file, by hashlib."""
    data = path.read_bytes()
    return [(hashlib.sha256(data[o:o + n]).digest(), n) for o, n in dedup.chunks(data, algo)]


class EstimateTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="strata-estimate-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        draw = random.Random(SEED)
        shared, changed = draw.randbytes(400_000), draw.randbytes(200_000)
        for version in ("one", "two"):
            (self.root / version / "sub").mkdir(parents=True)
            (self.root / version / "same.BIN").write_bytes(shared)
            (self.root / version / "sub" / "copy.bin").write_bytes(shared)
            (self.root / version / "notes").write_bytes(b"")
        (self.root / "one" / "change.txt").write_bytes(changed)
        (self.root / "two" / "change.txt").write_bytes(changed[:100_000] + b"!" + changed[100_000:])
        (self.root / "two" / "link.txt").symlink_to("change.txt")
        self.versions = [self.root / "one", self.root / "two"]

    def files(self, version):
        return [p for p in version.rglob("*") if p.is_file() and not p.is_symlink()]

    def test_figures_are_those_of_a_plain_count(self):
        answer = dedup.estimate(self.versions, algos="all", workers=3)
        self.assertEqual(list(answer.results), dedup.algorithms())
        self.assertEqual((answer.files, answer.skipped), (8, []))
        for algo, result in answer.results.items():
            seen, logical, count = {}, 0, 0
            for version in self.versions:
                before = sum(seen.values())
                for path in self.files(version):
                    for digest, length in plain_chunks(path, algo):
                        seen[digest] = length
                        logical += length
                        count += 1
                share = result.versions[self.versions.index(version)]
                self.assertEqual(share.new_bytes, sum(seen.values()) - before, algo)
            self.assertEqual((result.logical_bytes, result.chunk_count), (logical, count), algo)
            self.assertEqual((result.unique_bytes, result.unique_chunk_count), (sum(seen.values()), len(seen)), algo)
            self.assertAlmostEqual(result.ratio, logical / sum(seen.values()))
            self.assertAlmostEqual(result.savings, 1 - sum(seen.values()) / logical)
            self.assertEqual(sum(n for _, _, n in result.histogram), len(seen), algo)
            self.assertTrue(all(low < high for low, high, _ in result.histogram), algo)

    def test_types_and_versions(self):
        result = dedup.estimate(self.versions)["lincdc"]
        types = {share.name: share for share in result.types}
        self.assertEqual({name: share.files for name, share in types.items()}, {".bin": 4, ".txt": 2, "(none)": 2})
        self.assertEqual((types[".bin"].logical_bytes, types[".bin"].new_bytes), (1_600_000, 400_000))
        self.assertAlmostEqual(types[".bin"].savings, 0.75)
        self.assertEqual([share.name for share in result.versions], [str(p) for p in self.versions])
        self.assertLess(result.versions[1].new_bytes, 100_000)
        self.assertEqual((result.shared[0][0], result.shared[1][1]), (1.0, 1.0))
        counts = collections.Counter()
        first = {digest for path in self.files(self.versions[0]) for digest, _ in plain_chunks(path, "lincdc")}
        for path in self.files(self.versions[1]):
            for digest, length in plain_chunks(path, "lincdc"):
                counts[digest in first] += length
        self.assertAlmostEqual(result.shared[0][1], counts[True] / (counts[True] + counts[False]))

    def test_one_file_nothing_and_what_does_not_exist(self):
        result = dedup.estimate(self.root / "one" / "same.BIN")["lincdc"]
        self.assertEqual((result.logical_bytes, result.ratio), (400_000, 1.0))
        (self.root / "empty").mkdir()
        nothing = dedup.estimate(str(self.root / "empty"))["lincdc"]
        self.assertEqual((nothing.chunk_count, nothing.ratio, nothing.savings, nothing.histogram), (0, 1.0, 0.0, []))
        with self.assertRaises(FileNotFoundError):
            dedup.estimate(self.root / "missing")
        with self.assertRaises(strata.InvalidArgumentError):
            dedup.estimate(self.root, algos=["fastcdc2020", "guess"])

    def test_a_file_that_goes_away_is_skipped_and_named(self):
        gone = self.root / "one" / "change.txt"

        def remove(phase, done, total):
            gone.unlink(missing_ok=True)

        (self.root / "aaa").write_bytes(b"first")
        answer = dedup.estimate([self.root / "aaa", *[self.root] * 20], workers=1, progress=remove)
        self.assertIn(str(gone), [path for path, _ in answer.skipped])
        self.assertIn("No such file", answer.skipped[-1][1])

    def test_progress_and_cancellation(self):
        seen = []
        dedup.estimate(self.versions, progress=lambda *report: seen.append(report))
        self.assertEqual(seen[-1], ("scan", 2_000_001, 2_000_001))
        self.assertEqual(sorted(done for _, done, _ in seen), [done for _, done, _ in seen])
        with self.assertRaises(strata.CancelledError):
            dedup.estimate(self.versions, progress=lambda *_: False)
        event = threading.Event()
        event.set()
        for cancel in (event, lambda: True):
            with self.assertRaises(strata.CancelledError):
                dedup.estimate(self.versions, cancel=cancel)
        with self.assertRaises(ZeroDivisionError):
            dedup.estimate(self.versions, progress=lambda *_: 1 // 0)

    def test_json_holds_what_the_objects_hold(self):
        answer = dedup.estimate(self.versions, ["ram", "fixed"], avg=4096)
        plain = json.loads(answer.to_json())
        self.assertEqual(list(plain["results"]), ["ram", "fixed"])
        self.assertEqual(plain["results"]["ram"]["ratio"], answer["ram"].ratio)
        self.assertEqual(plain["results"]["ram"]["types"][0]["savings"], answer["ram"].types[0].savings)
        self.assertEqual(plain["results"]["fixed"]["shared"], answer["fixed"].shared)

    def test_a_picture(self):
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            with self.assertRaisesRegex(ImportError, "python3-matplotlib"):
                dedup.estimate(self.versions).plot()
            return
        for paths in (self.versions, self.versions[:1]):
            target = self.root / "picture.png"
            figure = dedup.estimate(paths, algos="all").plot(str(target))
            self.assertEqual(len(figure.axes), 4)
            self.assertEqual(target.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
            target.unlink()

    def test_without_matplotlib_the_error_says_what_to_install(self):
        code = ("import sys\nsys.modules['matplotlib'] = None\nfrom strata import dedup\n"
                "try: dedup.estimate(sys.argv[1]).plot()\nexcept ImportError as error: print(error)\n")
        said = subprocess.run([sys.executable, "-c", code, str(self.root)], check=True, capture_output=True, text=True)
        self.assertIn("python3-matplotlib", said.stdout)


if __name__ == "__main__":
    unittest.main()

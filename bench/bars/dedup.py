# SPDX-License-Identifier: Apache-2.0
"""Deduplication: chunking and fingerprints against FastCDC and OpenSSL (processor time of one core), lookups that must not
reach the kv store, and whole backups of one real tar file against restic (time on the clock, both on the same disk).

Each comparison runs in rounds, peer and ours next to each other; the median of the rounds' ratios counts.
STRATA_BARS_TREE: the folder whose tar is backed up [/usr/lib]. STRATA_BARS_MEGABYTES: at most so much of it [512].
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import tarfile
import time


def measure(bench, *options):
    """Value by name."""
    output = subprocess.run([bench, *options], check=True, capture_output=True, text=True).stdout
    return {row.split()[0]: float(row.split()[1]) for row in output.splitlines()}


def on_disk(folder):
    return sum(p.stat().st_blocks * 512 for p in pathlib.Path(folder).rglob("*") if p.is_file())


def kernels(kit, bench):
    samples = [measure(bench, "--ops", "fingerprint,fingerprint_one") for _ in range(kit.rounds(5))]
    kit.at_least("dedup.fingerprint/openssl",
                 statistics.median(s["fingerprint"] / s["fingerprint_one"] for s in samples), 2.0)
    again = measure(bench, "--ops", "ingest,ingest_again", "--mb", "64")
    kit.at_most("dedup.index_reads.recently_seen", again["ingest_again.reads"] - again["ingest.reads"], 0)


def tree_tar(path):
    """A tar of up to 256 MiB of real files, all times alike, the same on every run as long as the tree is."""
    size = 0
    with tarfile.open(path, "w") as tar:
        for folder, folders, names in os.walk(os.environ.get("STRATA_BARS_TREE", "/usr/lib/python3")):
            folders.sort()
            for name in sorted(names):
                file = os.path.join(folder, name)
                if os.path.islink(file) or not os.path.isfile(file):
                    continue
                size += os.path.getsize(file)
                if size > 256 << 20:
                    return
                member = tar.gettarinfo(file)
                member.mtime = 0
                with open(file, "rb") as content:
                    tar.addfile(member, content)


def chunkers(kit, bench):
    """The default chunker against scalar FastCDC 2020 with the same 2/8/64 KiB: the speed of each variant, in cache; what is left of
    the tar of a tree (STRATA_BARS_TREE)."""
    names = ["fastcdc2020", "lincdc.avx512", "lincdc.avx2", "lincdc.portable"]
    samples = [measure(bench, "--algos", ",".join(names)) for _ in range(kit.rounds(5))]
    for name, bar in zip(names[1:], (5.0, 2.0, 0.8)):
        if name in samples[0]:
            kit.at_least(f"dedup.{name}/fastcdc2020", statistics.median(s[name] / s["fastcdc2020"] for s in samples), bar)
        else:
            kit.skip(f"dedup.{name}/fastcdc2020", f">= {bar}", "this CPU lacks the instructions")
    tar = kit.folder / "chunkers.tar"
    tree_tar(tar)
    output = subprocess.run([bench, "--algos", "fastcdc2020,lincdc", tar], check=True, capture_output=True, text=True).stdout
    reduction = {row.split()[0]: float(row.split()[2]) for row in output.splitlines()}
    tar.unlink()
    kit.at_least("dedup.lincdc.reduction/fastcdc2020", reduction["lincdc"] / reduction["fastcdc2020"], 0.99)


def make_tar(path):
    """A tar of real files, the same on every run as long as the tree is."""
    limit = int(os.environ.get("STRATA_BARS_MEGABYTES", "512")) << 20
    size = 0
    with tarfile.open(path, "w") as tar:
        for folder, folders, names in os.walk(os.environ.get("STRATA_BARS_TREE", "/usr/lib")):
            folders.sort()
            for name in sorted(names):
                file = os.path.join(folder, name)
                if os.path.islink(file) or not os.path.isfile(file):
                    continue
                size += os.path.getsize(file)
                if size > limit:
                    return
                tar.add(file)


def restic(folder, tar):
    """Seconds of the first backup, of the second, of the restore; bytes of the repository."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    environment = dict(os.environ, RESTIC_PASSWORD="bars", RESTIC_REPOSITORY=str(folder / "repository"),
                       RESTIC_CACHE_DIR=str(folder / "cache"))

    def timed(*words):
        begin = time.monotonic()
        subprocess.run(["restic", "--quiet", *words], check=True, env=environment, capture_output=True)
        return time.monotonic() - begin

    timed("init")
    first = timed("backup", str(tar))
    second = timed("backup", "--force", str(tar))
    size = on_disk(folder / "repository")
    restore = timed("restore", "latest", "--target", str(folder / "restored"))
    shutil.rmtree(folder)
    return first, second, restore, size


def backups(kit, bench):
    bars = [("first_backup", 3.0), ("later_backup", 4.0), ("restore", 3.0)]
    if shutil.which("restic") is None:
        for name, bar in bars:
            kit.skip(f"dedup.{name}/restic", f">= {bar}", "restic is not installed")
        kit.skip("dedup.repository/restic", "<= 0.75", "restic is not installed")
        return
    tar = kit.folder / "tree.tar"
    make_tar(tar)
    megabytes = tar.stat().st_size / 1e6
    ratios = {name: [] for name, _ in bars}
    sizes = []
    for _ in range(kit.rounds(3)):
        first, second, restore, size = restic(kit.folder / "restic", tar)
        home = kit.folder / "strata"
        home.mkdir(exist_ok=True)
        ours = measure(bench, "--dir", str(home), "--file", str(tar), "--ops", "ingest,ingest_reopened,restore")
        ratios["first_backup"].append(ours["ingest"] / (megabytes / first))
        ratios["later_backup"].append(ours["ingest_reopened"] / (megabytes / second))
        ratios["restore"].append(ours["restore"] / (megabytes / restore))
        sizes.append(on_disk(home) / size)
        shutil.rmtree(home)
    for name, bar in bars:
        kit.at_least(f"dedup.{name}/restic", statistics.median(ratios[name]), bar)
    kit.at_most("dedup.repository/restic", statistics.median(sizes), 0.75)
    kit.skip("dedup/borg", ">= 3, 4, 3; <= 0.75", "a comparison with borg is not written yet")


def run(kit):
    folder = kit.build("chunker_bench", "dedup_bench") / "bench"
    bench = folder / "dedup_bench"
    chunkers(kit, folder / "chunker_bench")
    kernels(kit, bench)
    backups(kit, bench)

# SPDX-License-Identifier: Apache-2.0
"""Deduplication: chunking and fingerprints against FastCDC and OpenSSL (processor time of one core), lookups that must not
reach the kv store, and whole backups of three versions of one thing against restic and borg (time on the clock, all on the same
disk, programs starting and stores opening included).

Each comparison runs in rounds, peers and ours next to each other; the median of the rounds' ratios counts.
STRATA_BARS_VERSIONS: the versions, files separated by commas [tars of three releases of Debian's linux-source-6.1, fetched by
apt-get and packed anew with all file times alike]. STRATA_BARS_MEGABYTES: at most so much of each fetched one [1024].
Restic always encrypts and borg does not here; ours does in its comparison with restic.
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
    """LinCDC against scalar FastCDC 2020 with the same 2/8/64 KiB: the speed of each variant, in cache; what is left of
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


PACKAGE = "linux-source-6.1"
VERSIONS = 3


def repack(source, target, limit):
    """A tar of what `source` holds, with all times alike: these would differ in every header of every version."""
    size = 0
    with tarfile.open(fileobj=source, mode="r|xz") as old, tarfile.open(target, "w") as new:
        for member in old:
            size += member.size
            if size > limit:
                return
            member.mtime = 0
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isreg() else None)


def fetch_versions(folder):
    """Tars of the oldest, a middle and the newest release that apt-get knows, in this order; none where it cannot fetch them."""
    if shutil.which("apt-get") is None:
        return []
    listed = subprocess.run(["apt-cache", "madison", PACKAGE], capture_output=True, text=True).stdout
    releases = [line.split("|")[1].strip() for line in listed.splitlines()][::-1]
    if len(releases) < VERSIONS:
        return []
    limit = int(os.environ.get("STRATA_BARS_MEGABYTES", "1024")) << 20
    tars = []
    for i in range(VERSIONS):
        release = releases[i * (len(releases) - 1) // (VERSIONS - 1)]
        if subprocess.run(["apt-get", "download", "-qq", f"{PACKAGE}={release}"], cwd=folder, capture_output=True).returncode:
            return []
        package = next(folder.glob("*.deb"))
        files = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE)
        with files, tarfile.open(fileobj=files.stdout, mode="r|") as content:
            for member in content:
                if member.name.endswith(".tar.xz"):
                    tars.append(folder / f"{release}.tar")
                    repack(content.extractfile(member), tars[-1], limit)
        package.unlink()
    return tars if len(tars) == VERSIONS else []


def clocked(words, **options):
    begin = time.monotonic()
    subprocess.run(words, check=True, capture_output=True, **options)
    return time.monotonic() - begin


def restic(folder, tars):
    """Seconds of each backup, of the last one's restore; bytes of the repository."""
    environment = dict(os.environ, RESTIC_PASSWORD="bars", RESTIC_REPOSITORY=str(folder / "repository"),
                       RESTIC_CACHE_DIR=str(folder / "cache"))
    clocked(["restic", "--quiet", "init"], env=environment)
    backups = [clocked(["restic", "--quiet", "backup", str(tar)], env=environment) for tar in tars]
    restore = clocked(["restic", "--quiet", "restore", "latest", "--target", str(folder / "restored")], env=environment)
    return backups, restore, on_disk(folder / "repository")


def borg(folder, tars, compression):
    repository = str(folder / "repository")
    environment = dict(os.environ, BORG_BASE_DIR=str(folder), BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes")
    clocked(["borg", "init", "--encryption", "none", repository], env=environment)
    backups = [clocked(["borg", "create", "--compression", compression, f"{repository}::{tar.stem}", str(tar)], env=environment)
               for tar in tars]
    (folder / "restored").mkdir()
    restore = clocked(["borg", "extract", f"{repository}::{tars[-1].stem}"], env=environment, cwd=folder / "restored")
    return backups, restore, on_disk(repository)


def strata(bench, folder, tars, encrypted):
    """The same in bytes per second, and the peak of its memory in MB."""
    ours = measure(bench, "--ops", "versions", "--dir", str(folder), "--file", ",".join(map(str, tars)),
                   "--workers", str((os.cpu_count() or 1) - 1), "--encrypted", "1" if encrypted else "0")
    speeds = [ours[f"version{i + 1}"] * 1e6 for i in range(len(tars))]
    return speeds, ours["restore_last"] * 1e6, on_disk(folder), ours["peak_memory"]


def in_new_folder(folder, run, *arguments):
    folder.mkdir()
    try:
        return run(folder, *arguments)
    finally:
        shutil.rmtree(folder)


def backups(kit, bench):
    peers = {"restic": restic,
             "borg_lz4": lambda folder, tars: borg(folder, tars, "lz4"),
             "borg_zstd3": lambda folder, tars: borg(folder, tars, "zstd,3")}
    bars = {"first_backup": 3.0, "later_backups": 4.0, "restore": 3.0}
    named = os.environ.get("STRATA_BARS_VERSIONS")
    tars = [pathlib.Path(name) for name in named.split(",")] if named else fetch_versions(kit.folder)
    sizes = [tar.stat().st_size for tar in tars]
    peaks = []
    for name, run_peer in peers.items():
        missing = shutil.which(name.split("_")[0]) is None
        if missing or not tars:
            reason = f"{name.split('_')[0]} is not installed" if missing else "apt-get gives no versions; STRATA_BARS_VERSIONS"
            for bar, least in bars.items():
                kit.skip(f"dedup.{bar}/{name}", f">= {least:.4g}", reason)
            kit.skip(f"dedup.repository/{name}", "<= 0.75", reason)
            continue
        ratios = {bar: [] for bar in [*bars, "repository"]}
        for _ in range(kit.rounds(3)):
            seconds, restored, size = in_new_folder(kit.folder / "peer", run_peer, tars)
            speeds, restore, our_size, peak = in_new_folder(
                kit.folder / "strata", lambda folder: strata(bench, folder, tars, encrypted=name == "restic"))
            later = sum(sizes[1:]) / sum(size / speed for size, speed in zip(sizes[1:], speeds[1:]))
            ratios["first_backup"].append(speeds[0] / (sizes[0] / seconds[0]))
            ratios["later_backups"].append(later / (sum(sizes[1:]) / sum(seconds[1:])))
            ratios["restore"].append(restore / (sizes[-1] / restored))
            ratios["repository"].append(our_size / size)
            peaks.append(peak)
        for bar, least in bars.items():
            kit.at_least(f"dedup.{bar}/{name}", statistics.median(ratios[bar]), least)
        kit.at_most(f"dedup.repository/{name}", statistics.median(ratios["repository"]), 0.75)
    if peaks:
        kit.at_most("dedup.peak_memory", max(peaks), 300, " MB")


def run(kit):
    folder = kit.build("chunker_bench", "dedup_bench") / "bench"
    bench = folder / "dedup_bench"
    chunkers(kit, folder / "chunker_bench")
    kernels(kit, bench)
    backups(kit, bench)

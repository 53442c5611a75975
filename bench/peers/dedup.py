#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Backups of versioned real software by restic, borg and Strata, in turns, in one table.

Usage: bench/peers/dedup.py [--strata PROGRAM] [--megabytes N] [--rounds N] [--work FOLDER] [--cold] [--json]
       bench/peers/dedup.py --kinds [KIND...] [--strata PROGRAM] [--kind_megabytes N] [--seed N] [--work FOLDER] [--json]

Corpora, each a series of files of which every next one is a version of the one before:
  packages   tars of the releases of Debian packages that the configured mirrors offer (apt-get download; package=version)
  sources    tars of the oldest, a middle and the newest release of the Linux sources that the mirrors offer, all file times alike
  image      filesystem images (mkfs.ext4 -d) of a tree under /usr: all of it, and with some files gone and others moved in
A corpus that cannot be had here is left out, and said so. Each peer takes the versions in, one by one, then
restores the newest, which must come back byte for byte. MB/s are logical bytes over time on the clock (median of the rounds); afterwards is
what a peer still has to do once all versions are in (Strata with --defer-compression: a gc, which compresses); size is what the
repository takes on the disk then; memory is the most that any of its processes had resident. Each file is in the page cache when its ingest
begins (borg drops from there what it has read), with --cold none of it is. Only the standard library is needed.

With --kinds the corpora are those of kinds.py: eight kinds of data, each changed in place between backups, and many tiny files. Everybody has their
defaults (borg also zstd,3, beside the comparison); Strata's size is that after a gc. The ratio is Strata's size to the smaller of restic's and borg's;
seconds are of the first backup and of restoring the last version, which is compared byte for byte.
"""
import argparse
import filecmp
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/peers"))
import kinds  # Beside this file, wherever it is run from.

PACKAGES = ["openssl", "libssl3", "linux-libc-dev", "libc6", "libpython3.11-stdlib", "perl-base", "git", "libperl5.36"]


def run_measured(command, environment=None, stdout=subprocess.DEVNULL):
    """Returns (seconds, peak resident KiB) of a command and its children that succeed."""
    with tempfile.TemporaryFile() as errors:
        begin = time.monotonic()
        child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=stdout, stderr=errors,
                                 env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            raise RuntimeError(f"{command}: exit {child.returncode}: {errors.read().decode(errors='replace')[-500:]}")
    return seconds, usage.ru_maxrss


def on_disk(folder):
    return sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


class Peer:
    """One program with its repository in a folder."""

    def afterwards(self):
        """What is left to do once all versions are in: (seconds, peak resident KiB)."""
        return 0.0, 0


class Restic(Peer):
    name = "restic"

    def __init__(self, folder):
        self.folder = folder / "repository"
        self.environment = {"RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": str(self.folder),
                            "RESTIC_CACHE_DIR": str(folder / "cache")}
        run_measured(["restic", "--quiet", "init"], self.environment)

    @staticmethod
    def missing():
        return None if shutil.which("restic") else "restic is not installed"

    def ingest(self, path, name=None):
        return run_measured(["restic", "--quiet", "backup", "--force", path], self.environment)

    def restore(self, path, target, name=None):
        measured = run_measured(["restic", "--quiet", "restore", "latest", "--target", target], self.environment)
        return measured, target / path.relative_to("/")


class Borg(Peer):
    compression = "lz4"

    def __init__(self, folder):
        self.folder = folder / "repository"
        self.environment = {"BORG_BASE_DIR": str(folder / "base"), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
        run_measured(["borg", "init", "--encryption", "none", self.folder], self.environment)

    @staticmethod
    def missing():
        return None if shutil.which("borg") else "borg is not installed"

    def ingest(self, path, name=None):
        return run_measured(["borg", "create", "--compression", self.compression, f"{self.folder}::{name or path.name}", path],
                            self.environment)

    def restore(self, path, target, name=None):
        target.mkdir(parents=True, exist_ok=True)
        begin = os.getcwd()
        os.chdir(target)
        try:
            measured = run_measured(["borg", "extract", f"{self.folder}::{name or path.name}"], self.environment)
        finally:
            os.chdir(begin)
        return measured, target / path.relative_to("/")


class BorgLz4(Borg):
    name = "borg lz4"


class BorgZstd(Borg):
    name, compression = "borg zstd,3", "zstd,3"


class Strata(Peer):
    program = None
    name, options = "strata zstd,1", ["--compression", "zstd", "--level", "1"]

    def __init__(self, folder):
        self.folder = folder / "repository"

    @staticmethod
    def missing():
        return None if os.access(Strata.program, os.X_OK) else f"{Strata.program} is not there; build it or give --strata"

    def ingest(self, path, name=None):
        return run_measured([self.program, "dedup", "ingest", "--store", self.folder, "--workers", max(0, (os.cpu_count() or 1) - 1),
                             *self.options, "--name", name or path.name, path])

    def restore(self, path, target, name=None):
        target.mkdir(parents=True, exist_ok=True)
        back = target / path.name
        return run_measured([self.program, "dedup", "restore", "--store", self.folder, name or path.name, "--output", back]), back


class StrataDeferred(Strata):
    name, options = "strata zstd,1 deferred", ["--defer-compression"]

    def afterwards(self):
        return run_measured([self.program, "dedup", "gc", "--store", self.folder, *Strata.options])


class StrataLz4(Strata):
    name, options = "strata lz4", ["--compression", "lz4"]


class StrataDense(Strata):
    name, options = "strata zstd,3 2M", ["--compression", "zstd", "--level", "3", "--region", "2M"]


class StrataDefaults(Strata):
    """As the command line has it when nothing is said."""
    name = "strata"

    def ingest(self, path, name=None):
        return run_measured([self.program, "dedup", "ingest", "--store", self.folder, "--name", name or path.name, path])

    def afterwards(self):
        return run_measured([self.program, "dedup", "gc", "--store", self.folder])


PEERS = [Restic, BorgLz4, BorgZstd, StrataLz4, Strata, StrataDeferred, StrataDense]


def offered_versions(package):
    """Newest last."""
    lines = subprocess.run(["apt-cache", "madison", package], capture_output=True, text=True, check=False).stdout.splitlines()
    return list(dict.fromkeys(line.split("|")[1].strip() for line in lines if "Packages" in line))[::-1]


def package_corpus(folder, limit_bytes):
    """One tar for each round of releases: the n-th offered version of every package, the newest where there are fewer."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise RuntimeError("apt-get and dpkg-deb are not there")
    versions = {package: offered_versions(package) for package in PACKAGES}
    several = {package: found for package, found in versions.items() if len(found) > 1}
    if not several:
        raise RuntimeError("the configured mirrors offer one version of each package")
    tars = []
    for number in range(max(map(len, several.values()))):
        tree = folder / "tree"
        tree.mkdir()
        for package, found in several.items():
            version = found[min(number, len(found) - 1)]
            subprocess.run(["apt-get", "download", "-qq", f"{package}={version}"], cwd=folder, check=True, capture_output=True)
            archive = next(folder.glob(f"{package}_*.deb"))
            subprocess.run(["dpkg-deb", "-x", archive, tree], check=True, capture_output=True)
            archive.unlink()
        tars.append(folder / f"release-{number}.tar")
        with tarfile.open(tars[-1], "w") as tar:
            tar.add(tree, "tree", filter=lambda entry: entry if entry.size < limit_bytes else None)
        shutil.rmtree(tree)
    return tars


SOURCES = "linux-source-6.1"


def repack(source, target, limit_bytes):
    """A tar of what `source` holds, with all times alike: these would differ in every header of every version."""
    size = 0
    with tarfile.open(fileobj=source, mode="r|xz") as old, tarfile.open(target, "w") as new:
        for member in old:
            size += member.size
            if size > limit_bytes:
                return
            member.mtime = 0
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isreg() else None)


def source_corpus(folder, limit_bytes):
    """Three releases, oldest first, a third of the limit each at most."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise RuntimeError("apt-get and dpkg-deb are not there")
    releases = offered_versions(SOURCES)
    if len(releases) < 3:
        raise RuntimeError(f"the configured mirrors offer fewer than three releases of {SOURCES}")
    tars = []
    for release in (releases[0], releases[len(releases) // 2], releases[-1]):
        subprocess.run(["apt-get", "download", "-qq", f"{SOURCES}={release}"], cwd=folder, check=True, capture_output=True)
        package = next(folder.glob(f"{SOURCES}_*.deb"))
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as files, \
                tarfile.open(fileobj=files.stdout, mode="r|") as content:
            for member in content:
                if member.name.endswith(".tar.xz"):
                    tars.append(folder / f"{SOURCES}-{release}.tar")
                    repack(content.extractfile(member), tars[-1], limit_bytes // 3)
        package.unlink()
    return tars


def image_corpus(folder, limit_bytes):
    """Three images of one tree: as it is, without every 20th file, and with every 30th at another place."""
    if not shutil.which("mkfs.ext4"):
        raise RuntimeError("mkfs.ext4 is not installed")
    tree, size, files = folder / "tree", 0, []
    for source in sorted(p for p in pathlib.Path("/usr/lib/python3").rglob("*") if p.is_file() and not p.is_symlink()):
        size += source.stat().st_size
        if size > limit_bytes // 4:
            break
        target = tree / source.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        files.append(target)
    images = []
    for number in range(3):
        if number == 1:
            for file in files[::20]:
                file.unlink()
        if number == 2:
            (tree / "moved").mkdir()
            for place, file in enumerate(files[1::30]):
                if file.exists():
                    file.rename(tree / "moved" / f"{place}-{file.name}")
        images.append(folder / f"image-{number}.ext4")
        blocks_kib = limit_bytes // 4 // 1024 * 3 // 2
        subprocess.run(["mkfs.ext4", "-q", "-d", tree, images[-1], f"{blocks_kib}k"], check=True, capture_output=True)
    shutil.rmtree(tree)
    return images


CORPORA = {"packages": package_corpus, "sources": source_corpus, "image": image_corpus}


def prepare_page_cache(path, cold):
    """A file, or each file below a folder: in the page cache, or with `cold` not."""
    for name in path.rglob("*") if path.is_dir() else (path,):
        if not name.is_file():
            continue
        with name.open("rb", buffering=0) as file:
            if cold:
                os.fdatasync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            else:
                while file.read(1 << 20):
                    pass


def one_turn(peer_class, versions, folder, cold=False):
    """What one peer needed for one corpus."""
    folder.mkdir()
    peer = peer_class(folder)
    taken = []
    for path in versions:
        prepare_page_cache(path, cold)
        taken.append(peer.ingest(path))
    afterwards, memory_afterwards = peer.afterwards()
    size = on_disk(peer.folder)
    (seconds, memory), back = peer.restore(versions[-1], folder / "restored")
    if not filecmp.cmp(back, versions[-1], shallow=False):
        raise RuntimeError(f"{peer_class.name}: {versions[-1].name} does not come back as it was")
    shutil.rmtree(folder)
    sizes = [path.stat().st_size for path in versions]
    return {"first": sizes[0] / taken[0][0] / 1e6,
            "later": sum(sizes[1:]) / sum(s for s, _ in taken[1:]) / 1e6,
            "afterwards": afterwards,
            "restore": sizes[-1] / seconds / 1e6, "size": size / 1e6,
            "memory": max(memory, memory_afterwards, *(m for _, m in taken)) * 1024 / 1e6}


def measure(name, versions, peers, rounds, work, cold):
    """Rows by peer: medians over the rounds, each of which gives every peer a turn."""
    samples = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            samples[peer].append(one_turn(peer, versions, work / "turn", cold))
    return [{"corpus": name, "peer": peer.name,
             **{column: statistics.median(s[column] for s in found) for column in found[0]}}
            for peer, found in samples.items()]


def same(left, right):
    """Whether two files, or folders of them, hold the same bytes."""
    if left.is_file():
        return filecmp.cmp(left, right, shallow=False)
    names = sorted(p.relative_to(left) for p in left.rglob("*") if p.is_file())
    return names == sorted(p.relative_to(right) for p in right.rglob("*") if p.is_file()) and all(
        filecmp.cmp(left / name, right / name, shallow=False) for name in names)


def measure_kind(kind, first_bytes, seed, work):
    """{peer: size, seconds of the first backup, of what follows the last, of the restore} of one kind."""
    place = work / "kind"
    place.mkdir()
    peers, first, number, logical = {}, {}, 0, 0
    for peer_class in (StrataDefaults, Restic, BorgLz4, BorgZstd):
        (work / peer_class.name).mkdir()
        peers[peer_class.name] = peer_class(work / peer_class.name)
    for number, path in enumerate(kinds.versions_of(kind, place, first_bytes, seed)):
        logical += sum(p.stat().st_size for p in [path, *path.rglob("*")] if p.is_file())
        for name, peer in peers.items():
            seconds, _ = peer.ingest(path, f"version-{number}")
            first.setdefault(name, seconds)
    row = {"kind": kind, "versions": number + 1, "logical": logical / 1e6}
    for name, peer in peers.items():
        ingested = on_disk(peer.folder) / 1e6
        afterwards, memory = peer.afterwards()
        (seconds, _), back = peer.restore(path, work / name / "restored", f"version-{number}")
        if not same(path, back):
            raise RuntimeError(f"{name}: {kind} does not come back as it was")
        row[name] = {"ingested": ingested, "size": on_disk(peer.folder) / 1e6, "first": first[name], "afterwards": afterwards,
                     "memory_afterwards": memory * 1024 / 1e6, "restore": seconds}
        shutil.rmtree(work / name)
    shutil.rmtree(place)
    smaller = min(row["restic"]["size"], row["borg lz4"]["size"])
    row["ratio"] = row["strata"]["size"] / smaller
    return row


def print_kinds(rows):
    print("| kind | versions, MB | strata before gc | strata MB | restic MB | borg MB | borg zstd,3 MB | ratio | first backup s: strata, restic, borg "
          "| gc s | restore s: strata, restic, borg |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        strata, restic, borg = row["strata"], row["restic"], row["borg lz4"]
        print(f"| {row['kind']} | {row['versions']}, {row['logical']:.0f} | {strata['ingested']:.2f} | {strata['size']:.2f} | {restic['size']:.2f} "
              f"| {borg['size']:.2f} | {row['borg zstd,3']['size']:.2f} | {row['ratio']:.2f} "
              f"| {strata['first']:.2f}, {restic['first']:.2f}, {borg['first']:.2f} | {strata['afterwards']:.1f} "
              f"| {strata['restore']:.2f}, {restic['restore']:.2f}, {borg['restore']:.2f} |")


def print_table(rows):
    print("| corpus | peer | first version MB/s | later versions MB/s | afterwards s | restore MB/s | repository MB | peak memory MB |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(f"| {row['corpus']} | {row['peer']} | {row['first']:.0f} | {row['later']:.0f} | {row['afterwards']:.1f} "
              f"| {row['restore']:.0f} | {row['size']:.1f} | {row['memory']:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strata", type=pathlib.Path, default=ROOT / "build/release/bin/strata")
    parser.add_argument("--megabytes", type=int, default=400, help="about how much data a corpus has [400]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=pathlib.Path, help="an existing folder for corpora and repositories [a temporary one]")
    parser.add_argument("--corpora", nargs="*", choices=CORPORA, default=list(CORPORA))
    parser.add_argument("--cold", action="store_true", help="files are not in the page cache when they are ingested")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--kinds", nargs="*", choices=kinds.KINDS, help="the table of sizes by kind of data, of all kinds or these")
    parser.add_argument("--kind_megabytes", type=int, default=40, help="about how large the first version of a kind is [40]")
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    Strata.program = options.strata.resolve()
    if options.kinds is not None:
        rows = []
        for kind in options.kinds or kinds.KINDS:
            with tempfile.TemporaryDirectory(prefix="strata-peers-", dir=options.work) as work_name:
                rows.append(measure_kind(kind, options.kind_megabytes << 20, options.seed, pathlib.Path(work_name).resolve()))
            print(f"{kind}: {rows[-1]['ratio']:.2f} of the smaller repository", file=sys.stderr)
        print(json.dumps(rows, indent=2)) if options.json else print_kinds(rows)
        return
    peers = []
    for peer in PEERS:
        if why := peer.missing():
            print(f"left out: {peer.name}: {why}", file=sys.stderr)
        else:
            peers.append(peer)
    rows = []
    with tempfile.TemporaryDirectory(prefix="strata-peers-", dir=options.work) as work_name:
        work = pathlib.Path(work_name).resolve()
        for name in options.corpora:
            folder = work / name
            folder.mkdir()
            try:
                versions = CORPORA[name](folder, options.megabytes << 20)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"left out: corpus {name}: {error}", file=sys.stderr)
                continue
            total = sum(path.stat().st_size for path in versions)
            print(f"corpus {name}: {len(versions)} versions, {total / 1e6:.0f} MB", file=sys.stderr)
            rows += measure(name, versions, peers, options.rounds, work, options.cold)
            shutil.rmtree(folder)
    print(json.dumps(rows, indent=2)) if options.json else print_table(rows)
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())

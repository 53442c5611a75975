# SPDX-License-Identifier: Apache-2.0
"""Deduplication: chunking and fingerprints against FastCDC and OpenSSL (processor time of one core), lookups that must not
reach the kv store, whole backups of three versions of one thing against restic and borg (time on the clock, all on the same
disk, programs starting and stores opening included), the restore of the newest of twenty versions against that of a store which has
only the first, 20,000 files of 11 bytes, the processor time of freeing half of a store, and new bytes into a large store that was
opened just now.

Each comparison runs in rounds, peers and ours next to each other; the median of the rounds' ratios counts.
STRATA_BARS_STORE_MEGABYTES: what the large store holds [4096].
STRATA_BARS_VERSIONS: the versions, files separated by commas [tars of three releases of Debian's linux-source-6.1, fetched by
apt-get and packed anew with all file times alike]. STRATA_BARS_MEGABYTES: at most so much of each fetched one [4096, all].
Restic always encrypts; borg and ours do not here.
"""
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tarfile
import time


def measure(bench, *options):
    """Value by name."""
    output = subprocess.run([bench, *options], check=True, capture_output=True, text=True).stdout
    return {row.split()[0]: float(row.split()[1]) for row in output.splitlines()}


def kernels(kit, bench):
    samples = [measure(bench, "--ops", "fingerprint,fingerprint_one") for _ in range(kit.rounds(5))]
    kit.at_least("dedup.fingerprint/openssl",
                 statistics.median(s["fingerprint"] / s["fingerprint_one"] for s in samples), 2.0)
    again = measure(bench, "--ops", "ingest,ingest_again", "--mb", "64")
    memory = measure(bench, "--ops", "index_memory")
    print(f"# the filter asks for {memory['index_memory.vain']:.1f} % of lookups in vain")
    kit.at_most("dedup.index_memory_of_a_TiB", memory["index_memory"], 0.3 * 1024, " MiB")
    kit.at_most("dedup.index_reads.recently_seen", again["ingest_again.reads"] - again["ingest.reads"], 0)


def large_store(kit, bench):
    """New bytes into a large store that was opened just now: its summary filter is there as if the store had stayed open."""
    megabytes = os.environ.get("STRATA_BARS_STORE_MEGABYTES", "4096")
    samples = []
    for _ in range(kit.rounds(3)):
        folder = kit.folder / "large"
        folder.mkdir()
        samples.append(measure(bench, "--ops", "large", "--dir", folder, "--store_mb", megabytes, "--mb", "512"))
        shutil.rmtree(folder)
    median = {name: statistics.median(s[name] for s in samples) for name in ("large.0", "large.whole", "large.open")}
    print(f"# {megabytes} MiB stored: opened in {median['large.open']:.1f} ms; a GB of new bytes takes {median['large.0']:.2f} "
          f"core-seconds after that, {median['large.whole']:.2f} with a filter that is whole")
    kit.at_most("dedup.ingest.reopened/whole_filter", statistics.median(s["large.0"] / s["large.whole"] for s in samples), 1.2, "x")


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


def backups(kit):
    """Three releases of the Linux sources, through the programs as a user has them. Ours twice: compressing as data comes
    (backup), and leaving that to a gc after the last version (backup.deferred), whose time the line of the peer says."""
    peers = kit.load_peers("dedup")
    peers.Strata.program = kit.build("strata") / "bin" / "strata"
    bars = {("backup", peers.Strata): {"first": 3.0, "later": 4.0, "restore": 3.0},
            ("backup.deferred", peers.StrataDeferred): {"first": 3.0, "later": 4.0, "restore": 3.0}}
    others = [peer for peer in (peers.Restic, peers.BorgLz4, peers.BorgZstd) if peer.missing() is None]
    reason = "neither restic nor borg is installed"
    versions = []
    if others:
        named = os.environ.get("STRATA_BARS_VERSIONS")
        limit = int(os.environ.get("STRATA_BARS_MEGABYTES", "4096")) << 20
        try:
            versions = [pathlib.Path(n) for n in named.split(",")] if named else peers.source_corpus(kit.folder, 3 * limit)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            reason = f"STRATA_BARS_VERSIONS is not set, and {error}"
    if not versions:
        for (name, _), columns in bars.items():
            for column, least in columns.items():
                kit.skip(f"dedup.{name}.{column}/fastest", f">= {least:.4g}x", reason)
        return
    ours = [peers.Strata, peers.StrataDeferred]
    rounds = [{peer.name: peers.one_turn(peer, versions, kit.folder / "turn") for peer in [*others, *ours]}
              for _ in range(kit.rounds(3))]
    median = {name: {column: statistics.median(turns[name][column] for turns in rounds) for column in rounds[0][name]}
              for name in rounds[0]}
    for name, figures in median.items():
        print(f"# {name}: first {figures['first']:.0f}, later {figures['later']:.0f} MB/s, afterwards {figures['afterwards']:.1f} s, "
              f"restore {figures['restore']:.0f} MB/s, repository {figures['size']:.0f} MB, memory {figures['memory']:.0f} MB")

    def against(peer, column, best):
        return statistics.median(t[peer.name][column] / best(t[other.name][column] for other in others) for t in rounds)

    for (name, peer), columns in bars.items():
        for column, least in columns.items():
            kit.at_least(f"dedup.{name}.{column}/fastest", against(peer, column, max), least, "x")
        kit.at_most(f"dedup.{name}.repository/smallest", against(peer, "size", min), 0.75)
        kit.at_most(f"dedup.{name}.peak_memory", max(t[peer.name]["memory"] for t in rounds), 300, " MB")


def age(path, chooser):
    """Changes 2 % of the file, in pieces of 16 KiB all over."""
    piece = 16 << 10
    size = path.stat().st_size
    with path.open("r+b") as file:
        for _ in range(size // 50 // piece):
            file.seek(chooser.randrange(size - piece))
            file.write(chooser.randbytes(piece // 2).hex().encode())


def aging(kit):
    """Twenty versions of 512 MB; then fresh and old store in turns, output to nowhere."""
    strata = kit.build("strata") / "bin" / "strata"
    chooser = random.Random(20)
    fresh, aged, file = kit.folder / "fresh", kit.folder / "aged", kit.folder / "version"
    with file.open("wb") as content:
        for _ in range(512):
            content.write(chooser.randbytes(1 << 19).hex().encode())

    def ingest(store, name):
        subprocess.run([strata, "dedup", "ingest", "--store", store, "--name", name, file], check=True, stdout=subprocess.DEVNULL)

    def seconds(store, name):
        begin = time.monotonic()
        subprocess.run([strata, "dedup", "restore", "--store", store, name, "--output", "-"], check=True,
                       stdout=subprocess.DEVNULL)
        return time.monotonic() - begin

    ingest(fresh, "1")
    for version in range(1, 21):
        ingest(aged, str(version))
        if version < 20:
            age(file, chooser)
    kit.at_least("dedup.restore.version20/version1",
                 statistics.median(seconds(fresh, "1") / seconds(aged, "20") for _ in range(kit.rounds(15))), 0.7)
    for path in (fresh, aged):
        shutil.rmtree(path)
    file.unlink()


def small_files(kit):
    """20,000 files of 11 bytes in one folder: ingest and restore by the programs as a user has them, in turns."""
    peers = kit.load_peers("dedup")
    peers.Strata.program = kit.build("strata") / "bin" / "strata"
    others = [peer for peer in (peers.Restic, peers.BorgLz4) if peer.missing() is None]
    bars = (("ingest", 0.5), ("restore", 1.0))
    if not others:
        for name, most in bars:
            kit.skip(f"dedup.small_files.{name}/fastest", f"<= {most}", "neither restic nor borg is installed")
        return
    tree = kit.folder / "small"
    tree.mkdir()
    for number in range(20_000):
        (tree / f"{number:05}").write_bytes(b"%010d\n" % number)
    times = {name: [] for name, _ in bars}
    for _ in range(kit.rounds(3)):
        turn = {name: {} for name in times}
        for peer_class in (*others, peers.Strata):
            folder = kit.folder / "turn"
            folder.mkdir()
            peer = peer_class(folder)
            peers.prepare_page_cache(tree, False)  # Borg drops from the page cache what it has read.
            turn["ingest"][peer_class], _ = peer.ingest(tree)
            (turn["restore"][peer_class], _), back = peer.restore(tree, folder / "restored")
            if sum(1 for _ in pathlib.Path(back).iterdir()) != 20_000:
                raise RuntimeError(f"{peer_class.name}: files are missing")
            shutil.rmtree(folder)
        for name, seconds in turn.items():
            times[name].append(seconds[peers.Strata] / min(seconds[other] for other in others))
    for name, most in bars:
        kit.at_most(f"dedup.small_files.{name}/fastest", statistics.median(times[name]), most, "x")
    shutil.rmtree(tree)


def collections(kit, bench):
    folder = kit.folder / "collections"
    folder.mkdir()
    half = [measure(bench, "--ops", "gc_half", "--mb", "4096", "--dir", folder) for _ in range(kit.rounds(1))]
    kit.at_most("dedup.gc.half_freed", statistics.median(h["gc_half"] for h in half), 1.0, " core-s/GB")
    shutil.rmtree(folder)


def run(kit):
    folder = kit.build("chunker_bench", "dedup_bench") / "bench"
    bench = folder / "dedup_bench"
    chunkers(kit, folder / "chunker_bench")
    kernels(kit, bench)
    collections(kit, bench)
    large_store(kit, bench)
    small_files(kit)
    aging(kit)
    backups(kit)

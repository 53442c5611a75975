# SPDX-License-Identifier: Apache-2.0
"""The block layer against fio on the same file, and the memory device against a fixed bound per core (a second of
processor time, so that a busy machine does not count).

fio runs io_uring with O_DIRECT, registered buffers and a registered file; ours runs with registered buffers. Both sleep
until something completes, and have the same file, block size, queue depth and duration. In each round both run, in alternating order; the ratio of each round is
taken, and the median of the rounds is the result: a machine that is slow for a while is slow for both. A result close to
the bar, on either side, is measured for three times as many rounds.
STRATA_BARS_SECONDS: how long one measurement takes [1].
"""
import json
import os
import shutil
import statistics
import subprocess

BAR = 0.95
SIZE = "2G"
SECONDS = os.environ.get("STRATA_BARS_SECONDS", "1")

# Our operation; fio's name for it, block size, queue depth.
COMPARISONS = [
    ("randread1", "randread", "4k", 1),
    ("randread32", "randread", "4k", 32),
    ("randwrite1", "randwrite", "4k", 1),
    ("randwrite32", "randwrite", "4k", 32),
    ("seqread", "read", "1m", 8),
    ("seqwrite", "write", "1m", 8),
]


def ours(bench, device, op, *more):
    """I/Os per second, I/Os per second of processor time, allocations per request."""
    command = [bench, "--device", device, "--ops", op, "--seconds", SECONDS, *more]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(words[1]), float(words[5]), float(words[7])


def fio(path, rw, block_size, depth):
    command = ["fio", "--name=bars", f"--filename={path}", f"--size={SIZE}", f"--rw={rw}", f"--bs={block_size}",
               f"--iodepth={depth}", "--ioengine=io_uring", "--direct=1", "--fixedbufs=1", "--registerfiles=1",
               "--norandommap", "--overwrite=1", "--time_based", f"--runtime={SECONDS}", "--output-format=json"]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=path.parent).stdout
    job = json.loads(output[output.index("{"):])["jobs"][0]
    return job["read" if "read" in rw else "write"]["iops"]


def run(kit):
    bench = kit.build("block_bench") / "bench" / "block_bench"
    for op in ("randread32", "randwrite32"):
        samples = [ours(bench, "mem:?size=16M", op, "--layout") for _ in range(kit.rounds(5))]
        kit.at_least(f"block.memory.{op}", statistics.median(s[1] for s in samples), 5e6, "/core")
        kit.at_most(f"block.memory.{op}.allocations", max(s[2] for s in samples), 0)
    if shutil.which("fio") is None:
        for op, *_ in COMPARISONS:
            kit.skip(f"block.file.{op}/fio", ">= 0.95", "fio is not installed")
        return
    path = kit.folder / "file"
    device = f"file:{path}?size={SIZE}&create=1"
    ours(bench, device, "randread1", "--layout")
    for comparison in COMPARISONS:
        compare(kit, bench, device, path, *comparison)


def compare(kit, bench, device, path, op, rw, block_size, depth):
    rounds = kit.rounds(9)
    most_rounds = 3 * rounds
    ratios, mine, peer = [], [], []
    allocations = 0
    while len(ratios) < rounds:
        fio_is_first = len(ratios) % 2 == 0
        if fio_is_first:
            peer.append(fio(path, rw, block_size, depth))
        iops, _, allocated = ours(bench, device, op, "--sleep")
        mine.append(iops)
        if not fio_is_first:
            peer.append(fio(path, rw, block_size, depth))
        ratios.append(mine[-1] / peer[-1])
        allocations = max(allocations, allocated)
        is_close = abs(statistics.median(ratios) - BAR) < 0.1
        if len(ratios) == rounds and is_close:
            rounds = most_rounds
    print(f"# {op}: {statistics.median(mine):,.0f} IOPS, fio {statistics.median(peer):,.0f} IOPS "
          f"(medians of {len(ratios)} rounds)")
    kit.at_least(f"block.file.{op}/fio", statistics.median(ratios), BAR, "x")
    kit.at_most(f"block.file.{op}.allocations", allocations, 0)

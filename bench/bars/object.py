# SPDX-License-Identifier: Apache-2.0
"""The object store in memory, with dedup and MD5, against an in-memory implementation in Go that has neither dedup nor
durability; and listings on RocksDB.

The peer is not here: its figures are from a machine whose MD5 of 4 KiB took 5.4 us, and are scaled by what the same
digest, from the same library, takes here in the same round. Costs of one thread are processor time, so that a busy
machine does not count; the parallel PUT is time on the clock, and the machine should be quiet. Medians of the rounds.
"""
import statistics
import subprocess

PEER_MD5_US = 5.4

# Operation, the peer's microseconds, the share of it that is allowed.
AGAINST_PEER = [
    ("put_4k", 13.0, 0.8),
    ("get_4k", 14.0, 0.3),
    ("put_4k_parallel", 11.0, 0.6),
]
# Operation, microseconds allowed on the peer's machine.
BOUNDS = [("dedup_21000", 20.0), ("rebuild_11000", 2.0)]


def measure(bench, *options):
    """Wall and processor microseconds by operation."""
    output = subprocess.run([bench, *options], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in output.splitlines()]
    return {row[0]: {"wall": float(row[1]), "processor": float(row[3])} for row in rows}


def run(kit):
    bench = kit.build("object_bench") / "bench" / "object_bench"
    ops = ["md5_4k"] + [op for op, *_ in AGAINST_PEER] + [op for op, _ in BOUNDS]
    rounds = [measure(bench, "--ops", ",".join(ops), "--seconds", "0.5") for _ in range(kit.rounds(5))]

    def ratio(op, clock):
        """Microseconds, as on the machine of the peer's figures."""
        return statistics.median(r[op][clock] * PEER_MD5_US / r["md5_4k"]["processor"] for r in rounds)

    for op, peer_us, share in AGAINST_PEER:
        clock = "wall" if op.endswith("parallel") else "processor"
        kit.at_most(f"object.{op}/peer", ratio(op, clock) / peer_us, share, "x")
    for op, bound_us in BOUNDS:
        kit.at_most(f"object.{op}", ratio(op, "processor"), bound_us, "us")

    listings = "list_thousand,list_million"
    lists = [measure(bench, "--store", "disk", "--folder", fresh(kit, i), "--ops", listings, "--seconds", "1")
             for i in range(kit.rounds(3))]
    million_us = statistics.median(r["list_million"]["processor"] for r in lists)
    kit.at_most("object.list_million", million_us / 1000, 10, "ms")
    kit.at_most("object.list_million/thousand",
                statistics.median(r["list_million"]["processor"] / r["list_thousand"]["processor"] for r in lists), 1, "x")


def fresh(kit, turn):
    folder = kit.folder / f"object-{turn}"
    folder.mkdir()
    return str(folder)

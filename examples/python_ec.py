# SPDX-License-Identifier: Apache-2.0
"""Compares what repair costs in three codes of the same strength: shards read for one loss, and losses survived.

Usage: python_ec.py [SHARD_BYTES]
"""

import itertools
import sys

import numpy as np

import strata.ec


def main():
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rng = np.random.default_rng(1)
    for code in (strata.ec.ReedSolomon(12, 2), strata.ec.ReedSolomon(12, 4), strata.ec.LocallyRepairable(12, 2, 2)):
        shards = rng.integers(0, 256, (code.total_shards, size), np.uint8)
        code.encode(shards[:12], out=shards[12:])
        before = shards.copy()

        everybody = range(code.total_shards)
        reads = [len(code.plan_repair([i for i in everybody if i != lost], [lost]).sources) for lost in everybody]
        losses = list(itertools.combinations(everybody, 4))
        survived = sum(code.is_recoverable(lost) for lost in losses)

        shards[[2, 9]] = 0
        code.reconstruct(shards, lost=[2, 9])
        if not np.array_equal(shards, before):
            sys.exit(f"{code.name}: other bytes came back")
        print(f"{code.name:12}  overhead {code.parity_shards / 12:4.0%}   one loss reads {sum(reads) / len(reads):4.1f} shards"
              f"   {survived / len(losses):4.0%} of all quadruple losses survived")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Which chunker suits my data? Runs them all over folders, prints a table, draws a picture.

Usage: python_dedup_compare.py PICTURE.png FOLDER [FOLDER...]     (several folders: versions, oldest first)
"""

import sys

import strata.dedup
from strata.plots import size_text


def show_progress(phase, done, total):
    if sys.stderr.isatty():
        print(f"\r{phase} {done / max(1, total):4.0%}", end="", file=sys.stderr, flush=True)


def main():
    picture, folders = sys.argv[1], sys.argv[2:]
    answer = strata.dedup.estimate(folders, algos="all", progress=show_progress)
    print(f"\n{answer.files:,} files in {len(folders)} folders")
    print(f"{'algorithm':12} {'ratio':>7} {'saved':>7} {'mean chunk':>12} {'cutting':>12}")
    for result in sorted(answer.results.values(), key=lambda result: -result.ratio):
        print(f"{result.algorithm:12} {result.ratio:7.3f} {result.savings:7.1%} {size_text(result.mean_chunk_bytes):>12} "
              f"{result.chunking_bytes_per_second / 1e9:7.2f} GB/s")
    for path, why in answer.skipped:
        print(f"not read: {path}: {why}")
    try:
        answer.plot(picture)
    except ImportError as error:
        print(error)
        return
    print(f"see {picture}")


if __name__ == "__main__":
    main()

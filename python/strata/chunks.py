# SPDX-License-Identifier: Apache-2.0
"""Chunks of anything that has bytes: a path, a buffer (bytes, mmap, a NumPy array, ...) or a file object."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterable, Iterator, List, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from . import _dedup
from .secret import hidden
from .sources import Source, pieces

Table = NDArray[np.void]  # Rows of offset (u64), length (u32), digest (S32).


@dataclasses.dataclass(frozen=True)
class Parameters:
    """How to cut. Sizes are bytes; given `avg` alone, `min` is half of it and `max` twice. Defaults: 4, 8, 16 KiB.

    normalization (FastCDC, LinCDC): 0 to 3, how strongly lengths gather at avg. key: 32 secret bytes, for algorithms that
    take one.
    """

    min: Optional[int] = None
    avg: Optional[int] = None
    max: Optional[int] = None
    normalization: int = 2
    key: Optional[bytes] = dataclasses.field(default=None, repr=False)

    def scanner(self, algo: str, digests: bool) -> "_dedup.Scanner":
        """InvalidArgumentError names a parameter out of its range."""
        avg = 8192 if self.avg is None else self.avg
        low = avg // 2 if self.min is None else self.min
        high = avg * 2 if self.max is None else self.max
        return _dedup.Scanner(algo, low, avg, high, self.normalization, hidden(self.key), digests)


def chunk_lengths(src: Source, algo: str = "lincdc", min: int = 4096, avg: int = 8192, max: int = 16384,
                  normalization: int = 2, key: Optional[bytes] = None) -> NDArray[np.uint32]:
    """Lengths in bytes of the chunks of `src`, in order."""
    scanner = Parameters(min, avg, max, normalization, key).scanner(algo, digests=False)
    tables = []
    for piece in pieces(src):
        scanner.update(piece)
        tables.append(scanner.take()["length"])
    scanner.finish()
    tables.append(scanner.take()["length"])
    return np.concatenate(tables)


def chunks(src: Source, algo: str = "lincdc", *, min: Optional[int] = None, avg: Optional[int] = None,
           max: Optional[int] = None, normalization: int = 2, key: Optional[bytes] = None,
           digest: bool = False) -> Iterator[Tuple[Any, ...]]:
    """Yields (offset, length) of each chunk in order, or with `digest` (offset, length, SHA-256 of 32 bytes).

    Reads as it goes: a file object may be longer than memory.
    """
    scanner = Parameters(min, avg, max, normalization, key).scanner(algo, digest)
    return _rows(src, scanner, digest)


def _rows(src: Source, scanner: "_dedup.Scanner", digest: bool) -> Iterator[Tuple[Any, ...]]:
    def complete() -> Iterator[Tuple[Any, ...]]:
        table = scanner.take()
        columns: List[Iterable[Any]] = [table["offset"].tolist(), table["length"].tolist()]
        if digest:
            columns.append(map(bytes, digests(table)))
        return zip(*columns)

    for piece in pieces(src):
        scanner.update(piece)
        yield from complete()
    scanner.finish()
    yield from complete()


def chunk_table(src: Source, algo: str = "lincdc", *, min: Optional[int] = None, avg: Optional[int] = None,
                max: Optional[int] = None, normalization: int = 2, key: Optional[bytes] = None,
                digest: bool = True) -> Table:
    """All chunks as a structured array: offset (u64), length (u32), digest (S32: SHA-256, zeros without `digest`).

    Made in C++ without a Python object for each chunk. NumPy takes zero bytes off the end of an S32 that it hands out as `bytes`:
    compare the columns, or use digests(table).
    """
    scanner = Parameters(min, avg, max, normalization, key).scanner(algo, digest)
    tables = []
    for piece in pieces(src):
        scanner.update(piece)
        tables.append(scanner.take())
    scanner.finish()
    tables.append(scanner.take())
    return np.concatenate(tables)


def digests(table: Table) -> NDArray[np.uint8]:
    """A table's digests as rows of 32 unsigned bytes, nothing taken off."""
    return np.ascontiguousarray(table["digest"]).view(np.uint8).reshape(len(table), 32)

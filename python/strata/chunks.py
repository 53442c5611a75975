# SPDX-License-Identifier: Apache-2.0
"""Chunks of anything that has bytes: a path, a buffer (bytes, mmap, a NumPy array, ...) or a file object."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, BinaryIO, Iterable, Iterator, List, Optional, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from . import _dedup

Table = NDArray[np.void]  # Rows of offset (u64), length (u32), digest (S32).
Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, NDArray[Any], BinaryIO, Any]

PIECE_BYTES = 4 << 20


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
    key: Optional[bytes] = None

    def scanner(self, algo: str, digests: bool) -> "_dedup.Scanner":
        """InvalidArgumentError names a parameter out of its range."""
        avg = 8192 if self.avg is None else self.avg
        low = avg // 2 if self.min is None else self.min
        high = avg * 2 if self.max is None else self.max
        return _dedup.Scanner(algo, low, avg, high, self.normalization, self.key, digests)


def pieces(src: Source) -> Iterator[Any]:
    """The bytes of `src` in order, as buffers that are good until the next one is asked for."""
    if isinstance(src, (str, os.PathLike)):
        with open(src, "rb", buffering=0) as file:
            yield from pieces(file)
    elif hasattr(src, "readinto"):
        buffer = memoryview(bytearray(PIECE_BYTES))
        while count := src.readinto(buffer):
            yield buffer[:count]
    elif hasattr(src, "read") and not hasattr(src, "find"):  # An mmap has both, and is a buffer.
        while piece := src.read(PIECE_BYTES):
            yield piece
    else:
        view = memoryview(src)  # type: ignore[arg-type]
        if not view.c_contiguous:
            raise BufferError("the buffer is not contiguous; numpy.ascontiguousarray() makes a copy that is")
        if view.nbytes:
            view = view.cast("B")
            for start in range(0, view.nbytes, PIECE_BYTES):
                yield view[start:start + PIECE_BYTES]


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

# SPDX-License-Identifier: Apache-2.0
"""Bytes out of anything that has them."""

from __future__ import annotations

import os
from typing import Any, BinaryIO, Iterator, Union

from numpy.typing import NDArray

Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, NDArray[Any], BinaryIO, Any]

PIECE_BYTES = 4 << 20


def pieces(src: Source) -> Iterator[Any]:
    """The bytes of `src` in order, as buffers that are good until the next one is asked for. A file that was opened as text gives the
    bytes that it lies in."""
    if isinstance(src, (str, os.PathLike)):
        with open(src, "rb", buffering=0) as file:
            yield from pieces(file)
    elif hasattr(src, "readinto"):
        buffer = memoryview(bytearray(PIECE_BYTES))
        while count := src.readinto(buffer):
            yield buffer[:count]
    elif hasattr(src, "read") and hasattr(src, "buffer") and hasattr(src, "encoding"):
        yield from pieces(src.buffer)
    elif hasattr(src, "read") and not hasattr(src, "find"):  # An mmap has both, and is a buffer.
        while piece := src.read(PIECE_BYTES):
            if isinstance(piece, str):
                raise TypeError(f"{type(src).__name__} has text, not bytes: encode it first")
            yield piece
    else:
        view = memoryview(src)  # type: ignore[arg-type]
        if not view.c_contiguous:
            raise BufferError("the buffer is not contiguous; numpy.ascontiguousarray() makes a copy that is")
        if view.nbytes:
            view = view.cast("B")
            for start in range(0, view.nbytes, PIECE_BYTES):
                yield view[start:start + PIECE_BYTES]

# SPDX-License-Identifier: Apache-2.0
"""File objects over the libraries' readers and writers."""

from __future__ import annotations

import io
import os
import threading
from typing import Any, Dict

from .sources import pieces


class _Turns:
    """A lock for which forked children do not wait: a thread of the parent may have held it. Readers and writers refuse their calls anyhow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = os.getpid()

    def __enter__(self) -> None:
        if os.getpid() == self._process:
            self._lock.acquire()

    def __exit__(self, *_: Any) -> None:
        if os.getpid() == self._process:
            self._lock.release()


class ReaderFile(io.RawIOBase):
    """A read-only, seekable file over anything with `read_into(offset, buffer)`. `info` describes what is read. Threads may share it: each
    read takes the bytes from where the one before it ended."""

    def __init__(self, reader: Any, size_bytes: int, info: Dict[str, Any]):
        super().__init__()
        self._reader = reader
        self._size = size_bytes
        self._offset = 0
        self._turn = _Turns()
        self.info = info

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, fewer at the end; without a size all that are left."""
        return super().read(size) or b""

    def readall(self) -> bytes:
        return super().readall() or b""

    def readinto(self, buffer: Any) -> int:
        """Fills `buffer` from the current position; returns how many bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        with self._turn:
            self._check_open()
            if self._offset >= self._size or not view.nbytes:
                return 0
            count: int = self._reader.read_into(self._offset, view)
            self._offset += count
            return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check_open()
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}, before the start")
        self._offset = base + offset
        return self._offset

    def tell(self) -> int:
        self._check_open()
        return self._offset

    def close(self) -> None:
        if not self.closed:
            self._reader.close()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")


class WriterFile(io.RawIOBase):
    """A write-only file. `close()` makes what was written durable and sets `info`; leaving a `with` block by an
    exception abandons it instead, as does garbage collection of an unclosed file."""

    def __init__(self, writer: Any):
        super().__init__()
        self._writer = writer
        self._size = 0
        self._turn = _Turns()
        self.info: Dict[str, Any] = {}  # After close().

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Takes all of `data` (any contiguous buffer); returns its size in bytes."""
        with self._turn:
            if self.closed:
                raise ValueError("the file is closed")
            count: int = self._writer.write(data)
            self._size += count
            return count

    def tell(self) -> int:
        """How many bytes were written. What asks this of a new file, as tarfile does, can write to it."""
        if self.closed:
            raise ValueError("the file is closed")
        return self._size

    def close(self) -> None:
        with self._turn:
            if self.closed:
                return
            try:
                self.info = self._writer.finish()
            finally:
                self._writer.abandon()
                super().close()

    def abandon(self) -> None:
        """Closes without keeping anything."""
        self._writer.abandon()
        super().close()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is not None:
            if not self.closed:
                self.abandon()
        else:
            self.close()

    def __del__(self) -> None:
        if not self.closed:
            self.abandon()


def fill(stream: WriterFile, data: Any) -> Dict[str, Any]:
    """Writes a path's file, a buffer or all of a file object into `stream` and closes it; abandons it when that fails. Returns its info."""
    with stream:
        for piece in pieces(data):
            stream.write(piece)
    return stream.info

# SPDX-License-Identifier: Apache-2.0
"""File objects over the libraries' readers and writers."""

import io


class ReaderFile(io.RawIOBase):
    """A read-only, seekable file over anything with `read_into(offset, buffer)`. `info` describes what is read."""

    def __init__(self, reader, size_bytes, info):
        super().__init__()
        self._reader = reader
        self._size = size_bytes
        self._offset = 0
        self.info = info

    def readable(self):
        return True

    def seekable(self):
        return True

    def readinto(self, buffer):
        """Fills `buffer` from the current position; returns how many bytes, 0 at the end."""
        self._check_open()
        view = memoryview(buffer).cast("B")
        if self._offset >= self._size or not view.nbytes:
            return 0
        count = self._reader.read_into(self._offset, view)
        self._offset += count
        return count

    def seek(self, offset, whence=io.SEEK_SET):
        self._check_open()
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}, before the start")
        self._offset = base + offset
        return self._offset

    def tell(self):
        self._check_open()
        return self._offset

    def close(self):
        if not self.closed:
            self._reader.close()
        super().close()

    def _check_open(self):
        if self.closed:
            raise ValueError("the file is closed")


class WriterFile(io.RawIOBase):
    """A write-only file. `close()` makes what was written durable and sets `info`; leaving a `with` block by an
    exception abandons it instead, as does garbage collection of an unclosed file."""

    def __init__(self, writer):
        super().__init__()
        self._writer = writer
        self.info = None

    def writable(self):
        return True

    def write(self, data):
        """Takes all of `data` (any contiguous buffer); returns its size in bytes."""
        if self.closed:
            raise ValueError("the file is closed")
        return self._writer.write(data)

    def close(self):
        if self.closed:
            return
        try:
            self.info = self._writer.finish()
        finally:
            self._writer.abandon()
            super().close()

    def abandon(self):
        """Closes without keeping anything."""
        self._writer.abandon()
        super().close()

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            if not self.closed:
                self.abandon()
        else:
            self.close()

    def __del__(self):
        if not self.closed:
            self.abandon()


def fill(stream, data):
    """Writes a buffer, or all of a file object, into `stream` and closes it; abandons it when that fails. Returns its info."""
    with stream:
        if hasattr(data, "read"):
            while piece := data.read(1 << 20):
                stream.write(piece)
        else:
            stream.write(data)
    return stream.info

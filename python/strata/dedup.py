# SPDX-License-Identifier: Apache-2.0
"""A deduplicating store of byte streams, and the chunkers it is made of.

>>> with strata.dedup.Store("/tmp/store") as store:
...     info = store.put(b"some bytes")
...     with store.open(info["id"]) as stream:
...         stream.read()
b'some bytes'
"""

from . import _dedup
from ._dedup import chunk_lengths, fingerprint
from .files import ReaderFile, WriterFile, fill

__all__ = ["Store", "chunk_lengths", "fingerprint"]


class Store:
    """The store in directory `path`, made when absent.

    Options: create (True), max_size_bytes (0: the filesystem's size), compression ("none", "lz4", "zstd"), level, and, when the store is made, the
    chunker: algo, min, avg, max (bytes), normalization. One process at a time: a second gets FailedPreconditionError.
    Calls release the GIL; a Store may be used from several threads, a file object from one at a time.
    """

    def __init__(self, path, **options):
        self._store = _dedup.Store(str(path), **options)

    def writer(self):
        """A file object for a new stream; after close() its `info["id"]` names the stream, which is then durable."""
        return WriterFile(self._store.new_writer())

    def put(self, data):
        """Stores a buffer, or all of a file object; returns the stream's info."""
        return fill(self.writer(), data)

    def open(self, stream_id):
        """A seekable file object over a stream. NotFoundError; reading damaged data raises DataLossError."""
        reader = self._store.open_reader(stream_id)
        info = reader.info()
        return ReaderFile(reader, info["size_bytes"], info)

    def delete(self, stream_id):
        """Forgets a stream. Its space comes back with collect_garbage()."""
        self._store.delete(stream_id)

    def stat(self, stream_id):
        return self._store.stat(stream_id)

    def __iter__(self):
        """Infos of all streams, in order of id."""
        after = ""
        while page := self._store.list(after=after):
            yield from page
            after = page[-1]["id"]

    def collect_garbage(self, rewrite_below_live_ratio=0.7, max_bytes_per_second=0, progress=None):
        """Frees what no stream needs; returns a dict of counts. progress(phase, done, total) may return False to cancel."""
        return self._store.collect_garbage(rewrite_below_live_ratio, max_bytes_per_second, progress)

    def verify(self, read_data=True, progress=None):
        """Reads and checks everything; returns a dict, whose "streams" lists damaged byte ranges."""
        return self._store.verify(read_data, progress)

    def stats(self):
        """Sizes in bytes and counts: what is stored now, and what happened since the store was opened."""
        return self._store.stats()

    def close(self):
        """Open readers and writers keep the store open until they are closed too."""
        self._store.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

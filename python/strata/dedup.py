# SPDX-License-Identifier: Apache-2.0
"""A deduplicating store of byte streams, the chunkers it is made of, and what it would save.

>>> with strata.dedup.Store("/tmp/store") as store:
...     info = store.put(b"some bytes")
...     with store.open(info["id"]) as stream:
...         stream.read()
b'some bytes'

>>> strata.dedup.estimate(["monday", "tuesday"], algos="all").plot("saved.png")
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Iterator, Optional, Union

from . import _dedup
from ._dedup import algorithms, fingerprint
from .chunks import chunk_lengths, chunk_table, chunks, digests
from .estimate import Estimate, Result, Share, estimate
from .files import ReaderFile, WriterFile, fill
from .plots import plot
from .secret import hidden

__all__ = [
    "Estimate", "Result", "Share", "Store", "algorithms", "chunk_lengths", "chunk_table", "chunks", "digests",
    "estimate", "fingerprint", "plot"
]

Progress = Callable[[str, int, int], Optional[bool]]


class Store:
    """The store in directory `path`, made when absent.

    Options: create (True), read_only (False; True writes nothing, for another user's store, a read-only medium, a snapshot, a full disk),
    assume_unlocked (False; True reads only, without looking whether somebody writes), max_size_bytes (0: the filesystem's size), mode ("inline", or "hybrid" and "post-process", which leave equal
    data to deduplicate()), compression ("none", "lz4", "zstd", "gzip"), level,
    defer_compression (False; True leaves it to collect_garbage(): faster writing, more room until then), region_bytes (compressed together), workers (threads that help), and, when the store is made, the chunker: algo, min, avg, max (bytes), normalization, key (32 secret bytes).
    encryption_key: 32 secret bytes, given when the store is made and at each opening from then on. One process at a time: a second gets FailedPreconditionError.
    Calls release the GIL. A Store and its file objects may be used from several threads; calls on one file object take turns.
    """

    def __init__(self, path: Union[str, "os.PathLike[str]"], **options: Any):
        for name in ("key", "encryption_key"):
            if name in options:
                options[name] = hidden(options[name])
        self._store = _dedup.Store(os.fsencode(path), **options)

    def writer(self) -> WriterFile:
        """A file object for a new stream; after close() its `info["id"]` names the stream, which is then durable."""
        return WriterFile(self._store.new_writer())

    def put(self, data: Any) -> Dict[str, Any]:
        """Stores the bytes of `data`, which is what chunks() takes: a path, a buffer or a file object. Returns the stream's info."""
        return fill(self.writer(), data)

    def open(self, stream_id: str) -> ReaderFile:
        """A seekable file object over a stream. NotFoundError; reading damaged data raises DataLossError."""
        reader = self._store.open_reader(stream_id)
        info = reader.info()
        return ReaderFile(reader, info["size_bytes"], info)

    def delete(self, stream_id: str) -> None:
        """Forgets a stream. Its space comes back with collect_garbage()."""
        self._store.delete(stream_id)

    def stat(self, stream_id: str) -> Dict[str, Any]:
        return self._store.stat(stream_id)

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        """Infos of all streams, in order of id."""
        after = ""
        while page := self._store.list(after=after):
            yield from page
            after = page[-1]["id"]

    def collect_garbage(self, rewrite_below_live_ratio: float = 0.8, max_bytes_per_second: int = 0,
                        progress: Optional[Progress] = None) -> Dict[str, Any]:
        """Frees what no stream needs; returns a dict of counts. progress(phase, done, total) may return False to cancel."""
        return self._store.collect_garbage(rewrite_below_live_ratio, max_bytes_per_second, progress)

    def deduplicate(self, rewrite_below_live_ratio: float = 0.95, max_bytes_per_second: int = 0,
                    progress: Optional[Progress] = None) -> Dict[str, Any]:
        """collect_garbage() that also keeps only the last copy of each chunk: for what the modes "hybrid" and "post-process" left."""
        return self._store.deduplicate(rewrite_below_live_ratio, max_bytes_per_second, progress)

    def verify(self, read_data: bool = True, progress: Optional[Progress] = None) -> Dict[str, Any]:
        """Reads and checks everything; returns a dict, whose "streams" lists damaged byte ranges. What is damaged is written
        down: the next stream with the same data stores it again, which heals the old ones. "index_damage" is what
        rebuild_index() mends."""
        return self._store.verify(read_data, progress)

    def rebuild_index(self, progress: Optional[Progress] = None) -> None:
        """Writes the chunk index again from the containers, also where it cannot be read."""
        self._store.rebuild_index(progress)

    def stats(self) -> Dict[str, int]:
        """Sizes in bytes and counts: what is stored now, and what happened since the store was opened; the time spent in
        operations is in nanoseconds ("ingests", "ingest_ns", "reads", "read_ns", ...)."""
        return self._store.stats()

    def close(self) -> None:
        """Open readers and writers keep the store open until they are closed too."""
        self._store.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

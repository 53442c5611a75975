# SPDX-License-Identifier: Apache-2.0
"""An object store in a directory: buckets, objects, versions, over the deduplicating store.

>>> with strata.object.Store("/tmp/objects") as store:
...     store.create_bucket("backups", owner="ada")
...     info = store.put("backups", "notes/monday", b"some bytes", metadata={"host": "a"})
...     with store.open("backups", "notes/monday") as stream:
...         stream.read()
b'some bytes'
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from . import _object
from .files import ReaderFile, WriterFile, fill
from .secret import hidden

__all__ = ["Store"]


class Store:
    """The object store in directory `path`, made when absent: the directory of a stratad that is not running, or one of its own.

    One process at a time: a second gets FailedPreconditionError. `read_only` writes nothing and takes no lock (another user's store, a read-only
    medium, a snapshot, a full disk); `assume_unlocked` does so without looking whether somebody writes. Infos are dicts with key, version_id, is_latest, is_delete_marker, size_bytes,
    etag, modified_ns (since the Unix epoch), content_type and metadata (empty in listings). encryption_key: 32 secret bytes, given when the
    store is made and at each opening from then on. Calls release the GIL. A Store and its file objects may be used from several threads.
    """

    def __init__(self, path: Union[str, "os.PathLike[str]"], create: bool = True, max_size_bytes: int = 0,
                 encryption_key: Optional[bytes] = None, read_only: bool = False, assume_unlocked: bool = False):
        self._store = _object.Store(os.fsencode(path), create=create, max_size_bytes=max_size_bytes, read_only=read_only,
                                    assume_unlocked=assume_unlocked, encryption_key=hidden(encryption_key))

    def create_bucket(self, bucket: str, owner: str) -> None:
        """`owner` is the id of the user it belongs to."""
        self._store.create_bucket(bucket, owner)

    def delete_bucket(self, bucket: str) -> None:
        """FailedPreconditionError unless it is empty."""
        self._store.delete_bucket(bucket)

    def buckets(self) -> List[str]:
        """Names, in order."""
        return self._store.list_buckets()

    def set_versioning(self, bucket: str, enabled: bool) -> None:
        self._store.set_versioning(bucket, enabled)

    def writer(self, bucket: str, key: str, content_type: str = "binary/octet-stream",
               metadata: Optional[Dict[str, str]] = None) -> WriterFile:
        """A file object for a new object, visible and durable when close() returns."""
        return WriterFile(self._store.new_writer(bucket, key, content_type, metadata or {}))

    def put(self, bucket: str, key: str, data: Any, **options: Any) -> Dict[str, Any]:
        """Stores a path's file, a buffer or all of a file object; returns the object's info. Options as writer()."""
        return fill(self.writer(bucket, key, **options), data)

    def open(self, bucket: str, key: str, version_id: str = "") -> ReaderFile:
        """A seekable file object over an object; it stays readable whatever happens to the object."""
        reader = self._store.open_reader(bucket, key, version_id)
        info = reader.info()
        return ReaderFile(reader, info["size_bytes"], info)

    def head(self, bucket: str, key: str, version_id: str = "") -> Dict[str, Any]:
        return self._store.head(bucket, key, version_id)

    def delete(self, bucket: str, key: str, version_id: str = "") -> None:
        """Removes an object, or hides it behind a delete marker where versioning says so."""
        self._store.delete(bucket, key, version_id)

    def copy(self, from_bucket: str, from_key: str, bucket: str, key: str) -> Dict[str, Any]:
        """Copies within the store; no data moves."""
        return self._store.copy(from_bucket, from_key, bucket, key)

    def list(self, bucket: str, prefix: str = "") -> Iterator[Dict[str, Any]]:
        """Infos of all objects whose key starts with `prefix`, in order."""
        start_after: Optional[str] = ""
        while start_after is not None:
            objects, _, start_after = self._store.list(bucket, prefix=prefix, start_after=start_after)
            yield from objects

    def folders(self, bucket: str, prefix: str = "",
                delimiter: str = "/") -> Tuple[List[Dict[str, Any]], List[str]]:
        """One level of the key space: (infos of objects, common prefixes)."""
        objects: List[Dict[str, Any]] = []
        prefixes: List[str] = []
        start_after: Optional[str] = ""
        while start_after is not None:
            page, more, start_after = self._store.list(bucket, prefix=prefix, delimiter=delimiter,
                                                       start_after=start_after)
            objects += page
            prefixes += more
        return objects, prefixes

    def close(self) -> None:
        """Open readers and writers keep the store open until they are closed too."""
        self._store.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

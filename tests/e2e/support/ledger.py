# SPDX-License-Identifier: Apache-2.0
"""What a client knows of a store that may crash: which writes were acknowledged, which are in doubt, and so what
may be found afterwards.

A key is a register. Every write has a time of its start and, once acknowledged, of its end. A write may be what is
found exactly when no acknowledged write began after it had ended; one in doubt never ended, so it may always be.
"""
import dataclasses
import hashlib
import itertools
import threading

ABSENT = None


@dataclasses.dataclass(frozen=True)
class Content:
    """What an object's bytes are known by."""
    sha256: str
    size_bytes: int

    @staticmethod
    def of(body):
        return Content(hashlib.sha256(body).hexdigest(), len(body))

    def __str__(self):
        return f"{self.size_bytes} bytes {self.sha256[:12]}"


class Write:
    def __init__(self, content, start, end=None):
        self.content = content
        self.start = start
        self.end = end


class Register:
    """The writes to one key since its content was last certain. Thread-safe."""

    _ticks = itertools.count(1)

    def __init__(self):
        self._mutex = threading.Lock()
        self._writes = [Write(ABSENT, 0, 0)]

    def begin(self, content):
        """REQUIRES: acknowledge() or refuse() follows, unless the write stays in doubt."""
        write = Write(content, next(self._ticks))
        with self._mutex:
            self._writes.append(write)
        return write

    def acknowledge(self, write):
        with self._mutex:
            write.end = next(self._ticks)

    def refuse(self, write):
        """The store said that it did not happen."""
        with self._mutex:
            self._writes.remove(write)

    def allowed(self):
        with self._mutex:
            latest_start = max(w.start for w in self._writes if w.end is not None)
            return {w.content for w in self._writes if w.end is None or w.end >= latest_start}

    def certain(self):
        """(True, content) when only one content may be found, else (False, None)."""
        allowed = self.allowed()
        return (True, next(iter(allowed))) if len(allowed) == 1 else (False, None)

    def settle(self, content):
        """After a crash and a look: what was found is what stays, until the next write."""
        with self._mutex:
            self._writes = [Write(content, 0, 0)]


@dataclasses.dataclass(eq=False)
class Upload:
    """A multipart upload whose creation was acknowledged."""
    key: str
    upload_id: str
    parts: dict = dataclasses.field(default_factory=dict)   # number: (etag, body), acknowledged.
    ending: str = ""                                        # "complete", "abort": asked for, in doubt.


@dataclasses.dataclass(eq=False)
class Version:
    """A version whose PUT was acknowledged. content ABSENT: a delete marker."""
    key: str
    version_id: str
    content: object
    deleting: bool = False                                  # Its DELETE is in doubt.


def describe(contents):
    return " or ".join(sorted("nothing" if c is ABSENT else str(c) for c in contents))

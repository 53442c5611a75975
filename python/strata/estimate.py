# SPDX-License-Identifier: Apache-2.0
"""What deduplication would save on folders as they are: nothing is stored.

Each path given is a version: the first backup, the second, ... A file is read once, whatever the number of algorithms.
Memory: about 100 bytes per chunk and algorithm.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import stat
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

import numpy as np

from . import _dedup
from .chunks import Parameters, digests
from .errors import CancelledError
from .sources import pieces

NO_EXTENSION = "(none)"


@dataclasses.dataclass
class Share:
    """Some of the bytes: of a file type, or of a version."""

    name: str
    files: int
    logical_bytes: int
    new_bytes: int  # In chunks that occur in no earlier version (versions), or once each (types).

    @property
    def savings(self) -> float:
        """The share that need not be stored, 0 to 1."""
        return 1 - self.new_bytes / self.logical_bytes if self.logical_bytes else 0.0


@dataclasses.dataclass
class Result:
    """What one algorithm comes to."""

    algorithm: str
    logical_bytes: int
    unique_bytes: int
    chunk_count: int
    unique_chunk_count: int
    chunking_seconds: float  # Processor time for the cut points alone, of one core.
    histogram: List[Tuple[int, int, int]]  # (from, below, how many unique chunks), lengths in bytes.
    types: List[Share]  # By file extension, the largest first.
    versions: List[Share]  # In the order given.
    shared: List[List[float]]  # shared[i][j]: the share of version j's bytes that version i has too.

    @property
    def ratio(self) -> float:
        """Logical to unique bytes."""
        return self.logical_bytes / self.unique_bytes if self.unique_bytes else 1.0

    @property
    def savings(self) -> float:
        """The share that need not be stored, 0 to 1."""
        return 1 - self.unique_bytes / self.logical_bytes if self.logical_bytes else 0.0

    @property
    def mean_chunk_bytes(self) -> float:
        return self.logical_bytes / self.chunk_count if self.chunk_count else 0.0

    @property
    def chunking_bytes_per_second(self) -> float:
        """How fast one core finds the cut points."""
        return self.logical_bytes / self.chunking_seconds if self.chunking_seconds else 0.0


@dataclasses.dataclass
class Estimate:
    """Results by algorithm, in the order asked for."""

    paths: List[str]
    files: int
    results: Dict[str, Result]
    skipped: List[Tuple[str, str]]  # (path, why): what could not be read.

    def __getitem__(self, algorithm: str) -> Result:
        return self.results[algorithm]

    @property
    def best(self) -> Result:
        """The one with the highest ratio."""
        return max(self.results.values(), key=lambda result: result.ratio)

    def to_dict(self) -> Dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        derived = ("ratio", "savings", "mean_chunk_bytes", "chunking_bytes_per_second")
        answer = dataclasses.asdict(self)
        for name, result in self.results.items():
            plain = answer["results"][name]
            plain.update({field: getattr(result, field) for field in derived})
            for kind in ("types", "versions"):
                for entry, share in zip(plain[kind], getattr(result, kind)):
                    entry["savings"] = share.savings
        return answer

    def to_json(self, **options: Any) -> str:
        return json.dumps(self.to_dict(), **options)

    def plot(self, path: Optional[str] = None, title: Optional[str] = None) -> Any:
        """A matplotlib figure of it all, written to `path` when there is one. ImportError without matplotlib."""
        from .plots import plot
        return plot(self, path, title)


@dataclasses.dataclass
class _File:
    path: str
    version: int
    extension: str
    size_bytes: int


def files_under(path: str) -> Iterable[Tuple[str, int]]:
    """(path, size) of the regular files under a folder, or of the file itself; symbolic links are not followed."""
    if not os.path.isdir(path):
        yield path, os.stat(path).st_size
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = os.path.join(folder, name)
            status = os.lstat(file)
            if stat.S_ISREG(status.st_mode):
                yield file, status.st_size


def estimate(paths: Union[str, "os.PathLike[str]", Iterable[Union[str, "os.PathLike[str]"]]],
             algos: Union[str, Sequence[str]] = ("lincdc",), *, min: Optional[int] = None, avg: Optional[int] = None,
             max: Optional[int] = None, normalization: int = 2, workers: Optional[int] = None,
             progress: Optional[Callable[[str, int, int], Optional[bool]]] = None,
             cancel: Any = None) -> Estimate:
    """Chunks all files under `paths` (one path, or one for each version) with each of `algos`, or with all of them for "all".

    workers: threads [the processors]. progress(phase, done, total), in bytes, may return False to cancel; `cancel` is
    a threading.Event, or anything callable that says True. Both end it with CancelledError. A path that does not exist
    is FileNotFoundError; a file that cannot be read is in `skipped`.
    """
    names = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    algos = _dedup.algorithms() if algos == "all" else [algos] if isinstance(algos, str) else list(algos)
    parameters = Parameters(min, avg, max, normalization)
    for algo in algos:
        parameters.scanner(algo, False)  # A bad parameter is told before anything is read.
    scan = _Scan(names, algos, parameters, progress, _question(cancel))
    scan.run(workers or os.cpu_count() or 1)
    return Estimate(names, len(scan.files), {algo: scan.result(algo) for algo in algos}, scan.skipped)


def _question(cancel):
    if cancel is None:
        return lambda: False
    return cancel.is_set if hasattr(cancel, "is_set") else cancel


class _Scan:
    """Reads the files on threads; tables[algorithm][i] and seconds belong to files[i]."""

    def __init__(self, paths, algos, parameters, progress, cancelled):
        self.names = paths
        self.algos = algos
        self.parameters = parameters
        self.progress = progress
        self.cancelled = cancelled
        self.skipped: List[Tuple[str, str]] = []
        self.files: List[_File] = []
        for version, path in enumerate(paths):
            for file, size in files_under(path):
                extension = pathlib.PurePath(file).suffix.lower() or NO_EXTENSION
                self.files.append(_File(file, version, extension, size))
        self.total = sum(file.size_bytes for file in self.files)
        self.done = 0
        self.stopped = False
        self.tables: Dict[str, List[np.ndarray]] = {algo: [] for algo in algos}
        self.seconds = dict.fromkeys(algos, 0.0)

    def run(self, workers):
        empty = self.parameters.scanner(self.algos[0], True).take() if self.algos else None
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            try:
                for file, answer in zip(self.files, pool.map(self._read, self.files)):
                    if isinstance(answer, OSError):
                        self.skipped.append((file.path, answer.strerror or str(answer)))
                        answer = {algo: (empty, 0.0) for algo in self.algos}
                    for algo, (table, seconds) in answer.items():
                        self.tables[algo].append(table)
                        self.seconds[algo] += seconds
                    self.done += file.size_bytes
                    self._go_on()
            except BaseException:
                self.stopped = True
                pool.shutdown(cancel_futures=True)
                raise

    def _go_on(self):
        if self.cancelled() or (self.progress and self.progress("scan", self.done, self.total) is False):
            raise CancelledError("the estimate was cancelled")

    def _read(self, file):
        scanners = {algo: self.parameters.scanner(algo, True) for algo in self.algos}
        try:
            for piece in pieces(file.path):
                if self.stopped or self.cancelled():
                    raise CancelledError("the estimate was cancelled")
                for scanner in scanners.values():
                    scanner.update(piece)
        except OSError as error:
            return error
        for scanner in scanners.values():
            scanner.finish()
        return {algo: (scanner.take(), scanner.chunking_seconds) for algo, scanner in scanners.items()}

    def result(self, algo) -> Result:
        tables = self.tables[algo]
        counts = [len(table) for table in tables]
        table = np.concatenate(tables) if tables else np.empty(0, [("length", "u4"), ("digest", "S32")])
        lengths = table["length"].astype(np.int64)
        first, identity = _identities(table)
        versions = np.repeat([file.version for file in self.files], counts).astype(np.intp)
        return Result(
            algorithm=algo, logical_bytes=int(lengths.sum()), unique_bytes=int(lengths[first].sum()),
            chunk_count=len(table), unique_chunk_count=len(first), chunking_seconds=self.seconds[algo],
            histogram=_histogram(lengths[first]),
            types=self._types(lengths, identity, counts),
            **self._versions(lengths, first, identity, versions))

    def _types(self, lengths, identity, counts):
        names = sorted({file.extension for file in self.files})
        code_of = {name: code for code, name in enumerate(names)}
        of_file = np.array([code_of[file.extension] for file in self.files], dtype=np.intp)
        codes = np.repeat(of_file, counts)
        # One chunk of each kind in each type: sorted by type, then identity, the first of each pair counts.
        order = np.lexsort((identity, codes))
        fresh = np.ones(len(order), dtype=bool)
        fresh[1:] = (np.diff(codes[order]) != 0) | (np.diff(identity[order]) != 0)
        chosen = order[fresh]
        logical = np.bincount(codes, lengths, len(names))
        new = np.bincount(codes[chosen], lengths[chosen], len(names))
        files = np.bincount(of_file, minlength=len(names))
        shares = [Share(name, int(f), int(l), int(n)) for name, f, l, n in zip(names, files, logical, new)]
        return sorted(shares, key=lambda share: -share.logical_bytes)

    def _versions(self, lengths, first, identity, versions):
        count = len(self.names)
        present = np.zeros((count, len(first)), dtype=bool)
        present[versions, identity] = True
        sizes = lengths[first]
        cells = versions * len(first) + identity  # Bytes of each version in each unique chunk.
        own = np.bincount(cells, lengths, count * len(first)).reshape(count, len(first))
        logical = own.sum(axis=1)
        shared = present.astype(float) @ own.T  # [i][j]: bytes of j in chunks that i has.
        seen = np.zeros(len(first), dtype=bool)
        shares = []
        for version, name in enumerate(self.names):
            new = int(sizes[present[version] & ~seen].sum())
            seen |= present[version]
            files = sum(file.version == version for file in self.files)
            shares.append(Share(name, files, int(logical[version]), new))
        return {"versions": shares,
                "shared": (shared / np.where(logical, logical, 1)).tolist()}


def _identities(table):
    """(an index of each unique chunk, the number of its unique chunk for each chunk), by whole digests."""
    # The first eight bytes sort quickly; equal ones must be equal in whole, else all 32 decide.
    whole = digests(table)
    keys = np.ascontiguousarray(whole[:, :8]).view(np.uint64).ravel()
    _, first, identity = np.unique(keys, return_index=True, return_inverse=True)
    if not np.array_equal(whole[first][identity], whole):
        _, first, identity = np.unique(table["digest"], return_index=True, return_inverse=True)
    return first, identity


def _histogram(lengths) -> List[Tuple[int, int, int]]:
    """Unique chunks by length, four steps to a doubling, from the shortest to the longest."""
    if not len(lengths):
        return []
    low, high = np.log2(lengths.min()), np.log2(lengths.max() + 1)
    steps = np.arange(np.floor(low * 4), np.ceil(high * 4) + 1)
    edges = np.unique(np.ceil(2 ** (steps / 4)).astype(np.int64))
    counts, _ = np.histogram(lengths, edges)
    return [(int(a), int(b), int(n)) for a, b, n in zip(edges, edges[1:], counts)]

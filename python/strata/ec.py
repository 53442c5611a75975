# SPDX-License-Identifier: Apache-2.0
"""Erasure codes over NumPy arrays.

>>> code = strata.ec.ReedSolomon(4, 2)
>>> shards = np.zeros((6, 1000), np.uint8)
>>> shards[:4] = np.random.randint(0, 256, (4, 1000))
>>> shards[4:] = code.encode(shards[:4])
>>> shards[[1, 4]] = 0                       # Two shards are lost,
>>> code.reconstruct(shards, lost=[1, 4])    # and back.

Shards are given as the rows of a two-dimensional array of bytes (its rows contiguous, at any distance), or as a sequence of
writable buffers of one length. Nothing is copied. Calls release the GIL; codes and repairs never change and may be used from several threads.
"""

from __future__ import annotations

from typing import Any, Iterable, Optional

import numpy as np
from numpy.typing import NDArray

from . import _ec
from ._ec import combine_crc32c, crc32c, kernels

__all__ = ["Code", "LocallyRepairable", "ReedSolomon", "combine_crc32c", "crc32c", "kernels"]


class Code:
    """k data shards, numbers 0 to k - 1, and m parity shards, numbers k to k + m - 1."""

    def __init__(self, code: _ec.Code):
        self._code = code

    @property
    def data_shards(self) -> int:
        return self._code.data_shards

    @property
    def parity_shards(self) -> int:
        return self._code.parity_shards

    @property
    def total_shards(self) -> int:
        return self.data_shards + self.parity_shards

    @property
    def name(self) -> str:
        return self._code.name

    @property
    def matrix(self) -> NDArray[np.uint8]:
        """The coefficients, m rows by k columns, in GF(2^8) modulo 0x11d."""
        return self._code.matrix

    def encode(self, data: Any, out: Optional[Any] = None) -> Any:
        """The parity of `data`: an array of m rows, `out` if that is given."""
        return self._code.encode(data, out)

    def verify(self, data: Any, parity: Any) -> None:
        """Raises DataLossError, saying where, unless the parity is that of the data."""
        self._code.verify(data, parity)

    def update(self, shard: int, old_data: Any, new_data: Any, parity: Any) -> None:
        """Changes the parity in place for data shard `shard` having gone from old_data to new_data."""
        self._code.update(shard, old_data, new_data, parity)

    def reconstruct(self, shards: Any, lost: Iterable[int]) -> None:
        """Writes the shards whose numbers are in `lost` from the others. DataLossError: too many are lost."""
        self._code.reconstruct(shards, list(lost))

    def is_recoverable(self, lost: Iterable[int]) -> bool:
        return self._code.is_recoverable(list(lost))

    def plan_repair(self, present: Iterable[int], wanted: Iterable[int]) -> _ec.Repair:
        """A repair of the shards `wanted` from some of those `present`: `sources` and `targets` are numbers, run(sources, targets) takes their shards."""
        return self._code.plan_repair(list(present), list(wanted))

    def __repr__(self) -> str:
        return f"<strata.ec code {self.name}>"


class ReedSolomon(Code):
    """Any k shards give back all others. kernel: one of kernels(), or "fastest"."""

    def __init__(self, data_shards: int, parity_shards: int, kernel: str = "fastest"):
        super().__init__(_ec.reed_solomon(data_shards, parity_shards, kernel))


class LocallyRepairable(Code):
    """Equal groups with a local parity each, and global parities: one loss is rebuilt from its group alone."""

    def __init__(self, data_shards: int, groups: int, global_parities: int, kernel: str = "fastest"):
        super().__init__(_ec.locally_repairable(data_shards, groups, global_parities, kernel))

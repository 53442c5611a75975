# SPDX-License-Identifier: Apache-2.0
"""Strata: deduplicating storage.

`strata.dedup` is the store of byte streams and its chunkers; `strata.object` adds buckets, objects and versions;
`strata.ec` has erasure codes.
"""

from .errors import (AbortedError, AlreadyExistsError, CancelledError, DataLossError, Error,
                     FailedPreconditionError, InvalidArgumentError, NotFoundError, OutOfRangeError,
                     PermissionDeniedError, ResourceExhaustedError, UnavailableError, UnimplementedError)
from .version import VERSION as __version__

__all__ = [
    "AbortedError", "AlreadyExistsError", "CancelledError", "DataLossError", "Error",
    "FailedPreconditionError", "InvalidArgumentError", "NotFoundError", "OutOfRangeError", "PermissionDeniedError",
    "ResourceExhaustedError", "UnavailableError", "UnimplementedError", "__version__"
]

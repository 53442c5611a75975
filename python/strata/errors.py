# SPDX-License-Identifier: Apache-2.0
"""What the libraries refuse with: one exception class per status code, all of them `strata.Error`."""


class Error(Exception):
    """An operation failed; the message names what was wrong."""


class InvalidArgumentError(Error, ValueError):
    """The caller's mistake, named."""


class NotFoundError(Error, KeyError):
    """No such stream, bucket, key, version, upload or user."""

    def __str__(self) -> str:  # KeyError would show the message's repr.
        return Exception.__str__(self)


class AlreadyExistsError(Error):
    """The name is taken."""


class DataLossError(Error, OSError):
    """A checksum does not match, or data cannot be decoded."""


class ResourceExhaustedError(Error):
    """No space is left, or a limit is reached."""


class FailedPreconditionError(Error):
    """The wrong state: in use by another process, not empty, a condition that does not hold."""


class PermissionDeniedError(Error, PermissionError):
    """The operating system does not let us."""


class UnimplementedError(Error, NotImplementedError):
    """Something newer than this program: a format version, a cipher."""


class AbortedError(Error):
    """Another transaction won; try again."""


class UnavailableError(Error):
    """Not now, or not here."""


class OutOfRangeError(Error, IndexError):
    """Past the end."""


class CancelledError(Error):
    """A progress callback asked to stop."""


_CLASSES: "dict[str, type[Error]]" = {
    "INVALID_ARGUMENT": InvalidArgumentError,
    "NOT_FOUND": NotFoundError,
    "ALREADY_EXISTS": AlreadyExistsError,
    "DATA_LOSS": DataLossError,
    "RESOURCE_EXHAUSTED": ResourceExhaustedError,
    "FAILED_PRECONDITION": FailedPreconditionError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "UNIMPLEMENTED": UnimplementedError,
    "ABORTED": AbortedError,
    "UNAVAILABLE": UnavailableError,
    "OUT_OF_RANGE": OutOfRangeError,
    "CANCELLED": CancelledError,
}


def class_of(code: str) -> "type[Error]":
    """The exception class of a status code's name."""
    return _CLASSES.get(code, Error)

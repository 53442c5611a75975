# SPDX-License-Identifier: Apache-2.0
"""Keys on their way into the extension modules."""

from __future__ import annotations

from typing import Any, Optional


class Secret:
    """Holds a key and does not show it: an error about the arguments of a call prints them all."""

    __slots__ = ("strata_secret_value",)

    def __init__(self, value: Any):
        self.strata_secret_value = value

    def __repr__(self) -> str:
        return "<secret>"


def hidden(key: Any) -> Optional[Secret]:
    """`key` as a Secret; None stays None."""
    return key if key is None or isinstance(key, Secret) else Secret(key)

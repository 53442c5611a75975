# SPDX-License-Identifier: Apache-2.0
"""The server and the wire; what is not here is taken from tests/e2e/support."""
import pathlib

__path__.append(str(pathlib.Path(__file__).resolve().parents[2] / "e2e/support"))

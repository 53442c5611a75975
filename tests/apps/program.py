# SPDX-License-Identifier: Apache-2.0
"""What the scripts of this folder share: the way to tests/e2e/support, stratad run to its end, and waiting.

Import it first: it makes `support` importable.
"""
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

from support.appliance import BIN  # noqa: E402

# Exit codes of stratad, as docs/operations.md tells operators.
STOPPED, FAILED, USAGE, CONFIG, DATA, ADDRESS = range(6)


def clean_environment(**variables):
    """The present environment without any setting of stratad, and with these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
    return {**inherited, **variables}


def stratad(*arguments, timeout_s=30, **variables):
    """Runs a stratad that ends by itself. Returns (exit code, stdout, stderr)."""
    result = subprocess.run([BIN / "stratad", *map(str, arguments)], capture_output=True, text=True,
                            timeout=timeout_s, check=False, env=clean_environment(**variables),
                            stdin=subprocess.DEVNULL)
    return result.returncode, result.stdout, result.stderr


def wait_until(condition, what, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s")
        time.sleep(0.02)

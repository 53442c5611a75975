# SPDX-License-Identifier: Apache-2.0
"""Folders that cannot be written to, not even by root, whom permissions do not stop.

    subprocess.run([*read_only.command(folder), "touch", folder / "x"])    # fails: Read-only file system

For that command alone, in a mount namespace of its own, the folder is mounted read-only; nothing outlives it.
"""
import os
import subprocess

_MOUNT = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


class NotPossible(Exception):
    """This machine gives us no mount namespace."""


def command(folder):
    """What to put before a command. NotPossible, with the system's words."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    prefix = [*unshare, "sh", "-c", _MOUNT, "sh", str(folder)]
    try:
        result = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotPossible(f"no read-only mount: {error}") from error
    if result.returncode != 0:
        raise NotPossible(f"no read-only mount of {folder}: {result.stderr.strip()}")
    return prefix

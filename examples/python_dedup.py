# SPDX-License-Identifier: Apache-2.0
"""Backs a folder up twice and shows what the second time cost.

Usage: python_dedup.py FOLDER STORE
"""

import pathlib
import sys

import strata.dedup


def backup(store, folder):
    """Stores every file; returns {path: stream id}, bytes read and bytes stored."""
    catalogue, read, stored = {}, 0, 0
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        with path.open("rb") as file:
            info = store.put(file)
        catalogue[path] = info["id"]
        read += info["size_bytes"]
        stored += info["new_stored_bytes"]
    return catalogue, read, stored


def main():
    folder, where = pathlib.Path(sys.argv[1]), sys.argv[2]
    with strata.dedup.Store(where) as store:
        for attempt in (1, 2):
            catalogue, read, stored = backup(store, folder)
            print(f"backup {attempt}: {len(catalogue)} files, {read:,} bytes read, {stored:,} bytes stored")
        for path, stream_id in catalogue.items():
            with store.open(stream_id) as stream:
                if stream.read() != path.read_bytes():
                    sys.exit(f"{path} does not read back")
        print("every file reads back")


if __name__ == "__main__":
    main()

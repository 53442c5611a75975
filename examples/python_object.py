# SPDX-License-Identifier: Apache-2.0
"""Keeps versions of a document and brings an old one back.

Usage: python_object.py STORE
"""

import sys

import strata
import strata.object


def main():
    with strata.object.Store(sys.argv[1]) as store:
        try:
            store.create_bucket("notes", owner="ada")
        except strata.AlreadyExistsError:
            pass
        store.set_versioning("notes", True)
        first = store.put("notes", "plan.txt", b"Build a house.\n", content_type="text/plain")
        store.put("notes", "plan.txt", b"Build a castle.\n", content_type="text/plain")
        with store.open("notes", "plan.txt", version_id=first["version_id"]) as old:
            store.put("notes", "plan.txt", old)
        with store.open("notes", "plan.txt") as stream:
            print(stream.read().decode(), end="")
        for info in store.list("notes"):
            print(info["key"], info["size_bytes"], "bytes, version", info["version_id"])


if __name__ == "__main__":
    main()

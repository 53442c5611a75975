# SPDX-License-Identifier: Apache-2.0
"""Folders of real files to back up, changes to them, and the comparison of a folder with its copy."""
import hashlib
import os
import pathlib
import random
import shutil

# Names that clients and servers get wrong.
AWKWARD_NAMES = ("with space.txt", "plus+and&amp.txt", "percent%41%2F.txt", "ümlaut-ä.txt", "日本語/ファイル.txt",
                 "emoji-\U0001f980.bin", "quote'and\".txt", "equals=semi;comma,.txt", "hash#question?.txt",
                 "tilde~star(1).txt", "deep/a/b/c/d/e/f.txt", "dots..txt", "UPPER/lower", "UPPER/Lower")


def copy_real_files(target, wanted_bytes, source="/usr", chooser=None):
    """Copies a choice of the regular files below `source`, about wanted_bytes in all, with their paths.
    Returns the bytes copied."""
    chooser = chooser or random.Random(0)
    target = pathlib.Path(target)
    candidates = []
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                size = os.path.getsize(path)
                if size <= wanted_bytes // 4:
                    candidates.append((path, size))
        if len(candidates) > 40_000:
            break
    chooser.shuffle(candidates)
    copied = 0
    for path, size in candidates:
        if copied + size > wanted_bytes:
            continue
        destination = target / os.path.relpath(path, source)
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, destination)
        copied += size
        if copied >= wanted_bytes * 0.98:
            break
    return copied


def add_awkward_files(target, chooser=None):
    """Files with awkward names and sizes: empty, one byte, around the sizes of chunks and buffers."""
    chooser = chooser or random.Random(1)
    target = pathlib.Path(target)
    for name in AWKWARD_NAMES:
        path = target / "awkward" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 20)
    for size in (0, 1, 4095, 4096, 16384, 65537, 262144, 262145, 1 << 20):
        (target / f"size-{size}").write_bytes(chooser.randbytes(size))


def change(target, chooser):
    """Changes some files, deletes some, adds some; sizes change too, so that clients that compare sizes see it.
    Returns (changed, deleted, added)."""
    target = pathlib.Path(target)
    paths = sorted(p for p in target.rglob("*") if p.is_file() and "awkward" not in p.parts)
    chooser.shuffle(paths)
    count = max(3, len(paths) // 20)
    for path in paths[:count]:
        content = bytearray(path.read_bytes())
        place = chooser.randrange(len(content) + 1)
        content[place:place] = chooser.randbytes(chooser.randint(1, 5000))
        path.write_bytes(content)
    for path in paths[count:2 * count]:
        path.unlink()
    (target / "new").mkdir(exist_ok=True)
    for number, path in enumerate(paths[2 * count:3 * count]):
        shutil.copyfile(path, target / "new" / f"{number}-{path.name}")
    return count, count, min(count, len(paths[2 * count:]))


def digests(folder):
    """{relative path: SHA-256} of all regular files."""
    folder = pathlib.Path(folder)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file()}


def differences(expected, found, limit=10):
    """What differs between two results of digests(), as text; '' for nothing."""
    lines = [f"missing: {name}" for name in sorted(expected.keys() - found.keys())]
    lines += [f"unexpected: {name}" for name in sorted(found.keys() - expected.keys())]
    lines += [f"other content: {name}" for name in sorted(expected.keys() & found.keys())
              if expected[name] != found[name]]
    if len(lines) > limit:
        lines[limit:] = [f"and {len(lines) - limit} more"]
    return "\n".join(lines)

# SPDX-License-Identifier: Apache-2.0
"""Eight kinds of data in several versions each, and many tiny files: made from a seed and from files of this system.

Each kind is a generator: it makes a file or folder in `place`, yields its path, changes it in place as its owner would between two backups, yields it
again, and so on. `first_bytes` is about how large the first version is.
"""
import base64
import io
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import tarfile

SOURCE_ROOTS = ["/usr/lib/python3", "/usr/lib/python3.11", "/usr/local/lib/python3.11", "/usr/include", "/usr/share/perl"]
SOURCE_ENDINGS = {".py", ".h", ".hpp", ".c", ".cc", ".pm", ".pl", ".txt", ".pyi"}
LIBRARY_ROOTS = ["/usr/lib/x86_64-linux-gnu", "/usr/bin", "/usr/lib/python3"]
EPOCH = 1_700_000_000


def walk(roots):
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                path = pathlib.Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    yield path


def source_files(draw, total_bytes, largest_bytes=256 << 10):
    """{name: content} of source files of this system."""
    candidates = [path for path in walk(SOURCE_ROOTS)
                  if path.suffix in SOURCE_ENDINGS and 0 < path.stat().st_size <= largest_bytes]
    draw.shuffle(candidates)
    found, size = {}, 0
    for path in candidates:
        if size >= total_bytes:
            break
        found[str(path.relative_to("/usr"))] = path.read_bytes()
        size += path.stat().st_size
    return found


def edited(draw, content):
    """One commit's change of a source file: a few places get other, more or fewer lines."""
    lines = content.splitlines(keepends=True)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(lines) + 1)
        gone = draw.randint(0, 4)
        lines[at:at + gone] = [b"    changed_%d = handle(%d, %d)\n" % tuple(draw.randrange(10**6) for _ in range(3))
                               for _ in range(draw.randint(0, 8))]
    return b"".join(lines)


def change_sources(draw, files, fresh, share):
    """Some files edited, a few deleted, added and renamed. Returns the names of those that changed."""
    names = sorted(files)
    touched = set()
    for name in draw.sample(names, int(len(names) * share)):
        files[name] = edited(draw, files[name])
        touched.add(name)
    for name in draw.sample(names, max(1, int(len(names) * share / 5))):
        del files[name]
    names = sorted(files)
    for name in draw.sample(names, max(1, int(len(names) * share / 10))):
        files["moved/" + name] = files.pop(name)
        touched.add("moved/" + name)
    for _ in range(max(1, int(len(names) * share / 5))):
        if fresh:
            name, content = fresh.popitem()
            files[name] = content
            touched.add(name)
    return touched


def write_tar(path, files, time_of):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for number, name in enumerate(sorted(files)):
            entry = tarfile.TarInfo("release/" + name)
            entry.size, entry.mode, entry.mtime = len(files[name]), 0o644, time_of(number)
            entry.uname = entry.gname = "root"
            tar.addfile(entry, io.BytesIO(files[name]))


def tar_versions(draw, place, first_bytes, time_of):
    files = source_files(draw, first_bytes * 11 // 10)
    fresh = dict(draw.sample(sorted(files.items()), len(files) // 11))
    for name in fresh:
        del files[name]
    tar = place / "release.tar"
    for version in range(6):
        if version > 0:
            change_sources(draw, files, fresh, share=0.04)
        write_tar(tar, files, lambda number, version=version: time_of(version, number))
        yield tar


def source_tars(draw, place, first_bytes):
    """Tars of the releases of a source tree, all times alike, as git archive makes them."""
    yield from tar_versions(draw, place, first_bytes, lambda version, number: EPOCH)


def timed_tars(draw, place, first_bytes):
    """Tars of releases that were checked out and packed: each file has the time of its checkout."""
    yield from tar_versions(draw, place, first_bytes, lambda version, number: EPOCH + version * 86_400 * 9 + number // 173)


def write_file(path, content, time):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time, time))


def small_files(draw, place, first_bytes):
    """A folder of source files of some kilobytes each, about 1600 at 40 MB, in eight versions: a tree under development."""
    files = source_files(draw, first_bytes * 3 // 10, largest_bytes=64 << 10)
    fresh = dict(draw.sample(sorted(files.items()), len(files) // 11))
    for name in fresh:
        del files[name]
    folder = place / "tree"
    touched = set(files)
    for version in range(8):
        if version > 0:
            before = set(files)
            touched = change_sources(draw, files, fresh, share=0.05)
            for name in before - set(files):
                (folder / name).unlink()
        for name in sorted(touched & set(files)):
            write_file(folder / name, files[name], EPOCH + version * 86_400 + draw.randrange(80_000))
        yield folder


def words_of_this_system(draw):
    """Words as frequent as in documents, by sampling what documents there are."""
    text = b" ".join(source_files(draw, 2 << 20).values()).decode("ascii", "ignore")
    return [word for word in text.split() if 1 < len(word) < 14]


def database(draw, place, first_bytes):
    """An SQLite database of customers and orders, between the days' transactions."""
    path = place / "shop.sqlite"
    words = words_of_this_system(draw)
    db = sqlite3.connect(path)
    db.execute("create table customer (id integer primary key, name text, email text, street text, balance real, note text)")
    db.execute("create index customer_email on customer (email)")
    db.execute("create table booking (id integer primary key, customer integer, day integer, item text, cents integer)")
    db.execute("create index booking_customer on booking (customer)")
    counts = {"customer": 0, "booking": 0}

    def text(least, most):
        return " ".join(draw.choices(words, k=draw.randint(least, most)))

    def add_customers(count):
        rows = []
        for _ in range(count):
            counts["customer"] += 1
            first, last = draw.choices(words, k=2)
            rows.append((counts["customer"], f"{first} {last}", f"{first}.{last}{draw.randrange(10**5)}@example.org",
                         f"{text(1, 3)} {draw.randrange(200)}", draw.randrange(10**7) / 100, text(4, 24)))
        db.executemany("insert into customer values (?, ?, ?, ?, ?, ?)", rows)

    def add_bookings(count, day):
        rows = []
        for _ in range(count):
            counts["booking"] += 1
            rows.append((counts["booking"], draw.randint(1, counts["customer"]), day, text(1, 4), draw.randrange(10**6)))
        db.executemany("insert into booking values (?, ?, ?, ?, ?)", rows)

    while path.stat().st_size < first_bytes:
        add_customers(5_000)
        add_bookings(20_000, 0)
        db.commit()
    yield path
    for version in range(1, 6):
        add_customers(counts["customer"] // 100)
        add_bookings(counts["booking"] // 50, version)
        for _ in range(counts["customer"] // 100):
            db.execute("update customer set balance = ?, note = ? where id = ?",
                       (draw.randrange(10**7) / 100, text(4, 24), draw.randint(1, counts["customer"])))
        for _ in range(counts["customer"] // 400):
            db.execute("delete from booking where id = ?", (draw.randint(1, counts["booking"]),))
        db.commit()
        yield path
    db.close()


def growing_log(draw, place, first_bytes):
    """A service's log, a JSON object a line, to which each day adds."""
    path = place / "service.log"
    words = words_of_this_system(draw)
    paths = ["/api/v1/" + "/".join(draw.sample(words, 2)) for _ in range(300)]
    agents = [f"client/{draw.randrange(9)}.{draw.randrange(30)} ({draw.choice(words)})" for _ in range(40)]
    hosts = [f"web-{number}.example.org" for number in range(24)]
    messages = [" ".join(draw.sample(words, 6)) for _ in range(60)]
    clock = EPOCH * 1000
    with path.open("w", encoding="ascii", errors="replace") as log:
        for version in range(6):
            goal = first_bytes * (4 + version) // 6
            while log.tell() < goal:
                lines = []
                for _ in range(2000):
                    clock += draw.randrange(1, 40)
                    lines.append(f'{{"ts":{clock},"level":"{draw.choices(["info", "warn", "error"], [90, 8, 2])[0]}","host":"{draw.choice(hosts)}",'
                                 f'"request":"{draw.getrandbits(64):016x}","path":"{draw.choice(paths)}/{draw.randrange(10**5)}",'
                                 f'"status":{draw.choices([200, 201, 304, 404, 500], [80, 5, 9, 5, 1])[0]},"micros":{int(draw.lognormvariate(8, 1.2))},'
                                 f'"agent":"{draw.choice(agents)}","client":"10.{draw.randrange(64)}.{draw.randrange(256)}.{draw.randrange(256)}",'
                                 f'"bytes":{int(draw.lognormvariate(9, 2))},"msg":"{draw.choice(messages)}"}}\n')
                log.write("".join(lines))
            log.flush()
            yield path


def mailbox(draw, place, first_bytes):
    """A folder of mbox files: mail comes in with attachments, is answered and forwarded, marked as read, and some is deleted."""
    words = words_of_this_system(draw)
    attachments = []
    boxes = {name: [] for name in ("inbox", "sent", "archive")}
    folder = place / "mail"
    folder.mkdir()
    state = {"number": 0}

    def attachment():
        if attachments and draw.random() < 0.35:  # Forwarded, or sent around once more.
            return draw.choice(attachments)
        size = int(min(2e6, draw.lognormvariate(11.5, 1.2)))
        if draw.random() < 0.7:
            content = draw.randbytes(size)  # A picture, or what office programs write: compressed.
        else:
            content = " ".join(draw.choices(words, k=size // 6)).encode()
        attachments.append(base64.encodebytes(content))
        return attachments[-1]

    def message():
        state["number"] += 1
        number = state["number"]
        sender = f"{draw.choice(words[:400])}@example.org"
        body = "\n".join(" ".join(draw.choices(words, k=11)) for _ in range(draw.randint(3, 60)))
        head = (f"From {sender} Thu Jan  1 00:00:00 2026\nMessage-ID: <{draw.getrandbits(96):024x}@example.org>\nFrom: {sender}\n"
                f"Subject: {' '.join(draw.choices(words, k=5))}\nDate: {number}\n")
        rest = f"\n{body}\n".encode()
        if draw.random() < 0.12:
            rest += b"--=_part\nContent-Transfer-Encoding: base64\n\n" + attachment() + b"--=_part--\n"
        return [head.encode(), b"Status: O\n", rest + b"\n"]

    def save():
        for name, messages in boxes.items():
            with (folder / name).open("wb") as file:
                for parts in messages:
                    file.writelines(parts)

    size = 0
    while size < first_bytes:
        new = message()
        size += sum(map(len, new))
        boxes[draw.choices(["inbox", "sent", "archive"], [5, 2, 3])[0]].append(new)
    save()
    yield folder
    for _ in range(5):
        for box in boxes.values():
            for parts in draw.sample(box, len(box) // 20):
                parts[1] = b"Status: RO\nX-Status: A\n"
        inbox = boxes["inbox"]
        for at in sorted(draw.sample(range(len(inbox)), len(inbox) // 40), reverse=True):
            gone = inbox.pop(at)
            if draw.random() < 0.5:
                boxes["archive"].append(gone)
        size = 0
        while size < first_bytes // 15:
            new = message()
            size += sum(map(len, new))
            boxes[draw.choice(["inbox", "sent"])].append(new)
        save()
        yield folder


def media(draw, place, first_bytes):
    """A folder of pictures and films, which do not compress: more come, some are copied, tagged (which moves their bytes) or cut."""
    folder = place / "media"
    folder.mkdir()
    files = []

    def add(total_bytes):
        size = 0
        while size < total_bytes:
            bytes_here = int(min(16e6, draw.lognormvariate(13.6, 0.9)))
            files.append(folder / f"img_{len(files):05}.jpg")
            tags = f"Camera {draw.randrange(4)} exposure {draw.randrange(1000)} " * 30
            files[-1].write_bytes(b"\xff\xd8\xff\xe1" + tags.encode() + draw.randbytes(bytes_here))
            size += bytes_here

    add(first_bytes)
    yield folder
    for version in range(1, 6):
        add(first_bytes // 8)
        for path in draw.sample(files, max(1, len(files) // 15)):
            if path.exists():
                path.write_bytes(b"\xff\xd8\xff\xe1" + f"tagged {draw.random()} ".encode() * draw.randint(20, 400) + path.read_bytes()[1500:])
        for path in draw.sample(files, max(1, len(files) // 25)):
            if path.exists():
                shutil.copyfile(path, folder / f"copy_{version}_{path.name}")
        film = draw.choice([path for path in files if path.exists()])
        content = film.read_bytes()
        film.write_bytes(content[:len(content) // 3] + content[len(content) // 2:])
        draw.choice(files).unlink(missing_ok=True)
        yield folder


def disk_image(draw, place, first_bytes):
    """A disk's image, ext4 where it can be made, of programs, libraries and documents; between two backups blocks of 4 KiB are rewritten."""
    image, tree = place / "disk.img", place / "tree"
    candidates = [path for path in walk(LIBRARY_ROOTS + SOURCE_ROOTS) if 0 < path.stat().st_size < first_bytes // 20]
    draw.shuffle(candidates)
    size, used = 0, 0
    for used, path in enumerate(candidates):
        if size > first_bytes * 7 // 10:
            break
        target = tree / str(path).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        size += path.stat().st_size
    if shutil.which("mkfs.ext4"):
        subprocess.run(["mkfs.ext4", "-q", "-E", "hash_seed=5a1c6f0e-0000-4000-8000-000000000001", "-U",
                        "5a1c6f0e-0000-4000-8000-000000000002", "-d", tree, image, f"{first_bytes >> 10}k"], check=True, capture_output=True)
    else:
        with image.open("wb") as file:
            for path in walk([tree]):
                file.write(path.read_bytes())
                file.write(bytes(-file.tell() % 4096))
            file.truncate(max(first_bytes, file.tell()))
    shutil.rmtree(tree)
    yield image
    later = candidates[used:]
    for _ in range(1, 6):
        with image.open("r+b") as file:
            blocks = first_bytes // 4096
            for _ in range(25):  # Files that are written as a whole.
                content = later.pop().read_bytes()[:1 << 20]
                file.seek(4096 * draw.randrange(max(1, blocks - len(content) // 4096 - 1)))
                file.write(content + bytes(-len(content) % 4096))
            for _ in range(blocks // 100):  # Blocks that change here and there.
                block = draw.randrange(blocks)
                file.seek(4096 * block)
                old = bytearray(file.read(4096))
                at = draw.randrange(3000)
                old[at:at + 600] = draw.randbytes(20) * 30
                file.seek(4096 * block)
                file.write(old)
        yield image


def tiny_files(draw, place, _):
    """20,000 files of 11 bytes, one version."""
    folder = place / "tiny"
    for number in range(20_000):
        write_file(folder / f"{number // 1000:02}" / f"{number:05}", b"%011d" % draw.randrange(10**11), EPOCH + number)
    yield folder


KINDS = {"source tars": source_tars, "tars, own times": timed_tars, "small files": small_files, "database": database, "growing log": growing_log,
         "mailbox": mailbox, "media": media, "disk image": disk_image, "20,000 tiny files": tiny_files}


def versions_of(kind, place, first_bytes, seed):
    return KINDS[kind](random.Random(f"{seed} {kind}"), place, first_bytes)

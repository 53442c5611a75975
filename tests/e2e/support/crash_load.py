# SPDX-License-Identifier: Apache-2.0
"""Concurrent load on a stratad that may be killed at any moment, with a ledger of what it acknowledged; and the check
of the store against the ledger."""
import http.client
import random
import threading

from . import s3_wire
from .ledger import ABSENT, Content, Register, Upload, Version, describe

PLAIN, VERSIONED = "plain", "versioned"
PART_BYTES = 5 << 20

OWN_KEYS, SHARED_KEYS = 12, 6


class Crashed(Exception):
    """The connection broke: stratad was killed."""


class Bodies:
    """Contents that overlap in part, so that deduplication has something to do. Thread-safe."""

    def __init__(self, chooser):
        self._pool = chooser.randbytes(12 << 20)

    def make(self, chooser, size):
        start = chooser.randrange(len(self._pool) - size + 1)
        body = bytearray(self._pool[start:start + size])
        for _ in range(min(3, size // 64)):
            place = chooser.randrange(size - 16)
            body[place:place + 16] = chooser.randbytes(16)
        return bytes(body)


class Ledger:
    def __init__(self, workers):
        self.registers = {}
        for worker in range(workers):
            for number in range(OWN_KEYS):
                self.registers[f"own/{worker}/{number} ü+"] = Register()
            self.registers[f"large/{worker}"] = Register()
        for number in range(SHARED_KEYS):
            self.registers[f"shared/{number}"] = Register()
        self.uploads = []                       # Each worker only adds; the check removes.
        self.versions = []                      # In the order of their acknowledgement, per key.
        self.versions_in_doubt = []             # (key, content) of PUTs and markers that were not acknowledged.
        self.unexpected = []                    # Answers that no load should get.


class Worker(threading.Thread):
    """One client that works until it is told to stop or stratad dies."""

    def __init__(self, number, client, ledger, bodies, seed):
        super().__init__(name=f"worker {number}", daemon=True)
        self._number = number
        self._client = client
        self._ledger = ledger
        self._bodies = bodies
        self._chooser = random.Random(seed)
        self._own = [key for key in ledger.registers if key.startswith(f"own/{number}/")]
        self._shared = [key for key in ledger.registers if key.startswith("shared/")]
        self._large = f"large/{number}"
        self._stopping = threading.Event()
        self.acknowledged = 0

    def stop(self):
        self._stopping.set()

    def run(self):
        operations = ((self.put_small, 40), (self.put_medium, 12), (self.delete, 10), (self.delete_several, 3),
                      (self.copy, 8), (self.put_shared, 12), (self.delete_shared, 3), (self.multipart, 4),
                      (self.put_version, 10), (self.delete_version, 5), (self.mark_deleted, 3))
        kinds, weights = zip(*operations)
        try:
            while not self._stopping.is_set():
                self._chooser.choices(kinds, weights)[0]()
        except Crashed:
            pass
        except Exception as error:  # An answer that cannot be understood is a finding, not the end of a thread.
            self._ledger.unexpected.append(f"{self.name}: {type(error).__name__}: {error}")
        finally:
            self._client.close()

    # ---- One request and its entry

    def _ask(self, what, call, *statuses):
        """The answer, None when it was refused for load, or Crashed."""
        try:
            answer = call()
        except (OSError, http.client.HTTPException) as error:
            raise Crashed from error
        if answer.status in statuses:
            self.acknowledged += 1
            return answer
        if answer.status != 503:
            self._ledger.unexpected.append(f"{what}: status {answer.status} {answer.body[:300]!r}")
        return None

    def _write(self, key, content, what, call, *statuses):
        register = self._ledger.registers[key]
        write = register.begin(content)
        answer = self._ask(f"{what} {key}", call, *statuses)
        if answer is None:
            register.refuse(write)
        else:
            register.acknowledge(write)
        return answer

    def _put(self, key, size):
        body = self._bodies.make(self._chooser, size)
        self._write(key, Content.of(body), "PUT", lambda: self._client.put(PLAIN, key, body), 200)

    # ---- The operations

    def put_small(self):
        self._put(self._chooser.choice(self._own), self._chooser.choice((0, 1, 100, 4096, 20_000)))

    def put_medium(self):
        self._put(self._chooser.choice(self._own), self._chooser.randint(60_000, 1_500_000))

    def put_shared(self):
        self._put(self._chooser.choice(self._shared), self._chooser.randint(1, 100_000))

    def delete(self, keys=None):
        key = self._chooser.choice(keys or self._own)
        self._write(key, ABSENT, "DELETE", lambda: self._client.delete(PLAIN, key), 204)

    def delete_shared(self):
        self.delete(self._shared)

    def delete_several(self):
        keys = self._chooser.sample(self._own, 3)
        writes = [(self._ledger.registers[key], self._ledger.registers[key].begin(ABSENT)) for key in keys]
        body = ("<Delete>" + "".join(f"<Object><Key>{key}</Key></Object>" for key in keys) + "</Delete>").encode()
        answer = self._ask("POST ?delete", lambda: self._client.request(
            "POST", s3_wire.path_of(PLAIN), query={"delete": ""}, body=body,
            headers={"Content-MD5": s3_wire.content_md5(body)}), 200)
        for register, write in writes:
            if answer is None:
                register.refuse(write)
            else:
                register.acknowledge(write)

    def copy(self):
        source, target = self._chooser.sample(self._own, 2)
        known, content = self._ledger.registers[source].certain()
        if known and content is not ABSENT:
            headers = {"x-amz-copy-source": s3_wire.path_of(PLAIN, source)}
            self._write(target, content, f"COPY {source} to",
                        lambda: self._client.put(PLAIN, target, b"", headers), 200)

    def multipart(self):
        key = self._large
        created = self._ask("create upload", lambda: self._client.request(
            "POST", s3_wire.path_of(PLAIN, key), query={"uploads": ""}), 200)
        if created is None:
            return
        upload = Upload(key, created.xml().findtext("UploadId"))
        self._ledger.uploads.append(upload)
        for number in range(1, self._chooser.randint(1, 2) + 1):
            self._upload_part(upload, number, PART_BYTES)
        self._upload_part(upload, 7, self._chooser.randint(1, 300_000))
        dice = self._chooser.random()
        if dice < 0.1:
            return  # Left open: a later check finds its parts, and completes it.
        if dice < 0.2:
            upload.ending = "abort"
            if self._ask("abort", lambda: self._client.request(
                    "DELETE", s3_wire.path_of(PLAIN, key), query={"uploadId": upload.upload_id}), 204):
                self._ledger.uploads.remove(upload)
            return
        if upload.parts:
            upload.ending = "complete"
            body = b"".join(body for _, (_, body) in sorted(upload.parts.items()))
            etags = {number: etag for number, (etag, _) in upload.parts.items()}
            if self._write(key, Content.of(body), "complete upload",
                           lambda: self._client.complete_upload(PLAIN, key, upload.upload_id, etags), 200):
                self._ledger.uploads.remove(upload)

    def _upload_part(self, upload, number, size):
        body = self._bodies.make(self._chooser, size)
        answer = self._ask("upload part", lambda: self._client.request(
            "PUT", s3_wire.path_of(PLAIN, upload.key), body=body,
            query={"partNumber": number, "uploadId": upload.upload_id}), 200)
        if answer:
            upload.parts[number] = (answer.etag, body)

    def _version_key(self):
        return f"v/{self._number}/{self._chooser.randrange(3)}"

    def _write_version(self, key, content, what, call, *statuses):
        entry = (key, content)
        self._ledger.versions_in_doubt.append(entry)
        answer = self._ask(what, call, *statuses)
        self._ledger.versions_in_doubt.remove(entry)
        if answer:
            self._ledger.versions.append(Version(key, answer.headers["x-amz-version-id"], content))

    def put_version(self):
        key = self._version_key()
        body = self._bodies.make(self._chooser, self._chooser.randint(1, 40_000))
        self._write_version(key, Content.of(body), f"PUT version of {key}",
                            lambda: self._client.put(VERSIONED, key, body), 200)

    def mark_deleted(self):
        key = self._version_key()
        self._write_version(key, ABSENT, f"DELETE {key}", lambda: self._client.delete(VERSIONED, key), 204)

    def delete_version(self):
        prefix = f"v/{self._number}/"
        own = [v for v in self._ledger.versions if v.key.startswith(prefix) and not v.deleting]
        if own:
            version = self._chooser.choice(own)
            version.deleting = True
            if self._ask("DELETE version", lambda: self._client.delete(
                    VERSIONED, version.key, {"versionId": version.version_id}), 204):
                self._ledger.versions.remove(version)
            else:
                version.deleting = False


# ---- The check. Each part returns what is wrong, a line each, and settles what was in doubt.

def check(client, ledger):
    findings = list(ledger.unexpected)
    ledger.unexpected.clear()
    findings += check_uploads(client, ledger)
    findings += check_objects(client, ledger)
    findings += check_versions(client, ledger)
    return findings


def check_objects(client, ledger):
    findings = []
    listed = client.list(PLAIN)
    paged = client.list(PLAIN, max_keys=7)
    if listed != paged:
        findings.append(f"a listing in pages of 7 differs: {sorted(listed.items() ^ paged.items())[:5]}")
    for key in sorted(listed.keys() - ledger.registers.keys()):
        findings.append(f"{key}: is listed, and nobody wrote it")
    for key, register in ledger.registers.items():
        answer = client.get(PLAIN, key)
        if answer.status not in (200, 404):
            findings.append(f"{key}: GET says {answer.status} {answer.body[:200]!r}")
            continue
        found = Content.of(answer.body) if answer.status == 200 else ABSENT
        if found not in register.allowed():
            findings.append(f"{key}: found {describe([found])}, expected {describe(register.allowed())}")
        entry = listed.get(key)
        if (entry is None) != (found is ABSENT):
            findings.append(f"{key}: GET finds {describe([found])}, the listing {entry}")
        elif entry is not None and entry != (found.size_bytes, answer.etag):
            findings.append(f"{key}: listed as {entry}, GET says {found.size_bytes} {answer.etag}")
        register.settle(found)
    return findings


def check_uploads(client, ledger):
    findings = []
    # Those in doubt first, the newest of them before all: one that was completed before the crash answers again and
    # writes nothing, so no other may have been completed in between.
    for upload in sorted(reversed(ledger.uploads), key=lambda one: one.ending != "complete"):
        ledger.uploads.remove(upload)
        if upload.ending == "abort":
            client.request("DELETE", s3_wire.path_of(PLAIN, upload.key),
                           query={"uploadId": upload.upload_id}).expect(204, 404)
            continue
        etags = {number: etag for number, (etag, _) in upload.parts.items()}
        if not upload.ending:
            findings += check_parts(client, upload, etags)
        if not etags:
            continue
        # An open one is completed now; one whose completion is in doubt is completed again, and both must end well.
        body = b"".join(body for _, (_, body) in sorted(upload.parts.items()))
        register = ledger.registers[upload.key]
        write = register.begin(Content.of(body))
        answer = client.complete_upload(PLAIN, upload.key, upload.upload_id, etags)
        if answer.status == 200:
            register.acknowledge(write)
        else:
            register.refuse(write)
            findings.append(f"{upload.key}: completing upload {upload.upload_id} ({upload.ending or 'open'}) after the "
                            f"crash: {answer.status} {answer.body[:300]!r}")
    return findings


def check_parts(client, upload, etags):
    answer = client.request("GET", s3_wire.path_of(PLAIN, upload.key), query={"uploadId": upload.upload_id})
    if answer.status != 200:
        return [f"{upload.key}: upload {upload.upload_id} was acknowledged, ListParts says {answer.status}"]
    listed = {int(part.findtext("PartNumber")): part.findtext("ETag").strip('"') for part in answer.xml().iter("Part")}
    return [f"{upload.key}: part {number} of upload {upload.upload_id} is acknowledged and {listed.get(number)}"
            for number, etag in etags.items() if listed.get(number) != etag]


def check_versions(client, ledger):
    findings = []
    listed = list_versions(client)
    found = {}
    for key, version_id, is_marker in listed:
        content = ABSENT
        if not is_marker:
            answer = client.get(VERSIONED, key, {"versionId": version_id})
            if answer.status != 200:
                findings.append(f"{key} version {version_id}: is listed, GET says {answer.status}")
                continue
            content = Content.of(answer.body)
        found[(key, version_id)] = content
    known = {(v.key, v.version_id): v for v in ledger.versions}
    for place, version in known.items():
        if place not in found and not version.deleting:
            findings.append(f"{version.key} version {version.version_id}: is acknowledged and gone")
        elif place in found and found[place] != version.content:
            findings.append(f"{version.key} version {version.version_id}: found {describe([found[place]])}, "
                            f"expected {describe([version.content])}")
    doubtful = list(ledger.versions_in_doubt)
    for place in found.keys() - known.keys():
        if (place[0], found[place]) in doubtful:
            doubtful.remove((place[0], found[place]))
        else:
            findings.append(f"{place[0]} version {place[1]}: {describe([found[place]])}, and nobody wrote it")
    # The newest comes first in a listing; what was acknowledged keeps its order.
    order = [(v.key, v.version_id) for v in reversed(ledger.versions)]
    for key in {v.key for v in ledger.versions}:
        expected = [place for place in order if place[0] == key and place in found]
        present = [(k, i) for k, i, _ in listed if k == key and (k, i) in known]
        if expected != present:
            findings.append(f"{key}: versions are listed as {present}, acknowledged as {expected}")
    ledger.versions_in_doubt.clear()
    ledger.versions[:] = [Version(key, version_id, found[(key, version_id)])
                          for key, version_id, _ in reversed(listed) if (key, version_id) in found]
    return findings


def list_versions(client):
    """[(key, version id, is a delete marker)] in the order of the listing."""
    found, query = [], {"versions": "", "max-keys": 50}
    while True:
        page = client.request("GET", s3_wire.path_of(VERSIONED), query=query).expect(200).xml()
        for entry in page:
            if entry.tag in ("Version", "DeleteMarker"):
                found.append((entry.findtext("Key"), entry.findtext("VersionId"), entry.tag == "DeleteMarker"))
        if page.findtext("IsTruncated") != "true":
            return found
        query["key-marker"] = page.findtext("NextKeyMarker")
        query["version-id-marker"] = page.findtext("NextVersionIdMarker")


def delete_everything(client):
    for key in client.list(PLAIN):
        client.delete(PLAIN, key).expect(204)
    for key, version_id, _ in list_versions(client):
        client.delete(VERSIONED, key, {"versionId": version_id}).expect(204)
    while True:
        page = client.request("GET", s3_wire.path_of(PLAIN), query={"uploads": ""}).expect(200).xml()
        uploads = [(u.findtext("Key"), u.findtext("UploadId")) for u in page.iter("Upload")]
        if not uploads:
            return
        for key, upload_id in uploads:
            client.request("DELETE", s3_wire.path_of(PLAIN, key), query={"uploadId": upload_id}).expect(204)

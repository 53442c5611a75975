# SPDX-License-Identifier: Apache-2.0
"""Buckets and objects over the wire: what goes in comes out, and errors are S3's."""
import base64
import hashlib
import os
import unittest
import zlib
from xml.sax.saxutils import escape

from support.crc32c import crc32c
from support.case import S3Test as Case, md5_base64, md5_hex

CONTENT = os.urandom(700_000)


def crc32c_base64(data):
    return base64.b64encode(crc32c(data).to_bytes(4, "big")).decode()


class S3Test(Case):
    SERVER_ARGUMENTS = ("--max-xml", "100000")


class BucketTest(S3Test):
    def test_life_of_a_bucket(self):
        self.ok(self.ada.request("HEAD", self.bucket))
        self.ok(self.ada.request("PUT", self.bucket))
        reply = self.server.client("bob").request("PUT", self.bucket)
        self.fails(reply, 409, "BucketAlreadyExists")
        self.assertIn(self.bucket[1:], self.ada.request("GET", "/").texts("Name"))
        self.put("k", b"x")
        self.fails(self.ada.request("DELETE", self.bucket), 409, "BucketNotEmpty")
        self.ok(self.ada.request("DELETE", self.bucket + "/k"), 204)
        self.ok(self.ada.request("DELETE", self.bucket), 204)
        self.fails(self.ada.request("GET", self.bucket), 404, "NoSuchBucket")
        self.fails(self.ada.request("DELETE", self.bucket), 404, "NoSuchBucket")
        head = self.ada.request("HEAD", self.bucket)
        self.assertEqual((head.status, head.body), (404, b""))

    def test_names(self):
        for name in ("UPPER", "a", "a_b", "-ab", "1.2.3.4", "a..b"):
            with self.subTest(name):
                self.fails(self.ada.request("PUT", "/" + name), 400, "InvalidBucketName")

    def test_location(self):
        reply = self.ok(self.ada.request("GET", self.bucket, [("location", "")]))
        self.assertEqual(reply.text("LocationConstraint"), None)
        xml = ("<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint>"
               "</CreateBucketConfiguration>")
        reply = self.ada.request("PUT", self.bucket + "-mars", body=xml.encode())
        self.fails(reply, 400, "IllegalLocationConstraintException")
        reply = self.ada.request("PUT", self.bucket + "-mars", body=b"<a>")
        self.fails(reply, 400, "MalformedXML")

    def test_versioning_switch(self):
        def put(status):
            xml = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
            return self.ada.request("PUT", self.bucket, [("versioning", "")], body=xml.encode())

        def status():
            return self.ok(self.ada.request("GET", self.bucket, [("versioning", "")])).text(
                "Status")
        self.assertEqual(status(), None)
        self.ok(put("Enabled"))
        self.assertEqual(status(), "Enabled")
        self.ok(put("Suspended"))
        self.assertEqual(status(), "Suspended")
        self.fails(put("On"), 400, "MalformedXML")

    def test_configurations_that_are_not_there(self):
        for name, code in (
                ("policy", "NoSuchBucketPolicy"), ("lifecycle", "NoSuchLifecycleConfiguration"),
                ("cors", "NoSuchCORSConfiguration"), ("tagging", "NoSuchTagSet"),
                ("encryption", "ServerSideEncryptionConfigurationNotFoundError"),
                ("website", "NoSuchWebsiteConfiguration"),
                ("object-lock", "ObjectLockConfigurationNotFoundError"),
                ("replication", "ReplicationConfigurationNotFoundError"),
                ("publicAccessBlock", "NoSuchPublicAccessBlockConfiguration")):
            self.fails(self.ada.request("GET", self.bucket, [(name, "")]), 404, code)
            self.fails(self.ada.request("PUT", self.bucket, [(name, "")], body=b"<a/>"), 501,
                       "NotImplemented")
            reply = self.ada.request("DELETE", self.bucket, [(name, "")])
            if name == "object-lock":  # S3 has no such request.
                self.fails(reply, 405, "MethodNotAllowed")
            else:
                self.ok(reply, 204)
        for name in ("analytics", "intelligent-tiering", "inventory", "metrics"):
            self.ok(self.ada.request("GET", self.bucket, [(name, "")]))
            self.fails(self.ada.request("GET", self.bucket, [(name, ""), ("id", "1")]), 404, "NoSuchConfiguration")
        for name in ("logging", "notification", "accelerate", "requestPayment"):
            self.ok(self.ada.request("GET", self.bucket, [(name, "")]))
        reply = self.ok(self.ada.request("GET", self.bucket, [("acl", "")]))
        self.assertEqual(reply.text("Permission"), "FULL_CONTROL")
        # What was read may be set; anything wider may not.
        self.ok(self.ada.request("PUT", self.bucket, [("acl", "")], body=reply.body))
        for old, new, code in ((b"FULL_CONTROL", b"READ", "AccessControlListNotSupported"),
                               (b"<ID>", b"<ID>x", "AccessControlListNotSupported"),
                               (b"AccessControlList>", b"List>", "MalformedXML")):
            other = self.ada.request("PUT", self.bucket, [("acl", "")], body=reply.body.replace(old, new))
            self.assertNotEqual(reply.body, reply.body.replace(old, new))
            self.assertEqual((other.status, other.code), (400, code), old)
        self.assertEqual(self.ada.request("PUT", self.bucket, [("acl", "")]).code, "MalformedXML")


class ObjectTest(S3Test):
    def test_sizes(self):
        for size in (0, 1, 4096, 65535, 262143, 262144, 262145, 524289, 700_000):
            with self.subTest(size):
                reply = self.put("k", CONTENT[:size])
                self.assertEqual(reply.headers["etag"], f'"{md5_hex(CONTENT[:size])}"')
                got = self.ok(self.get("k"))
                self.assertEqual(got.body, CONTENT[:size])
                self.assertEqual(got.headers["etag"], reply.headers["etag"])
                head = self.ok(self.ada.request("HEAD", self.bucket + "/k"))
                self.assertEqual((head.headers["content-length"], head.body), (str(size), b""))

    def test_missing(self):
        self.fails(self.get("k"), 404, "NoSuchKey")
        self.assertEqual(self.ada.request("HEAD", self.bucket + "/k").body, b"")
        self.ok(self.ada.request("DELETE", self.bucket + "/k"), 204)
        self.fails(self.ada.request("PUT", self.bucket + "/" + "k" * 1025), 400,
                   "KeyTooLongError")
        self.fails(self.ada.request("PATCH", self.bucket + "/k"), 405, "MethodNotAllowed")

    def test_metadata(self):
        headers = {"content-type": "text/x", "cache-control": "no-store", "content-language": "de",
                   "content-disposition": "attachment", "content-encoding": "identity",
                   "expires": "Thu, 01 Dec 2033 16:00:00 GMT", "x-amz-meta-a": "1",
                   "x-amz-meta-b-c": "=?UTF-8?B?w6Q=?=", "x-amz-storage-class": "STANDARD_IA"}
        self.put("k", b"x", headers)
        for reply in (self.get("k"), self.ada.request("HEAD", self.bucket + "/k")):
            for name, value in headers.items():
                self.assertEqual(reply.headers[name], value)
        reply = self.get("k", [("response-content-type", "a/b\r\nx: y"),
                               ("response-cache-control", "private")])
        self.assertEqual(reply.headers["content-type"], "a/b  x: y")
        self.assertEqual(reply.headers["cache-control"], "private")
        reply = self.ada.request("PUT", self.bucket + "/k", headers={"x-amz-meta-a": "x" * 3000})
        self.fails(reply, 400, "MetadataTooLarge")

    def test_ranges(self):
        self.put("k", CONTENT)
        for value, first, last in (("0-0", 0, 0), ("100-299", 100, 299), ("-5", 699995, 699999),
                                   ("699999-", 699999, 699999), ("1-999999999", 1, 699999)):
            with self.subTest(value):
                reply = self.ok(self.get("k", headers={"range": "bytes=" + value}), 206)
                self.assertEqual(reply.body, CONTENT[first:last + 1])
                self.assertEqual(reply.headers["content-range"], f"bytes {first}-{last}/700000")
        self.fails(self.get("k", headers={"range": "bytes=700000-"}), 416, "InvalidRange")
        self.assertEqual(self.ok(self.get("k", headers={"range": "lines=1-2"})).body, CONTENT)
        etag = self.get("k").headers["etag"]
        part = {"range": "bytes=0-9"}
        self.ok(self.get("k", headers={**part, "if-range": etag}), 206)
        self.ok(self.get("k", headers={**part, "if-range": '"other"'}), 200)

    def test_conditions_on_reads(self):
        reply = self.put("k", b"x")
        etag = reply.headers["etag"]
        modified = self.get("k").headers["last-modified"]
        early, late = "Sun, 06 Nov 1994 08:49:37 GMT", "Thu, 01 Dec 2033 16:00:00 GMT"
        for headers, status in (
                ({"if-match": etag}, 200), ({"if-match": '"x", ' + etag}, 200),
                ({"if-match": '"x"'}, 412), ({"if-none-match": '"x"'}, 200),
                ({"if-none-match": etag}, 304), ({"if-none-match": "*"}, 304),
                ({"if-modified-since": early}, 200), ({"if-modified-since": modified}, 304),
                ({"if-unmodified-since": modified}, 200), ({"if-unmodified-since": early}, 412),
                ({"if-unmodified-since": late}, 200),
                ({"if-match": etag, "if-unmodified-since": early}, 200)):
            with self.subTest(headers):
                reply = self.get("k", headers=headers)
                self.assertEqual(reply.status, status, reply)
                if status == 304:
                    self.assertEqual((reply.body, reply.headers["etag"]), (b"", etag))
                head = self.ada.request("HEAD", self.bucket + "/k", headers=headers)
                self.assertEqual((head.status, head.body), (status, b""))

    def test_conditions_on_writes(self):
        path = self.bucket + "/k"
        self.ok(self.ada.request("PUT", path, headers={"if-none-match": "*"}, body=b"1"))
        reply = self.ada.request("PUT", path, headers={"if-none-match": "*"}, body=b"2")
        self.fails(reply, 412, "PreconditionFailed")
        etag = self.get("k").headers["etag"]
        reply = self.ada.request("PUT", path, headers={"if-match": '"x"'}, body=b"2")
        self.fails(reply, 412, "PreconditionFailed")
        self.ok(self.ada.request("PUT", path, headers={"if-match": etag}, body=b"3"))
        self.assertEqual(self.get("k").body, b"3")

    def test_digests(self):
        for name, good in (("content-md5", md5_base64(b"abc")),
                           ("x-amz-checksum-sha256",
                            base64.b64encode(hashlib.sha256(b"abc").digest()).decode()),
                           ("x-amz-checksum-sha1",
                            base64.b64encode(hashlib.sha1(b"abc").digest()).decode()),
                           ("x-amz-checksum-crc32",
                            base64.b64encode(zlib.crc32(b"abc").to_bytes(4, "big")).decode()),
                           ("x-amz-checksum-crc32c", crc32c_base64(b"abc"))):
            with self.subTest(name):
                path = f"{self.bucket}/{name}"
                self.fails(self.ada.request("PUT", path, headers={name: good}, body=b"abd"), 400,
                           "BadDigest")
                self.assertEqual(self.ada.request("HEAD", path).status, 404)
                reply = self.ok(self.ada.request("PUT", path, headers={name: good}, body=b"abc"))
                if name != "content-md5":
                    self.assertEqual(reply.headers[name], good)
                    got = self.ada.request("GET", path, headers={"x-amz-checksum-mode": "ENABLED"})
                    self.assertEqual(got.headers[name], good)
                    self.assertEqual(got.headers["x-amz-checksum-type"], "FULL_OBJECT")
                    self.assertNotIn(name, self.ada.request("GET", path).headers)
        reply = self.ada.request("PUT", self.bucket + "/k", headers={"content-md5": "x"}, body=b"1")
        self.fails(reply, 400, "InvalidDigest")

    def test_copy(self):
        self.put("a b", CONTENT, {"x-amz-meta-x": "1", "content-type": "text/a"})
        source = f"{self.bucket}/a%20b"
        path = self.bucket + "/copy"

        def copy(**headers):
            headers = {k.replace("_", "-"): v for k, v in headers.items()}
            return self.ada.request("PUT", path, headers={"x-amz-copy-source": source, **headers})
        reply = self.ok(copy())
        self.assertEqual(reply.text("ETag").replace("&quot;", ""), md5_hex(CONTENT))
        got = self.get("copy")
        self.assertEqual((got.body, got.headers["x-amz-meta-x"], got.headers["content-type"]),
                         (CONTENT, "1", "text/a"))
        self.ok(copy(x_amz_metadata_directive="REPLACE", x_amz_meta_y="2",
                     content_type="text/b"))
        got = self.get("copy")
        self.assertNotIn("x-amz-meta-x", got.headers)
        self.assertEqual((got.headers["x-amz-meta-y"], got.headers["content-type"]),
                         ("2", "text/b"))
        etag = md5_hex(CONTENT)
        self.fails(copy(x_amz_copy_source_if_match="x"), 412, "PreconditionFailed")
        self.fails(copy(x_amz_copy_source_if_none_match=etag), 412, "PreconditionFailed")
        self.ok(copy(x_amz_copy_source_if_match=etag))
        path = self.bucket + "/a b"
        self.fails(copy(), 400, "InvalidRequest")
        self.ok(copy(x_amz_metadata_directive="REPLACE"))
        path = self.bucket + "/copy"
        source = self.bucket + "/none"
        self.fails(copy(), 404, "NoSuchKey")
        source = "nothing"
        self.fails(copy(), 400, "InvalidArgument")
        source = "/no-such-bucket/k"
        self.fails(copy(), 404, "NoSuchBucket")

    def test_delete_many(self):
        keys = ["a", "b&c", " ", "d/e"]
        for key in keys:
            self.put(key, b"x")

        def delete(keys, quiet=False, headers=None):
            objects = "".join(f"<Object><Key>{escape(k)}</Key></Object>" for k in keys)
            return self.post_xml(self.bucket, [("delete", "")],
                                 f"<Delete><Quiet>{str(quiet).lower()}</Quiet>{objects}</Delete>",
                                 headers)
        reply = self.ok(delete(keys[:2] + ["missing"]))
        self.assertEqual(reply.texts("Key"), ["a", "b&amp;c", "missing"])
        self.assertEqual(self.ok(delete(keys[2:], quiet=True)).texts("Key"), [])
        self.assertEqual(self.ada.request("GET", self.bucket).texts("Key"), [])
        self.fails(delete([]), 400, "MalformedXML")
        self.fails(delete(["k"] * 1001), 400, "MalformedXML")
        reply = self.ada.request("POST", self.bucket, [("delete", "")],
                                 body=b"<Delete><Object><Key>a</Key></Object></Delete>")
        self.fails(reply, 400, "InvalidRequest")
        self.fails(delete(["k"], headers={"content-md5": md5_base64(b"")}), 400, "BadDigest")
        self.fails(delete(["k" * 1000] * 200), 400, "MalformedXML")  # --max-xml

    def test_tags(self):
        self.put("k", b"x", {"x-amz-tagging": "a=1&b=%20"})
        reply = self.ok(self.get("k", [("tagging", "")]))
        self.assertEqual((reply.texts("Key"), reply.texts("Value")), (["a", "b"], ["1", " "]))
        self.assertEqual(self.get("k").headers["x-amz-tagging-count"], "2")
        xml = "<Tagging><TagSet><Tag><Key>c</Key><Value>3</Value></Tag></TagSet></Tagging>"
        self.ok(self.ada.request("PUT", self.bucket + "/k", [("tagging", "")], body=xml.encode()))
        self.assertEqual(self.get("k", [("tagging", "")]).texts("Key"), ["c"])
        self.ok(self.ada.request("DELETE", self.bucket + "/k", [("tagging", "")]), 204)
        self.assertEqual(self.get("k", [("tagging", "")]).texts("Key"), [])
        self.assertEqual(self.get("k").body, b"x")

    def test_attributes(self):
        self.put("k", b"abc", {"x-amz-checksum-sha256":
                               base64.b64encode(hashlib.sha256(b"abc").digest()).decode()})
        reply = self.ok(self.get("k", [("attributes", "")], {
            "x-amz-object-attributes": "ETag,ObjectSize,Checksum,StorageClass"}))
        self.assertEqual(reply.text("ETag"), md5_hex(b"abc"))
        self.assertEqual(reply.text("ObjectSize"), "3")
        self.assertEqual(reply.text("StorageClass"), "STANDARD")
        self.assertIsNotNone(reply.text("ChecksumSHA256"))
        self.fails(self.get("k", [("attributes", "")]), 400, "InvalidArgument")

    def test_versions(self):
        xml = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        self.ok(self.ada.request("PUT", self.bucket, [("versioning", "")], body=xml))
        first = self.put("k", b"1").headers["x-amz-version-id"]
        second = self.put("k", b"2").headers["x-amz-version-id"]
        self.assertEqual(self.get("k").headers["x-amz-version-id"], second)
        self.assertEqual(self.get("k", [("versionId", first)]).body, b"1")
        reply = self.ok(self.ada.request("DELETE", self.bucket + "/k"), 204)
        marker = reply.headers["x-amz-version-id"]
        self.assertEqual(reply.headers["x-amz-delete-marker"], "true")
        self.fails(self.get("k"), 404, "NoSuchKey")
        reply = self.fails(self.get("k", [("versionId", marker)]), 405, "MethodNotAllowed")
        self.assertEqual(reply.headers["x-amz-delete-marker"], "true")
        reply = self.ok(self.ada.request("GET", self.bucket, [("versions", "")]))
        self.assertEqual(reply.texts("VersionId"), [marker, second, first])
        self.assertEqual(reply.body.count(b"<DeleteMarker>"), 1)
        pages, query = [], [("versions", ""), ("max-keys", "1")]
        while True:
            page = self.ok(self.ada.request("GET", self.bucket, query))
            pages += page.texts("VersionId")
            if page.text("IsTruncated") == "false":
                break
            query = [("versions", ""), ("max-keys", "1"),
                     ("key-marker", page.text("NextKeyMarker")),
                     ("version-id-marker", page.text("NextVersionIdMarker"))]
        self.assertEqual(pages, [marker, second, first])
        self.ok(self.ada.request("DELETE", self.bucket + "/k", [("versionId", marker)]), 204)
        self.assertEqual(self.get("k").body, b"2")
        self.fails(self.get("k", [("versionId", "nonsense")]), 400, "InvalidArgument")
        self.fails(self.get("k", [("versionId", marker)]), 404, "NoSuchVersion")


class ListingTest(S3Test):
    def setUp(self):
        super().setUp()
        self.keys = sorted(["a", "b/1", "b/2", "b/3", "c d", "c+d", "e/f/g", "z"])
        for key in self.keys:
            self.put(key, key.encode())

    def list(self, *query):
        return self.ok(self.ada.request("GET", self.bucket, query))

    def pages(self, version, *query):
        keys, prefixes, marker = [], [], None
        while True:
            more = []
            if version == 2:
                more = [("list-type", "2")]
                if marker is not None:
                    more.append(("continuation-token", marker))
            elif marker is not None:
                more = [("marker", marker)]
            page = self.list(*query, *more)
            page_keys = page.texts("Key")
            keys += page_keys
            prefixes += [p for p in page.texts("CommonPrefixes")]
            if page.text("IsTruncated") == "false":
                return keys, [p.replace("<Prefix>", "").replace("</Prefix>", "") for p in prefixes]
            marker = (page.text("NextContinuationToken") if version == 2 else
                      page.text("NextMarker") or page_keys[-1])

    def test_pages(self):
        for version in (1, 2):
            for size in (1, 2, 3, 1000):
                with self.subTest(version=version, size=size):
                    self.assertEqual(self.pages(version, ("max-keys", str(size))), (self.keys, []))
                    self.assertEqual(
                        self.pages(version, ("max-keys", str(size)), ("delimiter", "/")),
                        (["a", "c d", "c+d", "z"], ["b/", "e/"]))
                    self.assertEqual(
                        self.pages(version, ("max-keys", str(size)), ("prefix", "b/"),
                                   ("delimiter", "/")), (["b/1", "b/2", "b/3"], []))

    def test_parameters(self):
        reply = self.list(("max-keys", "0"))
        self.assertEqual((reply.texts("Key"), reply.text("IsTruncated")), ([], "false"))
        reply = self.list(("list-type", "2"), ("start-after", "b/3"))
        self.assertEqual(reply.texts("Key"), self.keys[self.keys.index("b/3") + 1:])
        self.assertEqual(reply.text("KeyCount"), "4")
        self.assertNotIn(b"<Owner>", reply.body)
        reply = self.list(("list-type", "2"), ("fetch-owner", "true"))
        self.assertEqual(reply.texts("ID"), ["ada"] * 8)
        reply = self.list(("encoding-type", "url"), ("prefix", "c"))
        self.assertEqual(reply.texts("Key"), ["c%20d", "c%2Bd"])
        for query in ([("max-keys", "x")], [("encoding-type", "x")],
                      [("list-type", "2"), ("continuation-token", "x")]):
            reply = self.ada.request("GET", self.bucket, query)
            self.fails(reply, 400, "InvalidArgument")


class MultipartTest(S3Test):
    def create(self, key="k", headers=None):
        reply = self.ok(self.ada.request("POST", f"{self.bucket}/{key}", [("uploads", "")],
                                         headers))
        return reply.text("UploadId")

    def upload(self, upload_id, number, body, key="k", headers=None):
        return self.ada.request(
            "PUT", f"{self.bucket}/{key}",
            [("partNumber", str(number)), ("uploadId", upload_id)], headers, body)

    def complete(self, upload_id, parts, key="k", headers=None):
        xml = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>"
                      for n, e in parts)
        return self.ada.request(
            "POST", f"{self.bucket}/{key}", [("uploadId", upload_id)], headers,
            f"<CompleteMultipartUpload>{xml}</CompleteMultipartUpload>".encode())

    def test_upload(self):
        parts = [os.urandom(5 << 20), os.urandom(5 << 20), b"end"]
        upload_id = self.create(headers={"x-amz-meta-a": "1"})
        etags = []
        for number, part in enumerate(parts, 1):
            etags.append(self.ok(self.upload(upload_id, number, part)).headers["etag"])
        listed = self.ok(self.get("k", [("uploadId", upload_id), ("max-parts", "2")]))
        self.assertEqual(listed.texts("PartNumber"), ["1", "2"])
        self.assertEqual(listed.text("NextPartNumberMarker"), "2")
        listed = self.ok(self.get("k", [("uploadId", upload_id), ("part-number-marker", "2")]))
        self.assertEqual(listed.texts("PartNumber"), ["3"])
        uploads = self.ok(self.ada.request("GET", self.bucket, [("uploads", "")]))
        self.assertEqual(uploads.texts("UploadId"), [upload_id])
        self.fails(self.get("k"), 404, "NoSuchKey")

        numbered = list(enumerate(etags, 1))
        self.fails(self.complete(upload_id, numbered[::-1]), 400, "InvalidPartOrder")
        self.fails(self.complete(upload_id, [(1, '"x"')]), 400, "InvalidPart")
        self.fails(self.complete(upload_id, [(1, etags[0]), (4, etags[0])]), 400, "InvalidPart")
        self.fails(self.complete(upload_id, []), 400, "MalformedXML")
        reply = self.ok(self.complete(upload_id, numbered))
        digest = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()
        self.assertEqual(reply.text("ETag").replace("&quot;", ""), digest + "-3")
        got = self.ok(self.get("k"))
        self.assertEqual(got.body, b"".join(parts))
        self.assertEqual(got.headers["x-amz-meta-a"], "1")
        self.ok(self.complete(upload_id, numbered))  # A client that lost the answer asks again.

        part = self.ok(self.get("k", [("partNumber", "2")]), 206)
        self.assertEqual((part.body, part.headers["x-amz-mp-parts-count"]), (parts[1], "3"))
        head = self.ada.request("HEAD", self.bucket + "/k", [("partNumber", "3")])
        self.assertEqual((head.status, head.headers["content-length"]), (206, "3"))
        self.fails(self.get("k", [("partNumber", "4")]), 416, "InvalidPartNumber")
        part = self.ok(self.get("k", headers={"range": f"bytes={(5 << 20) - 2}-{(5 << 20) + 1}"}),
                       206)
        self.assertEqual(part.body, parts[0][-2:] + parts[1][:2])

    def test_small_parts(self):
        upload_id = self.create()
        etags = [self.upload(upload_id, n, b"x").headers["etag"] for n in (1, 2)]
        self.fails(self.complete(upload_id, [(1, etags[0]), (2, etags[1])]), 400, "EntityTooSmall")

    def test_abort(self):
        upload_id = self.create()
        self.ok(self.upload(upload_id, 1, b"x"))
        query = [("uploadId", upload_id)]
        self.ok(self.ada.request("DELETE", self.bucket + "/k", query), 204)
        self.fails(self.ada.request("DELETE", self.bucket + "/k", query), 404, "NoSuchUpload")
        self.fails(self.upload(upload_id, 1, b"x"), 404, "NoSuchUpload")
        self.fails(self.complete(upload_id, [(1, "x")]), 404, "NoSuchUpload")
        self.ok(self.ada.request("DELETE", self.bucket), 204)

    def test_bad_parts(self):
        upload_id = self.create()
        for number in ("0", "10001", "x", ""):
            self.fails(self.upload(upload_id, number, b"x"), 400, "InvalidArgument")
        self.fails(self.upload("none", 1, b"x"), 404, "NoSuchUpload")
        reply = self.upload(upload_id, 1, b"x", headers={"content-md5": md5_base64(b"y")})
        self.fails(reply, 400, "BadDigest")

    def test_copied_parts(self):
        source = os.urandom(6 << 20)
        self.put("source", source)
        upload_id = self.create()

        def copy(number, **headers):
            headers = {k.replace("_", "-"): v for k, v in headers.items()}
            return self.upload(upload_id, number, b"", headers={
                "x-amz-copy-source": f"{self.bucket}/source", **headers})
        first = self.ok(copy(1)).text("ETag").replace("&quot;", '"')
        second = self.ok(copy(2, x_amz_copy_source_range="bytes=10-19"))
        second = second.text("ETag").replace("&quot;", '"')
        self.fails(copy(3, x_amz_copy_source_range="10-19"), 400, "InvalidArgument")
        self.assertEqual(copy(3, x_amz_copy_source_range="bytes=0-99999999").status, 416)
        self.ok(self.complete(upload_id, [(1, first), (2, second)]))
        self.assertEqual(self.get("k").body, source + source[10:20])

    def test_checksums(self):
        parts = [os.urandom(5 << 20), b"end"]
        crcs = [zlib.crc32(p).to_bytes(4, "big") for p in parts]
        for kind, expected in (
                ("COMPOSITE", base64.b64encode(zlib.crc32(b"".join(crcs)).to_bytes(4, "big"))
                 .decode() + "-2"),
                ("FULL_OBJECT", base64.b64encode(zlib.crc32(b"".join(parts)).to_bytes(4, "big"))
                 .decode())):
            with self.subTest(kind):
                upload_id = self.create(headers={"x-amz-checksum-algorithm": "CRC32",
                                                 "x-amz-checksum-type": kind})
                etags = []
                for number, part in enumerate(parts, 1):
                    reply = self.upload(upload_id, number, part, headers={
                        "x-amz-checksum-crc32": base64.b64encode(crcs[number - 1]).decode()})
                    etags.append((number, self.ok(reply).headers["etag"]))
                if kind == "FULL_OBJECT":
                    reply = self.complete(upload_id, etags,
                                          headers={"x-amz-checksum-crc32": "AAAAAA=="})
                    self.fails(reply, 400, "BadDigest")
                reply = self.ok(self.complete(upload_id, etags, headers={
                    "x-amz-checksum-crc32": expected}))
                self.assertEqual(reply.text("ChecksumCRC32"), expected)
                self.assertEqual(reply.text("ChecksumType"), kind)
                got = self.get("k", headers={"x-amz-checksum-mode": "ENABLED"})
                self.assertEqual(got.headers["x-amz-checksum-crc32"], expected)


del Case, S3Test  # Their subclasses are the tests.

if __name__ == "__main__":
    unittest.main(warnings="ignore")

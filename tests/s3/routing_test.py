# SPDX-License-Identifier: Apache-2.0
"""No request is taken for a simpler one: what this server does not have is refused, and bucket and object are then as
they were. s3_operations.txt has the requests that S3 has."""
import pathlib
import time
import unittest

from support.server import Server
from support.wire import streaming_put

BUCKET, KEY, KEPT = "/routing", "/routing/k", b"kept"
OBJECT_HEADERS = {"x-amz-meta-a": "kept", "x-amz-tagging": "a=kept", "content-type": "text/x"}
PATHS = {"service": "/", "bucket": BUCKET, "object": KEY}


class Shape:
    """A line of s3_operations.txt."""

    def __init__(self, line):
        request, parameters, headers = (part.split() for part in line.split("|"))
        self.operation, self.method, target = request
        self.level, _, query = target.partition("?")
        self.query = [tuple((piece + "=").split("=")[:2]) for piece in query.split("&") if piece]
        self.parameters = [name.rstrip("!") for name in parameters]
        self.headers = [name.rstrip("!").replace("*", "a") for name in headers]
        self.needed = {name.rstrip("!") for name in parameters + headers if name.endswith("!")}

    @property
    def subresource(self):
        return next((name for name, _ in self.query if name != "x-id"),
                    "uploadId" if "uploadId" in self.needed else None)


SHAPES = [Shape(line) for line in (pathlib.Path(__file__).parent / "s3_operations.txt").read_text().splitlines()
          if not line.startswith("#")]
# The operations of S3 that are here under their own names,
HERE = set("""ListBuckets CreateBucket HeadBucket DeleteBucket GetBucketLocation GetBucketVersioning PutBucketVersioning
    GetBucketAcl PutBucketAcl ListObjects ListObjectsV2 ListObjectVersions ListMultipartUploads ListParts PutObject
    GetObject HeadObject CopyObject DeleteObject DeleteObjects GetObjectAttributes GetObjectAcl PutObjectAcl
    GetObjectTagging PutObjectTagging DeleteObjectTagging GetObjectRetention GetObjectLegalHold
    PutObjectRetention PutObjectLegalHold CreateMultipartUpload
    UploadPart UploadPartCopy CompleteMultipartUpload AbortMultipartUpload""".split())
# and the bucket configurations, which have handlers in common. Those that can be deleted are also listed or got.
CONFIGURATIONS = set("""accelerate analytics cors encryption intelligent-tiering inventory lifecycle logging metrics
    notification object-lock ownershipControls policy policyStatus publicAccessBlock replication requestPayment tagging
    website""".split())
# What these do, they are meant to do.
CHANGING = {"PutObject", "CopyObject", "DeleteObject", "PutObjectTagging", "DeleteObjectTagging"}
VALUES = {
    "x-amz-copy-source": "/routing/source", "content-length": None, "content-md5": None, "uploadId": "none",
    "partNumber": "1", "x-amz-object-attributes": "ETag", "x-amz-acl": "private", "max-keys": "1", "max-parts": "1",
    "max-uploads": "1", "max-buckets": "1", "part-number-marker": "1", "encoding-type": "url", "if-match": '"x"',
    "if-none-match": '"x"', "x-amz-storage-class": "STANDARD", "x-amz-tagging": "a=b", "expires": "x",
    "x-amz-expected-bucket-owner": "ada", "x-amz-source-expected-bucket-owner": "ada", "range": "bytes=0-1",
    "x-amz-checksum-algorithm": "CRC32",
}
BODIES = {
    "PutObject": b"new", "UploadPart": b"new", "DeleteObjects": b"<Delete><Object><Key>none</Key></Object></Delete>",
    "PutObjectTagging": b"<Tagging><TagSet/></Tagging>",
    "CompleteMultipartUpload": b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>"
                               b"</CompleteMultipartUpload>",
}
# What no operation here may ignore in a request that writes.
REFUSED_PREFIXES = (
    "x-amz-server-side-encryption", "x-amz-copy-source-server-side-encryption", "x-amz-object-lock",
    "x-amz-write-offset-bytes", "x-amz-rename-source", "x-amz-if-match", "x-amz-grant", "x-amz-bucket-namespace",
    "x-amz-object-if-match", "x-amz-object-annotation", "x-amz-fwd", "x-amz-checksum-sha512", "x-amz-checksum-md5",
    "x-amz-checksum-xxhash")


def handler_of(shape):
    """The operation here that answers, or None."""
    if shape.operation in HERE:
        return shape.operation
    if shape.level == "bucket" and shape.subresource in CONFIGURATIONS:
        return {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}[shape.method] + "BucketConfiguration"
    return None


class RoutingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)
        cls.ada = cls.server.client("ada")
        for path, headers in ((BUCKET, {}), (BUCKET + "/source", {})):
            reply = cls.ada.request("PUT", path, headers=headers)
            assert reply.status == 200, reply

    def setUp(self):
        self.restore()

    def restore(self):
        reply = self.ada.request("PUT", KEY, headers=OBJECT_HEADERS, body=KEPT)
        self.assertEqual(reply.status, 200, reply)
        self.listing = self.list()
        self.state = self.read_state()

    def list(self):
        """Names, ETags, sizes and times: a rewritten object would differ."""
        return self.ada.request("GET", BUCKET, [("list-type", "2")]).body

    def read_state(self):
        got = self.ada.request("GET", KEY)
        self.assertEqual((got.status, got.body, got.headers["x-amz-meta-a"]), (200, KEPT, "kept"))
        return [self.ada.request("GET", path, query).body for path, query in (
            (KEY, [("tagging", "")]), (KEY, [("acl", "")]), (BUCKET, [("acl", "")]), (BUCKET, [("versioning", "")]),
            (BUCKET, [("versions", "")]), ("/", ()))]

    def send(self, method, path, query=(), headers=None, body=b""):
        body = body or (b"harm" if method in ("PUT", "POST", "PATCH") else b"")
        return self.ada.request(method, path, query, headers, body)

    def refused(self, reply, statuses, what):
        self.assertIn(reply.status, statuses, (what, reply))
        self.unharmed(what)

    def unharmed(self, what):
        self.assertEqual(self.list(), self.listing, what)

    def tearDown(self):
        self.assertEqual(self.read_state(), self.state)

    def test_every_method_level_and_subresource(self):
        known = {(s.method, s.level, s.subresource) for s in SHAPES if handler_of(s)}
        of_s3 = {(s.method, s.level, s.subresource) for s in SHAPES}
        names = {s.subresource for s in SHAPES} - {None}
        self.assertGreater(len(names), 35)
        for level, path in PATHS.items():
            for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
                for name in sorted(names):
                    if (method, level, name) in known:
                        continue
                    expected = 501 if (method, level, name) in of_s3 else 405
                    for value in ("", "x") if name != "list-type" else ("2",):
                        query = [(name, value)]
                        self.refused(self.send(method, path, query), (expected,), (method, path, query))

    def test_parameters_that_are_not_of_the_operation(self):
        for query in ([("versionId", "x")], [("versionId", "")], [("partNumber", "1")], [("id", "1")],
                      [("prefix", "k")], [("list-type", "1")], [("response-content-type", "a/b")]):
            self.refused(self.send("PUT", KEY, query), (400,), query)
            self.refused(self.send("PUT", KEY, query, {"x-amz-copy-source": BUCKET + "/source"}), (400,), query)
            self.refused(self.send("DELETE", BUCKET, query), (400,), query)
        for query in ([("versionId", "")], [("versionid", "x")], [("partNumber", "1")], [("prefix", "k")],
                      [("versionId", "x"), ("versionId", "null")], [("acl", ""), ("tagging", "")],
                      [("uploadId", "x"), ("tagging", "")], [("marker", "")]):
            self.refused(self.send("DELETE", KEY, query), (400,), query)

    def test_unknown_parameters(self):
        for name in ("somethingNew", "append", "snapshot", "ACL", "Tagging", "cors2", "%"):
            for method, path in (("PUT", KEY), ("POST", KEY), ("DELETE", KEY), ("PUT", BUCKET), ("DELETE", BUCKET)):
                reply = self.send(method, path, [(name, "")])
                self.refused(reply, (405,) if method == "POST" else (501,), (method, path, name))
                self.refused(self.send(method, path, [(name, ""), ("foo", "bar")]), (405, 501), (method, path, name))
            # What only reads may ignore it, as Amazon does.
            self.assertEqual(self.send("GET", KEY, [(name, "")]).body, KEPT)
        self.assertEqual(self.send("PUT", KEY, [("x-id", "PutObject"), ("foo", "bar"), ("x-mine", "")]).status, 200)
        self.restore()

    def test_headers_that_ask_for_more(self):
        copy = {"x-amz-copy-source": BUCKET + "/source"}
        early = "Sun, 06 Nov 1994 08:49:37 GMT"
        for headers in (
                {"x-amz-write-offset-bytes": "4"}, {"x-amz-rename-source": BUCKET + "/source"},
                {"content-range": "bytes 0-3/8"}, {"x-amz-something-new": "1"}, {"x-amz-copy-source-range": "bytes=0-1"},
                {"x-amz-copy-source-if-match": "x"}, {"x-amz-metadata-directive": "REPLACE"},
                {**copy, "x-amz-copy-source-range": "bytes=0-1"}, {**copy, "x-amz-checksum-crc32": "AAAAAA=="},
                {"if-modified-since": early}, {"if-match": ""}, {"if-none-match": ","}, {"if-unmodified-since": "x"},
                {**copy, "x-amz-copy-source-if-match": ""}, {**copy, "x-amz-checksum-algorithm": "MD5"}):
            self.refused(self.send("PUT", KEY, headers=headers), (400, 501), headers)
        for headers in ({"if-match": '"x"'}, {"if-none-match": "*"}, {"if-unmodified-since": early},
                        {"if-modified-since": early}, {"x-amz-if-match-size": "1"}, copy,
                        {"x-amz-if-match-last-modified-time": early}, {"x-amz-something-new": "1"}):
            self.refused(self.send("DELETE", KEY, headers=headers), (412, 501), headers)
            self.refused(self.send("DELETE", KEY, [("tagging", "")], headers), (501,), headers)
            self.refused(self.send("DELETE", BUCKET, headers=headers), (501,), headers)
        # Another owner of the source than expected, also where source and destination are one bucket.
        headers = {**copy, "x-amz-source-expected-bucket-owner": "bob"}
        self.refused(self.send("PUT", KEY, headers=headers), (403,), headers)

    def test_checksums_that_cannot_be_verified(self):
        for algorithm in ("sha512", "md5", "xxhash64", "xxhash3", "xxhash128", "crc16"):
            name = "x-amz-checksum-" + algorithm
            for query in ([], [("uploadId", "none"), ("partNumber", "1")], [("tagging", "")], [("acl", "")]):
                self.refused(self.send("PUT", KEY, query, {name: "AAAAAA=="}), (400,), (name, query))
            for path, query in ((KEY, [("uploadId", "none")]), (BUCKET, [("delete", "")])):
                self.refused(self.send("POST", path, query, {name: "AAAAAA=="}), (400,), (name, query))
            for header in ("x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm"):
                self.refused(self.send("PUT", KEY, headers={header: algorithm.upper()}), (400,), (header, algorithm))
            self.refused(self.send("POST", KEY, [("uploads", "")], {"x-amz-checksum-algorithm": algorithm.upper()}),
                         (400,), algorithm)
            for mode in ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"):
                head, body = streaming_put(self.ada, KEY, b"harm", 4, mode, (name, "AAAAAA=="))
                self.refused(self.ada.raw(head + body), (400,), (name, mode))
                # Not announced; announced beside one that is known.
                for announced in ("x-amz-checksum-crc32", "x-amz-checksum-crc32," + name):
                    head, body = streaming_put(self.ada, KEY, b"harm", 4, mode, (announced, "AAAAAA=="))
                    sent = body.replace(announced.encode() + b":", name.encode() + b":")
                    head = head.replace(b"content-length: %d" % len(body), b"content-length: %d" % len(sent))
                    self.refused(self.ada.raw(head + sent), (400, 403), (name, mode))

    def test_object_ownership(self):
        for value, status in (("BucketOwnerPreferred", 501), ("ObjectWriter", 501), ("Nobody", 400)):
            reply = self.ada.request("PUT", "/ownership", headers={"x-amz-object-ownership": value})
            self.assertEqual(reply.status, status, reply)
            self.assertEqual(self.ada.request("HEAD", "/ownership").status, 404)
        reply = self.ada.request("PUT", "/ownership", headers={"x-amz-object-ownership": "BucketOwnerEnforced"})
        self.assertEqual(reply.status, 200, reply)
        reply = self.ada.request("GET", "/ownership", [("ownershipControls", "")])
        self.assertEqual(reply.text("ObjectOwnership"), "BucketOwnerEnforced")
        self.assertEqual(self.ada.request("DELETE", "/ownership").status, 204)

    def test_presigned_headers(self):
        """SDKs put a presigned request's headers into its URL."""
        def put(*query, headers=None):
            target = self.ada.signer.presign("PUT", KEY, query, self.ada.authority)
            return self.ada.anonymous("PUT", target, headers, b"harm")
        for name, value in (("x-amz-server-side-encryption", "AES256"), ("X-Amz-Acl", "public-read"),
                            ("x-amz-write-offset-bytes", "4"), ("x-amz-checksum-crc32", "AAAAAA=="),
                            ("x-amz-checksum-sha512", "AAAAAA=="), ("x-amz-expected-bucket-owner", "bob"),
                            ("x-amz-copy-source", BUCKET + "/none"), ("x-amz-meta-a", "b\r\nc: d")):
            self.refused(put((name, value)), (400, 403, 404, 501), name)
        # An unsigned header is not made a signed one by a parameter of its name, and the two must not differ.
        self.refused(put(("x-amz-meta-a", "b"), headers={"x-amz-meta-a": "b"}), (403,), "unsigned")
        self.refused(put(("x-amz-meta-a", "b"), headers={"x-amz-meta-a": "c"}), (400,), "two values")
        reply = put(("x-amz-meta-a", "in the URL"), ("x-amz-tagging", "a=b"), ("x-id", "PutObject"))
        self.assertEqual(reply.status, 200, reply)
        got = self.ada.request("GET", KEY)
        self.assertEqual((got.body, got.headers["x-amz-meta-a"], got.headers["x-amz-tagging-count"]),
                         (b"harm", "in the URL", "1"))
        self.restore()

    def test_requests_of_the_sdk(self):
        self.assertEqual(len(SHAPES), 112)
        for shape in SHAPES:
            with self.subTest(shape.operation):
                self.restore()
                self.check_shape(shape)

    def check_shape(self, shape):
        handler = handler_of(shape)
        before = self.requests_of(handler)
        reply = self.send_shape(shape, None)
        if handler is None:
            self.assertIn(reply.status, (405, 501), reply)
        else:
            self.assertTrue(self.is_counted(handler, before), reply)
            self.assertNotIn(reply.status, (405, 500), reply)
        for extra in set(shape.parameters + shape.headers) - shape.needed:
            reply = self.send_shape(shape, extra)
            if handler is None:
                self.assertIn(reply.status, (405, 501), (extra, reply))
            elif shape.method not in ("GET", "HEAD") and extra.startswith(REFUSED_PREFIXES):
                self.assertIn(reply.status, (400, 501), (extra, reply))
            else:
                self.assertNotEqual(reply.status, 500, (extra, reply))

    def send_shape(self, shape, extra):
        query, headers = list(shape.query), {}
        for name in sorted(shape.needed | ({extra} if extra else set())):
            value = VALUES.get(name, "1")
            if value is None:
                continue
            if name in shape.parameters:
                query.append((name, value))
            else:
                headers[name] = value
        path = PATHS[shape.level] if shape.operation != "WriteGetObjectResponse" else "/WriteGetObjectResponse"
        reply = self.send(shape.method, path, query, headers, BODIES.get(shape.operation, b""))
        if shape.operation in CHANGING and reply.status < 300:
            self.restore()
        else:
            self.unharmed((shape.operation, extra, reply))
        return reply

    def is_counted(self, handler, before):
        """A request is counted once its reply is sent, and so perhaps after the client has it."""
        end = time.monotonic() + 30
        while self.requests_of(handler) <= before:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def requests_of(self, handler):
        return self.server.stats().get(handler, {}).get("requests", 0)


if __name__ == "__main__":
    unittest.main(warnings="ignore")

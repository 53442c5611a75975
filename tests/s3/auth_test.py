# SPDX-License-Identifier: Apache-2.0
"""Who gets in, and what keeps a request out: signatures, times, payloads, chunks, trailers."""
import base64
import datetime
import email.utils
import os
import unittest
import zlib

from support.server import Server
from support.wire import (Client, head_bytes, now, sha256_hex, streaming_put, target)

CONTENT = os.urandom(200_000)


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


class AuthTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)
        cls.ada = cls.server.client("ada")
        assert cls.ada.request("PUT", "/ada").status == 200
        assert cls.ada.request("PUT", "/ada/k", body=b"hello").status == 200

    def assert_error(self, reply, status, code):
        self.assertEqual((reply.status, reply.code), (status, code), reply)

    def assert_absent(self, key):
        self.assertEqual(self.ada.request("HEAD", f"/ada/{key}").status, 404)

    def test_nobody_gets_nothing(self):
        self.assert_error(self.ada.anonymous("GET", "/ada/k"), 403, "AccessDenied")
        self.assert_error(self.ada.anonymous("GET", "/"), 403, "AccessDenied")
        self.assert_error(self.ada.anonymous("PUT", "/ada/x", body=b"1"), 403, "AccessDenied")

    def test_strangers_get_nothing_and_administrators_everything(self):
        bob, root = self.server.client("bob"), self.server.client("root")
        for method, path in (("GET", "/ada"), ("GET", "/ada/k"), ("PUT", "/ada/x"),
                             ("DELETE", "/ada/k"), ("DELETE", "/ada"), ("POST", "/ada/k")):
            query = [("uploads", "")] if method == "POST" else ()
            self.assert_error(bob.request(method, path, query), 403, "AccessDenied")
        self.assertEqual(root.request("GET", "/ada/k").body, b"hello")
        self.assertNotIn("ada", bob.request("GET", "/").texts("Name"))
        self.assertIn("ada", self.ada.request("GET", "/").texts("Name"))

    def test_copying_needs_the_source_too(self):
        bob = self.server.client("bob")
        self.assertEqual(bob.request("PUT", "/bobs").status, 200)
        reply = bob.request("PUT", "/bobs/k", headers={"x-amz-copy-source": "/ada/k"})
        self.assert_error(reply, 403, "AccessDenied")

    def test_wrong_keys(self):
        stranger = Client(self.ada.host, self.ada.port, "NOKEY", "secret")
        self.assert_error(stranger.request("GET", "/ada/k"), 403, "InvalidAccessKeyId")
        forger = Client(self.ada.host, self.ada.port, "ADAKEY", "not-ada-secret")
        self.assert_error(forger.request("GET", "/ada/k"), 403, "SignatureDoesNotMatch")

    def test_what_is_signed_cannot_be_changed(self):
        head = self.ada.head("GET", "/ada/k")
        for old, new in ((b"GET", b"PUT"), (b"/ada/k", b"/ada/l"), (b"/ada/k ", b"/ada/k?acl ")):
            changed = head.replace(old, new, 1)
            self.assert_error(self.ada.raw(changed), 403, "SignatureDoesNotMatch")
        added = head.replace(b"\r\n\r\n", b"\r\nx-amz-acl: private\r\n\r\n")
        self.assert_error(self.ada.raw(added), 403, "AccessDenied")

    def test_other_authorizations(self):
        for value, status, code in (
                ("", 403, "AccessDenied"),
                ("AWS ADAKEY:x", 400, "InvalidRequest"),
                ("Basic abc", 400, "InvalidArgument"),
                ("AWS4-HMAC-SHA256", 400, "AuthorizationHeaderMalformed"),
                ("AWS4-HMAC-SHA256 Credential=x", 400, "AuthorizationHeaderMalformed")):
            with self.subTest(value):
                reply = self.ada.anonymous("GET", "/ada/k", {"authorization": value})
                self.assert_error(reply, status, code)

    def test_region(self):
        client = self.server.client()
        client.signer.region = "eu-west-1"
        reply = client.request("GET", "/ada/k")
        self.assert_error(reply, 400, "AuthorizationHeaderMalformed")
        self.assertEqual(reply.text("Region"), "us-east-1")

    def test_clock_skew(self):
        self.assertEqual(self.ada.request("GET", "/ada/k", timestamp=now(-800)).status, 200)
        self.assertEqual(self.ada.request("GET", "/ada/k", timestamp=now(800)).status, 200)
        for offset in (-1000, 1000):
            reply = self.ada.request("GET", "/ada/k", timestamp=now(offset))
            self.assert_error(reply, 403, "RequestTimeTooSkewed")

    def test_date_instead_of_x_amz_date(self):
        time = int(datetime.datetime.now().timestamp())
        timestamp = datetime.datetime.fromtimestamp(time, datetime.timezone.utc)
        timestamp = timestamp.strftime("%Y%m%dT%H%M%SZ")
        plain = email.utils.formatdate(time, usegmt=True)
        for date in (plain, plain.replace("GMT", "-0000"), plain.replace("GMT", "+0000"),
                     timestamp):
            with self.subTest(date):
                reply = self.ada.request("GET", "/ada/k", headers={"Date": date},
                                         timestamp=timestamp)
                self.assertEqual((reply.status, reply.body), (200, b"hello"), reply)
        for date in (plain.replace("GMT", "+0100"), plain.replace("GMT", "")):
            with self.subTest(date):
                reply = self.ada.request("GET", "/ada/k", headers={"Date": date},
                                         timestamp=timestamp)
                self.assert_error(reply, 403, "AccessDenied")

    def test_security_headers_are_needed(self):
        headers = {"host": self.ada.authority}
        self.ada.signer.sign("GET", "/ada/k", (), headers, sha256_hex(b""))
        for name, code in (("x-amz-content-sha256", "MissingSecurityHeader"),
                           ("x-amz-date", "AccessDenied")):
            left = {k: v for k, v in headers.items() if k != name}
            reply = self.ada.raw(head_bytes("GET", "/ada/k", left))
            self.assertEqual(reply.code, code, reply)
        reply = self.ada.anonymous("GET", "/ada/k", {
            **headers, "x-amz-security-token": "t"})
        self.assert_error(reply, 400, "InvalidToken")

    def test_presigned(self):
        signer, host = self.ada.signer, self.ada.authority
        url = signer.presign("GET", "/ada/k", [("response-content-type", "a/b")], host)
        reply = self.ada.anonymous("GET", url)
        self.assertEqual((reply.status, reply.body), (200, b"hello"))
        self.assertEqual(reply.headers["content-type"], "a/b")
        url = signer.presign("PUT", "/ada/presigned", (), host)
        self.assertEqual(self.ada.anonymous("PUT", url, body=b"by url").status, 200)
        self.assertEqual(self.ada.request("GET", "/ada/presigned").body, b"by url")

        def denied(url, code, method="GET"):
            reply = self.ada.anonymous(method, url)
            self.assertEqual(reply.code, code, reply)
        denied(signer.presign("GET", "/ada/k", (), host), "SignatureDoesNotMatch", "DELETE")
        denied(signer.presign("GET", "/ada/k", (), host, 10, now(-60)), "AccessDenied")
        denied(signer.presign("GET", "/ada/k", (), host, 10, now(3600)), "AccessDenied")
        denied(signer.presign("GET", "/ada/k", (), host, 604801),
               "AuthorizationQueryParametersError")
        denied(signer.presign("GET", "/ada/k", (), host).replace("X-Amz-Date", "X-Amz-Dat"),
               "AuthorizationQueryParametersError")
        url = signer.presign("GET", "/ada/k", (), host)
        headers = {"authorization": "AWS4-HMAC-SHA256 x"}
        self.assert_error(self.ada.anonymous("GET", url, headers), 400, "InvalidArgument")

    def test_payload_digest(self):
        reply = self.ada.request("PUT", "/ada/wrong", body=b"content",
                                 payload_hash=sha256_hex(b"another"))
        self.assert_error(reply, 400, "XAmzContentSHA256Mismatch")
        self.assert_absent("wrong")
        large = os.urandom(3 << 20)
        reply = self.ada.request("PUT", "/ada/wrong", body=large,
                                 payload_hash=sha256_hex(b"another"))
        self.assert_error(reply, 400, "XAmzContentSHA256Mismatch")
        self.assert_absent("wrong")
        reply = self.ada.request("PUT", "/ada/wrong", body=b"content", payload_hash="abc")
        self.assert_error(reply, 400, "InvalidArgument")
        reply = self.ada.request("PUT", "/ada/u", body=b"content",
                                 payload_hash="UNSIGNED-PAYLOAD")
        self.assertEqual(reply.status, 200)

    def test_streaming_forms(self):
        forms = [("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", None),
                 ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
                  ("x-amz-checksum-crc32", crc32(CONTENT))),
                 ("STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                  ("x-amz-checksum-crc32", crc32(CONTENT)))]
        for mode, trailer in forms:
            for chunk_bytes in (8192, 65536, 1 << 20):
                with self.subTest(mode=mode, chunk_bytes=chunk_bytes):
                    head, body = streaming_put(self.ada, "/ada/stream", CONTENT, chunk_bytes, mode,
                                               trailer)
                    reply = self.ada.raw(head + body)
                    self.assertEqual(reply.status, 200, reply)
                    if trailer:
                        self.assertEqual(reply.headers[trailer[0]], trailer[1])
                    got = self.ada.request("GET", "/ada/stream")
                    self.assertEqual(got.body, CONTENT)
                    self.assertNotIn("content-encoding", got.headers)

    def test_streaming_with_chunked_transfer_coding(self):
        head, body = streaming_put(self.ada, "/ada/te", CONTENT, 65536,
                                   "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
        head = b"\r\n".join(lines[:-2] + [b"transfer-encoding: chunked", b"", b""])
        pieces = [body[i:i + 50_000] for i in range(0, len(body), 50_000)]
        coded = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        self.assertEqual(self.ada.raw(head + coded).status, 200)
        self.assertEqual(self.ada.request("GET", "/ada/te").body, CONTENT)

    def test_chunked_transfer_coding_needs_a_length(self):
        headers = {"host": self.ada.authority}
        self.ada.signer.sign("PUT", "/ada/te", (), headers, "UNSIGNED-PAYLOAD")
        headers["transfer-encoding"] = "chunked"
        reply = self.ada.raw(head_bytes("PUT", "/ada/te", headers) + b"1\r\na\r\n0\r\n\r\n")
        self.assert_error(reply, 411, "MissingContentLength")

    def test_streams_that_are_not_what_they_say(self):
        signed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        trailer = ("x-amz-checksum-crc32", crc32(CONTENT))
        wrong = ("x-amz-checksum-crc32", crc32(b"another"))

        head, body = streaming_put(self.ada, "/ada/no", CONTENT, 65536, signed)
        at = len(body) // 2
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
        self.assert_error(self.ada.raw(head + changed), 403, "SignatureDoesNotMatch")
        self.assert_absent("no")

        head, body = streaming_put(self.ada, "/ada/no", CONTENT, 65536, signed + "-TRAILER", wrong)
        self.assert_error(self.ada.raw(head + body), 400, "BadDigest")
        self.assert_absent("no")

        head, body = streaming_put(self.ada, "/ada/no", CONTENT, 65536, signed + "-TRAILER",
                                   trailer)
        changed = body.replace(trailer[1].encode(), wrong[1].encode())
        self.assert_error(self.ada.raw(head + changed), 403, "SignatureDoesNotMatch")
        self.assert_absent("no")

        head, body = streaming_put(self.ada, "/ada/no", CONTENT, 65536,
                                   "STREAMING-UNSIGNED-PAYLOAD-TRAILER", wrong)
        self.assert_error(self.ada.raw(head + body), 400, "BadDigest")
        self.assert_absent("no")

        head, body = streaming_put(self.ada, "/ada/no", CONTENT, 65536, signed,
                                   headers={"x-amz-decoded-content-length": "1000"})
        self.assert_error(self.ada.raw(head + body), 400, "IncompleteBody")
        self.assert_absent("no")

    def test_expected_owner(self):
        expected = {"x-amz-expected-bucket-owner": "bob"}
        reply = self.ada.request("GET", "/ada/k", headers=expected)
        self.assert_error(reply, 403, "AccessDenied")
        expected = {"x-amz-expected-bucket-owner": "ada"}
        self.assertEqual(self.ada.request("GET", "/ada/k", headers=expected).status, 200)

    def test_spaces_and_signs_in_keys_and_queries(self):
        for key in ("a b", "a+b", "a%20b", "a//b", "a/./../b", "\u00e4\u20ac", "~!*'()", "a&b=c"):
            with self.subTest(key):
                self.assertEqual(self.ada.request("PUT", "/ada/" + key, body=key.encode()).status,
                                 200)
                self.assertEqual(self.ada.request("GET", "/ada/" + key).body, key.encode())
                reply = self.ada.request("GET", "/ada", [("prefix", key), ("delimiter", "\n+ ")])
                self.assertEqual(reply.status, 200)
                self.assertEqual(len(reply.texts("Key")), 1, reply)
        self.assertEqual(target("/ada/a b"), "/ada/a%20b")


if __name__ == "__main__":
    unittest.main(warnings="ignore")

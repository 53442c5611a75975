# SPDX-License-Identifier: Apache-2.0
"""What tests of single requests have in common: a server, a bucket for each test, and what is
expected of replies."""
import base64
import hashlib
import unittest

from .server import Server


def md5_base64(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def md5_hex(data):
    return hashlib.md5(data).hexdigest()


class S3Test(unittest.TestCase):
    SERVER_ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.SERVER_ARGUMENTS)
        cls.addClassCleanup(cls.server.stop)
        cls.ada = cls.server.client("ada")

    def setUp(self):
        self.bucket = "/" + self.id().split(".")[-1].replace("_", "-").lower()[:60]
        self.ok(self.ada.request("PUT", self.bucket))

    def ok(self, reply, status=200):
        self.assertEqual(reply.status, status, reply)
        self.assertRegex(reply.headers["x-amz-request-id"], "^[0-9a-f]{16}$")
        return reply

    def fails(self, reply, status, code):
        self.assertEqual((reply.status, reply.code), (status, code), reply)
        self.assertEqual(reply.text("RequestId"), reply.headers["x-amz-request-id"])
        return reply

    def put(self, key, body=b"", headers=None, **options):
        return self.ok(self.ada.request("PUT", f"{self.bucket}/{key}", headers=headers, body=body,
                                        **options))

    def get(self, key, query=(), headers=None):
        return self.ada.request("GET", f"{self.bucket}/{key}", query, headers)

    def post_xml(self, path, query, xml, headers=None):
        body = xml.encode()
        return self.ada.request("POST", path, query,
                                {"content-md5": md5_base64(body), **(headers or {})}, body)

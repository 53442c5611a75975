# SPDX-License-Identifier: Apache-2.0
"""A real SDK: over HTTP, where it sends checksums in headers, and over TLS, where it sends them in
trailers."""
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from support.server import USERS, Server

os.environ["BOTO_DISABLE_CRT"] = "true"
try:
    import boto3
    import botocore.config
    import botocore.exceptions
    from boto3.s3.transfer import TransferConfig
except ImportError:
    print("SKIPPED: no boto3 for this Python (package python3-boto3)")
    sys.exit(0)

CONTENT = os.urandom(17 << 20)


class BotoCases:
    """What both transports must pass."""

    def client_for(self, user="ada", style="path", **options):
        access_key, secret_key = USERS[user]
        return boto3.client(
            "s3", endpoint_url=self.endpoint(), aws_access_key_id=access_key,
            aws_secret_access_key=secret_key, region_name="us-east-1", verify=self.verify,
            config=botocore.config.Config(signature_version="s3v4",
                                          s3={"addressing_style": style, **options},
                                          retries={"max_attempts": 0}))

    def setUp(self):
        self.s3 = self.client_for()
        self.bucket = "boto-" + self.id().split(".")[-1].replace("_", "-")[:50]
        self.s3.create_bucket(Bucket=self.bucket)

    def test_objects(self):
        self.s3.put_object(Bucket=self.bucket, Key="a/b c+d", Body=b"hello",
                           Metadata={"k": "v"}, ContentType="text/plain")
        got = self.s3.get_object(Bucket=self.bucket, Key="a/b c+d")
        self.assertEqual((got["Body"].read(), got["Metadata"], got["ContentType"]),
                         (b"hello", {"k": "v"}, "text/plain"))
        with self.assertRaises(self.s3.exceptions.NoSuchKey):
            self.s3.get_object(Bucket=self.bucket, Key="none")
        with self.assertRaises(botocore.exceptions.ClientError) as error:
            self.s3.head_object(Bucket=self.bucket, Key="none")
        self.assertEqual(error.exception.response["Error"]["Code"], "404")
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Delimiter="/")
        self.assertEqual(listed["CommonPrefixes"], [{"Prefix": "a/"}])
        done = self.s3.delete_objects(Bucket=self.bucket,
                                      Delete={"Objects": [{"Key": "a/b c+d"}, {"Key": "x"}]})
        self.assertEqual(len(done["Deleted"]), 2)
        self.assertNotIn("Contents", self.s3.list_objects(Bucket=self.bucket))

    def test_checksums(self):
        for name in ("CRC32", "SHA1", "SHA256"):
            with self.subTest(name):
                put = self.s3.put_object(Bucket=self.bucket, Key=name, Body=CONTENT[:300_000],
                                         ChecksumAlgorithm=name)
                got = self.s3.get_object(Bucket=self.bucket, Key=name, ChecksumMode="ENABLED")
                self.assertEqual(got["Body"].read(), CONTENT[:300_000])
                self.assertEqual(got["Checksum" + name], put["Checksum" + name])
                self.s3.put_object(Bucket=self.bucket, Key=name + "-stream",
                                   Body=io.BytesIO(CONTENT), ChecksumAlgorithm=name)
                got = self.s3.get_object(Bucket=self.bucket, Key=name + "-stream")
                self.assertEqual(got["Body"].read(), CONTENT)

    def test_transfers_in_parts(self):
        config = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=6 << 20)
        for extra in ({}, {"ChecksumAlgorithm": "SHA256"}):
            self.s3.upload_fileobj(io.BytesIO(CONTENT), self.bucket, "k", Config=config,
                                   ExtraArgs=extra)
            out = io.BytesIO()
            self.s3.download_fileobj(self.bucket, "k", out, Config=config)
            self.assertEqual(out.getvalue(), CONTENT)
            self.assertTrue(self.s3.head_object(Bucket=self.bucket, Key="k")["ETag"]
                            .endswith('-3"'))
        self.s3.copy({"Bucket": self.bucket, "Key": "k"}, self.bucket, "copy", Config=config)
        self.assertEqual(self.s3.get_object(Bucket=self.bucket, Key="copy")["Body"].read(),
                         CONTENT)

    def test_presigned(self):
        url = self.s3.generate_presigned_url("put_object",
                                             {"Bucket": self.bucket, "Key": "p q"})
        request = urllib.request.Request(url, b"by url", method="PUT")
        with urllib.request.urlopen(request, context=self.context()) as reply:
            self.assertEqual(reply.status, 200)
        url = self.s3.generate_presigned_url("get_object",
                                             {"Bucket": self.bucket, "Key": "p q"})
        with urllib.request.urlopen(url, context=self.context()) as reply:
            self.assertEqual(reply.read(), b"by url")

    def test_versions(self):
        self.s3.put_bucket_versioning(Bucket=self.bucket,
                                      VersioningConfiguration={"Status": "Enabled"})
        ids = [self.s3.put_object(Bucket=self.bucket, Key="k", Body=str(i).encode())["VersionId"]
               for i in range(3)]
        marker = self.s3.delete_object(Bucket=self.bucket, Key="k")
        self.assertTrue(marker["DeleteMarker"])
        listed = self.s3.list_object_versions(Bucket=self.bucket)
        self.assertEqual([v["VersionId"] for v in listed["Versions"]], ids[::-1])
        self.assertEqual(listed["DeleteMarkers"][0]["VersionId"], marker["VersionId"])
        self.assertEqual(self.s3.get_object(Bucket=self.bucket, Key="k", VersionId=ids[0])
                         ["Body"].read(), b"0")

    def test_paging(self):
        keys = [f"k{i:04}" for i in range(25)]
        for key in keys:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"")
        for name in ("list_objects", "list_objects_v2", "list_object_versions"):
            pages = self.s3.get_paginator(name).paginate(
                Bucket=self.bucket, PaginationConfig={"PageSize": 7})
            found = [o["Key"] for p in pages for o in p.get("Contents", p.get("Versions", []))]
            self.assertEqual(found, keys)


class HttpTest(BotoCases, unittest.TestCase):
    verify = False

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)

    def endpoint(self):
        return f"http://127.0.0.1:{self.server.port}"

    def context(self):
        return None


@unittest.skipUnless(shutil.which("openssl"), "no openssl to make a certificate with")
class TlsTest(BotoCases, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="strata-s3-tls-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out",
             folder / "cert.pem"], check=True, capture_output=True)
        cls.verify = str(folder / "cert.pem")
        cls.server = Server("--tls-certificate", folder / "cert.pem", "--tls-key",
                            folder / "key.pem")
        cls.addClassCleanup(cls.server.stop)

    def endpoint(self):
        return f"https://127.0.0.1:{self.server.port}"

    def context(self):
        import ssl
        return ssl.create_default_context(cafile=self.verify)


if __name__ == "__main__":
    unittest.main(warnings="ignore")

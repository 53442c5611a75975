# SPDX-License-Identifier: Apache-2.0
"""The S3 interface as boto3 sees it: versions, paging, uploads, conditions, checksums, metadata.

boto3 before 1.36 and from 1.36 on differ: the newer one adds a checksum to everything. The tests run in this
interpreter, and once more in the one that STRATA_BOTO3_PYTHON names.
"""
import datetime
import hashlib
import os
import random
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

from support.appliance import Appliance, seed

try:
    import boto3
    from botocore.exceptions import ClientError
except ImportError:
    boto3 = None

OTHER_PYTHON = os.environ.get("STRATA_BOTO3_PYTHON")
IN_OTHER_PYTHON = "STRATA_IN_OTHER_PYTHON" in os.environ
PART = 5 << 20


@unittest.skipUnless(boto3, "boto3 is not installed; tools/bootstrap test installs it")
class Boto3Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.chooser = random.Random(seed())
        cls.appliance = Appliance()
        cls.addClassCleanup(cls.appliance.close)
        cls.appliance.start()
        cls.client = cls.appliance.boto3()
        cls.modern = tuple(map(int, boto3.__version__.split(".")[:2])) >= (1, 36)

    def setUp(self):
        self.bucket = self._testMethodName.replace("test_", "").replace("_", "-")
        self.client.create_bucket(Bucket=self.bucket)

    def assert_error(self, code, status, call, **arguments):
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        response = caught.exception.response
        self.assertEqual((code, status), (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]))
        return response

    def put(self, key, body=b"", **arguments):
        return self.client.put_object(Bucket=self.bucket, Key=key, Body=body, **arguments)

    def get(self, key, **arguments):
        return self.client.get_object(Bucket=self.bucket, Key=key, **arguments)["Body"].read()

    # ---- Buckets

    def test_buckets(self):
        names = [bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]]
        self.assertIn(self.bucket, names)
        self.assertEqual(sorted(names), names)
        self.client.head_bucket(Bucket=self.bucket)
        self.assert_error("404", 404, self.client.head_bucket, Bucket="no-such-bucket-here")
        self.assert_error("NoSuchBucket", 404, self.client.list_objects_v2, Bucket="no-such-bucket-here")
        self.assert_error("InvalidBucketName", 400, self.client.create_bucket, Bucket="Upper-Case-Name")
        self.put("x")
        self.assert_error("BucketNotEmpty", 409, self.client.delete_bucket, Bucket=self.bucket)
        self.client.delete_object(Bucket=self.bucket, Key="x")
        self.client.delete_bucket(Bucket=self.bucket)
        self.assert_error("NoSuchBucket", 404, self.client.delete_bucket, Bucket=self.bucket)

    # ---- Objects

    def test_ranges(self):
        body = self.chooser.randbytes(300_000)
        self.put("k", body)
        for first, last in ((0, 0), (0, 299_999), (1, 2), (65_535, 65_537), (150_000, 400_000)):
            answer = self.client.get_object(Bucket=self.bucket, Key="k", Range=f"bytes={first}-{last}")
            self.assertEqual(body[first:last + 1], answer["Body"].read())
            self.assertEqual(206, answer["ResponseMetadata"]["HTTPStatusCode"])
            self.assertEqual(f"bytes {first}-{min(last, 299_999)}/300000", answer["ContentRange"])
        self.assertEqual(body[-10:], self.get("k", Range="bytes=-10"))
        self.assertEqual(body[299_000:], self.get("k", Range="bytes=299000-"))
        self.assert_error("InvalidRange", 416, self.client.get_object, Bucket=self.bucket, Key="k",
                          Range="bytes=300000-300001")

    def test_metadata_in_utf8_and_content_headers(self):
        self.put("k", b"x", ContentType="text/plain; charset=utf-8", CacheControl="no-store",
                 ContentDisposition='attachment; filename="a.txt"', ContentEncoding="identity",
                 ContentLanguage="de", Metadata={"plain": "value", "two-words": "a b"})
        head = self.client.head_object(Bucket=self.bucket, Key="k")
        self.assertEqual({"plain": "value", "two-words": "a b"}, head["Metadata"])
        self.assertEqual("text/plain; charset=utf-8", head["ContentType"])
        self.assertEqual(("no-store", "identity", "de"),
                         (head["CacheControl"], head["ContentEncoding"], head["ContentLanguage"]))
        # boto3 refuses other than ASCII in metadata; others send UTF-8 bytes as they are. S3 answers as RFC 2047.
        wire = self.appliance.wire()
        wire.put(self.bucket, "u", b"x", {"x-amz-meta-name": "Grüße".encode().decode("latin-1")}).expect(200)
        answer = wire.request("HEAD", f"/{self.bucket}/u").expect(200)
        from email.header import decode_header
        (text, coding), = decode_header(answer.headers["x-amz-meta-name"])
        text = text.decode(coding or "utf-8") if isinstance(text, bytes) else text.encode("latin-1").decode()
        self.assertEqual("Grüße", text)
        self.assert_error("MetadataTooLarge", 400, self.put, key="big", Metadata={"a": "x" * 3000})

    def test_conditional_requests(self):
        etag = self.put("k", b"first")["ETag"]
        self.assertEqual(b"first", self.get("k", IfMatch=etag))
        self.assert_error("PreconditionFailed", 412, self.client.get_object, Bucket=self.bucket, Key="k", IfMatch='"0"')
        self.assert_error("304", 304, self.client.get_object, Bucket=self.bucket, Key="k", IfNoneMatch=etag)
        now = datetime.datetime.now(datetime.timezone.utc)
        hour = datetime.timedelta(hours=1)
        self.assertEqual(b"first", self.get("k", IfModifiedSince=now - hour))
        self.assert_error("304", 304, self.client.head_object, Bucket=self.bucket, Key="k", IfModifiedSince=now + hour)
        self.assert_error("PreconditionFailed", 412, self.client.get_object, Bucket=self.bucket, Key="k",
                          IfUnmodifiedSince=now - hour)
        wire = self.appliance.wire()
        self.assertEqual(412, wire.put(self.bucket, "k", b"second", {"If-None-Match": "*"}).status)
        self.assertEqual(412, wire.put(self.bucket, "k", b"second", {"If-Match": '"0"'}).status)
        self.assertEqual(b"first", self.get("k"))
        wire.put(self.bucket, "k", b"second", {"If-Match": etag}).expect(200)
        wire.put(self.bucket, "n", b"new", {"If-None-Match": "*"}).expect(200)
        self.assertEqual(b"second", self.get("k"))

    def test_checksums(self):
        body = self.chooser.randbytes(100_000)
        for algorithm in ("CRC32", "SHA1", "SHA256"):
            self.put(algorithm, body, ChecksumAlgorithm=algorithm)
            head = self.client.head_object(Bucket=self.bucket, Key=algorithm, ChecksumMode="ENABLED")
            self.assertIn(f"Checksum{algorithm}", head)
        self.assert_error("BadDigest", 400, self.put, key="wrong", body=body,
                          ChecksumSHA256="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        self.assert_error("BadDigest", 400, self.put, key="wrong", body=body, ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
        self.assert_error("NoSuchKey", 404, self.client.get_object, Bucket=self.bucket, Key="wrong")
        if self.modern:
            head = self.client.head_object(Bucket=self.bucket, Key="CRC32", ChecksumMode="ENABLED")
            self.assertEqual("FULL_OBJECT", head["ChecksumType"])
            answer = self.put("default", body)
            self.assertIn("ChecksumCRC32", answer, "boto3 from 1.36 on sends one unasked")

    def test_copy(self):
        body = self.chooser.randbytes(50_000)
        self.put("dir/sö urce+", body, Metadata={"a": "1"}, ContentType="text/a")
        source = {"Bucket": self.bucket, "Key": "dir/sö urce+"}
        self.client.copy_object(Bucket=self.bucket, Key="copied", CopySource=source)
        head = self.client.head_object(Bucket=self.bucket, Key="copied")
        self.assertEqual(({"a": "1"}, "text/a"), (head["Metadata"], head["ContentType"]))
        self.client.copy_object(Bucket=self.bucket, Key="replaced", CopySource=source, Metadata={"b": "2"},
                                MetadataDirective="REPLACE")
        self.assertEqual({"b": "2"}, self.client.head_object(Bucket=self.bucket, Key="replaced")["Metadata"])
        self.assertEqual(body, self.get("copied"))
        self.assertEqual(body, self.get("replaced"))
        self.assert_error("InvalidRequest", 400, self.client.copy_object, Bucket=self.bucket, Key="copied",
                          CopySource={"Bucket": self.bucket, "Key": "copied"})
        self.assert_error("NoSuchKey", 404, self.client.copy_object, Bucket=self.bucket, Key="x",
                          CopySource={"Bucket": self.bucket, "Key": "absent"})

    def test_presigned(self):
        put = self.client.generate_presigned_url("put_object", Params={"Bucket": self.bucket, "Key": "p q"}, ExpiresIn=60)
        request = urllib.request.Request(put, data=b"content", method="PUT")
        with urllib.request.urlopen(request, timeout=30) as reply:
            self.assertEqual(200, reply.status)
        get = self.client.generate_presigned_url("get_object", Params={
            "Bucket": self.bucket, "Key": "p q", "ResponseContentType": "text/x"}, ExpiresIn=60)
        with urllib.request.urlopen(get, timeout=30) as reply:
            self.assertEqual((b"content", "text/x"), (reply.read(), reply.headers["Content-Type"]))
        expired = self.client.generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": "p q"}, ExpiresIn=1)
        time.sleep(2.1)  # The signature's own clock has whole seconds.
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(expired, timeout=30)
        self.assertEqual(403, caught.exception.code)
        caught.exception.close()

    # ---- Listing

    def test_listing_pages(self):
        keys = sorted([f"a/{n:03}" for n in range(25)] + [f"b/{n:03}/x" for n in range(15)]
                      + ["a b+c", "ä", "日本/語", "percent%2F", "z"], key=lambda key: key.encode())
        for key in keys:
            self.put(key)
        for operation in ("list_objects", "list_objects_v2"):
            pages = self.client.get_paginator(operation)
            for size in (1, 7, 1000):
                listed = [entry["Key"] for page in pages.paginate(Bucket=self.bucket, PaginationConfig={"PageSize": size})
                          for entry in page.get("Contents", [])]
                self.assertEqual(keys, listed, f"{operation} in pages of {size}")
            found, prefixes = [], []
            for page in pages.paginate(Bucket=self.bucket, Delimiter="/", PaginationConfig={"PageSize": 2}):
                found += [entry["Key"] for entry in page.get("Contents", [])]
                prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
            self.assertEqual(["a b+c", "percent%2F", "z", "ä"], found)
            self.assertEqual(["a/", "b/", "日本/"], prefixes)
        page = self.client.list_objects_v2(Bucket=self.bucket, Prefix="b/", Delimiter="/", MaxKeys=5)
        self.assertEqual((5, True), (page["KeyCount"], page["IsTruncated"]))
        page = self.client.list_objects_v2(Bucket=self.bucket, StartAfter="b/010/x", FetchOwner=True)
        self.assertEqual("b/011/x", page["Contents"][0]["Key"])
        self.assertIn("Owner", page["Contents"][0])

        answer = self.client.delete_objects(Bucket=self.bucket, Delete={
            "Objects": [{"Key": key} for key in keys] + [{"Key": "absent"}]})
        self.assertEqual(len(keys) + 1, len(answer["Deleted"]))
        self.assertEqual(0, self.client.list_objects_v2(Bucket=self.bucket)["KeyCount"])

    # ---- Versions

    def test_versioning(self):
        self.put("k", b"before")
        self.assertNotIn("Status", self.client.get_bucket_versioning(Bucket=self.bucket))
        self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        first = self.put("k", b"first")["VersionId"]
        second = self.put("k", b"second")["VersionId"]
        self.assertEqual(b"second", self.get("k"))
        self.assertEqual(b"first", self.get("k", VersionId=first))
        self.assertEqual(b"before", self.get("k", VersionId="null"))

        marker = self.client.delete_object(Bucket=self.bucket, Key="k")
        self.assertTrue(marker["DeleteMarker"])
        self.assert_error("NoSuchKey", 404, self.client.get_object, Bucket=self.bucket, Key="k")
        self.assert_error("MethodNotAllowed", 405, self.client.get_object, Bucket=self.bucket, Key="k",
                          VersionId=marker["VersionId"])
        listed = self.client.list_object_versions(Bucket=self.bucket)
        self.assertEqual([second, first, "null"], [version["VersionId"] for version in listed["Versions"]])
        self.assertEqual([(marker["VersionId"], True)],
                         [(m["VersionId"], m["IsLatest"]) for m in listed["DeleteMarkers"]])
        self.client.delete_object(Bucket=self.bucket, Key="k", VersionId=marker["VersionId"])
        self.assertEqual(b"second", self.get("k"))
        self.client.delete_object(Bucket=self.bucket, Key="k", VersionId=second)
        self.assertEqual(b"first", self.get("k"))

        self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Suspended"})
        self.put("k", b"null again")
        self.assertEqual(b"null again", self.get("k", VersionId="null"))
        self.assertEqual(b"first", self.get("k", VersionId=first))
        self.assert_error("BucketNotEmpty", 409, self.client.delete_bucket, Bucket=self.bucket)
        for version_id in ("null", first):
            self.client.delete_object(Bucket=self.bucket, Key="k", VersionId=version_id)
        self.client.delete_bucket(Bucket=self.bucket)

    # ---- Multipart uploads

    def test_multipart(self):
        parts = [self.chooser.randbytes(PART), self.chooser.randbytes(PART + 1), self.chooser.randbytes(77)]
        upload = self.client.create_multipart_upload(Bucket=self.bucket, Key="m", Metadata={"a": "1"})["UploadId"]
        place = {"Bucket": self.bucket, "Key": "m", "UploadId": upload}
        listed = self.client.list_multipart_uploads(Bucket=self.bucket)["Uploads"]
        self.assertEqual([("m", upload)], [(u["Key"], u["UploadId"]) for u in listed])
        done = []
        for number, body in enumerate(parts, 1):
            answer = self.client.upload_part(**place, PartNumber=number, Body=body)
            done.append({"PartNumber": number, "ETag": answer["ETag"],
                         **{name: answer[name] for name in answer if name.startswith("ChecksumCRC")}})
        self.assertEqual([len(body) for body in parts],
                         [part["Size"] for part in self.client.list_parts(**place)["Parts"]])
        self.assert_error("NoSuchKey", 404, self.client.get_object, Bucket=self.bucket, Key="m")
        self.assert_error("InvalidPartOrder", 400, self.client.complete_multipart_upload, **place,
                          MultipartUpload={"Parts": done[::-1]})
        self.assert_error("InvalidPart", 400, self.client.complete_multipart_upload, **place,
                          MultipartUpload={"Parts": [{**done[0], "ETag": '"00000000000000000000000000000000"'}]})
        answer = self.client.complete_multipart_upload(**place, MultipartUpload={"Parts": done})
        md5s = b"".join(hashlib.md5(body).digest() for body in parts)
        self.assertEqual(f'"{hashlib.md5(md5s).hexdigest()}-3"', answer["ETag"])
        self.assertEqual(b"".join(parts), self.get("m"))
        self.assertEqual(parts[1], self.get("m", PartNumber=2))
        self.assertEqual({"a": "1"}, self.client.head_object(Bucket=self.bucket, Key="m")["Metadata"])

        upload = self.client.create_multipart_upload(Bucket=self.bucket, Key="c")["UploadId"]
        place = {"Bucket": self.bucket, "Key": "c", "UploadId": upload}
        copied = self.client.upload_part_copy(**place, PartNumber=1, CopySource={"Bucket": self.bucket, "Key": "m"},
                                              CopySourceRange=f"bytes=10-{PART + 9}")["CopyPartResult"]
        self.client.complete_multipart_upload(**place, MultipartUpload={"Parts": [
            {"PartNumber": 1, "ETag": copied["ETag"]}]})
        self.assertEqual(b"".join(parts)[10:PART + 10], self.get("c"))

    def test_multipart_abort(self):
        upload = self.client.create_multipart_upload(Bucket=self.bucket, Key="m")["UploadId"]
        place = {"Bucket": self.bucket, "Key": "m", "UploadId": upload}
        done = []
        for number in (1, 2):
            answer = self.client.upload_part(**place, PartNumber=number, Body=b"small")
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
        self.assert_error("EntityTooSmall", 400, self.client.complete_multipart_upload, **place,
                          MultipartUpload={"Parts": done})
        self.client.abort_multipart_upload(**place)
        self.assert_error("NoSuchUpload", 404, self.client.list_parts, **place)
        self.assert_error("NoSuchUpload", 404, self.client.upload_part, **place, PartNumber=3, Body=b"late")
        self.assertNotIn("Uploads", self.client.list_multipart_uploads(Bucket=self.bucket))
        self.client.delete_bucket(Bucket=self.bucket)

    def test_managed_transfer(self):
        from boto3.s3.transfer import TransferConfig
        import io
        body = self.chooser.randbytes(1 << 20) * 23
        config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)
        self.client.upload_fileobj(io.BytesIO(body), self.bucket, "t", Config=config)
        back = io.BytesIO()
        self.client.download_fileobj(self.bucket, "t", back, Config=config)
        self.assertEqual(hashlib.sha256(body).digest(), hashlib.sha256(back.getvalue()).digest())

    # ---- Who may

    def test_wrong_keys_and_other_users(self):
        user = self.appliance.strata("user", "add", "somebody")
        other = self.appliance.boto3_as(user["access_key"], user["secret_key"])
        self.put("k", b"mine")
        self.assert_error("AccessDenied", 403, other.get_object, Bucket=self.bucket, Key="k")
        self.assert_error("AccessDenied", 403, other.put_object, Bucket=self.bucket, Key="k", Body=b"x")
        self.assert_error("BucketAlreadyExists", 409, other.create_bucket, Bucket=self.bucket)
        other.create_bucket(Bucket="somebodys-own")
        other.put_object(Bucket="somebodys-own", Key="k", Body=b"theirs")
        self.assertEqual(["somebodys-own"], [bucket["Name"] for bucket in other.list_buckets()["Buckets"]])
        wrong = self.appliance.boto3_as(user["access_key"], "not the secret")
        self.assert_error("SignatureDoesNotMatch", 403, wrong.list_buckets)
        unknown = self.appliance.boto3_as("NOSUCHKEY0123", "not the secret")
        self.assert_error("InvalidAccessKeyId", 403, unknown.list_buckets)


class OtherBoto3Test(unittest.TestCase):
    @unittest.skipIf(IN_OTHER_PYTHON, "this is the other one")
    @unittest.skipUnless(OTHER_PYTHON, "STRATA_BOTO3_PYTHON names no interpreter with a boto3 of 1.36 or newer")
    def test_with_the_newer_boto3(self):
        result = subprocess.run([OTHER_PYTHON, __file__, "Boto3Test"], capture_output=True, text=True, timeout=300,
                                env={**os.environ, "STRATA_IN_OTHER_PYTHON": "1"}, check=False)
        self.assertEqual(0, result.returncode, result.stderr[-6000:])
        print(result.stderr.splitlines()[-1], f"(with {OTHER_PYTHON})", flush=True)


if __name__ == "__main__":
    if boto3:
        print(f"boto3 {boto3.__version__} in {sys.executable}", file=sys.stderr)
    unittest.main()

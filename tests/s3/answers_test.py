# SPDX-License-Identifier: Apache-2.0
"""Answers that clients of Amazon S3 rely on, one by one: where they differ from Amazon's, a client
does the wrong thing. Sources: Amazon S3 API Reference, and what Ceph's s3-tests expect."""
import base64
import hashlib
import os
import unittest
import zlib

from support.case import S3Test as Case, md5_base64, md5_hex
from support.server import Server
from support.wire import head_bytes, streaming_put, target


def crc32_base64(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def sha256_base64(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class S3Test(Case):
    def request(self, method, key="", query=(), headers=None, body=b""):
        path = f"{self.bucket}/{key}" if key else self.bucket
        return self.ada.request(method, path, query, headers, body)

    def head(self, key, query=(), headers=None):
        return self.request("HEAD", key, query, headers)

    def enable_versioning(self):
        xml = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        self.ok(self.request("PUT", query=[("versioning", "")], body=xml))

    def raw_put(self, key, lines, body=b"x"):
        """A PUT whose header lines are sent as they stand, several of one name among them."""
        headers = {"host": self.ada.authority}
        self.ada.signer.sign("PUT", f"{self.bucket}/{key}", (), headers, "UNSIGNED-PAYLOAD")
        headers["content-length"] = str(len(body))
        head = head_bytes("PUT", target(f"{self.bucket}/{key}"), headers)
        extra = b"".join(line + b"\r\n" for line in lines)
        return self.ada.raw(head[:-2] + extra + b"\r\n" + body)

    def multipart(self, key, parts, algorithm=None, query=()):
        headers = {"x-amz-checksum-algorithm": algorithm} if algorithm else {}
        reply = self.ok(self.request("POST", key, [("uploads", "")], headers))
        self.upload_id = reply.text("UploadId")
        self.etags = []
        for number, part in enumerate(parts, 1):
            headers = {"x-amz-checksum-sha256": sha256_base64(part)} if algorithm else {}
            reply = self.ok(self.request(
                "PUT", key, [("partNumber", str(number)), ("uploadId", self.upload_id)], headers,
                part))
            self.etags.append((number, reply.headers["etag"]))

    def complete(self, key, parts=None, headers=None):
        xml = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>"
                      for n, e in (self.etags if parts is None else parts))
        return self.request(
            "POST", key, [("uploadId", self.upload_id)], headers,
            f"<CompleteMultipartUpload>{xml}</CompleteMultipartUpload>".encode())


class CopyTest(S3Test):
    def copy(self, source, key, headers=None):
        return self.request("PUT", key, headers={"x-amz-copy-source": f"{self.bucket}/{source}",
                                                 **(headers or {})})

    def test_plus_in_a_copy_source_is_a_space(self):
        self.put("a b", b"space")
        self.put("a+b", b"plus")
        self.ok(self.copy("a+b", "one"))
        self.assertEqual(self.get("one").body, b"space")
        self.ok(self.copy("a%2Bb", "two"))
        self.assertEqual(self.get("two").body, b"plus")
        self.ok(self.copy("a%20b", "three"))
        self.assertEqual(self.get("three").body, b"space")

    def test_storage_class_and_redirect_stay_with_the_source(self):
        self.put("k", b"x", {"x-amz-storage-class": "STANDARD_IA", "x-amz-meta-a": "1",
                             "x-amz-website-redirect-location": "/there",
                             "x-amz-tagging": "t=1"})
        self.ok(self.copy("k", "copy"))
        head = self.ok(self.head("copy"))
        self.assertNotIn("x-amz-storage-class", head.headers)
        self.assertNotIn("x-amz-website-redirect-location", head.headers)
        self.assertEqual((head.headers["x-amz-meta-a"], head.headers["x-amz-tagging-count"]),
                         ("1", "1"))
        self.ok(self.copy("k", "copy", {"x-amz-storage-class": "GLACIER_IR",
                                        "x-amz-website-redirect-location": "/elsewhere"}))
        head = self.ok(self.head("copy"))
        self.assertEqual(head.headers["x-amz-storage-class"], "GLACIER_IR")
        self.assertEqual(head.headers["x-amz-website-redirect-location"], "/elsewhere")
        self.assertEqual(head.headers["x-amz-meta-a"], "1")
        # Tags alone are replaced.
        self.ok(self.copy("k", "copy", {"x-amz-tagging-directive": "REPLACE",
                                        "x-amz-tagging": "u=2&v=3"}))
        head = self.ok(self.head("copy"))
        self.assertEqual((head.headers["x-amz-meta-a"], head.headers["x-amz-tagging-count"]),
                         ("1", "2"))

    def test_ranges_of_parts_beyond_64_bits(self):
        self.put("k", b"0123456789")
        self.multipart("big", [])
        for value, code in (("bytes=0-99999999999999999999", "InvalidRange"),
                            ("bytes=99999999999999999999-99999999999999999999", "InvalidRange"),
                            ("bytes=5-4", "InvalidArgument")):
            reply = self.request(
                "PUT", "big", [("partNumber", "1"), ("uploadId", self.upload_id)],
                {"x-amz-copy-source": f"{self.bucket}/k", "x-amz-copy-source-range": value})
            self.assertEqual(reply.code, code, value)


class DeleteTest(S3Test):
    def test_what_is_under_a_delete_marker_says_so(self):
        self.enable_versioning()
        self.put("k", b"x")
        marker = self.ok(self.request("DELETE", "k"), 204).headers["x-amz-version-id"]
        for method in ("GET", "HEAD"):
            reply = self.request(method, "k")
            self.assertEqual((reply.status, reply.headers["x-amz-delete-marker"],
                              reply.headers["x-amz-version-id"]), (404, "true", marker))
            reply = self.request(method, "k", [("versionId", marker)])
            self.assertEqual((reply.status, reply.headers["x-amz-delete-marker"],
                              reply.headers["x-amz-version-id"], reply.headers["allow"]),
                             (405, "true", marker, "DELETE"))
            self.assertIn("last-modified", reply.headers)
        self.assertNotIn("x-amz-delete-marker", self.get("never-was").headers)

    def test_a_condition_on_a_delete(self):
        etag = self.put("k", b"1").headers["etag"]
        self.fails(self.request("DELETE", "k", headers={"if-match": '"other"'}), 412,
                   "PreconditionFailed")
        self.ok(self.get("k"))
        self.ok(self.request("DELETE", "k", headers={"if-match": etag}), 204)
        self.fails(self.request("DELETE", "k", headers={"if-match": etag}), 404, "NoSuchKey")
        self.fails(self.request("DELETE", "k", headers={"if-match": "*"}), 404, "NoSuchKey")
        self.put("k", b"1")
        self.ok(self.request("DELETE", "k", headers={"if-match": "*"}), 204)
        for name in ("if-none-match", "x-amz-if-match-size"):
            self.put("k", b"1")
            self.fails(self.request("DELETE", "k", headers={name: "1"}), 501, "NotImplemented")
            self.ok(self.get("k"))

    def test_an_empty_version_is_not_the_latest(self):
        self.put("k", b"1")
        self.fails(self.request("DELETE", "k", [("versionId", "")]), 400, "InvalidArgument")
        self.ok(self.get("k"))

    def test_a_condition_on_a_delete_with_versions(self):
        self.enable_versioning()
        first = self.put("k", b"1").headers
        second = self.put("k", b"2").headers
        self.fails(self.request("DELETE", "k", headers={"if-match": first["etag"]}), 412,
                   "PreconditionFailed")
        self.fails(self.request("DELETE", "k", [("versionId", first["x-amz-version-id"])],
                                {"if-match": second["etag"]}), 412, "PreconditionFailed")
        self.ok(self.request("DELETE", "k", [("versionId", first["x-amz-version-id"])],
                             {"if-match": first["etag"]}), 204)
        self.ok(self.request("DELETE", "k", headers={"if-match": second["etag"]}), 204)
        self.fails(self.request("DELETE", "k", headers={"if-match": second["etag"]}), 412,
                   "PreconditionFailed")

    def test_conditions_on_deletes_of_many(self):
        for key in "ab":
            etag = self.put(key, b"1").headers["etag"]
        xml = (f"<Delete><Object><Key>a</Key><ETag>{etag}</ETag></Object>"
               f"<Object><Key>b</Key><ETag>other</ETag></Object></Delete>")
        reply = self.ok(self.post_xml(self.bucket, [("delete", "")], xml))
        self.assertEqual((reply.texts("Key"), reply.texts("Code")),
                         (["a", "b"], ["PreconditionFailed"]))
        self.assertEqual(self.request("GET").texts("Key"), ["b"])


class ReadTest(S3Test):
    def test_part_number_one_of_a_plain_object(self):
        self.put("k", b"0123456789", {"x-amz-checksum-sha256": sha256_base64(b"0123456789")})
        for method in ("GET", "HEAD"):
            reply = self.request(method, "k", [("partNumber", "1")],
                                 {"x-amz-checksum-mode": "ENABLED"})
            self.assertEqual((reply.status, reply.headers["content-range"],
                              reply.headers["content-length"],
                              reply.headers["x-amz-checksum-sha256"]),
                             (206, "bytes 0-9/10", "10", sha256_base64(b"0123456789")))
            self.assertNotIn("x-amz-mp-parts-count", reply.headers)
        self.fails(self.get("k", [("partNumber", "2")]), 416, "InvalidPartNumber")
        for number in ("0", "-1", "10001", "x"):
            self.fails(self.get("k", [("partNumber", number)]), 400, "InvalidArgument")
        self.put("empty")
        self.ok(self.get("empty", [("partNumber", "1")]))

    def test_a_part_has_its_own_checksum(self):
        parts = [os.urandom(5 << 20), b"end"]
        self.multipart("k", parts, "SHA256")
        self.ok(self.complete("k"))
        for key in ("k", "copy"):
            for number, part in enumerate(parts, 1):
                for method in ("GET", "HEAD"):
                    reply = self.ok(self.request(method, key, [("partNumber", str(number))],
                                                 {"x-amz-checksum-mode": "ENABLED"}), 206)
                    self.assertEqual(reply.headers["x-amz-checksum-sha256"], sha256_base64(part))
                    self.assertEqual(reply.headers["x-amz-checksum-type"], "COMPOSITE")
            whole = self.head(key, headers={"x-amz-checksum-mode": "ENABLED"})
            self.assertTrue(whole.headers["x-amz-checksum-sha256"].endswith("-2"))
            self.ok(self.request("PUT", "copy", headers={"x-amz-copy-source": f"{self.bucket}/k"}))

    def test_a_range_that_is_not_there_says_how_long_the_object_is(self):
        self.put("k", b"0123456789")
        for value in ("bytes=10-", "bytes=10-20", "bytes=99999999999999999999-", "bytes=-0"):
            reply = self.fails(self.get("k", headers={"range": value}), 416, "InvalidRange")
            self.assertEqual(reply.headers["content-range"], "bytes */10")
            self.assertEqual((reply.text("ActualObjectSize"), reply.text("RangeRequested")),
                             ("10", value))
            head = self.head("k", headers={"range": value})
            self.assertEqual((head.status, head.headers["content-range"]), (416, "bytes */10"))

    def test_ranges_beyond_64_bits(self):
        self.put("k", b"0123456789")
        for value, body in (("bytes=3-99999999999999999999999", b"3456789"),
                            ("bytes=-99999999999999999999999", b"0123456789"),
                            ("bytes=3-18446744073709551615", b"3456789"),
                            ("bytes=3-18446744073709551616", b"3456789")):
            reply = self.ok(self.get("k", headers={"range": value}), 206)
            self.assertEqual(reply.body, body)

    def test_attributes_list_parts(self):
        parts = [os.urandom(5 << 20), os.urandom(5 << 20), b"end"]
        self.multipart("k", parts, "SHA256")
        self.ok(self.complete("k"))
        wanted = {"x-amz-object-attributes": "ObjectParts"}
        reply = self.ok(self.get("k", [("attributes", "")], wanted))
        self.assertEqual(reply.text("PartsCount"), "3")
        self.assertEqual(reply.texts("PartNumber"), ["1", "2", "3"])
        self.assertEqual(reply.texts("Size"), [str(len(p)) for p in parts])
        self.assertEqual(reply.texts("ChecksumSHA256"), [sha256_base64(p) for p in parts])
        self.assertEqual(reply.text("IsTruncated"), "false")
        reply = self.ok(self.get("k", [("attributes", "")], {
            **wanted, "x-amz-max-parts": "1", "x-amz-part-number-marker": "1"}))
        self.assertEqual((reply.texts("PartNumber"), reply.text("PartNumberMarker"),
                          reply.text("NextPartNumberMarker"), reply.text("MaxParts"),
                          reply.text("IsTruncated"), reply.text("PartsCount")),
                         (["2"], "1", "2", "1", "true", "3"))
        self.fails(self.get("k", [("attributes", "")], {**wanted, "x-amz-max-parts": "x"}), 400,
                   "InvalidArgument")
        self.put("plain", b"x")
        self.assertIsNone(self.ok(self.get("plain", [("attributes", "")], {
            "x-amz-object-attributes": "ObjectParts,ETag"})).text("PartsCount"))

    def test_attributes_list_many_parts(self):
        # More than an object's own record holds.
        parts = [os.urandom(5 << 20)] * 17 + [b"end"]
        self.multipart("k", parts, "SHA256")
        self.ok(self.complete("k"))
        reply = self.ok(self.get("k", [("attributes", "")],
                                 {"x-amz-object-attributes": "ObjectParts"}))
        self.assertEqual(reply.texts("ChecksumSHA256"), [sha256_base64(p) for p in parts])


class MultipartTest(S3Test):
    def test_part_numbers(self):
        self.multipart("k", [b"x"])
        etag = self.etags[0][1]
        for number in ("0", "-1", "10001", "-99999999999999999999", "99999999999999999999"):
            if abs(int(number)) < 1 << 64:
                self.fails(self.complete("k", [(number, etag)]), 400, "InvalidArgument")
            reply = self.request("PUT", "k", [("partNumber", number), ("uploadId", self.upload_id)])
            self.fails(reply, 400, "InvalidArgument")
        self.fails(self.complete("k", [("one", etag)]), 400, "MalformedXML")
        self.ok(self.complete("k"))

    def test_object_size_that_is_not_so(self):
        self.multipart("k", [b"four"])
        self.fails(self.complete("k", headers={"x-amz-mp-object-size": "5"}), 400, "InvalidRequest")
        self.fails(self.complete("k", headers={"x-amz-mp-object-size": "x"}), 400,
                   "InvalidArgument")
        self.ok(self.complete("k", headers={"x-amz-mp-object-size": "4"}))

    def test_location(self):
        self.multipart("a b", [b"x"])
        reply = self.ok(self.complete("a b"))
        self.assertEqual(reply.text("Location"),
                         f"http://{self.ada.authority}{self.bucket}/a%20b")

    def test_location_in_virtual_host_style(self):
        with Server("--domain", "s3.example.org") as server:
            ada = server.client()
            self.ok(ada.request("PUT", "/bucket"))
            host = {"host": f"bucket.s3.example.org:{server.port}"}
            upload = self.ok(ada.request("POST", "/k/1", [("uploads", "")], host)).text("UploadId")
            query = [("partNumber", "1"), ("uploadId", upload)]
            etag = self.ok(ada.request("PUT", "/k/1", query, host, b"x")).headers["etag"]
            xml = (f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>"
                   f"</Part></CompleteMultipartUpload>")
            reply = self.ok(ada.request("POST", "/k/1", [("uploadId", upload)], host, xml.encode()))
            self.assertEqual(reply.text("Location"), f"http://{host['host']}/k/1")
            self.assertEqual(reply.text("Bucket"), "bucket")


class ChecksumTest(S3Test):
    def stream(self, trailer=None, headers=None, body_trailer=True,
               mode="STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        announced = {"x-amz-trailer": trailer[0]} if trailer and not body_trailer else {}
        head, body = streaming_put(self.ada, self.bucket + "/k", b"abc", 2, mode,
                                   trailer if body_trailer else None,
                                   {**announced, **(headers or {})})
        return self.ada.raw(head + body)

    def test_unsigned_trailer_without_any(self):
        self.ok(self.stream())
        self.assertEqual(self.get("k").body, b"abc")

    def test_unsigned_trailer_that_was_announced_and_is_missing(self):
        reply = self.stream(("x-amz-checksum-crc32", ""), body_trailer=False)
        self.fails(reply, 400, "MalformedTrailerError")
        self.fails(self.get("k"), 404, "NoSuchKey")

    def test_checksum_in_header_and_trailer(self):
        value = crc32_base64(b"abc")
        reply = self.stream(("x-amz-checksum-crc32", value),
                            headers={"x-amz-checksum-crc32": value})
        self.fails(reply, 400, "InvalidRequest")
        self.fails(self.get("k"), 404, "NoSuchKey")
        self.ok(self.stream(("x-amz-checksum-crc32", value)))

    def test_wrong_checksums(self):
        for value in ("bad", "AAAAAA==", crc32_base64(b"other"), ""):
            reply = self.request("PUT", "k", headers={"x-amz-checksum-crc32": value}, body=b"abc")
            self.fails(reply, 400, "BadDigest")
            self.fails(self.stream(("x-amz-checksum-crc32", value)), 400, "BadDigest")
        self.fails(self.get("k"), 404, "NoSuchKey")
        self.multipart("k", [b"x"], "SHA256")
        self.fails(self.complete("k", headers={"x-amz-checksum-sha256": "bad"}), 400, "BadDigest")
        self.ok(self.complete("k"))


class HeaderTest(S3Test):
    def test_several_lines_of_one_name(self):
        self.ok(self.raw_put("k", [b"content-encoding: aws-chunked", b"content-encoding: gzip",
                                   b"cache-control: no-cache", b"Cache-Control: private"]))
        head = self.ok(self.head("k"))
        self.assertEqual((head.headers["content-encoding"], head.headers["cache-control"]),
                         ("gzip", "no-cache,private"))
        reply = self.ok(self.raw_put("k", [b"if-match: \"x\"", b"if-match: *"]))
        reply = self.raw_put("k", [b"content-type: a/b", b"content-type: c/d"])
        self.fails(reply, 400, "InvalidArgument")
        self.ok(self.raw_put("k", [b"content-type: a/b", b"content-type: a/b"]))
        self.assertEqual(self.head("k").headers["content-type"], "a/b")

    def test_content_encoding_stays_as_it_is(self):
        for given, kept in (("gzip", "gzip"), ("deflate, gzip", "deflate, gzip"),
                            ("gzip, aws-chunked", "gzip"), ("aws-chunked, gzip", "gzip"),
                            ("deflate, aws-chunked, gzip", "deflate, gzip"),
                            ("AWS-Chunked", None), ("aws-chunked, aws-chunked", None)):
            with self.subTest(given):
                self.put("k", b"x", {"content-encoding": given})
                self.assertEqual(self.head("k").headers.get("content-encoding"), kept)

    def test_latin_1_metadata(self):
        # As botocore sends it: signed as UTF-8, written as Latin-1.
        self.put("k", b"x", {"x-amz-meta-a": "Hello World\xe9"})
        word = base64.b64encode("Hello World\xe9".encode()).decode()
        self.assertEqual(self.head("k").headers["x-amz-meta-a"], f"=?UTF-8?B?{word}?=")

    def test_excess_tags(self):
        def document(tags):
            xml = "".join(f"<Tag><Key>{k}</Key><Value>{v}</Value></Tag>" for k, v in tags)
            return f"<Tagging><TagSet>{xml}</TagSet></Tagging>".encode()
        self.put("k", b"x")
        for tags in ([(str(i), "") for i in range(11)], [("k" * 129, "")], [("k", "v" * 257)],
                     [("\u00e4" * 129, "")], [("k", ""), ("k", "")]):
            self.fails(self.request("PUT", "k", [("tagging", "")], body=document(tags)), 400,
                       "InvalidTag")
            header = "&".join(f"{k}={v}" for k, v in tags).replace("\u00e4", "%C3%A4")
            self.fails(self.request("PUT", "k", headers={"x-amz-tagging": header}), 400,
                       "InvalidTag")
        tags = [(str(i) + "\u00e4" * 127, "v" * 256) for i in range(10)]
        self.ok(self.request("PUT", "k", [("tagging", "")], body=document(tags)))
        self.assertEqual(len(self.get("k", [("tagging", "")]).texts("Key")), 10)

    def test_tags_of_versions(self):
        def document(value):
            return (f"<Tagging><TagSet><Tag><Key>t</Key><Value>{value}</Value></Tag></TagSet>"
                    f"</Tagging>").encode()
        self.put("k", b"null")
        self.enable_versioning()
        first = self.put("k", b"1").headers["x-amz-version-id"]
        second = self.put("k", b"2").headers["x-amz-version-id"]
        before = self.ok(self.request("GET", query=[("versions", "")]))
        for version in ("null", first, second):
            reply = self.ok(self.request("PUT", "k", [("tagging", ""), ("versionId", version)],
                                         body=document(version)))
            self.assertEqual(reply.headers["x-amz-version-id"], version)
        for version in ("null", first, second):
            reply = self.ok(self.get("k", [("tagging", ""), ("versionId", version)]))
            self.assertEqual(reply.text("Value"), version)
        self.ok(self.request("PUT", "k", [("tagging", "")], body=document("newest")))
        self.assertEqual(self.get("k", [("tagging", "")]).text("Value"), "newest")
        self.ok(self.request("DELETE", "k", [("tagging", ""), ("versionId", first)]), 204)
        reply = self.ok(self.get("k", [("tagging", ""), ("versionId", first)]))
        self.assertEqual(reply.texts("Key"), [])
        # No version came or went, and none is younger.
        after = self.ok(self.request("GET", query=[("versions", "")]))
        self.assertEqual(after.texts("LastModified"), before.texts("LastModified"))
        self.assertEqual(after.texts("VersionId"), before.texts("VersionId"))
        self.assertEqual(self.get("k", [("versionId", first)]).body, b"1")
        self.ok(self.request("DELETE", "k"), 204)
        self.fails(self.request("PUT", "k", [("tagging", "")], body=document("x")), 404,
                   "NoSuchKey")


class BucketTest(S3Test):
    def test_creating_ones_own_bucket_again(self):
        self.put("k", b"x")
        self.ok(self.request("PUT"))
        self.ok(self.get("k"))
        self.fails(self.server.client("bob").request("PUT", self.bucket), 409,
                   "BucketAlreadyExists")
        with Server("--region", "eu-west-1") as server:
            ada = server.client()
            ada.signer.region = "eu-west-1"
            self.ok(ada.request("PUT", "/bucket"))
            self.fails(ada.request("PUT", "/bucket"), 409, "BucketAlreadyOwnedByYou")

    def test_no_object_lock(self):
        self.put("k", b"x")
        for name in ("retention", "legal-hold"):
            self.fails(self.get("k", [(name, "")]), 400, "InvalidRequest")
            self.fails(self.request("PUT", "k", [(name, "")], body=b"<a/>"), 400, "InvalidRequest")
        self.assertEqual(self.get("k").body, b"x")

    def test_owners_and_regions(self):
        listed = self.ok(self.ada.request("GET", "/"))
        self.assertEqual(set(listed.texts("BucketRegion")), {"us-east-1"})
        self.assertEqual((listed.text("ID"), listed.text("DisplayName")), ("ada", "Ada Lovelace"))
        self.assertEqual(self.ada.request("GET", "/", [("bucket-region", "x")]).texts("Bucket"), [])
        self.put("k", b"x")
        self.multipart("u", [b"x"])
        root = self.server.client("root")
        for path, query in ((self.bucket, []), (self.bucket, [("versions", "")]),
                            (self.bucket, [("list-type", "2"), ("fetch-owner", "true")]),
                            (self.bucket, [("uploads", "")]), (self.bucket, [("acl", "")]),
                            (self.bucket + "/u", [("uploadId", self.upload_id)]),
                            (self.bucket + "/k", [("acl", "")])):
            for client in (self.ada, root):
                reply = self.ok(client.request("GET", path, query))
                self.assertEqual(set(reply.texts("DisplayName")), {"Ada Lovelace"}, query)
                self.assertEqual(set(reply.texts("ID")), {"ada"}, query)


class ListingTest(S3Test):
    def test_empty_continuation_token(self):
        for key in "abc":
            self.put(key)
        reply = self.ok(self.request("GET", query=[("list-type", "2"), ("continuation-token", "")]))
        self.assertEqual((reply.texts("Key"), reply.text("ContinuationToken"),
                          reply.text("IsTruncated")), (list("abc"), "", "false"))
        reply = self.ok(self.request("GET", query=[
            ("list-type", "2"), ("continuation-token", ""), ("start-after", "a")]))
        self.assertEqual(reply.texts("Key"), ["b", "c"])

    def test_names_are_encoded_everywhere(self):
        self.put("p +/a b", b"x")
        for query in ([], [("list-type", "2")], [("versions", "")]):
            query = query + [("encoding-type", "url"), ("prefix", "p +"), ("delimiter", "b b")]
            reply = self.ok(self.request("GET", query=query))
            self.assertEqual((reply.text("Prefix"), reply.text("Delimiter"), reply.text("Key")),
                             ("p%20%2B", "b%20b", "p%20%2B/a%20b"), query)


del Case, S3Test  # Their subclasses are the tests.

if __name__ == "__main__":
    unittest.main(warnings="ignore")

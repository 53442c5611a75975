# SPDX-License-Identifier: Apache-2.0
"""Names that come to belong to somebody else while a request is under way. Ada's request is
authorized and its body held back; her bucket goes, Bob creates one of the same name; then the body
comes. It must not touch what is Bob's."""
import unittest

from support.case import S3Test, md5_base64
from support.wire import read_reply

VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
TAGS = b"<Tagging><TagSet><Tag><Key>t</Key><Value>ada</Value></Tag></TagSet></Tagging>"
DELETE = b"<Delete><Object><Key>k</Key></Object></Delete>"


class HeldBodyTest(S3Test):
    def hold(self, method, path, query=(), headers=None, body=b""):
        """Sends a head and waits until the server wants the body, which is after it has decided
        whether the caller may. Returns what sends the body and gives the reply."""
        sock = self.ada.connect()
        self.addCleanup(sock.close)
        headers = {"expect": "100-continue", **(headers or {})}
        sock.sendall(self.ada.head(method, path, query, headers, body))
        self.assertEqual(sock.recv(25), b"HTTP/1.1 100 Continue\r\n\r\n")

        def finish():
            sock.sendall(body)
            return read_reply(sock)
        return finish


class ReusedBucketNameTest(HeldBodyTest):
    def setUp(self):
        super().setUp()
        self.bob = self.server.client("bob")
        self.put("k", b"of ada")

    def give_bucket_to_bob(self):
        self.ok(self.ada.request("DELETE", self.bucket + "/k"), 204)
        self.ok(self.ada.request("DELETE", self.bucket), 204)
        self.ok(self.bob.request("PUT", self.bucket))
        self.ok(self.bob.request("PUT", self.bucket + "/k", body=b"of bob"))

    def check_refused(self, finish):
        self.give_bucket_to_bob()
        self.fails(finish(), 404, "NoSuchBucket")
        self.assertEqual(self.ok(self.bob.request("GET", self.bucket + "/k")).body, b"of bob")
        listed = self.ok(self.bob.request("GET", self.bucket, [("versions", "")]))
        self.assertEqual((listed.texts("Key"), listed.texts("VersionId")), (["k"], ["null"]))
        state = self.ok(self.bob.request("GET", self.bucket, [("versioning", "")]))
        self.assertIsNone(state.text("Status"))
        tags = self.ok(self.bob.request("GET", self.bucket + "/k", [("tagging", "")]))
        self.assertEqual(tags.texts("Key"), [])

    def test_delete_objects(self):
        self.check_refused(self.hold("POST", self.bucket, [("delete", "")],
                                     {"content-md5": md5_base64(DELETE)}, DELETE))

    def test_put_bucket_versioning(self):
        self.check_refused(self.hold("PUT", self.bucket, [("versioning", "")], body=VERSIONING))

    def test_put_object_tagging(self):
        self.check_refused(self.hold("PUT", self.bucket + "/k", [("tagging", "")], body=TAGS))

    def test_put_object(self):
        self.check_refused(self.hold("PUT", self.bucket + "/k", body=b"of ada, again"))

    def upload(self):
        reply = self.ok(self.ada.request("POST", self.bucket + "/k", [("uploads", "")]))
        return reply.text("UploadId")

    def test_upload_part(self):
        query = [("partNumber", "1"), ("uploadId", self.upload())]
        finish = self.hold("PUT", self.bucket + "/k", query, body=b"a part")
        self.give_bucket_to_bob()
        # The upload went with its bucket; either answer says so.
        reply = finish()
        self.assertEqual((reply.status, reply.code), (404, "NoSuchUpload"), reply)
        self.assertEqual(self.bob.request("GET", self.bucket, [("uploads", "")]).texts("Key"), [])

    def test_complete_multipart_upload(self):
        upload_id = self.upload()
        query = [("partNumber", "1"), ("uploadId", upload_id)]
        part = self.ok(self.ada.request("PUT", self.bucket + "/k", query, body=b"a part"))
        document = (f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
                    f"<ETag>{part.headers['etag']}</ETag></Part></CompleteMultipartUpload>").encode()
        self.check_refused(self.hold("POST", self.bucket + "/k", [("uploadId", upload_id)],
                                     body=document))

    def test_expected_owner_of_a_copy_source_in_the_same_bucket(self):
        headers = {"x-amz-copy-source": self.bucket + "/k",
                   "x-amz-source-expected-bucket-owner": "bob"}
        self.fails(self.ada.request("PUT", self.bucket + "/k2", headers=headers), 403,
                   "AccessDenied")


class ReusedUserNameTest(HeldBodyTest):
    def test_create_bucket_of_a_user_who_is_another_one_now(self):
        name = self.bucket + "-new"
        self.ok(self.ada.request("DELETE", self.bucket), 204)
        document = b"<CreateBucketConfiguration/>"
        finish = self.hold("PUT", name, body=document)
        self.server.command("renew ada")
        self.fails(finish(), 403, "InvalidAccessKeyId")
        self.fails(self.server.client("root").request("GET", name), 404, "NoSuchBucket")


del S3Test, HeldBodyTest  # Their subclasses are the tests.

if __name__ == "__main__":
    unittest.main(warnings="ignore")

# SPDX-License-Identifier: Apache-2.0
"""Documents that change something are taken as a whole or not at all: what is not well formed, or not of the form that
the operation takes, is MalformedXML and changes nothing."""
import base64
import hashlib
import unittest

from support.server import Server

# What is wrong, and what makes it so of a document that is right.
MALFORMED = (
    ("an undefined entity", lambda xml: xml.replace(b">k<", b">k&unknown;<")),
    ("a reference to zero", lambda xml: xml.replace(b">k<", b">k&#0;<")),
    ("a reference to a control character", lambda xml: xml.replace(b">k<", b">k&#1;<")),
    ("a zero byte", lambda xml: xml.replace(b">k<", b">k\0<")),
    ("a bare ampersand", lambda xml: xml.replace(b">k<", b">k&<")),
    ("a second root", lambda xml: xml + xml),
    ("an empty second root", lambda xml: xml + b"<x/>"),
    ("text after the root", lambda xml: xml + b"more"),
    ("a zero byte after the root", lambda xml: xml + b"\0"),
    ("text before the root", lambda xml: b"more" + xml),
    ("an end that is missing", lambda xml: xml[:-1]),
    ("an end of something else", lambda xml: xml[:-2] + b"x>"),
    ("a document type", lambda xml: b"<!DOCTYPE x [<!ENTITY e 'k'>]>" + xml),
    ("a processing instruction", lambda xml: b"<?x y?>" + xml),
    ("a prefix without a namespace", lambda xml: xml.replace(b"<", b"<p:").replace(b"<p:/", b"</p:")),
    ("another encoding declared", lambda xml: b"<?xml version='1.0' encoding='UTF-16'?>" + xml),
    ("UTF-16", lambda xml: xml.decode().encode("utf-16")),
    ("UTF-16 without a mark", lambda xml: xml.decode().encode("utf-16-be")),
    ("Latin-1", lambda xml: xml.replace(b">k<", b">k\xe4<")),
    ("text between elements", lambda xml: xml.replace(b"><", b">text<", 1)),
    ("an unknown element", lambda xml: xml.replace(b"><", b"><Condition>x</Condition><", 1)),
    ("another root", lambda xml: b"<Other>" + xml + b"</Other>"),
    ("nothing", lambda xml: b""),
)
DELETE = b"<Delete><Object><Key>k</Key></Object></Delete>"
TAGGING = b"<Tagging><TagSet><Tag><Key>k</Key><Value>2</Value></Tag></TagSet></Tagging>"
VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
CREATION = (b"<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint>"
            b"</CreateBucketConfiguration>")


class DocumentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)
        cls.ada = cls.server.client("ada")

    def setUp(self):
        self.bucket = "/" + self.id().rsplit(".", maxsplit=1)[-1].replace("_", "-").lower()
        self.request("PUT", self.bucket, expected=200)
        self.request("PUT", self.bucket + "/k", body=b"kept", headers={"x-amz-tagging": "k=1"}, expected=200)

    def request(self, method, path, query=(), headers=None, body=b"", expected=None):
        headers = dict(headers or {})
        if method == "POST":
            headers["content-md5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
        reply = self.ada.request(method, path, query, headers, body)
        if expected is not None:
            self.assertEqual(reply.status, expected, reply)
        return reply

    def malformed(self, method, path, query, body, what):
        reply = self.request(method, path, query, body=body)
        self.assertEqual((reply.status, reply.code), (400, "MalformedXML"), (what, body, reply))

    def check_unharmed(self):
        self.assertEqual(self.request("GET", self.bucket + "/k", expected=200).body, b"kept")
        tags = self.request("GET", self.bucket + "/k", [("tagging", "")], expected=200)
        self.assertEqual((tags.texts("Key"), tags.texts("Value")), (["k"], ["1"]))
        versioning = self.request("GET", self.bucket, [("versioning", "")], expected=200)
        self.assertEqual(versioning.texts("Status"), [])

    def test_delete_is_strict(self):
        for what, change in MALFORMED:
            self.malformed("POST", self.bucket, [("delete", "")], change(DELETE), what)
        obj = b"<Object><Key>k</Key></Object>"
        for inner in (b"", b"<Object/>", b"<Object><Key/></Object>", b"<Object><Key><b>k</b></Key></Object>",
                      b"<Object><Key>other</Key><Key>k</Key></Object>", b"<object><key>k</key></object>",
                      b"<Object><Key>k</Key><VersionId/></Object>",
                      b"<Object><Key>k</Key><VersionId><b/></VersionId></Object>",
                      b"<Object><Key>k</Key><VersionID>1</VersionID></Object>",
                      b"<Object><Key>k</Key><Recursive>true</Recursive></Object>",
                      b"<Quiet>true</Quiet>" + obj + b"<Quiet>false</Quiet>", b"<Quiet>maybe</Quiet>" + obj,
                      b"<DryRun>true</DryRun>" + obj, obj * 1001):
            self.malformed("POST", self.bucket, [("delete", "")], b"<Delete>" + inner + b"</Delete>", inner[:80])
        self.check_unharmed()
        right = b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?>\n<Delete xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>\n"
        right += b" <!-- one --> <Object>\n<Key><![CDATA[k]]></Key>\n</Object> <Quiet>true</Quiet>\n</Delete>\n"
        self.request("POST", self.bucket, [("delete", "")], body=right, expected=200)
        self.request("GET", self.bucket + "/k", expected=404)

    def test_tagging_is_strict(self):
        for what, change in MALFORMED:
            self.malformed("PUT", self.bucket + "/k", [("tagging", "")], change(TAGGING), what)
        tag = b"<Tag><Key>k</Key><Value>2</Value></Tag>"
        for inner in (b"", b"<TagSet/><TagSet/>", b"<TagSet>" + tag + b"</TagSet><TagSet/>", tag,
                      b"<TagSet><Tag><Key>k</Key></Tag></TagSet>",
                      b"<TagSet><Tag><Key>k</Key><Value>2</Value><Value>3</Value></Tag></TagSet>",
                      b"<TagSet><Tag><Key>k</Key><Value><b/></Value></Tag></TagSet>"):
            self.malformed("PUT", self.bucket + "/k", [("tagging", "")], b"<Tagging>" + inner + b"</Tagging>", inner)
        self.check_unharmed()

    def test_versioning_is_strict(self):
        for what, change in MALFORMED:
            if change(VERSIONING) != VERSIONING:
                self.malformed("PUT", self.bucket, [("versioning", "")], change(VERSIONING), what)
        for inner in (b"", b"<Status/>", b"<Status>Enabled</Status><Status>Suspended</Status>",
                      b"<status>Enabled</status>", b"<Status>Enabled&x;</Status>", b"<Status>Enabled&#0;</Status>"):
            self.malformed("PUT", self.bucket, [("versioning", "")],
                           b"<VersioningConfiguration>" + inner + b"</VersioningConfiguration>", inner)
        self.check_unharmed()

    def test_bucket_creation_is_strict(self):
        for what, change in MALFORMED:
            if change(CREATION) not in (CREATION, b""):
                self.malformed("PUT", self.bucket + "-2", (), change(CREATION), what)
        for inner in (b"<LocationConstraint>us-east-1</LocationConstraint>" * 2,
                      b"<LocationConstraint><b/></LocationConstraint>"):
            self.malformed("PUT", self.bucket + "-2", (),
                           b"<CreateBucketConfiguration>" + inner + b"</CreateBucketConfiguration>", inner)
        for inner in (b"<Tags><Tag><Key>k</Key><Value>v</Value></Tag></Tags>", b"<Bucket><Type>Directory</Type></Bucket>",
                      b"<Location><Type>AvailabilityZone</Type></Location>"):
            self.request("PUT", self.bucket + "-2",
                         body=b"<CreateBucketConfiguration>" + inner + b"</CreateBucketConfiguration>", expected=501)
        self.request("HEAD", self.bucket + "-2", expected=404)
        self.request("PUT", self.bucket + "-2", body=CREATION, expected=200)

    def test_completion_is_strict(self):
        path = self.bucket + "/k"
        upload_id = self.request("POST", path, [("uploads", "")], expected=200).text("UploadId")
        etag = self.request("PUT", path, [("partNumber", "1"), ("uploadId", upload_id)], body=b"new",
                            expected=200).headers["etag"].encode()
        part = b"<Part><PartNumber>1</PartNumber><ETag>" + etag + b"</ETag></Part>"
        right = b"<CompleteMultipartUpload>" + part + b"</CompleteMultipartUpload>"
        query = [("uploadId", upload_id)]
        for what, change in MALFORMED:
            if change(right) != right:
                self.malformed("POST", path, query, change(right), what)
        for inner in (b"", b"<Part/>", part[:-7] + b"<ETag>" + etag + b"</ETag></Part>",
                      part[:-7] + b"<ChecksumSHA512>AAAA</ChecksumSHA512></Part>",
                      part[:-7] + b"<ChecksumXXHASH64>AAAA</ChecksumXXHASH64></Part>",
                      part.replace(b">1<", b">1&x;<"), part.replace(b">1<", b"><b/>1<")):
            self.malformed("POST", path, query,
                           b"<CompleteMultipartUpload>" + inner + b"</CompleteMultipartUpload>", inner)
        self.check_unharmed()
        self.request("POST", path, query, body=right, expected=200)
        self.assertEqual(self.request("GET", path).body, b"new")


if __name__ == "__main__":
    unittest.main(warnings="ignore")

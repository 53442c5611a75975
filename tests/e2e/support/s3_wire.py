# SPDX-License-Identifier: Apache-2.0
"""A small S3 client over one connection: it signs (Signature Version 4), sends, and gives the answer as it
came. No retries and nothing behind the scenes, so that a test knows what was acknowledged.

    client = Client("127.0.0.1", 9000, access_key, secret_key)
    client.request("PUT", "/bucket/key", body=b"...").expect(200)
"""
import base64
import datetime
import hashlib
import hmac
import http.client
import urllib.parse
import xml.etree.ElementTree

EMPTY_SHA256 = hashlib.sha256().hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"


class WireError(Exception):
    """An answer other than the expected one."""


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def expect(self, *statuses):
        if self.status not in statuses:
            raise WireError(f"status {self.status}, not {' or '.join(map(str, statuses))}: {self.body[:600]!r}")
        return self

    @property
    def code(self):
        """S3's name for the error, '' without one."""
        return self.xml().findtext("Code", "") if self.body.startswith(b"<") else ""

    @property
    def etag(self):
        return self.headers.get("ETag", "").strip('"')

    def xml(self):
        """The document, its names without their namespace."""
        root = xml.etree.ElementTree.fromstring(self.body)
        for element in root.iter():
            element.tag = element.tag.rsplit("}", 1)[-1]
        return root


def quote(text, safe="-_.~"):
    return urllib.parse.quote(text, safe=safe)


def path_of(bucket, key=None):
    """The path of a request, encoded."""
    return f"/{bucket}" + ("" if key is None else "/" + quote(key, "/-_.~"))


def content_md5(body):
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def canonical_query(query):
    return "&".join(sorted(f"{quote(str(name))}={quote(str(value))}" for name, value in query.items()))


def sign(method, path, query, headers, payload_sha256, access_key, secret_key, region="us-east-1", now=None):
    """Adds the date, the payload's hash and the Authorization to `headers`, which name the Host.
    path: encoded."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    headers["x-amz-date"] = stamp
    headers["x-amz-content-sha256"] = payload_sha256
    signed = sorted((name.lower(), " ".join(str(value).split())) for name, value in headers.items())
    names = ";".join(name for name, _ in signed)
    canonical = "\n".join([method, path, canonical_query(query), *(f"{n}:{v}" for n, v in signed), "", names,
                           payload_sha256])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode("latin-1")).hexdigest()])
    key = b"AWS4" + secret_key.encode()
    for part in (stamp[:8], region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, "
                                f"Signature={signature}")
    return headers


class Client:
    """One connection, opened when needed; after an error the next request opens a new one. For one thread."""

    def __init__(self, host, port, access_key, secret_key, timeout_s=60):
        self._host = f"{host}:{port}"
        self._keys = (access_key, secret_key)
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def close(self):
        self._connection.close()

    def request(self, method, path, query=None, headers=None, body=b"", payload_sha256=None):
        """path: encoded, as path_of() gives it. OSError or http.client.HTTPException: the request may have
        happened or not."""
        query = query or {}
        if payload_sha256 is None:
            payload_sha256 = hashlib.sha256(body).hexdigest() if body else EMPTY_SHA256
        signed = sign(method, path, query, {"Host": self._host, **(headers or {})}, payload_sha256, *self._keys)
        target = path + ("?" + canonical_query(query) if query else "")
        try:
            try:
                self._connection.request(method, target, body=body, headers=signed)
            except BrokenPipeError:
                pass  # The answer may have come before all was sent.
            reply = self._connection.getresponse()
            return Answer(reply.status, reply.headers, reply.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    # ---- The operations that several tests use

    def make_bucket(self, bucket):
        self.request("PUT", path_of(bucket)).expect(200)

    def put(self, bucket, key, body, headers=None):
        return self.request("PUT", path_of(bucket, key), headers=headers, body=body)

    def get(self, bucket, key, query=None, headers=None):
        return self.request("GET", path_of(bucket, key), query=query, headers=headers)

    def delete(self, bucket, key, query=None):
        return self.request("DELETE", path_of(bucket, key), query=query)

    def list(self, bucket, **parameters):
        """{key: (size, etag)} of all pages. parameters: as in the query, '-' written '_'."""
        query = {"list-type": 2, **{name.replace("_", "-"): value for name, value in parameters.items()}}
        found = {}
        while True:
            page = self.request("GET", path_of(bucket), query=query).expect(200).xml()
            for entry in page.iter("Contents"):
                found[entry.findtext("Key")] = (int(entry.findtext("Size")), entry.findtext("ETag").strip('"'))
            if page.findtext("IsTruncated") != "true":
                return found
            query["continuation-token"] = page.findtext("NextContinuationToken")

    def create_upload(self, bucket, key):
        answer = self.request("POST", path_of(bucket, key), query={"uploads": ""})
        return answer.expect(200).xml().findtext("UploadId")

    def upload_part(self, bucket, key, upload_id, number, body):
        answer = self.request("PUT", path_of(bucket, key), body=body,
                              query={"partNumber": number, "uploadId": upload_id})
        return answer.expect(200).etag

    def complete_upload(self, bucket, key, upload_id, etags):
        """etags: {part number: etag}. An error may come in a 200's body; it is given as status 500."""
        parts = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>\"{etag}\"</ETag></Part>"
                        for number, etag in sorted(etags.items()))
        answer = self.request("POST", path_of(bucket, key), query={"uploadId": upload_id},
                              body=f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode())
        if answer.status == 200 and answer.xml().tag == "Error":
            answer.status = 500
        return answer

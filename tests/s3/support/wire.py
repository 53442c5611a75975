# SPDX-License-Identifier: Apache-2.0
"""S3 by hand: a second, small implementation of Signature Version 4, over sockets that a test can
abuse as it likes.

    client = Client(host, port, access_key, secret_key)
    reply = client.request("PUT", "/bucket/key", body=b"...")
    assert reply.status == 200, reply
"""
import datetime
import hashlib
import hmac
import http.client
import re
import socket
import urllib.parse

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def sha256_hex(data):
    return hashlib.sha256(data).hexdigest()


def encode(text, safe=""):
    return urllib.parse.quote(text, safe=safe + "-._~")


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {k.lower(): v for k, v in headers}
        self.body = body

    @property
    def code(self):
        """The <Code> of an error."""
        found = re.search(rb"<Code>(.*?)</Code>", self.body)
        return found.group(1).decode() if found else None

    def texts(self, element):
        """All texts of elements of that name."""
        return [t.decode() for t in
                re.findall(rb"<%s>(.*?)</%s>" % ((element.encode(),) * 2), self.body, re.S)]

    def text(self, element):
        found = self.texts(element)
        return found[0] if found else None

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:500]!r}>"


class Signer:
    def __init__(self, access_key, secret_key, region="us-east-1"):
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = region

    def key(self, date):
        key = b"AWS4" + self.secret_key.encode()
        for piece in (date, self.region, "s3", "aws4_request"):
            key = hmac.new(key, piece.encode(), hashlib.sha256).digest()
        return key

    def signature(self, timestamp, text):
        scope = f"{timestamp[:8]}/{self.region}/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", timestamp, scope, sha256_hex(text.encode())])
        return hmac.new(self.key(timestamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()

    @staticmethod
    def canonical(method, path, query, headers, signed, payload_hash):
        pairs = sorted((encode(k), encode(v)) for k, v in query)
        return "\n".join([
            method, encode(path, "/"), "&".join(f"{k}={v}" for k, v in pairs),
            *[f"{name}:{' '.join(headers[name].split())}" for name in signed], "",
            ";".join(signed), payload_hash])

    def sign(self, method, path, query, headers, payload_hash, timestamp=None):
        """Adds x-amz-date (unless there is a Date), x-amz-content-sha256 and Authorization to
        `headers`. Returns the signature and the time, for those who sign chunks."""
        timestamp = timestamp or now()
        if "date" not in headers:
            headers["x-amz-date"] = timestamp
        headers["x-amz-content-sha256"] = payload_hash
        signed = sorted(k for k in headers
                        if k == "host" or k.startswith("x-amz-") or k == "content-md5")
        signature = self.signature(
            timestamp, self.canonical(method, path, query, headers, signed, payload_hash))
        scope = f"{timestamp[:8]}/{self.region}/s3/aws4_request"
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
            f"SignedHeaders={';'.join(signed)}, Signature={signature}")
        return signature, timestamp

    def presign(self, method, path, query, host, expires=600, timestamp=None):
        timestamp = timestamp or now()
        scope = f"{timestamp[:8]}/{self.region}/s3/aws4_request"
        query = list(query) + [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", f"{self.access_key}/{scope}"),
            ("X-Amz-Date", timestamp), ("X-Amz-Expires", str(expires)),
            ("X-Amz-SignedHeaders", "host")]
        text = self.canonical(method, path, query, {"host": host}, ["host"], "UNSIGNED-PAYLOAD")
        query.append(("X-Amz-Signature", self.signature(timestamp, text)))
        return target(path, query)


def now(offset_s=0):
    time = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset_s)
    return time.strftime("%Y%m%dT%H%M%SZ")


def target(path, query=()):
    text = encode(path, "/")
    if query:
        text += "?" + "&".join(f"{encode(k)}={encode(v)}" if v != "" else encode(k)
                               for k, v in query)
    return text


def head_bytes(method, request_target, headers):
    lines = [f"{method} {request_target} HTTP/1.1"] + [f"{k}: {v}" for k, v in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def read_reply(stream, method="GET"):
    """One reply from a socket or a file made of one. http.client reads no byte too many."""
    response = http.client.HTTPResponse(stream, method=method)
    response.begin()
    body = response.read()
    return Reply(response.status, response.getheaders(), body)


class Kept:
    """Lets several replies be read from one socket."""

    def __init__(self, sock):
        self.file = sock.makefile("rb")

    def makefile(self, *_, **__):
        return self

    def __getattr__(self, name):
        return getattr(self.file, name)

    def close(self):
        pass


class Client:
    def __init__(self, host, port, access_key, secret_key):
        self.host = host
        self.port = port
        self.signer = Signer(access_key, secret_key)

    @property
    def authority(self):
        return f"{self.host}:{self.port}"

    def connect(self, timeout=30):
        sock = socket.create_connection((self.host, self.port), timeout=timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def head(self, method, path, query=(), headers=None, body=b"", payload_hash=None, length=None,
             timestamp=None):
        """The bytes of a signed request's head."""
        headers = {"host": self.authority, **{k.lower(): v for k, v in (headers or {}).items()}}
        self.signer.sign(method, path, query, headers,
                         payload_hash or sha256_hex(body), timestamp)
        if body or length is not None or method in ("PUT", "POST"):
            headers.setdefault("content-length", str(len(body) if length is None else length))
        return head_bytes(method, target(path, query), headers)

    def request(self, method, path, query=(), headers=None, body=b"", **options):
        return self.raw(self.head(method, path, query, headers, body, **options) + body, method)

    def raw(self, data, method="GET"):
        with self.connect() as sock:
            sock.sendall(data)
            return read_reply(sock, method)

    def anonymous(self, method, request_target, headers=None, body=b""):
        headers = {"host": self.authority, **(headers or {})}
        if body:
            headers["content-length"] = str(len(body))
        return self.raw(head_bytes(method, request_target, headers) + body, method)


def chunk_signature(signer, timestamp, previous, data):
    scope = f"{timestamp[:8]}/{signer.region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", timestamp, scope, previous, EMPTY_SHA256,
                      sha256_hex(data)])
    return hmac.new(signer.key(timestamp[:8]), text.encode(), hashlib.sha256).hexdigest()


def trailer_signature(signer, timestamp, previous, trailer):
    scope = f"{timestamp[:8]}/{signer.region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", timestamp, scope, previous, sha256_hex(trailer)])
    return hmac.new(signer.key(timestamp[:8]), text.encode(), hashlib.sha256).hexdigest()


def streaming_put(client, path, content, chunk_bytes, mode, trailer=None, headers=None):
    """Head and body of a PUT with aws-chunked content. `mode`: the value of x-amz-content-sha256;
    `trailer`: (name, value)."""
    signed = mode.startswith("STREAMING-AWS4")
    headers = {"host": client.authority, "content-encoding": "aws-chunked",
               "x-amz-decoded-content-length": str(len(content)), **(headers or {})}
    if trailer:
        headers["x-amz-trailer"] = trailer[0]
    previous, timestamp = client.signer.sign("PUT", path, (), headers, mode)
    body = b""
    pieces = [content[i:i + chunk_bytes] for i in range(0, len(content), chunk_bytes)] + [b""]
    for piece in pieces:
        body += b"%x" % len(piece)
        if signed:
            previous = chunk_signature(client.signer, timestamp, previous, piece)
            body += b";chunk-signature=" + previous.encode()
        body += b"\r\n"
        if piece:
            body += piece + b"\r\n"
    if trailer:
        body += f"{trailer[0]}:{trailer[1]}\r\n".encode()
        if signed:
            signature = trailer_signature(client.signer, timestamp, previous,
                                          f"{trailer[0]}:{trailer[1]}\n".encode())
            body += f"x-amz-trailer-signature:{signature}\r\n".encode()
    body += b"\r\n"
    headers["content-length"] = str(len(body))
    return head_bytes("PUT", target(path), headers), body

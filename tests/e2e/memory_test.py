# SPDX-License-Identifier: Apache-2.0
"""100 clients send at once what costs most memory, of each kind: stratad's memory stays within what its configuration says,
returns afterwards, and /health answers throughout."""
import base64
import contextlib
import os
import socket
import threading
import time
import unittest
import zlib

from support import s3_wire
from support.appliance import Appliance

MIB = 1 << 20
MAX_BODY_MEMORY = 16 * MIB
ABOVE_BUDGET = 64 * MIB     # What may be taken beyond the budget: threads, connections, the store's own caches.
ABOVE_REST = 20 * MIB       # What may still be taken a minute later.
CLIENTS = 100
HEALTH_S = 5                # 20 s and more where requests wait for each other; a few ms on a machine at rest.


def chunk(content, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(content), extension, content)


class MemoryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(environment={"STRATA_S3_MAX_BODY_MEMORY": "16M"})
        cls.addClassCleanup(cls.appliance.close)
        cls.appliance.start()
        client = cls.appliance.wire()
        client.make_bucket("bucket")
        client.make_bucket("long")
        for number in range(1000):  # Names that make a long listing.
            client.put("long", "\u00e4" * 500 + f"{number:06}", b"").expect(200)
        client.close()
        cls.warm_up()
        cls.rest = cls.appliance.rss_bytes()

    @classmethod
    def warm_up(cls):
        """What threads, RocksDB and the caches take once, whatever comes."""
        def work(number):
            client = cls.appliance.wire()
            for step in range(4):
                client.put("bucket", f"warm-{number}", os.urandom(100_000)).expect(200)
                client.get("bucket", f"warm-{number}").expect(200)
            client.close()
        cls.together(work, 32)

    @staticmethod
    def together(work, count=CLIENTS):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # ---- What a client sends. Each is the bytes of one connection, sent as fast as they are taken.

    def head(self, method, path, length, query=None, payload=s3_wire.UNSIGNED, **headers):
        query = query or {}
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        signed = s3_wire.sign(method, path, query, {"Host": self.appliance.s3_endpoint, **headers}, payload,
                              self.appliance.access_key, self.appliance.secret_key)
        target = path + ("?" + s3_wire.canonical_query(query) if query else "")
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in signed.items())]
        lines += ["Transfer-Encoding: chunked"] if length is None else [f"Content-Length: {length}"]
        return "\r\n".join([*lines, "", ""]).encode()

    def chunked(self, number):
        """A head of a body that is both aws-chunked and in HTTP's chunked transfer coding."""
        crc = base64.b64encode(zlib.crc32(b"x" * 10).to_bytes(4, "big")).decode()
        return self.head("PUT", f"/bucket/chunked-{number}", None, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                         x_amz_decoded_content_length="10", x_amz_trailer="x-amz-checksum-crc32"), crc

    def extensions(self, number):
        return self.chunked(number)[0] + b"a;" + b"x" * (3 * MIB)

    def zeros(self, number):
        return self.chunked(number)[0] + b"0" * (3 * MIB)

    def trailers(self, number):
        return self.chunked(number)[0] + b"0\r\n" + b"a: b\r\n" * (MIB // 2)

    def content_trailers(self, number):
        inner = b"a\r\n" + b"x" * 10 + b"\r\n0\r\n" + b"a:\r\n" * 4000
        return self.chunked(number)[0] + chunk(inner)

    def empty_elements(self, _number):
        body = b"<Delete>" + b"<a/>" * (MIB - 10) + b"</Delete>"
        return self.head("POST", "/bucket", len(body), {"delete": ""},
                         **{"Content-MD5": s3_wire.content_md5(body)}) + body

    def part_elements(self, _number):
        body = b"<CompleteMultipartUpload>" + b"<Part></Part>" * 300_000 + b"</CompleteMultipartUpload>"
        return self.head("POST", "/bucket/none", len(body), {"uploadId": "x"}) + body

    def half_document(self, _number):
        """It stands still just before its end."""
        size = 4 * MIB - 100
        return self.head("POST", "/bucket/none", size, {"uploadId": "x"}) + b" " * (size - 10)

    def large_head(self, _number):
        return (f"GET /bucket HTTP/1.1\r\nHost: {self.appliance.s3_endpoint}\r\nX: ".encode() + b"y" * 60_000)

    def many_parameters(self, _number):
        return (b"GET /bucket?" + b"a&" * 30_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")

    def unauthenticated_body(self, number):
        return (f"PUT /bucket/nobody-{number} HTTP/1.1\r\nHost: {self.appliance.s3_endpoint}\r\n"
                f"Content-Length: 262144\r\n\r\n").encode() + b"z" * 262_143

    def slow_upload(self, number):
        return self.head("PUT", f"/bucket/slow-{number}", 20 * MIB) + b"y" * 300_000

    def listing(self, _number):
        """Whose answer is not taken."""
        return self.head("GET", "/long", 0, {"list-type": 2, "encoding-type": "url"}, s3_wire.EMPTY_SHA256)

    KINDS = (extensions, zeros, trailers, content_trailers, empty_elements, part_elements, half_document, large_head,
             many_parameters, unauthenticated_body, slow_upload, listing)

    # ---- The test

    def send_all(self, kind):
        """100 connections that have sent all that the server took, and stay open."""
        connections = []
        lock = threading.Lock()

        def send(number):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(10)
            with lock:
                connections.append(connection)
            with contextlib.suppress(OSError):  # It is refused, or not read any more.
                connection.connect(("127.0.0.1", self.appliance.s3_port))
                connection.sendall(kind(self, number))
        self.together(send)
        return connections

    def test_the_worst_of_each_kind(self):
        stop, slowest, failures = threading.Event(), [0.0], []

        def ask_health():
            while not stop.is_set():
                began = time.monotonic()
                try:
                    if self.appliance.http_get("/health")[0] != 200:
                        failures.append("not 200")
                except OSError as error:
                    failures.append(str(error))
                slowest[0] = max(slowest[0], time.monotonic() - began)
                time.sleep(0.05)

        host, port = self.appliance.metrics_endpoint.split(":")
        nuisances = [socket.create_connection((host, int(port))) for _ in range(300)]
        for connection in nuisances:  # Each says one byte, and no more.
            with contextlib.suppress(OSError):
                connection.send(b"G")
        health = threading.Thread(target=ask_health)
        health.start()
        peaks = {}
        try:
            for kind in self.KINDS:
                peak, done = [0], threading.Event()

                def watch(peak=peak, done=done):
                    while not done.is_set():
                        peak[0] = max(peak[0], self.appliance.rss_bytes())
                        time.sleep(0.01)
                watcher = threading.Thread(target=watch)
                watcher.start()
                connections = self.send_all(kind)
                time.sleep(0.3)
                done.set()
                watcher.join()
                for connection in connections:
                    connection.close()
                self.assertTrue(self.appliance.running(), kind.__name__)
                peaks[kind.__name__] = peak[0] - self.rest
        finally:
            stop.set()
            health.join()
            for connection in nuisances:
                connection.close()
        print(f"at rest {self.rest / MIB:.0f} MiB; above it:",
              {name: f"{above / MIB:.0f}" for name, above in peaks.items()},
              f"slowest /health {slowest[0]:.3f} s", flush=True)
        self.assertEqual([], failures)
        for name, above in peaks.items():
            self.assertLess(above, MAX_BODY_MEMORY + ABOVE_BUDGET, name)
        self.assertLess(slowest[0], HEALTH_S)

        deadline = time.monotonic() + 60
        while self.appliance.rss_bytes() - self.rest > ABOVE_REST and time.monotonic() < deadline:
            time.sleep(0.5)
        left = self.appliance.rss_bytes() - self.rest
        print(f"afterwards {left / MIB:.0f} MiB above rest", flush=True)
        self.assertLess(left, ABOVE_REST)
        client = self.appliance.wire()
        client.put("bucket", "after", b"x").expect(200)
        client.close()


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""HTTP underneath: what slow, broken, greedy and many clients meet."""
import os
import socket
import time
import unittest

from support.server import Server
from support.wire import Kept, head_bytes, read_reply, sha256_hex, streaming_put


class TransportTest(unittest.TestCase):
    def start(self, *arguments):
        self.server = Server(*arguments)
        self.addCleanup(self.server.stop)
        self.ada = self.server.client()
        self.assertEqual(self.ada.request("PUT", "/bucket").status, 200)
        return self.ada

    def is_closed(self, sock):
        sock.settimeout(30)
        try:
            return sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def keys(self):
        return self.ada.request("GET", "/bucket").texts("Key")

    def test_pipelined_requests_are_answered_in_order(self):
        ada = self.start()
        data = b""
        for i in range(50):
            body = os.urandom(i * 100)
            data += ada.head("PUT", f"/bucket/{i}", body=body) + body + ada.head("GET", f"/bucket/{i}")
        with ada.connect() as sock:
            sock.sendall(data)
            stream = Kept(sock)
            for i in range(50):
                self.assertEqual(read_reply(stream).status, 200)
                self.assertEqual(len(read_reply(stream).body), i * 100)

    def test_one_byte_at_a_time(self):
        ada = self.start()
        body = b"slowly"
        with ada.connect() as sock:
            for byte in ada.head("PUT", "/bucket/slow", body=body) + body:
                sock.sendall(bytes([byte]))
            self.assertEqual(read_reply(sock).status, 200)
        self.assertEqual(ada.request("GET", "/bucket/slow").body, body)

    def test_expect_continue(self):
        ada = self.start()
        body = os.urandom(1 << 20)
        expect = {"expect": "100-continue"}
        with ada.connect() as sock:
            sock.sendall(ada.head("PUT", "/bucket/k", headers=expect, body=body))
            self.assertEqual(sock.recv(25), b"HTTP/1.1 100 Continue\r\n\r\n")
            sock.sendall(body)
            self.assertEqual(read_reply(sock).status, 200)
        # Refused before the body is sent.
        for path, status in (("/none/k", 404), ("/bucket/" + "k" * 1025, 400)):
            with ada.connect() as sock:
                sock.sendall(ada.head("PUT", path, headers=expect, body=body))
                reply = read_reply(sock)
                self.assertEqual((reply.status, reply.headers["connection"]), (status, "close"))
                self.assertTrue(self.is_closed(sock))
        # botocore mistakes the answer after the next one if an empty body's is not announced.
        with ada.connect() as sock:
            sock.sendall(ada.head("PUT", "/bucket/empty", headers=expect, body=b""))
            self.assertEqual(sock.recv(25), b"HTTP/1.1 100 Continue\r\n\r\n")
            self.assertEqual(read_reply(sock).status, 200)
            sock.sendall(ada.head("PUT", "/none/empty", headers=expect, body=b""))
            reply = read_reply(sock)
            self.assertEqual((reply.status, reply.headers["connection"]), (404, "close"))
        reply = ada.request("PUT", "/bucket/x", headers={"expect": "200-maybe"})
        self.assertEqual(reply.status, 417)

    def test_a_refused_upload_still_gets_its_answer(self):
        ada = self.start()
        body = os.urandom(4 << 20)
        reply = ada.anonymous("PUT", "/bucket/k", body=body)
        self.assertEqual((reply.status, reply.code), (403, "AccessDenied"))
        self.assertEqual(reply.headers["connection"], "close")

    def test_a_cut_connection_leaves_nothing(self):
        ada = self.start()
        body = os.urandom(2 << 20)
        for sent in (0, 1, 1000, 300_000, len(body) - 1):
            with ada.connect() as sock:
                sock.sendall(ada.head("PUT", "/bucket/cut", body=body) + body[:sent])
        for sent in (100, 1 << 20):
            with ada.connect() as sock:
                sock.sendall(ada.head("PUT", "/bucket/cut", body=body) + body[:sent])
                sock.shutdown(socket.SHUT_WR)
                self.assertTrue(self.is_closed(sock))
        self.assertEqual(self.keys(), [])

    def test_requests_that_are_not_http(self):
        ada = self.start()
        for data, status in (
                (b"hello\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
                (b"PUT /bucket/k HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 400),
                (b"PUT /bucket/k HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n"
                 b"transfer-encoding: chunked\r\n\r\n", 400),
                (b"GET /%zz HTTP/1.1\r\nhost: a\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", 431),
                (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 431)):
            with self.subTest(data[:60]):
                self.assertEqual(ada.raw(data).status, status)

    def test_trailers_and_framing_of_any_size(self):
        """Boost.Beast 1.81 throws at a field of 65,534 bytes; a session that this ended was used
        again by the next look at the deadlines."""
        ada = self.start("--io-threads", "1")
        head, body = streaming_put(ada, "/bucket/k", b"0123456789", 10, "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                                   ("x-amz-checksum-crc32", "poTHxg=="))
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
        head = b"\r\n".join(lines[:-2] + [b"transfer-encoding: chunked", b"", b""])
        chunk = b"%x\r\n%s\r\n" % (len(body), body)
        self.assertEqual(ada.raw(head + chunk + b"0\r\na: b\r\n\r\n").status, 200)
        bad = [b"0\r\na:" + b"b" * size + b"\r\n\r\n"
               for size in (65_532, 65_533, 65_534, 65_535, 65_536, 200_000)]
        bad += [b"0" * 100_000 + b"\r\n", b"0;" + b"x" * 100_000 + b"\r\n", b"0\r\n" + b"a: b\r\n" * 20_000]
        for ending in bad:
            with self.subTest(ending[:20], size=len(ending)):
                reply = ada.raw(head + chunk + ending)
                self.assertEqual((reply.status, reply.headers["connection"]), (400, "close"))
        time.sleep(0.6)  # The server looks at its deadlines four times a second.
        self.assertEqual(ada.request("GET", "/bucket/k").body, b"0123456789")
        while self.server.stats()[""]["now"] > 0:  # None stays behind.
            time.sleep(0.05)
        # The last chunk and one byte: a debug build of Beast aborts.
        with ada.connect() as sock:
            for piece in (head + chunk, b"0\r\n\r", b"\n"):
                sock.sendall(piece)
                time.sleep(0.05)
            self.assertEqual(read_reply(sock).status, 200)

    def test_connection_close_and_http_1_0(self):
        ada = self.start()
        head = ada.head("GET", "/bucket")
        for data in (head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),
                     head.replace(b"HTTP/1.1", b"HTTP/1.0")):
            with ada.connect() as sock:
                sock.sendall(data)
                self.assertEqual(read_reply(sock).status, 200)
                self.assertTrue(self.is_closed(sock))

    def test_clients_that_stand_still(self):
        ada = self.start("--idle-timeout-ms", "600", "--header-timeout-ms", "600",
                         "--read-timeout-ms", "600")
        body = b"0123456789"
        with ada.connect() as sock:                      # Between requests
            self.assertTrue(self.is_closed(sock))
        with ada.connect() as sock:                      # in the middle of a head
            sock.sendall(ada.head("PUT", "/bucket/k", body=body)[:50])
            self.assertTrue(self.is_closed(sock))
        with ada.connect() as sock:                      # in the middle of a body
            sock.sendall(ada.head("PUT", "/bucket/k", body=body) + body[:5])
            reply = read_reply(sock)
            self.assertEqual((reply.status, reply.code), (400, "RequestTimeout"))
        with ada.connect() as sock:                      # and of a large one.
            body = os.urandom(1 << 20)
            sock.sendall(ada.head("PUT", "/bucket/k", body=body) + body[:-1])
            self.assertEqual(read_reply(sock).code, "RequestTimeout")
        self.assertEqual(self.keys(), [])

    def test_a_client_that_does_not_take_its_answer(self):
        ada = self.start("--write-timeout-ms", "600", "--max-body-memory", str(1 << 20))
        body = os.urandom(30 << 20)
        self.assertEqual(ada.request("PUT", "/bucket/k", body=body).status, 200)
        sockets = []
        for _ in range(8):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect((ada.host, ada.port))
            sock.sendall(ada.head("GET", "/bucket/k"))
            sockets.append(sock)
        # They hold all memory for bodies; the others get along with little.
        self.assertEqual(ada.request("GET", "/bucket/k").body, body)
        for sock in sockets:
            sock.close()

    def test_little_memory_for_bodies(self):
        ada = self.start("--max-body-memory", str(512 << 10))
        body = os.urandom(3 << 20)
        heads = [ada.head("PUT", f"/bucket/{i}", body=body) for i in range(6)]
        sockets = [ada.connect() for _ in heads]
        import threading

        def put(sock, head):
            sock.sendall(head + body)
        threads = [threading.Thread(target=put, args=a) for a in zip(sockets, heads)]
        for thread in threads:
            thread.start()
        statuses = [read_reply(sock).status for sock in sockets]
        for thread in threads:
            thread.join()
        for sock in sockets:
            sock.close()
        self.assertEqual(statuses, [200] * 6)
        for i in range(6):
            self.assertEqual(ada.request("GET", f"/bucket/{i}").body, body)

    def test_too_many_connections(self):
        ada = self.start("--max-connections", "5")
        held = [ada.connect() for _ in range(5)]
        for sock in held:
            sock.sendall(ada.head("GET", "/bucket"))
            self.assertEqual(read_reply(sock).status, 200)
        with ada.connect() as sock:
            reply = read_reply(sock)
            self.assertEqual((reply.status, reply.code), (503, "SlowDown"))
        for sock in held:
            sock.sendall(ada.head("GET", "/bucket"))
            self.assertEqual(read_reply(sock).status, 200)
            sock.close()

    def test_connections_without_a_key_do_not_keep_others_out(self):
        ada = self.start("--max-connections", "5")
        while self.server.stats()[""]["now"] > 0:
            time.sleep(0.01)
        known = ada.connect()
        known.sendall(ada.head("GET", "/bucket"))
        self.assertEqual(read_reply(known).status, 200)
        # Idle ones, one in a head, one in a body, one that was refused and is kept.
        others = [ada.connect() for _ in range(4)]
        others[0].sendall(b"GET /bucket HT")
        others[1].sendall(b"PUT /bucket/k HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n1")
        others[2].sendall(head_bytes("GET", "/bucket", {"host": "h"}))
        self.assertEqual(read_reply(others[2]).status, 403)
        while self.server.stats()[""]["now"] < 5:
            time.sleep(0.01)
        for count in range(1, 7):
            self.assertEqual(ada.request("GET", "/bucket").status, 200)
            stats = self.server.stats()[""]
            self.assertEqual(stats["refused"], 0)
            if count == 1:
                self.assertEqual(stats["dismissed"], 1)
        known.sendall(ada.head("GET", "/bucket"))
        self.assertEqual(read_reply(known).status, 200, "a connection with a key stays")
        for sock in [known, *others]:
            sock.close()

    def test_bodies_without_a_key_do_not_take_all_memory(self):
        ada = self.start("--max-body-memory", str(2 << 20))
        size = 256 << 10
        nobody = [ada.connect() for _ in range(20)]
        for sock in nobody:
            sock.sendall(head_bytes("PUT", "/bucket/k", {"host": "h", "content-length": str(size)}))
            sock.sendall(b"x" * 1000)
        replies = []
        for sock in nobody:
            sock.settimeout(0.5)
            try:
                replies.append(read_reply(sock).status)
            except TimeoutError:
                pass  # Its body is waited for.
        # Those for which there was no memory before it is known who asks are asked first.
        self.assertEqual(replies, [403] * len(replies))
        self.assertGreater(len(replies), 10)
        self.assertLessEqual(self.server.stats()[""]["body_memory"], 1 << 20)
        for sock in nobody:
            sock.close()

    def test_documents_wait_for_no_client(self):
        ada = self.start("--max-body-memory", str(4 << 20))
        head = ada.head("POST", "/bucket/k", (("uploadId", "x"),), length=(1 << 20), payload_hash="UNSIGNED-PAYLOAD")
        held = [ada.connect() for _ in range(8)]
        for sock in held:
            sock.sendall(head + b" " * 1000)
        refused = 0
        for sock in held:
            sock.settimeout(0.5)
            try:
                reply = read_reply(sock)
                self.assertEqual((reply.status, reply.code), (503, "SlowDown"))
                refused += 1
            except TimeoutError:
                pass
        self.assertGreaterEqual(refused, 5)
        self.assertEqual(ada.request("PUT", "/bucket/k", body=b"x").status, 200)
        for sock in held:
            sock.close()
        while self.server.stats()[""]["body_memory"] > 0:
            time.sleep(0.01)

    def test_many_parameters_and_trailer_headers(self):
        ada = self.start()
        reply = ada.anonymous("GET", "/bucket?" + "a&" * 300)
        self.assertEqual((reply.status, reply.code), (400, "InvalidURI"))
        inner = b"1\r\nx\r\n0\r\n" + b"a:b\r\n" * 20 + b"\r\n"
        head = ada.head("PUT", "/bucket/k", headers={"x-amz-decoded-content-length": "1", "x-amz-trailer": "a"},
                        length=len(inner), payload_hash="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        self.assertEqual(ada.raw(head + inner).status, 400)

    def test_a_client_that_goes_has_an_outcome_of_its_own(self):
        ada = self.start()
        for sent in (b"", b"x" * 300_000):
            with ada.connect() as sock:
                sock.sendall(ada.head("PUT", "/bucket/k", body=b"x" * (1 << 20)) + sent)
        stats = self.server.stats()["PutObject"]
        while stats["requests"] < 2:
            stats = self.server.stats()["PutObject"]
        self.assertEqual((stats["aborted"], stats["client_errors"], stats["server_errors"]), (2, 0, 0))

    def test_stopping_lets_requests_end(self):
        ada = self.start()
        body = os.urandom(1 << 20)
        idle, busy = ada.connect(), ada.connect()
        busy.sendall(ada.head("PUT", "/bucket/k", body=body) + body[:1000])
        while self.server.stats().get("PutObject", {}).get("in_flight") != 1:
            pass
        self.server.process.stdin.write("stop\n")
        self.server.process.stdin.flush()
        self.assertTrue(self.is_closed(idle))
        busy.sendall(body[1000:])
        reply = read_reply(busy)
        self.assertEqual((reply.status, reply.headers["connection"]), (200, "close"))
        self.assertIn("STOPPED cut=0", self.server.process.stdout.read())

    def test_counters(self):
        ada = self.start()
        ada.request("PUT", "/bucket/k", body=b"12345")
        ada.request("GET", "/bucket/k")
        ada.request("GET", "/bucket/none")
        ada.anonymous("PATCH", "/")
        stats = self.server.stats()
        while any(row.get("in_flight", 0) for row in stats.values()):  # Counted once the answer is out.
            stats = self.server.stats()
        self.assertEqual(stats["PutObject"]["requests"], 1)
        self.assertEqual(stats["PutObject"]["in"], 5)
        self.assertEqual(stats["GetObject"]["requests"], 2)
        self.assertEqual(stats["GetObject"]["client_errors"], 1)
        self.assertEqual(stats["Unknown"]["client_errors"], 1)
        self.assertEqual(stats[""]["body_memory"], 0)

    def test_virtual_hosts(self):
        ada = self.start("--domain", "s3.test")
        headers = {"host": "bucket.s3.test:80"}
        ada.signer.sign("PUT", "/k/l", (), headers, sha256_hex(b"x"))
        headers["content-length"] = "1"
        self.assertEqual(ada.raw(head_bytes("PUT", "/k/l", headers) + b"x").status, 200)
        self.assertEqual(ada.request("GET", "/bucket/k/l").body, b"x")


if __name__ == "__main__":
    unittest.main(warnings="ignore")

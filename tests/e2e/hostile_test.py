# SPDX-License-Identifier: Apache-2.0
"""Clients that mean harm or know no better: stratad stays up, answers the others, keeps its memory, tells no secret."""
import errno
import random
import resource
import socket
import threading
import time
import unittest

from support import s3_wire
from support.appliance import SCALE, Appliance, seed

MIB = 1 << 20
IDLE_CONNECTIONS = int(2000 * max(SCALE, 0.25))


class HostileTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seed = seed()
        cls.chooser = random.Random(cls.seed)
        cls.appliance = Appliance(environment={"STRATA_LOG_LEVEL": "debug"})
        cls.addClassCleanup(cls.appliance.close)
        cls.appliance.start()
        cls.body = cls.chooser.randbytes(300_000)
        client = cls.appliance.wire()
        client.make_bucket("bucket")
        client.put("bucket", "witness", cls.body).expect(200)
        client.close()

    def tearDown(self):
        self.assertTrue(self.appliance.running(), f"stratad ended; its log ends:\n{self.appliance.log_tail()}")
        self.assert_serves("after it")
        log = self.appliance.log_text()
        self.assertNotIn(self.appliance.secret_key, log, "the secret key is in the log")
        self.assertNotIn("Signature=", log, "a signature is in the log")

    def assert_serves(self, when):
        client = self.appliance.wire(20)
        self.assertEqual(self.body, client.get("bucket", "witness").expect(200).body, when)
        client.put("bucket", "other", b"x").expect(200)
        client.close()

    def connect(self, timeout_s=20):
        connection = socket.create_connection(("127.0.0.1", self.appliance.s3_port), timeout=timeout_s)
        self.addCleanup(connection.close)
        return connection

    def answer_to(self, request, timeout_s=20, half_close=True):
        """All that comes back for these bytes until the server closes."""
        connection = self.connect(timeout_s)
        answer = b""
        try:
            connection.sendall(request)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while len(answer) < 4 * MIB:
                piece = connection.recv(65536)
                if not piece:
                    break
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # What shutdown() says of a connection that was reset before it.
                raise
        finally:
            connection.close()
        return answer

    def signed_head(self, method, path, length, payload_sha256=s3_wire.UNSIGNED, **headers):
        host = self.appliance.s3_endpoint
        signed = s3_wire.sign(method, path, {}, {"Host": host, **headers}, payload_sha256, self.appliance.access_key,
                              self.appliance.secret_key)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in signed.items()),
                 f"Content-Length: {length}", "", ""]
        return "\r\n".join(lines).encode()

    def keys(self):
        client = self.appliance.wire()
        try:
            return set(client.list("bucket"))
        finally:
            client.close()

    # ---- Bytes that are no request

    def test_garbage(self):
        samples = [b"", b"\r\n" * 1000, b"\0" * 100_000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                   b"GET / HTTP/1.1\r\n: no name\r\n\r\n", b"PUT /bucket/k HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                   b"PUT /bucket/k HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                   b"PUT /bucket/k HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                   b"PUT /bucket/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
                   b"GET /%zz%00%ff HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
                   b"CONNECT evil:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50]
        samples += [self.chooser.randbytes(self.chooser.randint(1, 20_000)) for _ in range(200)]
        valid = self.signed_head("PUT", "/bucket/mutated", 10) + b"0123456789"
        for _ in range(300):
            mutated = bytearray(valid)
            for _ in range(self.chooser.randint(1, 6)):
                mutated[self.chooser.randrange(len(mutated))] = self.chooser.randrange(256)
            samples.append(bytes(mutated))
        for sample in samples:
            answer = self.answer_to(sample)
            if answer:
                self.assertRegex(answer[:12], rb"^HTTP/1\.[01] [2345]\d\d", repr(sample[:200]))
                self.assertNotRegex(answer[:12], rb"^HTTP/1\.[01] 500", f"an internal error for {sample[:300]!r}")
        self.assertNotIn("k", self.keys())

    def test_huge_headers(self):
        for head in (b"GET /" + b"a" * (8 * MIB) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"b" * (8 * MIB) + b"\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 500_000 + b"\r\n"):
            before = self.appliance.rss_bytes()
            answer = self.answer_to(head)
            if answer:  # A reset may overtake it.
                self.assertRegex(answer[:12], rb"^HTTP/1\.1 (400|431|414)")
            self.assertLess(self.appliance.rss_bytes(), before + 8 * MIB)

    # ---- Bodies

    def test_half_bodies_leave_nothing(self):
        before = self.keys()
        for length in (10, 100_000, 20 * MIB):
            for number in range(10):
                connection = self.connect()
                connection.sendall(self.signed_head("PUT", f"/bucket/half-{length}-{number}", length))
                connection.sendall(b"x" * (length // 2))
                connection.close()
        self.assertEqual(before, self.keys())

    def test_body_that_is_not_what_was_signed(self):
        client = self.appliance.wire()
        for _ in range(20):
            answer = client.request("PUT", "/bucket/forged", body=b"other bytes", payload_sha256="0" * 64)
            self.assertEqual(("XAmzContentSHA256Mismatch", 400), (answer.code, answer.status))
        client.close()
        self.assertNotIn("forged", self.keys())

    def test_documents_without_end(self):
        client = self.appliance.wire()
        self.addCleanup(client.close)
        bomb = (b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">' + b"".join(
            b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10) for letter in range(ord("b"), ord("k")))
            + b"]><Delete><Object><Key>&j;</Key></Object></Delete>")
        deep = b"<Delete>" * 200_000 + b"</Delete>" * 200_000
        many = b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>"
        big = b"<Delete>" + b" " * (20 * MIB) + b"</Delete>"
        for document in (bomb, deep, many, big, b"", b"<", b"<Delete/>", b"\xff\xfe<Delete/>", b"<Other/>"):
            before = self.appliance.rss_bytes()
            try:
                answer = client.request("POST", "/bucket", {"delete": ""}, body=document,
                                        headers={"Content-MD5": s3_wire.content_md5(document)})
                self.assertIn(answer.status, (400, 413), document[:60])
                self.assertIn(answer.code, ("MalformedXML", "EntityTooLarge", "InvalidRequest", "MaxMessageLengthExceeded"))
            except OSError:
                self.assertIs(big, document, "only an overlong body may be cut off")
            self.assertLess(self.appliance.rss_bytes(), before + 64 * MIB)

    # ---- Many and slow

    def test_idle_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, IDLE_CONNECTIONS + 500)), hard))
        before = self.appliance.rss_bytes()
        idle = [self.connect() for _ in range(IDLE_CONNECTIONS)]
        half = len(idle) // 2
        for connection in idle[:half]:  # Half of them say a little.
            connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        self.assert_serves("beside idle connections")
        grown = self.appliance.rss_bytes() - before
        print(f"{len(idle)} idle connections: {grown / len(idle) / 1024:.1f} KiB each", flush=True)
        self.assertLess(grown, 50 * MIB * len(idle) / 1000)
        for connection in idle:
            connection.close()
        deadline = time.monotonic() + 30
        while self.appliance.open_files() > 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertLess(self.appliance.open_files(), 200, "closed connections stay open in stratad")

    def test_slow_clients_do_not_hold_the_others_up(self):
        """More slow uploads and downloads than there are workers."""
        before = self.appliance.rss_bytes()
        client = self.appliance.wire()
        client.put("bucket", "large", self.chooser.randbytes(16 * MIB)).expect(200)
        client.close()
        slow = []
        for number in range(200):
            upload = self.connect()
            upload.sendall(self.signed_head("PUT", f"/bucket/slow-{number}", 10 * MIB) + b"y" * 1000)
            download = self.connect()
            download.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            download.sendall(self.signed_head("GET", "/bucket/large", 0, s3_wire.EMPTY_SHA256))
            slow += [upload, download]
        for _ in range(20):
            for connection in slow[::20]:
                try:
                    connection.send(b"z")
                except OSError:
                    pass
            self.assert_serves("beside slow clients")
        self.assertLess(self.appliance.rss_bytes() - before, 200 * MIB, "slow clients cost too much memory")
        for connection in slow:
            connection.close()
        self.assertFalse({key for key in self.keys() if key.startswith("slow-")})

    def test_wrong_signatures_under_load(self):
        stop, wrong_statuses, failures = threading.Event(), set(), []

        def attack(number):
            try:
                client = s3_wire.Client("127.0.0.1", self.appliance.s3_port, self.appliance.access_key,
                                        f"guess {number}", 20)
                while not stop.is_set():
                    for answer in (client.put("bucket", "stolen", b"z" * 10_000), client.get("bucket", "witness"),
                                   client.delete("bucket", "witness")):
                        wrong_statuses.add((answer.status, answer.code))
                client.close()
            except Exception as error:
                failures.append(repr(error))

        attackers = [threading.Thread(target=attack, args=(number,)) for number in range(8)]
        for attacker in attackers:
            attacker.start()
        for _ in range(40):
            self.assert_serves("beside wrong signatures")
        stop.set()
        for attacker in attackers:
            attacker.join()
        self.assertEqual([], failures)
        self.assertEqual({(403, "SignatureDoesNotMatch")}, wrong_statuses)
        self.assertNotIn("stolen", self.keys())

    def test_unsigned_requests_are_denied(self):
        for method, path in (("GET", "/"), ("GET", "/bucket"), ("GET", "/bucket/witness"), ("PUT", "/bucket/k"),
                             ("DELETE", "/bucket/witness"), ("PUT", "/anothers-bucket"), ("POST", "/bucket?delete")):
            answer = self.answer_to(f"{method} {path} HTTP/1.1\r\nHost: {self.appliance.s3_endpoint}\r\n"
                                    "Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
            self.assertRegex(answer[:12], rb"^HTTP/1\.1 403", f"{method} {path}")


if __name__ == "__main__":
    unittest.main()

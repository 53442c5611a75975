# SPDX-License-Identifier: Apache-2.0
"""What connections cost that do nothing. Apart from the other tests: with a sanitizer this says
nothing."""
import resource
import unittest

from support.server import Server
from support.wire import read_reply


class MemoryTest(unittest.TestCase):
    def test_a_thousand_idle_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with Server() as server:
            ada = server.client()
            self.assertEqual(ada.request("PUT", "/bucket").status, 200)
            before = server.memory_bytes()
            head = ada.head("GET", "/bucket")
            sockets = []
            for _ in range(1000):
                sock = ada.connect()
                self.addCleanup(sock.close)
                sock.sendall(head)
                sockets.append(sock)
            for sock in sockets:
                self.assertEqual(read_reply(sock).status, 200)
            extra = server.memory_bytes() - before
            print(f"1000 idle connections: {extra / 2**20:.1f} MiB")
            self.assertLess(extra, 50 << 20, "what does a connection at rest hold?")
            self.assertEqual(server.stats()[""]["now"], 1000)


if __name__ == "__main__":
    unittest.main(warnings="ignore")

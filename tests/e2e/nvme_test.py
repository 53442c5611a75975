# SPDX-License-Identifier: Apache-2.0
"""Block devices exported over NVMe/TCP, by stratad and by `strata nvme serve`: what hosts get, what operators see, and
that all of it is there again after a restart."""
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import unittest

from support.appliance import BIN, Appliance, CommandError, free_ports, temporary_folder
from support.nvme_target import Target
from support.nvme_wire import DISCOVERY_NQN, NvmeError, NvmeHost

NQN = "nqn.2026-11.org.example:a"
HOST = "nqn.2026-11.org.example:host"
CONNECT_INVALID_PARAMETERS, CONNECT_INVALID_HOST, INVALID_NAMESPACE = 0x182, 0x184, 0x00B
PATH_GONE = 0x300


class Server(Target):
    def host(self, name=HOST, subsystem=None):
        return NvmeHost(self.address, self.port, subsystem or self.nqn, name)


def serve_refused(*arguments):
    """(exit code, message) of a serve that does not begin."""
    result = subprocess.run([BIN / "strata", "nvme", "serve", *map(str, arguments)], capture_output=True, text=True,
                            timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert result.stdout == "", result.stdout
    return result.returncode, result.stderr


class ServeTest(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder("nvme")

    def test_devices_become_namespaces_and_come_back_the_same(self):
        file = self.folder / "disk"
        arguments = (f"file:{file}?size=16M&create=1", "null:?size=1G", "--listen", "127.0.0.1:0", "--nqn", NQN)
        data = os.urandom(65536)
        with Server(*arguments) as server, server.host() as host:
            self.assertEqual([1, 2], host.namespaces())
            self.assertEqual((16 << 20) // 4096, host.namespace(1)["blocks"])
            identity = (host.identify_controller()["serial_number"], host.namespace(1)["uuid"])
            host.write(1, 3, data)
            totals = server.stop()  # With the host connected: it drains, and flushes.
            self.assertGreaterEqual(totals["bytes_from_host"], len(data))  # What Connect sends counts too.
            self.assertEqual(0, totals["cut_connections"])
        with Server(*arguments) as server, server.host() as host:
            self.assertEqual(data, host.read(1, 3, len(data)))
            self.assertEqual(identity, (host.identify_controller()["serial_number"], host.namespace(1)["uuid"]))

    def test_without_a_name_the_same_devices_get_the_same_one(self):
        names = set()
        port, = free_ports(1)
        for _ in range(2):
            with Server("mem:?size=1M", "--listen", f"127.0.0.1:{port}") as server:
                names.add(server.listening["nqn"])
                with server.host() as host:
                    self.assertEqual([1], host.namespaces())
                server.stop()
        self.assertEqual(1, len(names))
        self.assertRegex(names.pop(), r"^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f-]{36}$")

    def test_discovery_names_what_a_host_may_reach(self):
        with Server("mem:?size=1M", "--nqn", NQN, "--listen", "127.0.0.1:0", "--discovery", "127.0.0.1:0",
                    "--host", HOST) as server:
            for address in server.listening["addresses"]:
                with NvmeHost("127.0.0.1", int(address.rsplit(":", 1)[1]), DISCOVERY_NQN, HOST) as host:
                    reachable = [entry for entry in host.discovery_log() if entry[3] == 2]
                    self.assertEqual([(NQN, "127.0.0.1", server.port, 2)], reachable)
            with server.host("nqn.stranger", DISCOVERY_NQN) as host:
                self.assertEqual([], [entry for entry in host.discovery_log() if entry[3] == 2])
            with self.assertRaises(NvmeError) as refused:
                server.host("nqn.stranger")
            self.assertEqual(CONNECT_INVALID_HOST, refused.exception.status)
            server.host().close()

    def test_read_only(self):
        with Server("mem:?size=1M", "--read-only", "--listen", "127.0.0.1:0") as server, server.host() as host:
            self.assertTrue(server.listening["namespaces"][0]["read_only"])
            with self.assertRaises(NvmeError) as refused:
                host.write(1, 0, bytes(4096))
            self.assertEqual(0x020, refused.exception.status)

    def test_nobody_serves_the_network_by_accident(self):
        code, message = serve_refused("mem:?size=1M", "--listen", "0.0.0.0:0")
        self.assertEqual(1, code)
        self.assertIn("--host", message)
        for arguments in (("--host", HOST), ("--allow-any-host",)):
            with Server("mem:?size=1M", "--listen", "0.0.0.0:0", *arguments) as server:
                server.stop()

    def test_what_is_wrong_is_named(self):
        with socket.socket() as holder:
            port, = free_ports(1)
            holder.bind(("127.0.0.1", port))
            holder.listen()
            code, message = serve_refused("mem:?size=1M", "--listen", f"127.0.0.1:{port}")
            self.assertEqual(1, code)
            self.assertIn(f"127.0.0.1:{port}", message)
        for arguments, word in (((f"file:{self.folder}/absent",), "absent"), (("floppy:",), "floppy"),
                                (("mem:?size=1M", "--nqn", "disk"), "'disk'"),
                                (("mem:?size=1M", "--nqn", DISCOVERY_NQN), "discovery"),
                                (("mem:?size=1M", "--host", "me"), "'me'"),
                                (("mem:?size=1M", "--discovery", "example.org:1"), "example.org")):
            code, message = serve_refused("--listen", "127.0.0.1:0", *arguments)
            self.assertEqual(1, code, arguments)
            self.assertIn(word, message)
        self.assertEqual(2, serve_refused()[0])
        self.assertEqual(2, serve_refused("mem:?size=1M", "--host", HOST, "--allow-any-host")[0])


class HostTest(unittest.TestCase):
    """The commands that use somebody else's target."""

    @classmethod
    def setUpClass(cls):
        cls.folder = temporary_folder("nvme")
        cls.server = Server("mem:?size=64M", "null:?size=1G", "--nqn", NQN, "--listen", "127.0.0.1:0")
        cls.addClassCleanup(cls.server.__exit__)
        cls.address = f"127.0.0.1:{cls.server.port}"
        cls.uri = f"nvme-tcp:{cls.address}/{NQN}?nsid=1"

    def run_strata(self, *arguments, **options):
        return subprocess.run([BIN / "strata", *map(str, arguments)], capture_output=True, timeout=120, check=False,
                              **options)

    def nvme(self, *arguments, expect=0):
        result = self.run_strata("--json", "nvme", *arguments)
        self.assertEqual(expect, result.returncode, result.stderr.decode())
        return json.loads(result.stdout)

    def test_what_a_controller_says(self):
        entries = self.nvme("discover", self.address)["entries"]
        self.assertIn((NQN, "127.0.0.1", str(self.server.port), "nvm"),
                      [(e["subsystem"], e["address"], e["port"], e["type"]) for e in entries])
        connected = self.nvme("connect", self.uri)
        self.assertEqual((NQN, "Strata"), (connected["subsystem"], connected["model_number"]))
        self.assertEqual([(1, 64 << 20), (2, 1 << 30)],
                         [(n["nsid"], n["size_bytes"]) for n in connected["namespaces"]])
        self.assertEqual(connected["namespaces"], self.nvme("list", self.uri)["namespaces"])
        self.assertEqual({n["nsid"]: n["uuid"] for n in self.server.listening["namespaces"]},
                         {n["nsid"]: n["uuid"] for n in connected["namespaces"]})
        controller = self.nvme("id-ctrl", self.uri)
        self.assertEqual((NQN, 1), (controller["subnqn"], controller["cntrltype"]))
        space = self.nvme("id-ns", self.uri)
        self.assertEqual((16384, 4096), (space["nsze"], space["block_size_bytes"]))
        for page in (0, 1, 2, 3, 5, 0x12):
            with self.subTest(page=page):
                log = self.nvme("get-log", self.uri, "--page", page, "--length", 512)
                self.assertEqual(1024, len(log["data"]))
        for table in (("discover", self.address), ("connect", self.uri), ("list", self.uri), ("id-ctrl", self.uri),
                      ("id-ns", self.uri), ("get-log", self.uri, "--page", "0x02")):
            result = self.run_strata("nvme", *table)
            self.assertEqual(0, result.returncode, result.stderr)
            self.assertGreater(len(result.stdout.splitlines()), 1)

    def test_what_cannot_be_reached_is_named(self):
        port, = free_ports(1)
        for arguments, word in ((("discover", f"127.0.0.1:{port}"), "refused"),
                                (("discover", "example.org"), "example.org"),
                                (("connect", f"nvme-tcp:127.0.0.1:{port}/{NQN}"), "refused"),
                                (("connect", f"nvme-tcp:{self.address}/nqn.absent"), "nqn.absent"),
                                (("connect", "file:/dev/null"), "nvme-tcp"),
                                (("id-ns", f"nvme-tcp:{self.address}/{NQN}?nsid=9"), "no namespace 9"),
                                (("get-log", self.uri, "--page", "0xfe"), "Log Page"),
                                (("get-log", self.uri, "--page", "2", "--length", "3"), "--length"),
                                (("bench", self.uri, "--block", "1000"), "--block"),
                                (("write", self.uri, "--input", "/nonexistent"), "/nonexistent")):
            with self.subTest(arguments=arguments):
                self.assertIn(word, self.nvme(*arguments, expect=1)["error"]["message"])
        for arguments in (("bench", self.uri, "--rw", "sideways"), ("connect",), ("get-log", self.uri),
                          ("read", self.uri, "--output", "-", "--offset", "much")):
            self.assertEqual(2, self.run_strata("nvme", *arguments).returncode, arguments)

    def test_blocks_move_there_and_back(self):
        data = os.urandom((5 << 20) + 1)
        file, back = self.folder / "in", self.folder / "out"
        file.write_bytes(data)
        self.assertEqual(len(data), self.nvme("write", self.uri, "--input", file)["bytes"])
        self.nvme("read", self.uri, "--output", back, "--length", len(data))
        self.assertEqual(data, back.read_bytes())
        self.assertIn("exists", self.nvme("read", self.uri, "--output", back, expect=1)["error"]["message"])
        self.nvme("read", self.uri, "--output", back, "--offset", "1M", "--length", "4K", "--force")
        self.assertEqual(data[1 << 20:(1 << 20) + 4096], back.read_bytes())
        piped = self.run_strata("nvme", "write", self.uri, "--input", "-", "--offset", "16M", input=data)
        self.assertEqual(0, piped.returncode, piped.stderr)
        piped = self.run_strata("nvme", "read", self.uri, "--output", "-", "--offset", "16M", "--length", len(data))
        self.assertEqual((0, data), (piped.returncode, piped.stdout))
        copy = self.folder / "copy"
        self.assertEqual(64 << 20, self.nvme("copy", self.uri, f"file:{copy}?size=64M&create=1")["bytes"])
        self.assertEqual(data, copy.read_bytes()[:len(data)])
        self.assertIn("fewer", self.nvme("copy", self.uri, "mem:?size=1M", expect=1)["error"]["message"])
        too_large = self.run_strata("nvme", "write", self.uri, "--input", "-", "--offset", "63M", input=data)
        self.assertEqual(1, too_large.returncode)
        self.assertIn(b"ends after", too_large.stderr)

    def test_bench(self):
        for options in ("", "&hdgst=1&ddgst=1"):
            answer = self.nvme("bench", self.uri + options, "--rw", "randrw", "--verify", "--seconds", "0.3",
                               "--block", "8K", "--depth", 8)
            self.assertFalse(answer["damaged"])
            self.assertGreater(answer["verified_blocks"], 0)
            self.assertGreater(answer["read"]["operations"], 0)
            self.assertLessEqual(answer["write"]["p50_us"], answer["write"]["p99_us"])
        text = self.run_strata("nvme", "bench", self.uri, "--rw", "read", "--seconds", "0.1").stdout.decode()
        self.assertRegex(text, r"\d+ IOPS, .*/s, .* us of processor time per request\n")


class RemoteStorageTest(unittest.TestCase):
    """stratad on a disk that another machine exports."""

    def test_stratad_starts_a_moment_before_its_target(self):
        port, = free_ports(1)
        uri = f"nvme-tcp:127.0.0.1:{port}/{NQN}?nsid=1&open_timeout_ms=60000&reconnect_ms=200"
        appliance = Appliance(environment={"STRATA_STORAGE_DEVICE": uri})
        self.addCleanup(appliance.close)
        servers = []

        def serve_late():
            while "tried again" not in appliance.log_text():
                time.sleep(0.05)
            disk = f"file:{appliance.folder}/disk?size=1G&create=1"
            servers.append(Server(disk, "--nqn", NQN, "--listen", f"127.0.0.1:{port}"))
        late = threading.Thread(target=serve_late, daemon=True)
        late.start()
        appliance.start()
        late.join()
        with servers[0]:
            self.assertIn("refused", appliance.log_text())
            self.assertEqual(0, appliance.stop())


class StratadTest(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder("nvme")
        self.port, self.discovery_port = free_ports(2)
        self.appliance = Appliance(environment={"STRATA_NVME_LISTEN": f"127.0.0.1:{self.port}",
                                                "STRATA_NVME_DISCOVERY": f"127.0.0.1:{self.discovery_port}"})
        self.addCleanup(self.appliance.close)
        self.appliance.start()

    def nvme(self, *arguments, **options):
        return self.appliance.strata("nvme", *arguments, **options)

    def host(self, subsystem=NQN, name=HOST, port=None):
        return NvmeHost("127.0.0.1", port or self.port, subsystem, name)

    def refused(self, *arguments):
        """The message of a command that ends with an error."""
        answer = self.nvme(*arguments, expect=1)
        return answer["error"]["code"] + ": " + answer["error"]["message"]

    def assert_closed(self, port):
        # A worker closes its listener in the round after the command, which it may have yet to begin.
        deadline = time.monotonic() + 30
        with self.assertRaises(OSError):
            while time.monotonic() < deadline:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                time.sleep(0.05)

    def test_exports_are_state(self):
        self.assert_closed(self.port)  # Nothing is exported, nobody listens.
        created = self.nvme("subsystem", "create", NQN)
        self.nvme("host", "add", NQN, HOST)
        # In the data directory, beside the store's own files.
        uri = f"file:{self.appliance.data}/vol?size=16M&create=1"
        added = self.nvme("namespace", "add", NQN, uri)
        self.assertEqual((1, 16 << 20, True), (added["nsid"], added["size_bytes"], added["served"]))
        self.nvme("namespace", "add", NQN, "mem:?size=1M", "--nsid", 5, "--read-only", "--hosts", "nqn.other")
        data = os.urandom(65536)
        with self.host() as host:
            self.assertEqual([1], host.namespaces(), "the other one is for another host")
            self.assertEqual(added["uuid"], host.namespace(1)["uuid"])
            self.assertEqual(created["serial_number"], host.identify_controller()["serial_number"])
            host.write(1, 100, data)
            host.flush(1)
            self.assertEqual(data, host.read(1, 100, len(data)))
            # What operators see of it.
            connections = self.nvme("connections")["connections"]
            self.assertEqual({(NQN, HOST, 0), (NQN, HOST, 1)},
                             {(c["subsystem"], c["host"], c["queue"]) for c in connections})
            self.assertEqual({"0": 0, "1": len(data)},
                             {str(c["queue"]): c["bytes_from_host"] // 65536 * 65536 for c in connections})
            metrics = self.appliance.metrics()
            label = f'subsystem="{NQN}",nsid="1",operation="write"'
            self.assertEqual(len(data), metrics[f"strata_nvme_namespace_bytes_total{{{label}}}"])
            writes = metrics[f"strata_nvme_namespace_operations_total{{{label}}}"]
            self.assertEqual(writes, metrics[f'strata_nvme_namespace_seconds_bucket{{{label},le="+Inf"}}'])
            self.assertEqual(writes, metrics[f"strata_nvme_namespace_seconds_count{{{label}}}"])
            self.assertEqual(0, metrics[f"strata_nvme_namespace_errors_total{{{label}}}"])
            shown = self.nvme("namespace", "show", NQN, 1)["since_start"]["write"]
            self.assertEqual((len(data), 0), (shown["bytes"], shown["errors"]))
            self.assertEqual(shown["operations"], sum(bucket["operations"] for bucket in shown["latency"]))
            self.assertGreater(shown["p99_ns"], 0)
            self.assertIn("NOT_FOUND", self.refused("namespace", "show", NQN, 9))
            self.assertEqual(2, metrics["strata_nvme_connections"])
            page = json.loads(self.appliance.http_get("/status.json")[1])["nvme"]
            self.assertEqual((1, 2, 2), tuple(len(page[k]) for k in ("subsystems", "namespaces", "connections")))
        with self.assertRaises(NvmeError) as refused:
            self.host(name="nqn.stranger")
        self.assertEqual(CONNECT_INVALID_HOST, refused.exception.status)

        before = self.listings()
        for restart in (self.appliance.restart, self.kill_and_start):
            restart()
            self.assertEqual(before, self.listings())
            with self.host() as host:
                self.assertEqual(data, host.read(1, 100, len(data)))
                self.assertEqual(added["uuid"], host.namespace(1)["uuid"])
                self.assertEqual(created["serial_number"], host.identify_controller()["serial_number"])
            with NvmeHost("127.0.0.1", self.discovery_port, DISCOVERY_NQN, HOST) as host:
                self.assertIn((NQN, "127.0.0.1", self.port, 2), host.discovery_log())

    def listings(self):
        def without(items, *keys):
            return [{key: value for key, value in item.items() if key not in keys} for item in items]
        return (without(self.nvme("subsystem", "list")["subsystems"], "controllers", "since_start"),
                without(self.nvme("namespace", "list")["namespaces"], "since_start"),
                self.nvme("host", "list", NQN), self.nvme("listener", "list"))

    def test_our_own_host_survives_a_restart_of_the_target(self):
        self.nvme("subsystem", "create", NQN, "--allow-any-host")
        self.nvme("namespace", "add", NQN, f"file:{self.folder}/disk?size=64M&create=1")
        uri = f"nvme-tcp:127.0.0.1:{self.port}/{NQN}?nsid=1"
        command = [BIN / "strata", "--json", "nvme", "bench", uri, "--rw", "randread", "--seconds", "6"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
            try:
                while not any(c["queue"] and c["commands"] > 10 for c in self.nvme("connections")["connections"]):
                    self.assertIsNone(bench.poll())
                self.appliance.restart()
                out, err = bench.communicate(timeout=120)
            finally:
                bench.kill()
        self.assertEqual(0, bench.returncode, err)
        self.assertGreater(json.loads(out)["operations"], 0)
        answer = self.nvme("bench", uri, "--rw", "randrw", "--verify", "--seconds", "0.3")
        self.assertFalse(answer["damaged"])

    def kill_and_start(self):
        self.appliance.kill9()
        self.appliance.start()

    def test_a_namespace_changes_while_a_host_uses_it(self):
        self.nvme("subsystem", "create", NQN, "--allow-any-host")
        file = self.folder / "disk"
        self.nvme("namespace", "add", NQN, f"file:{file}?size=8M&create=1")
        with self.host() as host:
            data = os.urandom(4096)
            host.write(1, 9, data)
            # Larger, by either way; a host that reads all the time sees no error.
            grown = self.while_reading(host, data, "namespace", "set", NQN, 1, "--size", "16M")
            self.assertEqual(16 << 20, grown["size_bytes"])
            self.assertEqual((16 << 20) // 4096, host.namespace(1)["blocks"])
            host.write(1, (16 << 20) // 4096 - 1, data)
            self.assertIn("more than the size", self.refused("namespace", "set", NQN, 1, "--size", "8M"))
            smaller = self.folder / "smaller"
            smaller.write_bytes(bytes(1 << 20))
            self.assertIn("fewer", self.refused("namespace", "set", NQN, 1, "--uri", f"file:{smaller}"))
            self.assertIn("not absolute", self.refused("namespace", "set", NQN, 1, "--uri", "file:disk"))
            self.assertIn("NOT_FOUND", self.refused("namespace", "set", NQN, 1, "--uri", f"file:{self.folder}/none"))
            self.assertEqual(data, host.read(1, 9, 4096), "what could not be changed is as it was")
            self.assertEqual(f"file:{file}?create=1&size={16 << 20}", grown["uri"])
            # Limits and visibility.
            limited = self.nvme("namespace", "set", NQN, 1, "--iops", 1000, "--bytes-per-second", "64M")
            self.assertEqual((1000, 64 << 20), (limited["iops"], limited["bytes_per_second"]))
            self.assertEqual(data, host.read(1, 9, 4096))
            self.nvme("namespace", "set", NQN, 1, "--hosts", "nqn.other")
            self.assertEqual([], host.namespaces())
            self.nvme("namespace", "set", NQN, 1, "--all-hosts")
            self.assertEqual([1], host.namespaces())
            self.nvme("namespace", "remove", NQN, 1)
            self.assertEqual([], host.namespaces())
            with self.assertRaises(NvmeError) as gone:
                host.read(1, 9, 4096)
            self.assertEqual(INVALID_NAMESPACE, gone.exception.status)
            # The device is closed: somebody else can have it, and it can be exported again.
            again = self.nvme("namespace", "add", NQN, f"file:{file}")
            self.assertEqual((2, 16 << 20), (again["nsid"], again["size_bytes"]))
            self.assertEqual(data, host.read(2, 9, 4096))
        self.assertIn("FAILED_PRECONDITION", self.refused("subsystem", "delete", NQN))
        self.nvme("subsystem", "delete", NQN, "--force")
        self.assertEqual([], self.nvme("namespace", "list")["namespaces"])
        self.nvme("subsystem", "create", NQN)
        self.nvme("namespace", "add", NQN, f"file:{file}")

    def while_reading(self, host, data, *command):
        stop, reads = threading.Event(), []

        def read():
            while not stop.is_set():
                reads.append(host.read(1, 9, 4096) == data)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            answer = self.nvme(*command)
        finally:
            stop.set()
            reader.join()
        self.assertTrue(reads and all(reads))
        return answer

    def assert_disconnected(self, host):
        with self.assertRaises(OSError):
            host.identify_controller()

    def test_who_may_connect_changes(self):
        self.nvme("subsystem", "create", NQN)
        self.nvme("namespace", "add", NQN, "mem:?size=1M")
        with self.assertRaises(NvmeError):
            self.host()
        self.assertTrue(self.nvme("subsystem", "set", NQN, "--allow-any-host")["allow_any_host"])
        self.appliance.restart()
        with self.host() as host:
            self.nvme("subsystem", "set", NQN, "--no-allow-any-host")
            self.assert_disconnected(host)
        with self.assertRaises(NvmeError):
            self.host()
        self.nvme("host", "add", NQN, HOST)
        self.nvme("host", "add", NQN, "nqn.2026-11.org.example:other")
        with self.host() as host, self.host(name="nqn.2026-11.org.example:other") as other:
            host.write(1, 0, b"x" * 4096)
            self.nvme("subsystem", "set", NQN, "--allow-any-host")
            self.nvme("subsystem", "set", NQN, "--no-allow-any-host")
            self.assertEqual(b"x" * 4096, host.read(1, 0, 4096), "one that is named stays connected")
            self.nvme("host", "remove", NQN, HOST)
            self.assertEqual({"nqn.2026-11.org.example:other"},
                             {c["host"] for c in self.nvme("connections")["connections"]})
            self.assert_disconnected(host)
            self.assertEqual(b"x" * 4096, other.read(1, 0, 4096))
        with self.assertRaises(NvmeError):
            self.host()
        self.appliance.restart()
        with self.assertRaises(NvmeError):
            self.host()
        self.assertFalse(self.nvme("subsystem", "list")["subsystems"][0]["allow_any_host"])

    def test_listeners_come_and_go(self):
        port, = free_ports(1)
        address = f"127.0.0.1:{port}"
        self.nvme("subsystem", "create", NQN, "--allow-any-host")
        self.nvme("listener", "add", address)
        self.host(port=port).close()
        self.assertIn("ALREADY_EXISTS", self.refused("listener", "add", address))
        self.assertIn("ALREADY_EXISTS", self.refused("listener", "add", f"127.0.0.1:{self.port}"))
        self.assertEqual({(f"127.0.0.1:{self.port}", True), (f"127.0.0.1:{self.discovery_port}", True),
                          (address, False)},
                         {(l["address"], l["configured"]) for l in self.nvme("listener", "list")["listeners"]})
        self.appliance.restart()
        self.host(port=port).close()
        self.nvme("listener", "remove", address)
        self.assert_closed(port)
        self.assertIn("NOT_FOUND", self.refused("listener", "remove", address))
        self.assertIn("settings", self.refused("listener", "remove", f"127.0.0.1:{self.port}"))

    def test_a_device_that_cannot_be_opened_is_left_out(self):
        self.nvme("subsystem", "create", NQN, "--allow-any-host")
        file = self.folder / "disk"
        uri = f"file:{file}?size=1M"
        self.nvme("namespace", "add", NQN, uri + "&create=1")
        self.nvme("namespace", "set", NQN, 1, "--uri", uri)
        self.nvme("namespace", "add", NQN, "mem:?size=1M")
        self.appliance.stop()
        away = file.rename(self.folder / "away")
        self.appliance.start()
        log = self.appliance.log_text()
        self.assertIn("namespace 1 is left out", log)
        # Hosts are let in when all is there that can be.
        self.assertGreater(log.rindex(f"nvme on 127.0.0.1:{self.port}"), log.index("namespace 1 is left out"))
        first, second = self.nvme("namespace", "list")["namespaces"]
        self.assertFalse(first["served"])
        self.assertIn(str(file), first["error"])
        self.assertTrue(second["served"])
        with self.host() as host:
            self.assertEqual([2], host.namespaces())
            away.rename(file)
            self.assertTrue(self.nvme("namespace", "set", NQN, 1, "--reopen")["served"])
            self.assertEqual([1, 2], host.namespaces())
            host.write(1, 0, bytes(4096))

    def test_without_stratad(self):
        self.appliance.stop()
        self.nvme("subsystem", "create", NQN, "--allow-any-host")
        self.nvme("namespace", "add", NQN, f"file:{self.folder}/disk?size=1M&create=1")
        self.assertFalse(self.nvme("subsystem", "list")["subsystems"][0]["served"])
        self.assertIn("no target runs", self.refused("connections"))
        self.appliance.start()
        with self.host() as host:
            self.assertEqual([1], host.namespaces())

    def test_an_address_that_is_taken(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", self.port))
            holder.listen()
            self.assertIn(f"127.0.0.1:{self.port}", self.refused("subsystem", "create", NQN))
            self.assertEqual([], self.nvme("subsystem", "list")["subsystems"], "it is not kept half-way")
        self.nvme("subsystem", "create", NQN)
        self.assertTrue(self.nvme("subsystem", "list")["subsystems"][0]["served"])

    def test_own_files_are_not_exported(self):
        self.nvme("subsystem", "create", NQN)
        for name in ("containers", "lock", "meta/CURRENT"):
            self.assertIn("cannot be exported", self.refused("namespace", "add", NQN, f"file:{self.appliance.data}/{name}"))
        self.assertIn("not absolute", self.refused("namespace", "add", NQN, "file:vol?size=1M&create=1"))
        self.assertFalse(pathlib.Path("vol").exists())

    def test_the_tables_name_what_there_is(self):
        self.nvme("subsystem", "create", NQN, "--allow-any-host")
        self.nvme("namespace", "add", NQN, "mem:?size=1M", "--iops", 10)

        def table(*arguments):
            command = [BIN / "strata", "--data", self.appliance.data, "nvme", *arguments]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        with self.host(name="nqn.\u00e9vil\u202ehost"):
            self.assertRegex(table("connections"), r"nqn\.2026-11\.org\.example:a .*202e|\\u202e|\\xe2")
            self.assertNotIn("\u202e", table("connections"))
        self.assertRegex(table("subsystem", "list"), r"SUBSYSTEM.*\n" + NQN + r" +any +served")
        self.assertRegex(table("namespace", "list"), r"mem:\?size=1M.* served +1 +1\.0 MiB +4096 +10 ")
        with self.host() as host:
            host.write(1, 0, bytes(8192))
        self.assertRegex(table("namespace", "show", NQN, "1"),
                         r"ERRORS +P50 BELOW +P99 BELOW\nwrite +\d+ +8\.0 KiB +0 +[0-9.]+ us +[0-9.]+ us\n")
        self.assertRegex(table("listener", "list"), rf"127\.0\.0\.1:{self.port} +subsystems, discovery +settings +listening")
        with self.assertRaises(CommandError):
            self.nvme("namespace", "add", NQN)


if __name__ == "__main__":
    assert BIN.is_dir(), f"no programs in {BIN}: set STRATA_BIN"
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""stratad against Ceph's RADOS gateway over HTTP, on the same disk, with the same loader (bench/s3_bench.cc), and what memory
stratad takes.

The gateway runs with one monitor and one bluestore OSD in a folder, as small as it goes. In each round both are measured, in
alternating order; the ratio of each round is taken and the median of the rounds is the result. Writes are durable on both sides
and their contents are random. Without the packages radosgw, ceph-mon, ceph-osd the comparisons are skipped.
STRATA_BARS_SECONDS: how long one measurement takes [3].
"""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import time
import uuid

SECONDS = os.environ.get("STRATA_BARS_SECONDS", "3")
MIB = 1 << 20
KEYS = ("ROOTACCESSKEY", "root-secret-key-0123456789")

# Name, operation, bytes, clients, objects, bar (our requests per second over theirs).
COMPARISONS = [
    ("put_4k.c16", "put", 4096, 16, 2000, 6.0),
    ("put_4k.c128", "put", 4096, 128, 2000, 6.0),
    ("get_4k.c1", "get", 4096, 1, 2000, 6.0),
    ("get_4k.c16", "get", 4096, 16, 2000, 6.0),
    ("put_1m.c16", "put", MIB, 16, 64, 2.5),
    ("get_1m.c16", "get", MIB, 16, 64, 2.5),
]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(port, process, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError("a server did not come up")


def rss_bytes(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024


class Stratad:
    def __init__(self, program, folder):
        self.port = free_port()
        metrics = free_port()
        environment = {**os.environ, "STRATA_ROOT_ACCESS_KEY": KEYS[0], "STRATA_ROOT_SECRET_KEY": KEYS[1]}
        self.process = subprocess.Popen(
            [program, "--data", folder, "--s3", f"127.0.0.1:{self.port}", "--metrics", f"127.0.0.1:{metrics}"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.port, self.process)
        self.keys = KEYS

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


class Gateway:
    """One monitor, one OSD, one gateway; every file in one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.keys = KEYS
        folder.mkdir()
        try:
            self.bring_up(folder)
        except (OSError, subprocess.TimeoutExpired, RuntimeError) as error:
            self.stop()
            raise RuntimeError(str(error)) from error

    def bring_up(self, folder):
        monitor, self.port, cluster = free_port(), free_port(), str(uuid.uuid4())
        self.config = folder / "ceph.conf"
        self.config.write_text(f"""[global]
fsid = {cluster}
mon_initial_members = a
mon_host = v2:127.0.0.1:{monitor}/0
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {folder}/keyring
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
pid_file = {folder}/$name.pid
mon_data = {folder}/mon
osd_data = {folder}/osd
osd_objectstore = bluestore
bluestore_block_size = 21474836480
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_crit = 1
crash_dir = {folder}
rgw_data = {folder}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{self.port} tcp_nodelay=1
""")
        keyring = folder / "keyring"
        self.tool("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name, caps in (("client.admin", ("mon", "osd", "mgr", "mds")), ("client.rgw.a", ("mon", "osd", "mgr"))):
            words = [word for cap in caps for word in ("--cap", cap, "allow *")]
            self.tool("ceph-authtool", keyring, "--gen-key", "-n", name, *words)
        self.tool("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{monitor}]", "--fsid", cluster, folder / "monmap")
        self.tool("ceph-mon", "-c", self.config, "--mkfs", "-i", "a", "--monmap", folder / "monmap", "--keyring", keyring)
        self.start("ceph-mon", "-i", "a")
        secret = self.tool("ceph-authtool", "--gen-print-key").strip()
        osd = str(uuid.uuid4())
        (folder / "secret").write_text(f'{{"cephx_secret": "{secret}"}}')
        number = self.tool("ceph", "-c", self.config, "osd", "new", osd, "-i", folder / "secret").strip()
        (folder / "osd").mkdir()
        (folder / "osd" / "keyring").write_text(f"[osd.{number}]\nkey = {secret}\n")
        osd_options = ("-i", number, "--keyring", folder / "osd" / "keyring")
        self.tool("ceph-osd", "-c", self.config, *osd_options, "--mkfs", "--osd-uuid", osd)
        self.start("ceph-osd", *osd_options)
        admin = ("radosgw-admin", "-c", self.config, "-n", "client.admin")
        self.tool(*admin, "user", "create", "--uid=bars", "--display-name=bars", f"--access-key={KEYS[0]}",
                  f"--secret-key={KEYS[1]}", timeout=300)
        process = self.start("radosgw", "-n", "client.rgw.a")
        wait_for(self.port, process, 120)

    def tool(self, *command, timeout=60):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stderr[-500:]}")
        return done.stdout

    def start(self, program, *options):
        process = subprocess.Popen([program, "-c", str(self.config), "-f", *map(str, options)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def load(loader, server, op, size_bytes, clients, objects):
    """Requests per second."""
    output = subprocess.run(
        [loader, "--endpoint", f"127.0.0.1:{server.port}", "--access-key", server.keys[0], "--secret-key", server.keys[1],
         "--bucket", "bars", "--op", op, "--size-bytes", str(size_bytes), "--clients", str(clients), "--keys", str(objects),
         "--seconds", SECONDS], check=True, capture_output=True, text=True).stdout
    return float(output.split()[0])


def fill(loader, server, size_bytes, objects):
    """Writes every object that a `get` will read."""
    subprocess.run(
        [loader, "--endpoint", f"127.0.0.1:{server.port}", "--access-key", server.keys[0], "--secret-key", server.keys[1],
         "--bucket", "bars", "--op", "put", "--size-bytes", str(size_bytes), "--clients", "16", "--keys", str(objects),
         "--requests", str(objects)], check=True, capture_output=True, text=True)


def measure_memory(kit, program):
    server = Stratad(program, str(kit.folder / "memory"))
    try:
        time.sleep(2)
        kit.at_most("s3.memory.rest", rss_bytes(server.process) / MIB, 100, "MiB")
        connections = []
        for _ in range(1000):
            connections.append(socket.create_connection(("127.0.0.1", server.port)))
            connections[-1].sendall(b"GET / HTTP/1.1\r\nHost: bars\r\n\r\n")
        for connection in connections:
            connection.recv(4096)
        kit.at_most("s3.memory.1000_connections", rss_bytes(server.process) / MIB, 150, "MiB")
        for connection in connections:
            connection.close()
    finally:
        server.stop()


def run(kit):
    build = kit.build("stratad", "s3_bench")
    stratad, loader = build / "bin" / "stratad", build / "bench" / "s3_bench"
    measure_memory(kit, stratad)
    missing = [name for name in ("radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph") if shutil.which(name) is None]
    if missing:
        for name, *_, bar in COMPARISONS:
            kit.skip(f"s3.{name}/rgw", f">= {bar}x", f"{missing[0]} is not installed")
        return
    servers = []
    try:
        servers.append(Stratad(stratad, str(kit.folder / "stratad")))
        try:
            servers.append(Gateway(kit.folder / "gateway"))
        except RuntimeError as error:
            for name, *_, bar in COMPARISONS:
                kit.skip(f"s3.{name}/rgw", f">= {bar}x", f"the gateway did not start: {error}")
            return
        ours, theirs = servers
        for server in servers:
            fill(loader, server, 4096, 2000)
            fill(loader, server, MIB, 64)
        for name, op, size_bytes, clients, objects, bar in COMPARISONS:
            ratios = []
            for turn in range(kit.rounds(3)):
                rates = {}
                for server in (ours, theirs) if turn % 2 == 0 else (theirs, ours):
                    rates[server] = load(loader, server, op, size_bytes, clients, objects)
                ratios.append(rates[ours] / rates[theirs])
                print(f"  s3.{name}: {rates[ours]:,.0f}/s, gateway {rates[theirs]:,.0f}/s", flush=True)
            kit.at_least(f"s3.{name}/rgw", statistics.median(ratios), bar, "x")
    finally:
        for server in reversed(servers):
            server.stop()

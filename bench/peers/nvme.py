#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NVMe/TCP on loopback: Strata's target and initiator, and SPDK's, in any pair.

Usage: SPDK=TREE bench/peers/nvme.py [--strata PROGRAM] [--seconds S] [--rounds N] [--json]

TREE is a built SPDK: build/bin/nvmf_tgt and build/bin/spdk_nvme_perf. It runs without huge pages and without root. Each target has a memory
device, a null device and, in event mode, a file; the target has one thread bound to one processor, the load one bound to another. Both
sides poll without sleeping, except in event mode, where the target sleeps. SPDK's transport has 8 KiB of in-capsule data and I/O units of
128 KiB, as ours; all else is as it comes. In each round all pairs run next to each other; rates are medians of the rounds.

Afterwards and before, mood() says what share of the two processors a thread gets: where it is far below 1, others use the machine, and a rate
says little. The ratio of two rates of one round says more.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NQN = "nqn.2026-11.org.example:bench"
HOST_NQN = "nqn.2026-11.org.example:load"
MIB = 1 << 20
BLOCK_BYTES = 4096
MEMORY_MIB = 256
DEVICES = {"mem": 1, "null": 2, "file": 3}  # With their namespace identifiers.


def processors():
    """Where the target runs and where the load; None: there is one processor alone."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else None


def bound_to(processor):
    return lambda: os.sched_setaffinity(0, {processor})


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024


def mood(seconds=0.3):
    """The share that a spinning process gets of each of the two processors, at once: [0..1, 0..1]."""
    code = ("import os,sys,time\nos.sched_setaffinity(0,{int(sys.argv[1])})\nb=time.monotonic()\nc=time.process_time()\n"
            "while time.monotonic()-b<float(sys.argv[2]):pass\nprint((time.process_time()-c)/(time.monotonic()-b))")
    children = [subprocess.Popen([sys.executable, "-c", code, str(processor), str(seconds)], stdout=subprocess.PIPE, text=True)
                for processor in processors() or (0,)]
    return [min(1.0, float(child.communicate()[0])) for child in children]


class Target:
    """A process that listens on 127.0.0.1:port until stop()."""

    def wait(self, log):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"{self.name}'s target did not come up: {log()[-500:]}")

    def stop(self):
        """Returns what it printed."""
        self.process.terminate()
        try:
            output, _ = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _ = self.process.communicate()
        return output

    @contextlib.contextmanager
    def alone(self, targets):
        """While it is measured the others do not poll: they are stopped."""
        others = [target for target in targets if target is not self]
        try:
            for target in others:
                target.process.send_signal(signal.SIGSTOP)
            yield self
        finally:
            for target in others:
                target.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class StrataTarget(Target):
    name = "strata"

    def __init__(self, program, folder, sleeps=False):
        self.port = free_port()
        uris = [f"mem:?size={MEMORY_MIB}M", "null:?size=1T"]
        if sleeps:
            uris.append(f"file:{folder}/strata?size={MEMORY_MIB}M&create=1")
        command = [program, "nvme", "serve", *uris, "--nqn", NQN, "--listen", f"127.0.0.1:{self.port}", "--json"]
        command += [] if sleeps else ["--busy-poll"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                        preexec_fn=bound_to(processors()[0]) if processors() else None)
        self.wait(lambda: "see strata nvme serve")

    def totals(self):
        """Stops it; returns what it counted."""
        text = self.stop()
        return json.loads(text[text.index("\n") + 1:])


class SpdkTarget(Target):
    name = "SPDK"

    def __init__(self, tree, folder, sleeps=False):
        self.port = free_port()
        bdevs = [("bdev_malloc_create", {"name": "mem", "num_blocks": MEMORY_MIB * MIB // BLOCK_BYTES, "block_size": BLOCK_BYTES}),
                 ("bdev_null_create", {"name": "null", "num_blocks": (1 << 40) // BLOCK_BYTES, "block_size": BLOCK_BYTES})]
        if sleeps:
            file = folder / "spdk"
            with open(file, "wb") as out:
                out.truncate(MEMORY_MIB * MIB)
            bdevs.append(("bdev_aio_create", {"name": "file", "filename": str(file), "block_size": BLOCK_BYTES}))
        nvmf = [("nvmf_create_transport", {"trtype": "TCP", "in_capsule_data_size": 8192, "io_unit_size": 131072}),
                ("nvmf_create_subsystem", {"nqn": NQN, "allow_any_host": True, "serial_number": "BENCH"})]
        nvmf += [("nvmf_subsystem_add_ns", {"nqn": NQN, "namespace": {"nsid": DEVICES[values["name"]], "bdev_name": values["name"]}})
                 for _, values in bdevs]
        address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.1", "trsvcid": str(self.port)}
        nvmf.append(("nvmf_subsystem_add_listener", {"nqn": NQN, "listen_address": address}))
        config = folder / "spdk.json"
        config.write_text(json.dumps({"subsystems": [
            {"subsystem": name, "config": [{"method": method, "params": params} for method, params in calls]}
            for name, calls in (("bdev", bdevs), ("nvmf", nvmf))]}))
        command = [f"{tree}/build/bin/nvmf_tgt", "-m", hex(1 << processors()[0]), "--no-huge", "-s", "1024", "--iova-mode=va", "--no-pci",
                   "-r", str(folder / "spdk.sock"), "-c", str(config), "--silence-noticelog", *(["--interrupt-mode"] if sleeps else [])]
        self.log = folder / "spdk.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait(self.log.read_text)


def spdk_missing(tree):
    """Why SPDK cannot take part, or None."""
    if not tree:
        return "set SPDK to a built SPDK tree"
    for name in ("nvmf_tgt", "spdk_nvme_perf"):
        if not os.access(f"{tree}/build/bin/{name}", os.X_OK):
            return f"{tree}/build/bin/{name} is not there"
    return None if processors() else "one processor alone"


def spdk_load(tree, target, device, op, size_bytes, depth, seconds, digests=False):
    """{"iops", "mean_us", "p99_us"} of SPDK's initiator."""
    # Left alone, it connects with an empty host NQN, which a target need not take.
    where = (f"trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:{target.port} subnqn:{NQN} ns:{DEVICES[device]} "
             f"hostnqn:{HOST_NQN}")
    command = [f"{tree}/build/bin/spdk_nvme_perf", "-c", hex(1 << processors()[1]), "--no-huge", "-s", "256", "--iova-mode=va", "-L",
               "-q", str(depth), "-o", str(size_bytes), "-w", op, "-t", str(seconds), "-a", "1", "-r", where]
    done = subprocess.run(command + (["-H", "-I"] if digests else []), capture_output=True, text=True, timeout=60 + 5 * float(seconds))
    total = re.search(r"^Total\s*:\s+([\d.]+)\s+[\d.]+\s+([\d.]+)", done.stdout, re.MULTILINE)
    p99 = re.search(r"99\.00000%\s*:\s+([\d.]+)us", done.stdout)
    if done.returncode != 0 or total is None or p99 is None:
        raise RuntimeError(f"spdk_nvme_perf: exit {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    return {"iops": float(total.group(1)), "mean_us": float(total.group(2)), "p99_us": float(p99.group(1))}


def strata_load(program, target, device, op, size_bytes, depth, seconds, digests=False):
    """{"iops", "mean_us", "p99_us"} of ours."""
    uri = f"nvme-tcp:127.0.0.1:{target.port}/{NQN}?nsid={DEVICES[device]}&queues=1&depth=128"
    command = [program, "nvme", "bench", uri + ("&hdgst=1&ddgst=1" if digests else ""), "--rw", op, "--block", str(size_bytes),
               "--depth", str(depth), "--seconds", str(seconds), "--busy-poll", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 5 * float(seconds),
                          preexec_fn=bound_to(processors()[1]) if processors() else None)
    if done.returncode != 0:
        raise RuntimeError(f"strata nvme bench: exit {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    answer = json.loads(done.stdout)
    side = answer["read" if "read" in op else "write"]
    return {"iops": answer["iops"], "mean_us": side["mean_us"], "p99_us": side["p99_us"]}


class Connections:
    """Queues of hosts that do nothing: half of them admin queues, half I/O queues."""

    def __init__(self, target, count):
        sys.path.insert(0, str(ROOT / "tests/e2e/support"))
        import nvme_wire
        self.hosts = []
        for _ in range(count // 2):
            self.hosts.append(nvme_wire.NvmeHost("127.0.0.1", target.port, NQN, "nqn.2026-11.org.example:idle"))
            self.hosts[-1].read(DEVICES["null"], 0, BLOCK_BYTES)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for host in self.hosts:
            host.close()


SHAPES = [(op, size_bytes, depth) for size_bytes, depth in ((4096, 1), (4096, 32), (4096, 128), (131072, 32))
          for op in ("randread", "randwrite")]


def shape_name(op, size_bytes, depth):
    return f"{op}.{size_bytes // 1024}k.qd{depth}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strata", type=pathlib.Path, default=ROOT / "build/release/bin/strata")
    parser.add_argument("--seconds", default="2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tree = os.environ.get("SPDK")
    if reason := spdk_missing(tree):
        print(f"# SPDK is left out: {reason}", file=sys.stderr)
    rows = []
    print(f"# the processors are ours to {', '.join(f'{share:.2f}' for share in mood())}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="strata-nvme-") as folder, contextlib.ExitStack() as stack:
        targets = [stack.enter_context(StrataTarget(options.strata, pathlib.Path(folder)))]
        loads = [("strata", lambda *what: strata_load(options.strata, *what))]
        if spdk_missing(tree) is None:
            targets.append(stack.enter_context(SpdkTarget(tree, pathlib.Path(folder))))
            loads.append(("SPDK", lambda *what: spdk_load(tree, *what)))
        for device in ("mem", "null"):
            for shape in SHAPES:
                samples = {}
                for _ in range(options.rounds):
                    for target in targets:
                        with target.alone(targets):
                            for name, load in loads:
                                samples.setdefault((target.name, name), []).append(load(target, device, *shape, options.seconds))
                for (target_name, load_name), found in samples.items():
                    rows.append({"device": device, "shape": shape_name(*shape), "target": target_name, "initiator": load_name,
                                 **{key: statistics.median(one[key] for one in found) for key in found[0]}})
                    if not options.json:
                        row = rows[-1]
                        print(f"{device:<5} {row['shape']:<20} target {target_name:<7} initiator {load_name:<7} {row['iops']:>11,.0f} IOPS "
                              f"mean {row['mean_us']:.1f} us p99 {row['p99_us']:.1f} us", flush=True)
    print(f"# the processors are ours to {', '.join(f'{share:.2f}' for share in mood())}", file=sys.stderr)
    if options.json:
        print(json.dumps(rows, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

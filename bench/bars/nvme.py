# SPDX-License-Identifier: Apache-2.0
"""NVMe/TCP on loopback against SPDK, with one processor for the target and one for the load (bench/peers/nvme.py), and what is counted or
stated in absolute terms: the loop, socket calls, allocations, idle connections.

In each round ours and SPDK's run next to each other, in alternating order, each while the other's target is stopped; the ratio of each round is
taken and the median of the rounds is the result. The lines that begin with # tell what share of the two processors was free for it, before and
after; on a machine that others use the ratios still hold, the rates do not.
SPDK: a built tree of it; without one its lines are skipped. STRATA_BARS_SECONDS: how long one measurement takes [1].
"""
import contextlib
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

SECONDS = os.environ.get("STRATA_BARS_SECONDS", "1")
TREE = os.environ.get("SPDK")
MIB = 1 << 20
IDLE_CONNECTIONS = 100
MANY_CONNECTIONS = 1000


class Nvme:
    def __init__(self, kit):
        self.kit = kit
        self.peers = kit.load_peers("nvme")
        self.build = kit.build("strata", "nvme_bench", "nvmeof_target_bench")
        self.strata = self.build / "bin" / "strata"
        self.missing = self.peers.spdk_missing(TREE)

    def tell_mood(self):
        print(f"# the two processors are free to {', '.join(f'{share:.2f}' for share in self.peers.mood())}", flush=True)

    def ours(self, target, *what, **more):
        return self.peers.strata_load(self.strata, target, *what, SECONDS, **more)

    def theirs(self, target, *what, **more):
        return self.peers.spdk_load(TREE, target, *what, SECONDS, **more)

    def pairs(self, first, second, rounds):
        """Samples of two functions, in alternating order."""
        samples = ([], [])
        for turn in range(self.kit.rounds(rounds)):
            for side in (0, 1) if turn % 2 == 0 else (1, 0):
                samples[side].append((first, second)[side]())
        return samples

    def compare(self, name, first, second, bar, rounds=3):
        """At least `bar` times as many I/Os per second as the second; returns the samples."""
        mine, peer = self.pairs(first, second, rounds)
        print(f"# {name}: {statistics.median(one['iops'] for one in mine):,.0f} IOPS, {statistics.median(one['iops'] for one in peer):,.0f} IOPS",
              flush=True)
        self.kit.at_least(name, statistics.median(a["iops"] / b["iops"] for a, b in zip(mine, peer)), bar, "x")
        return mine, peer

    def target_comparisons(self, folder):
        """SPDK's initiator on our target and on SPDK's; ours and SPDK's on our target."""
        peers, shapes = self.peers, [(device, shape) for device in ("mem", "null") for shape in self.peers.SHAPES]
        if self.missing:
            for device, shape in shapes:
                self.kit.skip(f"nvme.target.{device}.{peers.shape_name(*shape)}/spdk", ">= 1x", self.missing)
                self.kit.skip(f"nvme.initiator.{device}.{peers.shape_name(*shape)}/spdk", ">= 1x", self.missing)
            return
        with peers.StrataTarget(self.strata, folder) as ours, peers.SpdkTarget(TREE, folder) as theirs:
            both = (ours, theirs)

            def alone(target, load, *what):
                with target.alone(both):
                    return load(target, *what)
            for device, shape in shapes:
                name = f"{device}.{peers.shape_name(*shape)}"
                mine, peer = self.compare(f"nvme.target.{name}/spdk", lambda: alone(ours, self.theirs, device, *shape),
                                          lambda: alone(theirs, self.theirs, device, *shape), 1.0)
                if shape[2] == 1:
                    ratio = statistics.median(a["p99_us"] / b["p99_us"] for a, b in zip(mine, peer))
                    self.kit.at_most(f"nvme.p99.{name}/spdk", ratio, 1.0, "x")
            for device, shape in shapes:
                self.compare(f"nvme.initiator.{device}.{peers.shape_name(*shape)}/spdk", lambda: alone(ours, self.ours, device, *shape),
                             lambda: alone(ours, self.theirs, device, *shape), 1.0)

    def digests(self, folder):
        with self.peers.StrataTarget(self.strata, folder) as target:
            for shape in self.peers.SHAPES:
                self.compare(f"nvme.digests.{self.peers.shape_name(*shape)}", lambda: self.ours(target, "null", *shape, digests=True),
                             lambda: self.ours(target, "null", *shape), 0.9)

    def event_mode(self, folder):
        shapes = [("randread", 4096, 32), ("randwrite", 4096, 32)]
        if self.missing:
            for shape in shapes:
                self.kit.skip(f"nvme.event.{self.peers.shape_name(*shape)}/spdk", ">= 1.5x", self.missing)
            return
        # One target at a time: SPDK's takes most of a processor while it has nothing to do, and half of its rate after it was stopped.
        def fresh(target, shape):
            with target as alone:
                return self.theirs(alone, "file", *shape)
        for shape in shapes:
            self.compare(f"nvme.event.{self.peers.shape_name(*shape)}/spdk",
                         lambda: fresh(self.peers.StrataTarget(self.strata, folder, sleeps=True), shape),
                         lambda: fresh(self.peers.SpdkTarget(TREE, folder, sleeps=True), shape), 1.5)

    def idle(self, folder):
        with self.peers.StrataTarget(self.strata, folder, sleeps=True) as target, \
                self.peers.Connections(target, IDLE_CONNECTIONS):
            time.sleep(1)
            begin = time.monotonic()
            used = -self.peers.processor_seconds(target.process)
            time.sleep(10)
            used += self.peers.processor_seconds(target.process)
            self.kit.at_most(f"nvme.idle.{IDLE_CONNECTIONS}_connections", 100 * used / (time.monotonic() - begin), 1, " %")
        with self.peers.StrataTarget(self.strata, folder, sleeps=True) as target, \
                self.peers.Connections(target, MANY_CONNECTIONS):
            self.kit.at_most(f"nvme.memory.{MANY_CONNECTIONS}_connections", self.peers.resident_bytes(target.process) / MIB, 64, " MiB")

    def socket_calls(self, folder):
        """Those of the target that move bytes, under the load of our bench, and of SPDK's initiator where there is one."""
        for depth, bar in ((32, 0.5), (128, 0.2)):
            for op in ("read", "write"):
                output = subprocess.run([self.build / "bench" / "nvmeof_target_bench", "--op", op, "--depth", str(depth), "--seconds", SECONDS],
                                        check=True, capture_output=True, text=True).stdout.split()
                self.kit.at_most(f"nvme.calls.{op}.qd{depth}", float(output[output.index("calls/command") - 1]), bar)
                self.kit.at_most(f"nvme.allocations.{op}.qd{depth}", float(output[output.index("allocations/command") - 1]), 0)
                name = f"nvme.calls.{op}.qd{depth}.spdk_load"
                if self.missing:
                    self.kit.skip(name, f"<= {bar}", self.missing)
                    continue
                with self.peers.StrataTarget(self.strata, folder) as target:
                    self.theirs(target, "null", f"rand{op}", 4096, depth)
                    totals = target.totals()
                self.kit.at_most(name, (totals["socket_sends"] + totals["socket_receives"]) / totals["commands"], bar)

    def loop(self):
        for device, bar in (("null:?size=1T", 2e6), ("mem:?size=256M", None)):
            runs = [subprocess.run([self.build / "bench" / "nvme_bench", "--device", device, "--seconds", SECONDS], check=True,
                                   capture_output=True, text=True).stdout.splitlines() for _ in range(self.kit.rounds(3))]
            for line, op in enumerate(("read", "write")):
                per_core = statistics.median(float(run[line].split()[3]) for run in runs)
                if bar is None:
                    print(f"# nvme.loop.mem.{op}: {per_core:,.0f} IOPS of a core")
                else:
                    self.kit.at_least(f"nvme.loop.null.{op}", per_core, bar, "/core")


def run(kit):
    nvme = Nvme(kit)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strata-bars-", dir=memory)))
        nvme.tell_mood()
        nvme.loop()
        nvme.socket_calls(folder)
        nvme.idle(folder)
        nvme.target_comparisons(folder)
        nvme.digests(folder)
        nvme.event_mode(folder)
        nvme.tell_mood()

# SPDX-License-Identifier: Apache-2.0
"""An s3_test_server of a test's own.

    with Server("--idle-timeout-ms", "1000") as server:
        client = server.client()

STRATA_S3_TEST_SERVER names the program. The process ends with the block, and by itself when its
standard input closes.
"""
import os
import re
import subprocess

from .wire import Client

PROGRAM = os.environ.get("STRATA_S3_TEST_SERVER", "build/release/tests/s3_test_server")
USERS = {
    "ada": ("ADAKEY", "ada-secret-key"),
    "bob": ("BOBKEY", "bob-secret-key"),
    "root": ("ROOTKEY", "root-secret-key"),
}


class Server:
    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [PROGRAM, "--quiet", "1", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        line = self.process.stdout.readline()
        if not line.startswith("PORT "):
            raise RuntimeError(f"{PROGRAM} did not start: {line!r}")
        self.port = int(line.split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def client(self, user="ada"):
        return Client("127.0.0.1", self.port, *USERS[user])

    def stats(self):
        """Counters by operation, and those of the connections under the name ''."""
        self.process.stdin.write("stats\n")
        self.process.stdin.flush()
        result = {}
        while True:
            line = self.process.stdout.readline()
            if line.strip() in ("OK", ""):
                return result
            kind, *words = line.split()
            name = words.pop(0) if kind == "operation" else ""
            result[name] = {k: int(v) for k, v in (w.split("=") for w in words)}

    def command(self, line):
        """A line to the program, which is done when this returns."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "OK\n":
            raise RuntimeError(f"{PROGRAM} did not do {line!r}")

    def stop(self):
        """Ends the server; returns how many requests that cut."""
        if self.process.poll() is not None:
            return None
        out, _ = self.process.communicate("stop\n", timeout=60)
        if self.process.returncode != 0:
            raise RuntimeError(f"the server ended with {self.process.returncode}")
        found = re.search(r"STOPPED cut=(\d+)", out)
        return int(found.group(1)) if found else None

    def memory_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024

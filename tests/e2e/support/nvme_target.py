# SPDX-License-Identifier: Apache-2.0
"""A `strata nvme serve` of a test's own: an NVMe/TCP target without a data directory.

    with Target("file:/tmp/disk?size=64M&create=1", "--listen", "127.0.0.1:0") as target:
        host = NvmeHost(target.address, target.port, target.nqn, HOST)
"""
import json
import signal
import subprocess

from .appliance import BIN


class Target:
    def __init__(self, *arguments):
        """Returns when hosts can connect."""
        command = [BIN / "strata", "--json", "nvme", "serve", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.stderr.read())
        self.listening = json.loads(line)["listening"]
        self.nqn = self.listening["nqn"]
        address, port = self.listening["addresses"][0].rsplit(":", 1)
        self.address = address.strip("[]")
        self.port = int(port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill9()

    def kill9(self):
        """Ends it as a crash would."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def stop(self):
        """Returns what it did, after a graceful end."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        return json.loads(out)

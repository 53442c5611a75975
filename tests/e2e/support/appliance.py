# SPDX-License-Identifier: Apache-2.0
"""A stratad of a test's own: in a temporary folder, on free loopback ports, with fresh root keys.

    with Appliance() as appliance:
        appliance.start()
        client = appliance.wire()                 # the small signed client of s3_wire.py
        appliance.kill9()
        appliance.start()                         # same data, ports and keys
        print(appliance.strata("stat"))           # `strata --json stat`, parsed

STRATA_BIN names the folder that holds stratad and strata [build/release/bin]. Nothing stays behind: the folder and the
process go when the block ends, when the interpreter exits, on SIGTERM and on Ctrl-C; stratad dies
with its parent; and what a parent that was killed could not remove, the next one does. Only processes
started here are ever ended.
"""
import atexit
import ctypes
import json
import os
import pathlib
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from . import s3_wire

_ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("STRATA_BIN", _ROOT / "build/release/bin")).resolve()

# How much work the tests of this folder do, 1 being what `make test` affords.
SCALE = float(os.environ.get("STRATA_E2E_SCALE", "1"))

# Below the range that outgoing connections take their ports from.
PORTS = range(20000, 32000)

_TEMPORARY_PREFIX = "strata_e2e_"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def seed():
    """The seed of this run, from STRATA_SEED or new; printed, so that a failure can be repeated."""
    text = os.environ.get("STRATA_SEED")
    value = int(text) if text else secrets.randbits(31)
    print(f"STRATA_SEED={value}", file=sys.stderr, flush=True)
    return value


def temporary_folder(purpose, parent=None):
    """A folder that goes when the interpreter exits."""
    parent = pathlib.Path(parent or tempfile.gettempdir())
    _remove_orphans(parent)
    folder = parent / f"{_TEMPORARY_PREFIX}{os.getpid()}_{purpose}_{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _remove_orphans(parent):
    for entry in parent.glob(_TEMPORARY_PREFIX + "*"):
        owner = entry.name[len(_TEMPORARY_PREFIX):].split("_")[0]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            shutil.rmtree(entry, ignore_errors=True)


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listened on a moment ago."""
    found = []
    while len(found) < count:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def _exit_on_termination():
    def leave(_signum, _frame):
        raise KeyboardInterrupt  # unittest takes a SystemExit for a test's failure, and goes on.
    signal.signal(signal.SIGTERM, leave)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class StartError(Exception):
    """stratad ended before it was ready, or took too long; the message ends with its log."""


class CommandError(Exception):
    """`strata` ended with an exit code that was not expected."""


class Appliance:
    """One data directory and the stratad that serves it."""

    def __init__(self, data=None, arguments=(), environment=None):
        """data: an empty or a stratad's directory that stays; None: a new one that goes with the object.
        arguments: more of stratad's command line. environment: variables for it, over the present ones."""
        self.folder = temporary_folder("appliance")
        self.data = pathlib.Path(data) if data else self.folder / "data"
        self.log = self.folder / "stratad.log"
        self.access_key = "STRATAROOT" + secrets.token_hex(5).upper()
        self.secret_key = secrets.token_urlsafe(30)
        self.process = None
        self._arguments = [str(argument) for argument in arguments]
        self._environment = dict(environment or {})
        self._ports = None
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            _exit_on_termination()
        atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- Start and stop

    def start(self, timeout_s=60):
        """Starts stratad and waits until it is ready. StartError otherwise."""
        assert not self.running(), "already started"
        chosen_here = self._ports is None
        for attempt in range(5):
            if chosen_here:
                self._ports = free_ports(2)
            before = self.log.stat().st_size if self.log.exists() else 0
            self._launch()
            try:
                self._wait_ready(timeout_s)
                return self
            except StartError:
                self.kill9()
                # Somebody else may have taken the port between free_ports() and the bind.
                if not chosen_here or attempt == 4 or "in use" not in self.log_text(before):
                    raise
        raise AssertionError("unreachable")

    def stop(self, timeout_s=60):
        """Asks stratad to end and waits for it. Returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"stratad did not stop in {timeout_s} s after SIGTERM; its log ends:\n"
                                 + self.log_tail()) from None

    def kill9(self):
        """Ends stratad as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        """Ends stratad and removes the folder."""
        self.kill9()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _launch(self):
        environment = {**os.environ, "STRATA_ROOT_ACCESS_KEY": self.access_key,
                       "STRATA_ROOT_SECRET_KEY": self.secret_key, **self._environment}
        command = [BIN / "stratad", "--data", self.data, "--s3", self.s3_endpoint,
                   "--metrics", self.metrics_endpoint, *self._arguments]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, preexec_fn=_die_with_parent)

    def _wait_ready(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self.running():
                raise StartError(f"stratad ended with {self.process.returncode}; its log ends:\n"
                                 + self.log_tail())
            if self.ready():
                return
            time.sleep(0.01)
        raise StartError(f"stratad not ready after {timeout_s} s; its log ends:\n" + self.log_tail())

    # ---- Ways to reach it

    @property
    def s3_endpoint(self):
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def s3_port(self):
        return self._ports[0]

    @property
    def s3_url(self):
        return f"http://{self.s3_endpoint}"

    @property
    def metrics_endpoint(self):
        return f"127.0.0.1:{self._ports[1]}"

    def http_get(self, path):
        """(status, text) of a page of the metrics port."""
        try:
            with urllib.request.urlopen(f"http://{self.metrics_endpoint}{path}", timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self):
        try:
            return self.http_get("/ready")[0] == 200
        except OSError:
            return False

    def metrics(self):
        """{'name{label="x"}': value} of /metrics."""
        values = {}
        for line in self.http_get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def wire(self, timeout_s=60):
        """A new connection of the small signed client, as root."""
        return s3_wire.Client("127.0.0.1", self.s3_port, self.access_key, self.secret_key, timeout_s)

    def boto3(self):
        """A boto3 client as root."""
        return self.boto3_as(self.access_key, self.secret_key)

    def boto3_as(self, access_key, secret_key):
        """A boto3 client without retries."""
        import boto3
        from botocore.config import Config
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"},
                        signature_version="s3v4", read_timeout=60)
        return boto3.session.Session().client(
            "s3", endpoint_url=self.s3_url, region_name="us-east-1", aws_access_key_id=access_key,
            aws_secret_access_key=secret_key, config=config)

    def client_environment(self):
        """The environment for aws-cli and its kin: no setting of this machine's user reaches them."""
        configuration = self.folder / "aws.config"
        # Without it `aws s3 presign` makes the old Signature Version 2 for us-east-1.
        configuration.write_text("[default]\ns3 =\n  signature_version = s3v4\n  addressing_style = path\n")
        foreign = ("AWS_", "RCLONE_", "RESTIC_", "BOTO", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY",
                   "all_proxy", "ALL_PROXY")
        return {**{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
                "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key,
                "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": str(configuration), "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_PAGER": "", "BOTO_DISABLE_CRT": "true"}

    def strata_command(self, *arguments):
        return [str(BIN / "strata"), "--data", str(self.data), "--json", *map(str, arguments)]

    def strata(self, *arguments, expect=0, timeout_s=300):
        """Runs `strata` and returns its JSON; of a long call that reports its progress, the last line's.
        CommandError on an exit code other than `expect` (None: any)."""
        result = subprocess.run(self.strata_command(*arguments), capture_output=True, text=True,
                                timeout=timeout_s, check=False)
        if expect is not None and result.returncode != expect:
            raise CommandError(f"strata {' '.join(map(str, arguments))}: exit code {result.returncode}, not "
                               f"{expect}\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
        try:
            return json.loads(result.stdout)
        except json.JSONDecodeError:
            lines = [line for line in result.stdout.splitlines() if line.strip()]
            return json.loads(lines[-1]) if lines else {}

    # ---- What can be seen of it

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS: stratad is gone")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def allocated_bytes(self, name="containers"):
        """What a file of the data directory, or all below a folder of it, takes on its filesystem."""
        path = self.data / name
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        return sum(p.stat().st_blocks * 512 for p in files)

    def log_text(self, offset=0):
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[offset:].decode(errors="replace")

    def log_tail(self, lines=30):
        return "\n".join(self.log_text().splitlines()[-lines:])

# SPDX-License-Identifier: Apache-2.0
"""stratad's life: keys of the first start, signals, graceful stops under load, and second openers."""
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import unittest

import program
from program import DATA, FAILED, STOPPED, stratad, wait_until
from support import s3_wire
from support.appliance import Appliance, temporary_folder


class StartStopTest(unittest.TestCase):
    def appliance(self, *arguments, **variables):
        appliance = Appliance(arguments=arguments, environment=variables)
        self.addCleanup(appliance.close)
        return appliance

    def assert_has(self, appliance, *keys):
        wire = appliance.wire()
        for key in keys:
            self.assertEqual(key.encode(), wire.get("bucket", key).expect(200).body)

    def test_generated_keys(self):
        appliance = self.appliance(STRATA_ROOT_ACCESS_KEY="", STRATA_ROOT_SECRET_KEY="")
        appliance.start()
        path = appliance.data / "root.keys"
        self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        keys = dict(re.findall(r'(?m)^(\w+) = "(.*)"$', path.read_text()))
        self.assertRegex(keys["access_key"], r"^[A-Z0-9]{20}$")
        self.assertRegex(keys["secret_key"], r"^[A-Za-z0-9+/]{40}$")
        s3_wire.Client("127.0.0.1", appliance.s3_port, **keys).make_bucket("bucket")
        self.assertEqual(STOPPED, appliance.stop())
        path.unlink()  # Noted elsewhere, as the file advises.
        appliance.start()
        s3_wire.Client("127.0.0.1", appliance.s3_port, **keys).put("bucket", "key", b"body").expect(200)
        self.assertFalse(path.exists())
        log = appliance.log_text()
        self.assertIn("root.keys", log)
        self.assertNotIn(keys["secret_key"], log)

    def test_keys_from_the_environment_are_for_the_first_start(self):
        appliance = self.appliance("--log-level", "debug").start()
        self.assertFalse((appliance.data / "root.keys").exists())
        appliance.wire().make_bucket("bucket")
        first = appliance.access_key, appliance.secret_key
        appliance.stop()
        appliance.access_key, appliance.secret_key = "SOMEOTHERKEY", "some-other-secret"
        appliance.start()
        self.assertEqual(403, appliance.wire().get("bucket", "key").status)
        appliance.access_key, appliance.secret_key = first
        self.assertEqual(404, appliance.wire().get("bucket", "key").status)
        self.assertIn("are ignored", appliance.log_text())
        for secret in (first[1], "some-other-secret"):
            self.assertNotIn(secret, appliance.log_text())

    def test_private_files(self):
        appliance = self.appliance().start()
        for name in ("admin.sock", "lock"):
            self.assertEqual(0o600, stat.S_IMODE((appliance.data / name).stat().st_mode), name)
        self.assertEqual(0o700, stat.S_IMODE(appliance.data.stat().st_mode))

    def test_a_second_stratad_is_refused_and_does_no_harm(self):
        appliance = self.appliance().start()
        appliance.wire().make_bucket("bucket")
        appliance.wire().put("bucket", "key", b"key").expect(200)
        # On free ports, and on the same ones: the directory is what matters.
        for s3, metrics in (("127.0.0.1:0", "127.0.0.1:0"), (appliance.s3_endpoint, appliance.metrics_endpoint)):
            code, _, err = stratad("--data", appliance.data, "--s3", s3, "--metrics", metrics)
            self.assertEqual(DATA, code, err)
            self.assertIn(str(appliance.data), err)
            self.assertIn(f"process {appliance.process.pid}", err)
        self.assert_has(appliance, "key")
        self.assertEqual(1, appliance.strata("stat")["streams"], "the first one's socket still works")

    def test_strata_goes_through_stratad_or_opens_the_store_itself(self):
        appliance = self.appliance().start()
        appliance.wire().make_bucket("bucket")
        online = appliance.strata("bucket", "list")
        # Without its socket the directory is still stratad's.
        socket_path = appliance.data / "admin.sock"
        socket_path.rename(appliance.data / "hidden")
        error = appliance.strata("bucket", "list", expect=1)["error"]
        self.assertIn(f"process {appliance.process.pid}", error["message"])
        (appliance.data / "hidden").rename(socket_path)
        self.assertEqual(online, appliance.strata("bucket", "list"))
        appliance.stop()
        self.assertEqual(online, appliance.strata("bucket", "list"))

    def test_what_was_killed_leaves_no_lock_behind(self):
        appliance = self.appliance().start()
        appliance.wire().make_bucket("bucket")
        appliance.kill9()
        self.assertTrue((appliance.data / "admin.sock").exists(), "nobody removed it")
        self.assertEqual(["bucket"], [b["name"] for b in appliance.strata("bucket", "list")["buckets"]])
        appliance.start()
        self.assertEqual(["bucket"], [b["name"] for b in appliance.strata("bucket", "list")["buckets"]])

    def test_a_graceful_stop_under_load(self):
        appliance = self.appliance().start()
        appliance.wire().make_bucket("bucket")
        stopping = threading.Event()
        acknowledged, torn = [], []

        def load(name):
            wire = appliance.wire()
            for number in range(100_000):
                key = f"{name}/{number}/" + "x" * 900
                try:
                    answer = wire.put("bucket", key, key.encode())
                except (OSError, http.client.HTTPException) as error:
                    if not stopping.is_set():
                        torn.append(f"{key}: {error!r}")
                    return
                if answer.status != 200:
                    return
                acknowledged.append(key)

        threads = [threading.Thread(target=load, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) > 200, "200 objects")
        stopping.set()
        self.assertEqual(STOPPED, appliance.stop())
        for thread in threads:
            thread.join()
        self.assertEqual([], torn, "connections that ended before the stop")
        self.assertIn("stopped", appliance.log_tail(1))
        self.assertFalse((appliance.data / "admin.sock").exists())
        appliance.start()
        self.assert_has(appliance, *acknowledged)

    def test_a_request_in_progress_is_finished_by_the_stop(self):
        appliance = self.appliance().start()
        appliance.wire().make_bucket("bucket")
        body = os.urandom(300_000)
        with self.begun_put(appliance, "slow", body, 100_000) as rest:
            appliance.process.send_signal(signal.SIGTERM)
            wait_until(lambda: "stopping" in appliance.log_text(), "the stop")
            wait_until(lambda: appliance.http_get("/ready")[0] == 503, "not ready any more")
            self.assertEqual(200, appliance.http_get("/health")[0])
            self.assertEqual(200, rest())
        self.assertEqual(STOPPED, appliance.process.wait(30))
        appliance.start()
        self.assertEqual(body, appliance.wire().get("bucket", "slow").expect(200).body)

    def test_the_stop_cuts_what_takes_too_long(self):
        appliance = self.appliance(STRATA_S3_DRAIN_S="1").start()
        appliance.wire().make_bucket("bucket")
        with self.begun_put(appliance, "endless", b"x" * 300_000, 100_000):
            self.assertEqual(STOPPED, appliance.stop(timeout_s=30))
        self.assertIn("1 requests were cut off", appliance.log_text())
        appliance.start()
        self.assertEqual(404, appliance.wire().get("bucket", "endless").status)

    def test_a_second_signal_ends_at_once(self):
        appliance = self.appliance(STRATA_S3_DRAIN_S="3600").start()
        appliance.wire().make_bucket("bucket")
        appliance.wire().put("bucket", "key", b"key").expect(200)
        with self.begun_put(appliance, "endless", b"x" * 300_000, 100_000):
            appliance.process.send_signal(signal.SIGTERM)
            wait_until(lambda: "stopping" in appliance.log_text(), "the stop")
            self.assertIsNone(appliance.process.poll())
            appliance.process.send_signal(signal.SIGINT)
            self.assertEqual(FAILED, appliance.process.wait(30))
        appliance.start()
        self.assert_has(appliance, "key")

    def begun_put(self, appliance, key, body, sent_bytes):
        """A PUT of which `sent_bytes` are sent; entering it gives a function that sends the rest and returns the
        status."""
        return BegunPut(appliance, key, body, sent_bytes)

    def test_sighup_reads_the_log_level_anew(self):
        folder = temporary_folder("sighup")
        config = folder / "strata.toml"
        config.write_text('[log]\nlevel = "error"\nrequests = true\n')
        appliance = self.appliance("--config", config).start()
        appliance.wire().make_bucket("before")
        self.assertNotIn("before", appliance.log_text())
        config.write_text('[log]\nlevel = "info"\nrequests = true\njson = true\n')
        appliance.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "level and form again" in appliance.log_text(), "the new level")
        appliance.wire().make_bucket("after")
        wait_until(lambda: "after" in appliance.log_text(), "a line per request")
        config.write_text('[log]\nlevel = "loud"\n')
        appliance.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "stays as it was" in appliance.log_text(), "the bad configuration's line")
        self.assertTrue(appliance.ready())
        self.assertEqual(STOPPED, appliance.stop())

    def test_the_service_manager_is_told(self):
        folder = temporary_folder("notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(folder / "notify"))
            manager.settimeout(30)
            appliance = self.appliance(NOTIFY_SOCKET=str(folder / "notify")).start()
            self.assertEqual(b"READY=1", manager.recv(100))
            self.assertTrue(appliance.ready())
            appliance.stop()
            self.assertEqual(b"STOPPING=1", manager.recv(100))

    def test_json_log(self):
        appliance = self.appliance(STRATA_LOG_JSON="true").start()
        appliance.stop()
        lines = [json.loads(line) for line in appliance.log_text().splitlines()]
        self.assertGreaterEqual(len(lines), 4)
        for line in lines:
            self.assertEqual({"time", "level", "message"}, set(line))

    def test_a_very_long_path(self):
        folder = temporary_folder("long") / ("long" * 40)
        folder.mkdir()
        appliance = Appliance(data=folder / "data")
        self.addCleanup(appliance.close)
        appliance.start()
        self.assertEqual([], appliance.strata("bucket", "list")["buckets"])


class BegunPut:
    def __init__(self, appliance, key, body, sent_bytes):
        self.body, self.sent_bytes = body, sent_bytes
        digest = hashlib.sha256(body).hexdigest()
        path = s3_wire.path_of("bucket", key)
        headers = s3_wire.sign("PUT", path, {}, {"Host": appliance.s3_endpoint}, digest, appliance.access_key,
                               appliance.secret_key)
        lines = [f"PUT {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()),
                 f"Content-Length: {len(body)}"]
        self.head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self.address = ("127.0.0.1", appliance.s3_port)
        self.appliance = appliance

    def __enter__(self):
        self.connection = socket.create_connection(self.address, timeout=30)
        self.connection.sendall(self.head + self.body[:self.sent_bytes])
        wait_until(lambda: self.appliance.metrics().get('strata_s3_in_flight{operation="PutObject"}') == 1,
                   "the request")
        return self.finish

    def finish(self):
        self.connection.sendall(self.body[self.sent_bytes:])
        answer = self.connection.recv(4096)
        return int(answer.split(b" ")[1])

    def __exit__(self, *_):
        self.connection.close()


if __name__ == "__main__":
    assert program.BIN.is_dir(), f"no programs in {program.BIN}: set STRATA_BIN"
    assert subprocess.run([program.BIN / "stratad", "--version"], check=True, capture_output=True)
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""`strata`: every command, through stratad and without it; exit codes; text for people and JSON for programs."""
import http.client
import json
import os
import socket
import subprocess
import unittest

import program
from program import wait_until
from support import s3_wire
from support.appliance import Appliance, temporary_folder

OK, ERROR, USAGE, DAMAGE = range(4)


def run(*arguments):
    """Returns (exit code, stdout, stderr) of strata."""
    result = subprocess.run([program.BIN / "strata", *map(str, arguments)], capture_output=True, text=True,
                            timeout=120, check=False, env=program.clean_environment(), stdin=subprocess.DEVNULL)
    return result.returncode, result.stdout, result.stderr


class AdminConnection(http.client.HTTPConnection):
    """HTTP over DATA/admin.sock."""

    def __init__(self, data):
        super().__init__("localhost", timeout=60)
        self.path = str(data / "admin.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class CommandLineTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance()
        cls.addClassCleanup(cls.appliance.close)
        cls.appliance.start()

    def strata(self, *arguments, expect=OK):
        return self.appliance.strata(*arguments, expect=expect)

    def secret_file(self, secret):
        path = self.appliance.folder / "secret"
        path.touch(mode=0o600)
        path.write_text(secret)
        return path

    def wire_of(self, key):
        return s3_wire.Client("127.0.0.1", self.appliance.s3_port, key["access_key"], key["secret_key"])

    def assert_locked_out(self, key):
        """The S3 server remembers keys for a few seconds, as docs/operations.md says."""
        wait_until(lambda: self.wire_of(key).get("adas-bucket", "key").status == 403, "the key is refused")

    def test_users_and_keys(self):
        key = self.strata("user", "add", "ada", "--name", "Ada Lovelace")
        self.assertEqual("ada", key["user"])
        self.wire_of(key).make_bucket("adas-bucket")
        users = {user["id"]: user for user in self.strata("user", "list")["users"]}
        self.assertEqual({"root", "ada"}, set(users))
        self.assertEqual(("Ada Lovelace", False), (users["ada"]["display_name"], users["ada"]["admin"]))
        self.assertTrue(users["root"]["admin"])
        buckets = {b["name"]: b["owner"] for b in self.strata("bucket", "list")["buckets"]}
        self.assertEqual("ada", buckets["adas-bucket"])

        second = self.strata("user", "key", "add", "ada", "--secret-key-file",
                             self.secret_file("a-chosen-secret"))
        self.assertEqual("a-chosen-secret", second["secret_key"])
        self.wire_of(second).put("adas-bucket", "key", b"x").expect(200)
        listed = self.strata("user", "key", "list", "ada")
        self.assertEqual({key["access_key"], second["access_key"]}, {k["access_key"] for k in listed["keys"]})
        self.assertNotIn("secret", json.dumps(listed))
        self.strata("user", "key", "remove", second["access_key"])
        self.assert_locked_out(second)
        self.wire_of(key).get("adas-bucket", "key").expect(200)

        error = self.strata("user", "remove", "ada", expect=ERROR)["error"]
        self.assertIn("owns buckets", error["message"])
        self.wire_of(key).delete("adas-bucket", "key").expect(204)
        self.strata("bucket", "remove", "adas-bucket")
        self.strata("user", "remove", "ada")
        self.assertEqual(["root"], [user["id"] for user in self.strata("user", "list")["users"]])
        self.assert_locked_out(key)

    def test_an_admin(self):
        key = self.strata("user", "add", "operator", "--admin", "--access-key", "OPERATOR", "--secret-key-file",
                          self.secret_file("operators-secret"))
        self.assertEqual(("OPERATOR", "operators-secret"), (key["access_key"], key["secret_key"]))
        self.strata("bucket", "create", "of-root")
        self.wire_of(key).put("of-root", "key", b"x").expect(200)
        self.wire_of(key).delete("of-root", "key").expect(204)
        self.strata("bucket", "remove", "of-root")
        self.strata("user", "remove", "operator")

    def test_a_user_whose_key_is_refused_is_not_made(self):
        self.strata("user", "add", "short", "--secret-key-file", self.secret_file("short"), expect=ERROR)
        self.assertNotIn("short", [user["id"] for user in self.strata("user", "list")["users"]])

    def test_errors_name_what_was_wrong(self):
        for arguments, word in ((("user", "remove", "nobody"), "nobody"), (("user", "remove", "root"), "root"),
                                (("user", "key", "remove", "NOKEY"), "NOKEY"), (("bucket", "usage", "none"), "none"),
                                (("bucket", "create", "No_Such_Name"), "No_Such_Name"),
                                (("bucket", "create", "nobodys", "--owner", "nobody"), "nobody"),
                                (("user", "key", "add", "nobody"), "nobody")):
            with self.subTest(arguments=arguments):
                code, out, err = run("--data", self.appliance.data, *arguments)
                self.assertEqual((ERROR, ""), (code, out))
                self.assertEqual(1, len(err.splitlines()), err)
                self.assertIn(word, err)

    def test_bucket_usage(self):
        self.strata("bucket", "create", "used")
        wire = self.appliance.wire()
        wire.put("used", "a", os.urandom(100_000)).expect(200)
        usage, = self.strata("bucket", "usage", "used")["buckets"]
        self.assertEqual((1, 1, 100_000), (usage["objects"], usage["versions"], usage["logical_bytes"]))
        self.assertIn("used", [bucket["name"] for bucket in self.strata("bucket", "usage")["buckets"]])
        self.assertIn("still holds", self.strata("bucket", "remove", "used", expect=ERROR)["error"]["message"])
        wire.delete("used", "a").expect(204)
        self.strata("bucket", "remove", "used")

    def test_text_for_people(self):
        code, out, err = run("--data", self.appliance.data, "stat")
        self.assertEqual((OK, ""), (code, err))
        for word in ("logical", "unique", "compressed", "on disk", "metadata", "reduction"):
            self.assertIn(word, out)
        code, out, err = run("user", "list", "--data", self.appliance.data)
        self.assertEqual((OK, ""), (code, err))
        self.assertRegex(out, r"USER +NAME +RIGHTS +CREATED\nroot ")
        code, out, _ = run("--data", self.appliance.data, "verify")
        self.assertEqual(OK, code)
        self.assertIn("no damage", out)
        code, out, _ = run("--data", self.appliance.data, "gc", "--rewrite-below", "0.5", "--max-rate", "100M")
        self.assertEqual(OK, code)
        self.assertIn("freed", out)

    def test_usage_errors(self):
        for arguments in ((), ("nonsense",), ("user",), ("user", "add"), ("gc", "--rewrite-below", "2"),
                          ("gc", "--max-rate", "fast"), ("stat", "--surprise")):
            with self.subTest(arguments=arguments):
                self.assertEqual(USAGE, run("--data", self.appliance.data, *arguments)[0])
        code, out, _ = run("--help")
        self.assertEqual(OK, code)
        for word in ("stat", "gc", "verify", "user", "bucket", "Examples", "Exit codes"):
            self.assertIn(word, out)
        self.assertEqual(OK, run("user", "add", "--help")[0])

    def test_without_a_store(self):
        folder = temporary_folder("nothing")
        for data in (folder, folder / "absent"):
            code, _, err = run("--data", data, "stat")
            self.assertEqual(ERROR, code)
            self.assertIn(str(data), err)
        self.assertEqual([], [p for p in folder.rglob("*") if p.name not in ("lock", "meta")], "nothing is made")

    def test_without_stratad_it_is_the_same(self):
        appliance = Appliance()
        self.addCleanup(appliance.close)
        appliance.start()
        wire = appliance.wire()
        wire.make_bucket("bucket")
        body = os.urandom(1_000_000)
        wire.put("bucket", "a", body).expect(200)
        wire.put("bucket", "b", body).expect(200)
        online = {command: appliance.strata(*command) for command in (("user", "list"), ("bucket", "list"),
                                                                      ("bucket", "usage"))}
        appliance.stop()
        offline = {command: appliance.strata(*command) for command in online}
        self.assertEqual(online, offline)
        stat = appliance.strata("stat")
        self.assertEqual((2, 2_000_000), (stat["streams"], stat["logical_bytes"]))
        self.assertFalse(appliance.strata("verify")["damaged"])
        appliance.strata("rebuild-index")
        key = appliance.strata("user", "add", "ada")
        appliance.start()
        s3_wire.Client("127.0.0.1", appliance.s3_port, key["access_key"], key["secret_key"]).make_bucket("adas")
        self.assertEqual(body, appliance.wire().get("bucket", "b").expect(200).body)
        self.assertFalse(appliance.strata("verify")["damaged"])

    def test_a_client_that_leaves_cancels_its_command(self):
        self.strata("bucket", "create", "cancel")
        wire = self.appliance.wire()
        for number in range(20):
            wire.put("cancel", f"{number}", os.urandom(1_000_000)).expect(200)
        for number in range(0, 20, 2):
            wire.delete("cancel", f"{number}").expect(204)
        before = self.appliance.metrics()
        connection = AdminConnection(self.appliance.data)
        # At this rate the collection would take minutes.
        connection.request("POST", "/v1/gc", body=json.dumps({"rewrite_below": 1.0, "max_rate": 20_000}))
        wait_until(lambda: self.appliance.metrics()["strata_gc_running"] == 1, "the collection")
        self.assertIn("running already", self.strata("gc", expect=ERROR)["error"]["message"])
        connection.close()
        wait_until(lambda: self.appliance.metrics()["strata_gc_running"] == 0, "the collection ends with its client")
        after = self.appliance.metrics()
        self.assertEqual(before["strata_gc_failed_runs_total"] + 1, after["strata_gc_failed_runs_total"])
        self.assertFalse(self.strata("verify")["damaged"], "a cancelled collection harms nothing")
        self.strata("gc")

    def test_the_socket_answers_nonsense_with_errors(self):
        def ask(method, path, body):
            connection = AdminConnection(self.appliance.data)
            connection.request(method, path, body=body)
            reply = connection.getresponse()
            text = reply.read().decode()
            connection.close()
            return reply.status, text

        self.assertEqual(404, ask("POST", "/elsewhere", "")[0])
        self.assertEqual(405, ask("GET", "/v1/stat", "")[0])
        self.assertIn("no command 'nonsense'", ask("POST", "/v1/nonsense", "{}")[1])
        self.assertIn("not JSON", ask("POST", "/v1/stat", "{")[1])
        self.assertIn("unknown argument 'x'", ask("POST", "/v1/stat", '{"x": 1}')[1])
        self.assertEqual(413, ask("POST", "/v1/stat", "x" * 100_000)[0])
        self.assertIn('"result"', ask("POST", "/v1/stat", "{}")[1])


if __name__ == "__main__":
    unittest.main()

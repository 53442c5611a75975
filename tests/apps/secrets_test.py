# SPDX-License-Identifier: Apache-2.0
"""Secrets stay with those they belong to: modes of files, the environment, command lines, encryption, TLS."""
import os
import pathlib
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import unittest

import program
from program import BIN, CONFIG, DATA, STOPPED, clean_environment, stratad, wait_until
from support import s3_wire
from support.appliance import Appliance, temporary_folder

NOBODY = 65534


def make_certificate(folder, name):
    """NAME.pem and NAME.key in the folder, for 127.0.0.1."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "1", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                    folder / f"{name}.key", "-out", folder / f"{name}.pem"], check=True, capture_output=True)


def open_to_others(folder):
    """What below the folder has rights for group or others; links apart."""
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.lstat().st_mode)) for path in folder.rglob("*")
            if not path.is_symlink() and path.lstat().st_mode & 0o077}


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder("secrets")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def appliance(self, *arguments, data=None, **variables):
        appliance = Appliance(data=data, arguments=arguments, environment=variables)
        self.addCleanup(appliance.close)
        return appliance

    def files_with(self, data, text):
        return [path.name for path in data.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


class DataDirectoryTest(Case):
    def test_a_directory_that_existed_and_is_open(self):
        data = self.folder / "data"
        data.mkdir()
        data.chmod(0o755)
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        appliance = self.appliance(data=data).start()
        self.assertEqual({}, open_to_others(data))
        self.assertIn(f"{data} is open to other users (mode 0755)", appliance.log_text())
        self.assertEqual(0o755, stat.S_IMODE(data.stat().st_mode), "it is not ours to change")
        appliance.stop()
        appliance.strata("user", "add", "ada")  # Opens the store itself.
        self.assertEqual({}, open_to_others(data))

    def test_a_store_that_others_could_read_is_closed_to_them(self):
        data = self.folder / "data"
        data.mkdir()
        appliance = self.appliance(data=data).start()
        appliance.stop()
        data.chmod(0o755)
        (data / "meta").chmod(0o755)
        for path in (data / "meta").iterdir():
            path.chmod(0o644)
        (data / "containers").chmod(0o644)
        appliance.start()
        self.assertEqual({}, open_to_others(data))
        log = appliance.log_text()
        self.assertIn(f"{data}/meta was open to other users (mode 0755) and is closed now; it holds the users' secret "
                      "keys", log)
        self.assertIn(f"{data}/containers was open to other users", log)

    def test_a_directory_that_others_may_write_is_warned_of(self):
        data = self.folder / "data"
        data.mkdir()
        data.chmod(0o777)
        appliance = self.appliance(data=data).start()
        self.assertIn(f"{data} may be changed by other users", appliance.log_text())

    @unittest.skipUnless(os.getuid() == 0, "needs a second user")
    def test_secrets_that_others_can_read_and_that_cannot_be_closed_are_refused(self):
        appliance = self.appliance()
        appliance.start()
        appliance.stop()
        data = self.folder / "data"
        shutil.copytree(appliance.data, data)
        self.folder.chmod(0o755)
        data.chmod(0o777)
        (data / "meta").chmod(0o755)
        binary = self.folder / "stratad"
        shutil.copy(BIN / "stratad", binary)
        result = subprocess.run([binary, "--data", data, "--s3", "127.0.0.1:0", "--metrics", ""], user=NOBODY,
                                group=NOBODY, extra_groups=[], env=clean_environment(), capture_output=True,
                                text=True, timeout=60, check=False)
        self.assertEqual(DATA, result.returncode, result.stderr)
        self.assertIn(f"{data}/meta holds the users' secret keys and is open to other users", result.stderr)

    def test_with_an_encryption_key_no_file_holds_a_secret(self):
        key = self.folder / "key"
        key.write_text("ab" * 32)
        key.chmod(0o600)
        appliance = self.appliance(STRATA_STORAGE_ENCRYPTION_KEY_FILE=str(key)).start()
        ada, *others = (appliance.strata("user", "add", name) for name in ("ada", "bea", "cem", "dev", "eve"))
        secrets = [appliance.secret_key, *(user["secret_key"] for user in (ada, *others))]
        for secret in secrets:
            self.assertEqual([], self.files_with(appliance.data, secret))
        appliance.restart()
        for secret in secrets:
            self.assertEqual([], self.files_with(appliance.data, secret))
        # Compression may break one or the other up.
        self.assertTrue(any(self.files_with(appliance.data, user["access_key"]) for user in (ada, *others)),
                        "so they would have been found")
        s3_wire.Client("127.0.0.1", appliance.s3_port, ada["access_key"], ada["secret_key"]).make_bucket("adas")


class ArgumentsTest(Case):
    def test_the_environment_forgets_the_root_keys(self):
        appliance = self.appliance().start()
        environment = pathlib.Path(f"/proc/{appliance.process.pid}/environ").read_bytes()
        self.assertIn(b"PATH=", environment)
        self.assertNotIn(appliance.secret_key.encode(), environment)
        self.assertNotIn(appliance.access_key.encode(), environment)
        appliance.wire().make_bucket("bucket")

    def strata(self, data, *arguments, text=None):
        result = subprocess.run([BIN / "strata", "--data", data, *map(str, arguments)], input=text, text=True,
                                capture_output=True, timeout=120, check=False, env=clean_environment())
        return result.returncode, result.stdout, result.stderr

    def test_secret_keys_come_by_file_or_standard_input(self):
        appliance = self.appliance().start()
        code, out, err = self.strata(appliance.data, "user", "add", "ada", "--secret-key", "visible-secret")
        self.assertEqual(2, code, err)
        self.assertIn("--secret-key-file", err)
        self.assertNotIn("visible-secret", out + err)
        code, _, err = self.strata(appliance.data, "user", "add", "ada", "--secret-key=visible-secret")
        self.assertEqual(2, code, err)

        file = self.folder / "secret"
        file.write_text("secret-of-a-file\n")
        file.chmod(0o644)
        code, out, err = self.strata(appliance.data, "user", "add", "ada", "--secret-key-file", file)
        self.assertEqual(1, code, err)
        self.assertIn("chmod 0600", err)
        self.assertNotIn("secret-of-a-file", out + err)
        file.chmod(0o600)
        code, out, err = self.strata(appliance.data, "user", "add", "ada", "--access-key", "ADA1",
                                     "--secret-key-file", file)
        self.assertEqual(0, code, err)
        s3_wire.Client("127.0.0.1", appliance.s3_port, "ADA1", "secret-of-a-file").make_bucket("adas")

        code, out, err = self.strata(appliance.data, "user", "key", "add", "ada", "--access-key", "ADA2",
                                     "--secret-key-file", "-", text="secret-from-a-pipe")
        self.assertEqual(0, code, err)
        s3_wire.Client("127.0.0.1", appliance.s3_port, "ADA2", "secret-from-a-pipe").put("adas", "k", b"x").expect(200)
        for text in ("", "\n", "two\nlines\n", "x" * 200):
            code, _, err = self.strata(appliance.data, "user", "key", "add", "ada", "--secret-key-file", "-",
                                       text=text)
            self.assertEqual(1, code, text)
            self.assertIn("standard input", err)


@unittest.skipUnless(shutil.which("openssl"), "no openssl to make a certificate with")
class TlsTest(Case):
    def served(self, port, **limits):
        """(certificate, cipher) of a new connection."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        for name, value in limits.items():
            if name == "ciphers":
                context.set_ciphers(value)
            else:
                setattr(context, name, value)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
            with context.wrap_socket(plain) as secured:
                return secured.getpeercert(binary_form=True), secured.cipher()[0]

    def expected(self, name):
        return ssl.PEM_cert_to_DER_cert((self.folder / f"{name}.pem").read_text())

    def start(self):
        for name in ("first", "second"):
            make_certificate(self.folder, name)
        shutil.copy(self.folder / "first.pem", self.folder / "live.pem")
        shutil.copy(self.folder / "first.key", self.folder / "live.key")
        (self.folder / "live.key").chmod(0o600)
        appliance = self.appliance(STRATA_S3_TLS_CERTIFICATE=str(self.folder / "live.pem"),
                                   STRATA_S3_TLS_KEY=str(self.folder / "live.key"))
        return appliance.start()

    def reload(self, appliance, line):
        offset = len(appliance.log_text())
        appliance.process.send_signal(signal.SIGHUP)
        wait_until(lambda: line in appliance.log_text(offset), f"'{line}' in the log")
        return appliance.log_text(offset)

    def test_a_certificate_is_reloaded_and_a_broken_one_is_not(self):
        appliance = self.start()
        self.assertEqual(self.expected("first"), self.served(appliance.s3_port)[0])

        shutil.copy(self.folder / "second.pem", self.folder / "live.pem")  # With the former key.
        log = self.reload(appliance, "the former TLS certificate stays in use")
        self.assertIn(str(self.folder / "live.key"), log)
        self.assertEqual(self.expected("first"), self.served(appliance.s3_port)[0])

        (self.folder / "live.pem").write_text("no certificate\n")
        self.reload(appliance, "the former TLS certificate stays in use")
        (self.folder / "live.pem").unlink()
        self.reload(appliance, "the former TLS certificate stays in use")
        self.assertEqual(self.expected("first"), self.served(appliance.s3_port)[0])

        shutil.copy(self.folder / "second.pem", self.folder / "live.pem")
        shutil.copy(self.folder / "second.key", self.folder / "live.key")
        (self.folder / "live.key").chmod(0o644)
        log = self.reload(appliance, "the former TLS certificate stays in use")
        self.assertIn("chmod 0600", log)
        self.assertEqual(self.expected("first"), self.served(appliance.s3_port)[0])

        (self.folder / "live.key").chmod(0o600)
        self.reload(appliance, "new connections get the certificate")
        self.assertEqual(self.expected("second"), self.served(appliance.s3_port)[0])
        self.assertEqual(STOPPED, appliance.stop())

    def test_ciphers(self):
        port = self.start().s3_port
        twelve = {"maximum_version": ssl.TLSVersion.TLSv1_2}
        for cipher in ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"):
            self.assertEqual(cipher, self.served(port, ciphers=cipher, **twelve)[1])
        for cipher in ("ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-CCM",
                       "AES256-GCM-SHA384", "AES128-SHA", "DHE-RSA-AES256-GCM-SHA384", "PSK-AES256-GCM-SHA384"):
            with self.subTest(cipher), self.assertRaises((ssl.SSLError, ConnectionError)):
                self.served(port, ciphers=cipher + ":@SECLEVEL=0", **twelve)
        self.assertRegex(self.served(port, minimum_version=ssl.TLSVersion.TLSv1_3)[1], "^TLS_")

    def test_a_key_that_cannot_be_used_keeps_stratad_from_starting(self):
        make_certificate(self.folder, "one")
        make_certificate(self.folder, "other")
        key = self.folder / "one.key"
        locked = self.folder / "locked.key"
        subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:word", "-out", locked],
                       check=True, capture_output=True)
        locked.chmod(0o600)
        key.chmod(0o644)
        for path, why in ((key, "mode 0644"), (locked, "passphrase"), (self.folder / "other.key", "other.key"),
                          (self.folder / "none.key", "none.key")):
            with self.subTest(path.name):
                code, _, err = stratad("--data", self.folder / "data", "--s3", "127.0.0.1:0", "--metrics", "",
                                       STRATA_S3_TLS_CERTIFICATE=str(self.folder / "one.pem"),
                                       STRATA_S3_TLS_KEY=str(path))
                self.assertEqual(CONFIG, code, err)
                self.assertIn(why, err)


if __name__ == "__main__":
    unittest.main()

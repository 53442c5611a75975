# SPDX-License-Identifier: Apache-2.0
"""stratad's command line and configuration: what is accepted, what is refused and how, what is documented."""
import re
import socket
import unittest

import program
from program import ADDRESS, CONFIG, DATA, ROOT, STOPPED, USAGE, stratad
from support.appliance import free_ports, temporary_folder


def keys_of(document):
    """{'section.key': value text} of a TOML document as --check-config prints it."""
    keys, section = {}, ""
    for line in document.splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        elif match := re.fullmatch(r"(\w+) = (.*)", line):
            keys[f"{section}.{match[1]}"] = match[2]
    return keys


class ConfigurationTest(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder("configuration")

    def write(self, text):
        path = self.folder / "strata.toml"
        path.write_text(text)
        return path

    def check(self, *arguments, **variables):
        """The effective configuration."""
        code, out, err = stratad("--check-config", *arguments, **variables)
        self.assertEqual((STOPPED, ""), (code, err))
        return keys_of(out)

    def assert_refused(self, expected_code, *arguments, **variables):
        """Returns the one line that says why."""
        code, out, err = stratad(*arguments, **variables)
        self.assertEqual(expected_code, code, err)
        self.assertEqual("", out)
        lines = err.splitlines()
        self.assertEqual(1, len(lines), f"one line is enough to say why: {err}")
        return lines[0]

    def test_file_environment_and_flags(self):
        path = self.write('[s3]\nlisten = "127.0.0.1:1"\nregion = "file"\n[metrics]\nlisten = "127.0.0.1:2"\n')
        keys = self.check("--config", path, "--s3", "127.0.0.1:5", STRATA_S3_LISTEN="127.0.0.1:3",
                          STRATA_METRICS_LISTEN="127.0.0.1:4", STRATA_LOG_JSON="true")
        self.assertEqual('"127.0.0.1:5"', keys["s3.listen"], "a flag wins")
        self.assertEqual('"127.0.0.1:4"', keys["metrics.listen"], "the environment wins over the file")
        self.assertEqual('"file"', keys["s3.region"])
        self.assertEqual("true", keys["log.json"])

    def test_every_key_can_come_from_the_environment(self):
        printed = self.check()
        for key, value in printed.items():
            variable = "STRATA_" + key.replace(".", "_").upper()
            text = value.strip('"').strip("[]")
            with self.subTest(variable=variable):
                self.assertEqual(value, self.check(**{variable: text})[key])
                if key not in ("s3.region", "s3.domains", "s3.tls_certificate", "s3.tls_key", "storage.device",
                               "storage.encryption_key_file"):
                    line = self.assert_refused(CONFIG, "--check-config", **{variable: "no such value"})
                    self.assertIn(variable, line)
                    self.assertIn(key, line)

    def test_the_sample_and_the_documents_know_every_key(self):
        printed = self.check()
        sample = ROOT / "deploy/stratad.toml"
        self.assertEqual(printed, self.check("--config", sample), "the sample's values are the defaults")
        text = sample.read_text()
        manual = (ROOT / "docs/operations.md").read_text()
        for key in printed:
            name = key.split(".")[1]
            self.assertRegex(text, rf"(?m)^#? ?{name} = ", f"deploy/stratad.toml lacks {key}")
            self.assertIn(f"`{key}`", manual, f"docs/operations.md lacks {key}")
        uncommented = self.write(re.sub(r"(?m)^# (\w+ = )", r"\1", text))
        self.assertEqual(printed, self.check("--config", uncommented), "every line of the sample is a valid one")

    def test_what_is_wrong_is_named_with_its_line(self):
        path = self.write('[s3]\nregion = "x"\n\nlisten_on = "127.0.0.1:1"\n')
        line = self.assert_refused(CONFIG, "--data", self.folder / "data", "--config", path)
        self.assertIn(f"{path}:4: unknown key 's3.listen_on'", line)
        path = self.write('[s3\n')
        self.assertIn(f"{path}:1: ", self.assert_refused(CONFIG, "--config", path, "--data", self.folder / "data"))
        self.assertIn("/nonexistent.toml", self.assert_refused(CONFIG, "--config", "/nonexistent.toml"))
        self.assertIn(str(self.folder), self.assert_refused(CONFIG, "--config", self.folder, "--check-config"))
        self.assertIn("'loud'", self.assert_refused(CONFIG, "--check-config", "--log-level", "loud"))
        self.assertFalse((self.folder / "data").exists(), "nothing is made with a bad configuration")

    def test_usage(self):
        self.assertIn("--data", self.assert_refused(USAGE))
        code, _, err = stratad("--no-such-flag")
        self.assertEqual(USAGE, code)
        self.assertIn("--no-such-flag", err)
        code, out, _ = stratad("--help")
        self.assertEqual(STOPPED, code)
        for word in ("--data", "--config", "--s3", "--metrics", "STRATA_ROOT_ACCESS_KEY", "Exit codes"):
            self.assertIn(word, out)
        code, out, _ = stratad("--version")
        self.assertEqual(STOPPED, code)
        self.assertRegex(out, r"^stratad \d+\.\d+\.\d+\n$")

    def test_a_data_directory_that_cannot_be_used(self):
        file = self.folder / "file"
        file.write_text("in the way")
        for data in (file, file / "below", self.folder / "absent" / "below"):
            code, _, err = stratad("--data", data, "--s3", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
            self.assertEqual(DATA, code, err)
            self.assertIn(str(data), err)
        self.assertEqual("in the way", file.read_text())

    def test_root_keys_that_cannot_be_used(self):
        arguments = ("--data", self.folder / "data", "--s3", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
        code, _, err = stratad(*arguments, STRATA_ROOT_ACCESS_KEY="ALONE")
        self.assertEqual(CONFIG, code)
        self.assertIn("belong together", err)
        code, _, err = stratad(*arguments, STRATA_ROOT_ACCESS_KEY="ROOT", STRATA_ROOT_SECRET_KEY="hunter2")
        self.assertEqual(CONFIG, code)
        self.assertIn("STRATA_ROOT_SECRET_KEY", err)
        self.assertNotIn("hunter2", err)

    def test_an_address_that_cannot_be_had(self):
        with socket.socket() as holder:
            port, = free_ports(1)
            holder.bind(("127.0.0.1", port))
            holder.listen()
            for flag, other in (("--s3", "--metrics"), ("--metrics", "--s3")):
                code, _, err = stratad("--data", self.folder / "data", flag, f"127.0.0.1:{port}",
                                       other, "127.0.0.1:0")
                self.assertEqual(ADDRESS, code, err)
                self.assertIn(f"127.0.0.1:{port}", err)
                self.assertIn("in use", err)

    def test_certificates_that_cannot_be_used(self):
        certificate = self.folder / "certificate.pem"
        certificate.write_text("not PEM")
        code, _, err = stratad("--data", self.folder / "data", "--s3", "127.0.0.1:0", "--metrics", "127.0.0.1:0",
                               STRATA_S3_TLS_CERTIFICATE=str(certificate), STRATA_S3_TLS_KEY=str(certificate))
        self.assertEqual(CONFIG, code, err)
        self.assertIn(str(certificate), err)


if __name__ == "__main__":
    assert program.BIN.is_dir(), f"no programs in {program.BIN}: set STRATA_BIN"
    unittest.main()

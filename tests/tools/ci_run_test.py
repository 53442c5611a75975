# SPDX-License-Identifier: Apache-2.0
""".ci/run adds up its stages truthfully: run with a stand-in of make that leaves given results."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))

RESULTS = '<?xml version="1.0"?>\n<testsuite name="x"\n\ttests="{}"\n\tfailures="{}"\n' \
          '\tdisabled="0"\n\tskipped="{}"\n>\n<testcase name="a" tests="99"/>\n</testsuite>\n'


class CiRunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="strata_ci_")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / ".ci").mkdir()
        (self.root / "bin").mkdir()
        shutil.copy(SOURCE / ".ci/run", self.root / ".ci/run")

    def run_stages(self, labels="", **stages):
        """stages: name -> (exit status of make, (tests, failures, skipped) or None). `labels` is
        what each stage prints. The stage guest has the lines that it prints instead of counts, and by
        default one script of one check."""
        status, lines = self.run_stages_to_the_end(labels, **stages)
        return status, lines[-1]

    def run_stages_to_the_end(self, labels, **stages):
        script = '#!/bin/sh\nfor stage; do :; done\ncase $stage in\n'
        stages.setdefault("guest", (0, "first   1 passed,   0 failed     0.5 s\n1 passed, 0 failed"))
        for stage, (status, counts) in stages.items():
            script += f"{stage})\n"
            if stage == "guest":
                script += f"cat <<'END'\n{counts}\nEND\nexit {status};;\n"
                continue
            if counts:
                (self.root / f"{stage}.xml").write_text(RESULTS.format(*counts))
                folder = "release" if stage == "test" else stage
                script += f"mkdir -p build/{folder}; cp {stage}.xml build/{folder}/results.xml\n"
            script += f"cat <<'END'\n{labels}\nEND\nexit {status};;\n"
        make = self.root / "bin/make"
        make.write_text(script + "esac\n")
        make.chmod(0o755)
        environment = dict(os.environ, PATH=f"{self.root}/bin:{os.environ['PATH']}")
        result = subprocess.run([self.root / ".ci/run"], capture_output=True, text=True,
                                timeout=30, env=environment)
        return result.returncode, result.stdout.splitlines()

    def test_sums_all_stages(self):
        self.assertEqual(self.run_stages(test=(0, (12, 0, 0)), asan=(0, (9, 0, 0))),
                         (0, "22 passed, 0 failed"))

    def test_a_failed_test_fails(self):
        self.assertEqual(self.run_stages(test=(2, (12, 3, 0)), asan=(0, (9, 0, 0))),
                         (1, "19 passed, 3 failed"))

    def test_skipped_is_not_passed(self):
        self.assertEqual(self.run_stages(test=(0, (12, 0, 2)), asan=(0, (9, 0, 0))),
                         (0, "20 passed, 0 failed"))

    def test_a_broken_build_is_a_failure(self):
        self.assertEqual(self.run_stages(test=(0, (12, 0, 0)), asan=(2, None)),
                         (1, "13 passed, 1 failed"))

    def test_results_of_an_earlier_run_do_not_count(self):
        self.run_stages(test=(0, (12, 0, 0)), asan=(0, (9, 0, 0)))
        self.assertEqual(self.run_stages(test=(2, None), asan=(2, None)),
                         (1, "1 passed, 2 failed"))

    def test_says_which_kinds_of_tests_ran(self):
        labels = ("Label Time Summary:\ndedup   =  12.00 sec*proc (4 tests)\n"
                  "e2e     =   9.10 sec*proc (1 test)\nunit    =   2.31 sec*proc (11 tests)")
        status, lines = self.run_stages_to_the_end(labels, test=(0, (12, 0, 0)), asan=(0, (9, 0, 0)))
        self.assertEqual(status, 0)
        self.assertEqual(lines[-4:], ["make test ran: e2e 1, unit 11", "make guest ran: guest 1",
                                      "make asan ran: e2e 1, unit 11", "22 passed, 0 failed"])

    def test_failed_checks_of_guests_fail(self):
        self.assertEqual(self.run_stages(test=(0, (12, 0, 0)), asan=(0, (9, 0, 0)),
                                         guest=(2, "7 passed, 2 failed")),
                         (1, "28 passed, 2 failed"))

    def test_guests_without_a_result_fail(self):
        for status in (0, 2):
            self.assertEqual(self.run_stages(test=(0, (12, 0, 0)), asan=(0, (9, 0, 0)),
                                             guest=(status, "no kernel to build")),
                             (1, "21 passed, 1 failed"))

    def test_a_guest_that_fails_after_its_result_fails(self):
        self.assertEqual(self.run_stages(test=(0, (12, 0, 0)), asan=(0, (9, 0, 0)),
                                         guest=(2, "7 passed, 0 failed")),
                         (1, "28 passed, 1 failed"))

    def test_no_test_at_all_fails(self):
        self.assertEqual(self.run_stages(test=(0, (0, 0, 0)), asan=(0, (0, 0, 0)),
                                         guest=(1, "0 passed, 0 failed")),
                         (1, "0 passed, 1 failed"))


if __name__ == "__main__":
    unittest.main()

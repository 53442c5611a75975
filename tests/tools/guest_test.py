# SPDX-License-Identifier: Apache-2.0
"""tools/guest judges guests truthfully and leaves nothing: run with a stand-in of the kernel, which prints
what a guest would."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))

# Finds the script on its command line and runs it.
KERNEL = """#!/bin/bash
for word; do case $word in guest_script=*) script=${word#*=} ;; esac; done
. "$script"
"""


def guest(printed, status=0, log="<6>fine"):
    """What the console of a guest shows that came to its end."""
    return f"cat <<'END'\nBooting\n== guest\n{printed}\n== exit {status}\n== dmesg\n{log}\n== end\nEND\n"


class GuestTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="strata_guest_test_")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name in ("tools", "tests/guest", "tmp"):
            (self.root / name).mkdir(parents=True)
        shutil.copy(SOURCE / "tools/guest", self.root / "tools/guest")
        self.script("lib", "exit 1")
        shutil.copy(SOURCE / "tests/guest/processor_state.c", self.root / "tests/guest")
        (self.root / "kernel").write_text(KERNEL)
        (self.root / "kernel").chmod(0o755)

    def script(self, name, body):
        (self.root / f"tests/guest/{name}.sh").write_text(body)

    def start(self, *arguments):
        environment = dict(os.environ, STRATA_GUEST_KERNEL=str(self.root / "kernel"), TMPDIR=str(self.root / "tmp"))
        return subprocess.Popen([self.root / "tools/guest", *arguments], env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run_guests(self, *arguments):
        """Returns the exit status and the lines."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output.splitlines()

    def judged(self, body):
        """The status, the last line, and all the text of a run of one script."""
        self.script("one", body)
        status, lines = self.run_guests("one")
        return status, lines[-1], "\n".join(lines)

    def left_over(self):
        return list((self.root / "tmp").iterdir())

    def test_sums_scripts(self):
        self.script("first", guest("ok    a\n3 passed, 0 failed"))
        self.script("second", guest("ok    b\n4 passed, 0 failed"))
        status, lines = self.run_guests()
        self.assertEqual((status, lines[-1]), (0, "7 passed, 0 failed"), lines)
        self.assertEqual(self.left_over(), [])

    def test_lists_scripts_without_their_library(self):
        self.script("second", "")
        self.script("first", "")
        self.assertEqual(self.run_guests("--list"), (0, ["first", "second"]))

    def test_runs_the_named_script_alone(self):
        self.script("first", guest("3 passed, 0 failed"))
        self.script("second", "exit 1")
        self.assertEqual(self.run_guests("first")[1][-1], "3 passed, 0 failed")

    def test_an_unknown_name_is_refused(self):
        self.script("first", "")
        status, lines = self.run_guests("frist")
        self.assertEqual((status, lines), (1, ["tools/guest: no script 'frist'; there are: first"]))

    def test_a_failed_check_fails_and_is_shown(self):
        status, last, text = self.judged(guest("FAIL  the thing\n2 passed, 1 failed", status=1))
        self.assertEqual((status, last), (1, "2 passed, 1 failed"))
        self.assertIn("FAIL  the thing", text)
        self.assertNotEqual(self.left_over(), [])

    def test_no_result_line_fails(self):
        self.assertEqual(self.judged(guest("ok    a"))[:2], (1, "0 passed, 1 failed"))

    def test_something_after_the_result_line_fails(self):
        self.assertEqual(self.judged(guest("2 passed, 0 failed\noops"))[:2], (1, "0 passed, 1 failed"))

    def test_no_check_at_all_fails(self):
        self.assertEqual(self.judged(guest("0 passed, 0 failed"))[:2], (1, "0 passed, 1 failed"))

    def test_a_bad_exit_status_fails(self):
        self.assertEqual(self.judged(guest("2 passed, 0 failed", status=3))[:2], (1, "2 passed, 1 failed"))

    def test_a_guest_that_dies_fails_and_shows_its_kernel(self):
        status, last, text = self.judged("echo == guest; echo 2 passed, 0 failed; echo Kernel panic >&2; exit 1")
        self.assertEqual((status, last), (1, "0 passed, 1 failed"))
        self.assertIn("Kernel panic", text)

    def test_a_guest_that_hangs_is_ended_with_its_programs(self):
        pid_file = self.root / "pid"
        status, last, text = self.judged(
            f"# limit: 1\necho == guest; echo 2 passed, 0 failed; sleep 1000 & echo $! >{pid_file}; wait")
        self.assertEqual((status, last), (1, "0 passed, 1 failed"))
        self.assertIn("limit of 1 s", text)
        self.assert_ends(int(pid_file.read_text()))

    def test_a_signal_ends_guests_and_leaves_nothing(self):
        pid_file = self.root / "pid"
        self.script("one", f"sleep 1000 & echo $! >{pid_file}.new; mv {pid_file}.new {pid_file}; wait")
        process = self.start("one")
        deadline = time.monotonic() + 30
        while not pid_file.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.terminate()
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM)
        self.assert_ends(int(pid_file.read_text()))
        self.assertEqual(self.left_over(), [])

    def test_a_kernel_warning_fails(self):
        for line in ("<4>odd", "<12>odd from a program", "<6>WARNING: at fs/inode.c:1", "<6>BUG: bad",
                     "<6>nvme0n1: I/O error, sector 1"):
            status, last, text = self.judged(guest("2 passed, 0 failed", log=f"<6>fine\n{line}"))
            self.assertEqual((status, last), (1, "2 passed, 1 failed"), line)
            self.assertIn(line, text)

    def test_a_kernel_warning_that_the_script_names_passes(self):
        body = "# dmesg: odd, but .* known\n" + guest("2 passed, 0 failed", log="<4>odd, but well known")
        self.assertEqual(self.judged(body)[:2], (0, "2 passed, 0 failed"))

    def test_logs_are_kept_on_request(self):
        self.script("one", guest("2 passed, 0 failed", log="<6>fine"))
        status, lines = self.run_guests("--keep-log", "one")
        self.assertEqual(status, 0)
        folder = pathlib.Path(next(line for line in lines if line.startswith("logs: "))[6:])
        self.assertEqual((folder / "one/dmesg.log").read_text(), "<6>fine\n")

    def test_without_the_source_of_the_kernel_it_says_so(self):
        (self.root / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
        (self.root / "dpkg-query").chmod(0o755)
        environment = dict(os.environ, PATH=f"{self.root}:{os.environ['PATH']}", STRATA_GUEST_CACHE=str(self.root))
        environment.pop("STRATA_GUEST_KERNEL", None)
        result = subprocess.run([self.root / "tools/guest", "--build"], env=environment, capture_output=True,
                                text=True, timeout=30)
        self.assertEqual(result.returncode, 1)
        self.assertIn("linux-source-6.12 is not installed", result.stderr)

    def assert_ends(self, pid):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                    return
            except FileNotFoundError:
                return
            time.sleep(0.01)
        self.fail(f"process {pid} still runs")


if __name__ == "__main__":
    unittest.main()

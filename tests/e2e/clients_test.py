# SPDX-License-Identifier: Apache-2.0
"""Real clients back up real files and bring them back, byte for byte: aws-cli, s3cmd, rclone, restic."""
import hashlib
import pathlib
import random
import re
import shutil
import subprocess
import unittest
import urllib.error
import urllib.request

from support import file_trees
from support.appliance import SCALE, Appliance, seed, temporary_folder

TREE_BYTES = int(15e6 * SCALE)


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed; tools/bootstrap test installs it")


class ClientsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.chooser = random.Random(seed())
        cls.folder = temporary_folder("clients")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.appliance = Appliance()
        cls.addClassCleanup(cls.appliance.close)
        cls.appliance.start()
        cls.wire = cls.appliance.wire()
        cls.master = cls.folder / "master"
        file_trees.copy_real_files(cls.master, TREE_BYTES, chooser=cls.chooser)
        file_trees.add_awkward_files(cls.master, cls.chooser)

    def setUp(self):
        self.name = self._testMethodName.replace("test_", "").replace("_", "-")
        self.work = self.folder / self.name
        self.work.mkdir()
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)
        self.environment = {**self.appliance.client_environment(), "HOME": str(self.work)}

    def tree(self, share=1.0):
        """A copy of the real files, or a share of them with all of the awkward ones."""
        target = self.work / "tree"
        shutil.copytree(self.master, target)
        for path in sorted(p for p in target.rglob("*") if p.is_file()):
            plain = "awkward" not in path.parts and not path.name.startswith("size-")
            if plain and self.chooser.random() >= share:
                path.unlink()
        return target

    def run_client(self, *command, environment=None, timeout_s=600, expect=0):
        result = subprocess.run([str(word) for word in command], capture_output=True, timeout=timeout_s,
                                env={**self.environment, **(environment or {})}, check=False)
        output = result.stdout.decode(errors="replace")
        if expect is not None and result.returncode != expect:
            self.fail(f"{' '.join(map(str, command))}: exit code {result.returncode}\n{output[-2000:]}\n"
                      f"{result.stderr.decode(errors='replace')[-3000:]}\nstratad's log ends:\n"
                      f"{self.appliance.log_tail(15)}")
        return output

    def assert_same_tree(self, expected, found):
        if isinstance(expected, pathlib.Path):
            expected = file_trees.digests(expected)
        self.assertGreater(len(expected), 20)
        self.assertEqual("", file_trees.differences(expected, file_trees.digests(found)))

    def aws(self, *arguments, **options):
        return self.run_client("aws", "--endpoint-url", self.appliance.s3_url, *arguments, **options)

    # ---- aws-cli

    @needs("aws")
    def test_aws_recursive_copy_and_sync(self):
        tree, back = self.tree(), self.work / "back"
        self.aws("s3", "mb", f"s3://{self.name}")
        self.aws("s3", "cp", "--recursive", "--only-show-errors", tree, f"s3://{self.name}/copy")
        self.aws("s3", "cp", "--recursive", "--only-show-errors", f"s3://{self.name}/copy", back)
        self.assert_same_tree(tree, back)

        self.aws("s3", "sync", "--only-show-errors", tree, f"s3://{self.name}/sync")
        file_trees.change(tree, self.chooser)
        self.aws("s3", "sync", "--only-show-errors", "--delete", tree, f"s3://{self.name}/sync")
        self.assertEqual("", self.aws("s3", "sync", "--delete", tree, f"s3://{self.name}/sync"),
                         "a sync after a sync found something to do")
        self.aws("s3", "sync", "--only-show-errors", "--delete", f"s3://{self.name}/sync", back)
        self.assert_same_tree(tree, back)

        self.aws("s3", "rb", "--force", f"s3://{self.name}")
        self.assertNotIn(self.name, self.aws("s3", "ls"))

    @needs("aws")
    def test_aws_big_file_range_and_presigned_url(self):
        big = self.work / "big"
        content = self.chooser.randbytes(1 << 20)
        with open(big, "wb") as out:
            for number in range(37):
                out.write(number.to_bytes(4, "little") + content)
        whole = big.read_bytes()
        self.aws("s3", "mb", f"s3://{self.name}")
        self.aws("s3", "cp", "--only-show-errors", big, f"s3://{self.name}/big")
        etag = self.wire.request("HEAD", f"/{self.name}/big").expect(200).etag
        self.assertRegex(etag, r"^[0-9a-f]{32}-\d+$", "37 MiB came as a multipart upload")

        self.aws("s3", "cp", "--only-show-errors", f"s3://{self.name}/big", self.work / "big.back")
        self.assertEqual(whole, (self.work / "big.back").read_bytes())
        self.aws("s3", "cp", "--only-show-errors", f"s3://{self.name}/big", f"s3://{self.name}/copied")
        self.aws("s3api", "get-object", "--bucket", self.name, "--key", "copied",
                 "--range", "bytes=1000000-20000000", self.work / "part")
        self.assertEqual(whole[1000000:20000001], (self.work / "part").read_bytes())

        url = self.aws("s3", "presign", f"s3://{self.name}/big", "--expires-in", "60").strip()
        with urllib.request.urlopen(url, timeout=60) as reply:
            self.assertEqual(hashlib.sha256(whole).digest(), hashlib.sha256(reply.read()).digest())
        broken = re.sub(r"Signature=[0-9a-f]{4}", "Signature=0000", url)
        self.assertNotEqual(url, broken)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(broken, timeout=60)
        self.assertEqual(403, caught.exception.code)
        caught.exception.close()

        # From standard input, whose length is not known beforehand, and back to standard output.
        with open(big, "rb") as source:
            subprocess.run(["aws", "--endpoint-url", self.appliance.s3_url, "s3", "cp", "-", f"s3://{self.name}/piped"],
                           stdin=source, env=self.environment, check=True, timeout=120)
        piped = subprocess.run(["aws", "--endpoint-url", self.appliance.s3_url, "s3", "cp", f"s3://{self.name}/piped", "-"],
                               stdout=subprocess.PIPE, env=self.environment, check=True, timeout=120).stdout
        self.assertEqual(whole, piped)

    # ---- s3cmd

    def s3cmd(self, *arguments, **options):
        return self.run_client(
            "s3cmd", "--no-ssl", f"--host={self.appliance.s3_endpoint}", f"--host-bucket={self.appliance.s3_endpoint}",
            f"--access_key={self.appliance.access_key}", f"--secret_key={self.appliance.secret_key}", "--region=us-east-1",
            "--no-progress", "--no-preserve", "--config=/dev/null", *arguments, **options)

    @needs("s3cmd")
    def test_s3cmd(self):
        bucket, tree, back = f"s3://{self.name}", self.tree(0.5), self.work / "back"
        back.mkdir()
        self.s3cmd("mb", bucket)
        file = self.work / "file with space+plus"
        file.write_bytes(self.chooser.randbytes(200_000))
        self.s3cmd("put", file, f"{bucket}/put/{file.name}")
        self.s3cmd("get", f"{bucket}/put/{file.name}", self.work / "got")
        self.assertEqual(file.read_bytes(), (self.work / "got").read_bytes())
        info = self.s3cmd("info", f"{bucket}/put/{file.name}")
        self.assertIn("200000", info)
        self.assertIn(hashlib.md5(file.read_bytes()).hexdigest(), info)

        big = self.work / "big"
        big.write_bytes(self.chooser.randbytes(1 << 20) * 17)
        self.s3cmd("put", "--multipart-chunk-size-mb=5", big, f"{bucket}/put/big")
        self.s3cmd("get", f"{bucket}/put/big", self.work / "big.back")
        self.assertEqual(big.read_bytes(), (self.work / "big.back").read_bytes())

        self.s3cmd("sync", f"{tree}/", f"{bucket}/tree/")
        file_trees.change(tree, self.chooser)
        # Twice: s3cmd lets the server copy new files from equal ones, also from those it has just overwritten with
        # other content. The second sync finds such copies by their MD5.
        for _ in range(2):
            self.s3cmd("sync", "--delete-removed", f"{tree}/", f"{bucket}/tree/")
        self.s3cmd("sync", f"{bucket}/tree/", f"{back}/")
        self.assert_same_tree(tree, back)

        self.s3cmd("cp", f"{bucket}/put/big", f"{bucket}/put/copied")
        self.s3cmd("mv", f"{bucket}/put/copied", f"{bucket}/put/moved")
        listing = self.s3cmd("ls", f"{bucket}/put/")
        self.assertIn(f"{bucket}/put/moved", listing)
        self.assertNotIn("copied", listing)
        self.s3cmd("del", f"{bucket}/put/moved")
        self.assertNotIn("moved", self.s3cmd("ls", f"{bucket}/put/"))
        self.s3cmd("del", "--recursive", "--force", bucket)
        self.s3cmd("rb", bucket)

    # ---- rclone

    def rclone(self, *arguments, **options):
        remote = {"RCLONE_CONFIG_STRATA_TYPE": "s3", "RCLONE_CONFIG_STRATA_PROVIDER": "Other",
                  "RCLONE_CONFIG_STRATA_ENDPOINT": self.appliance.s3_url,
                  "RCLONE_CONFIG_STRATA_ACCESS_KEY_ID": self.appliance.access_key,
                  "RCLONE_CONFIG_STRATA_SECRET_ACCESS_KEY": self.appliance.secret_key,
                  "RCLONE_CONFIG_STRATA_REGION": "us-east-1"}
        return self.run_client("rclone", "--config", "", "--s3-chunk-size=5M", "--s3-upload-cutoff=8M", "--retries=1",
                               *arguments, environment=remote, **options)

    @needs("rclone")
    def test_rclone_sync_and_check(self):
        tree, back, remote = self.tree(), self.work / "back", f"strata:{self.name}/deep/er"
        (tree / "big").write_bytes(self.chooser.randbytes(1 << 20) * 19)
        self.rclone("mkdir", f"strata:{self.name}")
        self.rclone("sync", tree, remote)
        self.rclone("check", "--download", tree, remote)
        file_trees.change(tree, self.chooser)
        self.rclone("sync", tree, remote)
        self.rclone("check", "--download", tree, remote)
        self.rclone("check", tree, remote)  # By ETag and the MD5 that rclone keeps as metadata.
        self.rclone("sync", remote, back)
        self.assert_same_tree(tree, back)

        # It notices what differs: the comparison above is one.
        (tree / "size-4096").write_bytes(b"x" * 4096)
        self.rclone("check", "--download", tree, remote, expect=1)

        self.rclone("copy", remote, f"strata:{self.name}/copy")  # Within the server.
        self.rclone("check", "--download", remote, f"strata:{self.name}/copy")
        self.rclone("purge", f"strata:{self.name}")
        self.assertNotIn(self.name, self.rclone("lsd", "strata:"))

    # ---- restic

    def restic(self, *arguments, **options):
        environment = {"RESTIC_PASSWORD": "a password", "RESTIC_CACHE_DIR": str(self.work / "cache"),
                       "RESTIC_REPOSITORY": f"s3:{self.appliance.s3_url}/{self.name}/repository"}
        return self.run_client("restic", *arguments, environment=environment, **options)

    @needs("restic")
    def test_restic(self):
        tree = self.tree()
        self.restic("init")
        self.restic("backup", tree)
        first = file_trees.digests(tree)
        file_trees.change(tree, self.chooser)
        self.restic("backup", tree)
        self.restic("check", "--read-data")
        self.assertEqual(2, len(re.findall(r"^[0-9a-f]{8}  ", self.restic("snapshots"), re.MULTILINE)))

        self.restic("restore", "latest", "--target", self.work / "latest")
        self.assert_same_tree(tree, self.work / "latest" / tree.relative_to("/"))
        oldest = re.search(r"^([0-9a-f]{8})  ", self.restic("snapshots"), re.MULTILINE).group(1)
        self.restic("restore", oldest, "--target", self.work / "oldest")
        self.assert_same_tree(first, self.work / "oldest" / tree.relative_to("/"))

        self.restic("forget", "--keep-last", "1", "--prune")
        self.restic("check", "--read-data")
        shutil.rmtree(self.work / "latest")
        self.restic("restore", "latest", "--target", self.work / "latest")
        self.assert_same_tree(tree, self.work / "latest" / tree.relative_to("/"))

    # ---- After all of them

    def test_zz_verify_finds_the_store_whole(self):
        report = self.appliance.strata("verify")
        self.assertTrue(report, "strata --json verify printed nothing")


if __name__ == "__main__":
    unittest.main()

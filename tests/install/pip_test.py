# SPDX-License-Identifier: Apache-2.0
"""`pip install .` in a fresh virtual environment, without an index to fetch anything from.

  pip_test.py SOURCE BUILD VERSION     packs what BUILD has built
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE, BUILD, VERSION = sys.argv[1:4]
del sys.argv[1:]

# A user's first minute with each module.
ROUND_TRIP = """
import importlib.metadata, importlib.resources, os, sys
import numpy as np
import strata, strata.dedup, strata.ec, strata.object

data = os.urandom(300_000)
with strata.dedup.Store("streams", max_size_bytes=1 << 30) as store:
    with store.open(store.put(data)["id"]) as stream:
        assert stream.read() == data
table = strata.dedup.chunk_table(data)
assert int(table["length"].sum()) == len(data)

with strata.object.Store("objects", max_size_bytes=1 << 30) as store:
    store.create_bucket("bucket", owner="ada")
    store.put("bucket", "key", data)
    with store.open("bucket", "key") as stream:
        assert stream.read() == data

shards = np.frombuffer(data, np.uint8).reshape(3, 100_000)
shards = np.concatenate([shards, strata.ec.ReedSolomon(3, 2).encode(shards)])
whole = shards.copy()
shards[[0, 4]] = 0
strata.ec.ReedSolomon(3, 2).reconstruct(shards, lost=[0, 4])
assert (shards == whole).all()

files = importlib.resources.files("strata")
for name in ("py.typed", "_dedup.pyi", "_ec.pyi", "_object.pyi"):
    assert files.joinpath(name).is_file(), name
assert strata.__version__ == importlib.metadata.version("strata"), strata.__version__
print(strata.__version__, os.path.dirname(strata.__file__))
"""


class PipTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="strata_pip_")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("PIP_", "PYTHON", "STRATA_"))}
        # Nothing of the user's, no index: what is not here already cannot be had.
        self.environment = {**kept, "HOME": str(self.folder), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1",
                            "STRATA_PYTHON_BUILD": BUILD}

    def run_in_folder(self, *command, **variables):
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120,
                                check=False, cwd=self.folder, env={**self.environment, **variables})
        self.assertEqual(result.returncode, 0, f"{command}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
        return result.stdout

    def test_in_a_virtual_environment(self):
        venv = self.folder / "venv"
        self.run_in_folder(sys.executable, "-m", "venv", "--system-site-packages", venv)
        self.run_in_folder(venv / "bin/pip", "install", SOURCE)
        version, place = self.run_in_folder(venv / "bin/python", "-c", ROUND_TRIP).split()
        self.assertEqual(version, VERSION)
        self.assertTrue(pathlib.Path(place).is_relative_to(venv), place)
        self.assertIn("matplotlib", self.run_in_folder(venv / "bin/python", "-c", (
            "import importlib.metadata as m; print(m.requires('strata'))")))
        self.run_in_folder(venv / "bin/pip", "uninstall", "-y", "strata")
        self.assertFalse(pathlib.Path(place).exists(), "something stayed behind")

    def test_into_a_folder(self):
        target = self.folder / "target"
        self.run_in_folder(sys.executable, "-m", "pip", "install", "--no-deps", "--target", target, SOURCE)
        _, place = self.run_in_folder(sys.executable, "-c", ROUND_TRIP, PYTHONPATH=str(target)).split()
        self.assertEqual(place, str(target / "strata"))


if __name__ == "__main__":
    unittest.main()

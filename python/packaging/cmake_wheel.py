# SPDX-License-Identifier: Apache-2.0
"""The build backend behind `pip install .` (PEP 517): CMake builds the package, this packs it into a wheel.

It needs the standard library alone, so pip's isolated build environment stays empty and nothing is fetched.

STRATA_PYTHON_BUILD names a build folder that is complete: it is packed as it is. Without it the package is built in
build/pip, for the Python that runs pip; a second time costs what changed.
"""
import base64
import csv
import hashlib
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CMAKE_ARGUMENTS = ("-DCMAKE_BUILD_TYPE=Release", "-DSTRATA_BUILD_ALL=OFF", "-DSTRATA_BUILD_PYTHON=ON",
                   "-DSTRATA_BUILD_APPS=OFF", "-DSTRATA_BUILD_SHARED=OFF", "-DSTRATA_BUILD_TESTS=OFF",
                   "-DSTRATA_BUILD_EXAMPLES=OFF")


class Project:
    """What pyproject.toml says, with the version of the CMake project."""

    def __init__(self):
        with open(ROOT / "pyproject.toml", "rb") as file:
            self.table = tomllib.load(file)["project"]
        self.name = self.table["name"]
        cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
        self.version = re.search(r"project\(strata VERSION ([0-9.]+)", cmake)[1]

    @property
    def dist_info(self):
        return f"{self.name}-{self.version}.dist-info"

    def metadata(self):
        table = self.table
        lines = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}",
                 f"Summary: {table['description']}", f"License: {table['license']['text']}",
                 f"Requires-Python: {table['requires-python']}"]
        lines += [f"Requires-Dist: {name}" for name in table["dependencies"]]
        for extra, names in table["optional-dependencies"].items():
            lines.append(f"Provides-Extra: {extra}")
            lines += [f'Requires-Dist: {name} ; extra == "{extra}"' for name in names]
        lines += ["Description-Content-Type: text/markdown", ""]
        return "\n".join(lines) + "\n" + (ROOT / table["readme"]).read_text(encoding="utf-8")

    def write_dist_info(self, folder):
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(self.metadata(), encoding="utf-8")
        (folder / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: strata cmake_wheel\n"
                                      f"Root-Is-Purelib: false\nTag: {wheel_tag()}\n", encoding="utf-8")
        shutil.copy(ROOT / "LICENSE", folder)


def wheel_tag():
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"{python}-{python}-{re.sub('[-.]', '_', sysconfig.get_platform())}"


def run(*command):
    print("+", *command, flush=True)
    try:
        subprocess.run([str(word) for word in command], check=True)
    except FileNotFoundError:
        sys.exit(f"strata: there is no {command[0]}; `tools/bootstrap python` installs what the build needs")
    except subprocess.CalledProcessError:
        sys.exit("strata: the build failed, see above; `tools/bootstrap python` installs what it needs")


def built():
    """A build folder with the package in it."""
    if "STRATA_PYTHON_BUILD" in os.environ:
        return pathlib.Path(os.environ["STRATA_PYTHON_BUILD"])
    build = ROOT / "build/pip" / wheel_tag()
    if shutil.which("ccache"):
        os.environ.setdefault("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
        os.environ.setdefault("CCACHE_NOHASHDIR", "1")
    if shutil.which("ninja"):
        os.environ.setdefault("CMAKE_GENERATOR", "Ninja")
    os.environ.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(len(os.sched_getaffinity(0))))
    run("cmake", "-S", ROOT, "-B", build, f"-DPython_EXECUTABLE={sys.executable}", *CMAKE_ARGUMENTS)
    run("cmake", "--build", build, "--target", "strata_python")
    return build


def pack(folder, wheel):
    """All files of `folder`, and the RECORD of them that installers check."""
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    record_name = f"{Project().dist_info}/RECORD"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name, content = path.relative_to(folder).as_posix(), path.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            archive.write(path, name)
            rows.writerow((name, f"sha256={digest}", len(content)))
        rows.writerow((record_name, "", ""))
        archive.writestr(record_name, record.getvalue())


# The hooks that pip calls.


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    del config_settings
    project = Project()
    project.write_dist_info(pathlib.Path(metadata_directory) / project.dist_info)
    return project.dist_info


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    del config_settings, metadata_directory
    project = Project()
    wheel = f"{project.name}-{project.version}-{wheel_tag()}.whl"
    with tempfile.TemporaryDirectory(prefix="strata_wheel_") as stage:
        run("cmake", "--install", built(), "--component", "python", "--strip", "--prefix", stage)
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        if not list(pathlib.Path(stage).glob(f"strata/*{suffix}")):
            sys.exit(f"strata: the build is for another Python than {sys.executable} ({suffix})")
        project.write_dist_info(pathlib.Path(stage) / project.dist_info)
        pack(pathlib.Path(stage), pathlib.Path(wheel_directory) / wheel)
    return wheel


def build_sdist(sdist_directory, config_settings=None):
    """What git has, with the metadata."""
    del config_settings
    project = Project()
    top = f"{project.name}-{project.version}"
    listing = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True).stdout
    with tarfile.open(pathlib.Path(sdist_directory) / f"{top}.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name in filter(None, os.fsdecode(listing).split("\0")):
            archive.add(ROOT / name, f"{top}/{name}", recursive=False)
        content = project.metadata().encode()
        info = tarfile.TarInfo(f"{top}/PKG-INFO")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return f"{top}.tar.gz"

# SPDX-License-Identifier: Apache-2.0
"""Installs a build to an empty folder and uses it as a stranger would: by CMake and by pkg-config.

  package_test.py BUILD SOURCE COMPILER LIBRARY...     libraries lower layers first
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE = (pathlib.Path(a) for a in sys.argv[1:3])
COMPILER = sys.argv[3]
LIBRARIES = sys.argv[4:]
del sys.argv[1:]

# A line that only works when the component's library is really there.
USES = {
    "block": 'return strata::block::ParseSizeBytes("64G").status();',
    "nvme": "return strata::nvme::CreateSubsystem({}).ok() ? absl::InternalError(\"nvme\")"
            " : absl::OkStatus();",
    "nvmeof": 'return strata::nvmeof::ParseEndpoint("[::1]:4420").status();',
    "ec": "return strata::ec::CreateReedSolomon({}).status();",
    "kv": 'return strata::kv::CreateMemoryStore() != nullptr ? absl::OkStatus()'
          ' : absl::InternalError("kv");',
    "dedup": "return strata::dedup::FingerprintOf({}).ToHex().size() == 64 ? absl::OkStatus()"
             ' : absl::InternalError("dedup");',
    "ofs": 'return strata::ofs::ParseProtection("4+2").status();',
    "ofs_fuse": "auto* volatile start = &strata::ofs::Mount::Start; return start != nullptr"
                ' ? absl::OkStatus() : absl::InternalError("ofs_fuse");',
    "object": "return strata::object::Store::Open({}).ok() ? absl::InternalError(\"object\")"
              " : absl::OkStatus();",
}
# What the libraries are built from, of which a user of the shared ones needs to know nothing.
PRIVATE_PACKAGES = ("zstd", "OpenSSL", "Boost", "EXPAT", "PkgConfig", "RocksDB")


def run(*command, env=None):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=280,
                            env=dict(os.environ, **(env or {})))
    if result.returncode != 0:
        raise AssertionError(f"{command}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
    return result.stdout


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="strata_install_")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.work = pathlib.Path(cls.folder.name)
        cls.prefix = cls.work / "prefix"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        cls.libdir = next(cls.prefix.rglob("libstrata_base.so")).parent

    def write_use_of(self, component):
        """all_headers.h: every installed header of the component, and a call into it."""
        folder = self.work / f"use_{component}"
        folder.mkdir(exist_ok=True)
        headers = sorted((self.prefix / "include/strata" / component).glob("*.h"))
        self.assertTrue(headers, f"{component} installed no header")
        text = "#pragma once\n"
        text += "".join(f"#include <strata/{component}/{h.name}>\n" for h in headers)
        text += "#include <strata/base/status_macros.h>\n"
        text += f"inline absl::Status UseComponent() {{ {USES.get(component, 'return {};')} }}\n"
        (folder / "all_headers.h").write_text(text)
        return folder

    def build_by_cmake(self, component, *arguments):
        build = self.work / f"cmake_{component}_{len(arguments)}"
        run("cmake", "-S", SOURCE / "foreign", "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCOMPONENT={component}", f"-DCMAKE_CXX_COMPILER={COMPILER}", "-G", "Ninja",
            f"-DCMAKE_CXX_FLAGS=-I{self.write_use_of(component)}", *arguments)
        run("cmake", "--build", build)
        return build

    def test_cmake_shared_needs_none_of_the_private_packages(self):
        for component in LIBRARIES:
            with self.subTest(component):
                build = self.build_by_cmake(
                    component,
                    *(f"-DCMAKE_DISABLE_FIND_PACKAGE_{p}=TRUE" for p in PRIVATE_PACKAGES))
                self.assertEqual(run(build / "with_shared"), "crc32c E3069283\n")
                self.assertIn("libstrata_base.so.", run("readelf", "-d", build / "with_shared"))

    def test_cmake_static(self):
        build = self.build_by_cmake(LIBRARIES[-1], "-DEXTRA=static")
        self.assertEqual(run(build / "with_static"), "crc32c E3069283\n")
        self.assertNotIn("libstrata", run("readelf", "-d", build / "with_static"))

    def test_pkg_config(self):
        for component in LIBRARIES:
            with self.subTest(component):
                flags = run("pkg-config", "--cflags", "--libs", f"strata_{component}",
                            env={"PKG_CONFIG_PATH": str(self.libdir / "pkgconfig")}).split()
                self.assertIn(f"-I{self.prefix}/include", [os.path.normpath(f) for f in flags])
                program = self.work / f"pc_{component}"
                run(COMPILER, SOURCE / "foreign/main.cc", f"-I{self.write_use_of(component)}",
                    "-o", program, *flags, "-lstrata_base", f"-Wl,-rpath,{self.libdir}")
                self.assertEqual(run(program), "crc32c E3069283\n")

    def test_shared_libraries_export_strata_only(self):
        ours = re.compile(r"^(_Z(T[VTIS]|GV|Th?n?\d+_|Tv0_n\d+_)?NK?6strata|strata_)")
        for component in LIBRARIES:
            library = self.libdir / f"libstrata_{component}.so"
            names = [line.split()[-1] for line in
                     run("nm", "-D", "--defined-only", library).splitlines()]
            self.assertTrue(names, f"{library} exports nothing")
            self.assertEqual([n for n in names if not ours.match(n)], [], f"{library} exports these")

    def test_shared_libraries_carry_a_soversion(self):
        for component in LIBRARIES:
            dynamic = run("readelf", "-d", self.libdir / f"libstrata_{component}.so")
            self.assertRegex(dynamic, rf"SONAME.*\[libstrata_{component}\.so\.\d+(\.\d+)?\]")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""tools/check finds one violation of each kind in a small tree, and nothing in the clean one."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
NOTE = "TO" + "DO"  # Apart, so that this file is clean itself.

CLEAN = {
    "cmake/StrataLayers.cmake": """
set(STRATA_LIBRARIES low high)
set(STRATA_DIR_low liblow)
set(STRATA_USES_low "")
set(STRATA_DIR_high libhigh)
set(STRATA_USES_high low)
""",
    "liblow/CMakeLists.txt":
        "strata_add_library(NAME low HDRS include/strata/low/name.h SRCS src/name.cc)\n",
    "liblow/include/strata/low/name.h": SPDX + """//
// What the thing is called.
#pragma once

#include <string>

#define STRATA_EXPORT __attribute__((visibility("default")))

namespace strata::low {

STRATA_EXPORT std::string Name();

}  // namespace strata::low
""",
    "liblow/src/name.cc": SPDX + """#include "strata/low/name.h"

namespace strata::low {

std::string Name() { return "low"; }

}  // namespace strata::low
""",
    "libhigh/CMakeLists.txt":
        "strata_add_library(NAME high HDRS include/strata/high/title.h SRCS src/title.cc DEPS low)\n",
    "libhigh/include/strata/high/title.h": SPDX + """//
// How the thing is addressed.
#pragma once

#include <string>

#include "strata/low/name.h"

namespace strata::high {

STRATA_EXPORT std::string Title();

}  // namespace strata::high
""",
    "libhigh/src/title.cc": SPDX + """#include "strata/high/title.h"

namespace strata::high {

std::string Title() { return "Sir " + low::Name(); }

}  // namespace strata::high
""",
    "tests/low/name_test.cc": SPDX + """#include "strata/low/name.h"

#define TEST_CASE(name, tags) static void Case()
TEST_CASE("it has a name", "[name]") {}
""",
}

# The rules that start no compiler; the others have cases of their own.
QUICK = "name,size,notes,conflict,header,disabled,listed,layers,rooms,foreign,exported"
NAME_H = "liblow/include/strata/low/name.h"
NAME_CC = "liblow/src/name.cc"


class CheckTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="strata_check_"))
        self.addCleanup(shutil.rmtree, self.root)
        for name in (".clang-format", ".clang-tidy"):
            shutil.copy(SOURCE / name, self.root)
        for path, text in CLEAN.items():
            self.write(path, text)
        self.write_commands()

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def edit(self, path, old, new):
        text = (self.root / path).read_text()
        self.assertIn(old, text)
        self.write(path, text.replace(old, new))

    def write_commands(self):
        commands = [{"directory": str(self.root), "file": str(self.root / path),
                     "command": f"c++ -std=c++20 -I{self.root}/liblow/include "
                                f"-I{self.root}/libhigh/include -c {self.root / path}"}
                    for path in CLEAN if path.endswith(".cc") and path.startswith("lib")]
        self.write("build/release/compile_commands.json", json.dumps(commands))

    def check(self, *arguments):
        return subprocess.run([SOURCE / "tools/check", "--root", self.root, *arguments],
                              capture_output=True, text=True, timeout=100)

    def expect(self, rule, where, message):
        """`rule`, alone among the quick ones, finds one thing, at `where`."""
        result = self.check("--only", QUICK if rule in QUICK.split(",") else rule)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        findings = result.stdout.splitlines()[:-1]
        self.assertEqual(len(findings), 1, result.stdout)
        self.assertTrue(findings[0].startswith(where + ":"), findings[0])
        self.assertIn(f"[{rule}]", findings[0])
        self.assertIn(message, findings[0])

    def test_clean_tree_passes(self):
        result = self.check()
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn(" 0 findings", result.stdout)

    def test_name(self):
        self.write("tools/disk_utils.py", "print()\n")
        self.expect("name", "tools/disk_utils.py", "'utils'")

    def test_name_of_folder(self):
        self.write("tools/common/disk.py", "print()\n")
        self.expect("name", "tools/common/disk.py", "'common'")

    def test_size(self):
        self.write("tools/long.py", "print()\n" * 801)
        self.expect("size", "tools/long.py", "801 lines")

    def test_notes(self):
        self.write("tools/late.py", f"print()  # {NOTE} later\n")
        self.expect("notes", "tools/late.py:1", "finish it")

    def test_conflict_marker(self):
        self.write("docs/late.md", "one\n" + "<" * 7 + " HEAD\n")
        self.expect("conflict", "docs/late.md:2", "a conflict marker")

    def test_conflict_marker_at_the_end_of_a_side(self):
        self.edit(NAME_CC, "\nnamespace", "\n" + ">" * 7 + " 88d0989\n\nnamespace")
        self.expect("conflict", NAME_CC + ":4", "a conflict marker")

    def test_licence_line(self):
        self.edit(NAME_CC, SPDX, "// Copyright\n")
        self.expect("header", NAME_CC, "SPDX")

    def test_banner(self):
        self.edit(NAME_H, "//\n// What the thing is called.\n", "\n")
        self.expect("header", NAME_H, "banner")

    def test_pragma_once(self):
        self.edit(NAME_H, "#pragma once\n", "// Twice.\n")
        self.expect("header", NAME_H, "#pragma once")

    def test_conditional_public_header(self):
        self.edit(NAME_H, "STRATA_EXPORT std", "#ifdef FAST\n#endif\nSTRATA_EXPORT std")
        self.expect("header", NAME_H + ":12", "#if")

    def test_hidden_test(self):
        self.edit("tests/low/name_test.cc", "[name]", "[.]")
        self.expect("disabled", "tests/low/name_test.cc:5", "does not run")

    def test_skipped_python_test(self):
        self.write("python/tests/x_test.py", "@unittest" + ".skip('slow')\n")
        self.expect("disabled", "python/tests/x_test.py:1", "does not run")

    def test_disabled_ctest(self):
        self.write("tests/low/CMakeLists.txt", "set_tests_properties(x PROPERTIES DISABLED ON)\n")
        self.expect("disabled", "tests/low/CMakeLists.txt:1", "does not run")

    def test_source_in_no_list(self):
        self.write("liblow/src/stray.cc", SPDX + "int stray = 0;\n")
        self.expect("listed", "liblow/src/stray.cc", "in no strata_add_library()")

    def test_listed_source_that_does_not_exist(self):
        self.edit("liblow/CMakeLists.txt", "src/name.cc", "src/name.cc src/gone.cc")
        self.expect("listed", "liblow/CMakeLists.txt", "gone.cc")

    def test_upward_include(self):
        self.edit(NAME_CC, "\nnamespace", '\n#include "strata/high/title.h"\n\nnamespace')
        self.expect("layers", NAME_CC + ":4", "'low' includes from 'high'")

    def test_include_that_is_not_in_deps(self):
        self.edit("libhigh/CMakeLists.txt", " DEPS low", "")
        self.expect("layers", "libhigh/include/strata/high/title.h:8", "not in its DEPS")

    def test_upward_dependency(self):
        self.edit("liblow/CMakeLists.txt", ")", " DEPS high)")
        self.expect("layers", "liblow/CMakeLists.txt", "'low' may not use 'high'")

    def test_include_by_way_of_another_folder(self):
        self.write("libhigh/src/rank.h", SPDX + "//\n// Rank.\n#pragma once\n")
        self.edit(NAME_CC, "\nnamespace", '\n#include "../../libhigh/src/rank.h"\n\nnamespace')
        self.expect("layers", NAME_CC + ":4", "by way of ..")

    def add_rooms(self, rooms="bytes door"):
        """Gives libhigh two rooms; `door` stands on `bytes`."""
        table = self.root / "cmake/StrataLayers.cmake"
        table.write_text(table.read_text() + f"set(STRATA_ROOMS_high {rooms})\n")
        (self.root / "libhigh/src/title.cc").rename(self.root / "title.cc")
        title = (self.root / "title.cc").read_text()
        (self.root / "title.cc").unlink()
        self.write("libhigh/src/door/title.cc", title.replace(
            "\n\nnamespace", '\n\n#include "bytes/rank.h"\n\nnamespace', 1))
        self.write("libhigh/src/door/knob.h", SPDX + "//\n// A knob.\n#pragma once\n")
        self.write("libhigh/src/bytes/rank.h", SPDX + "//\n// A rank.\n#pragma once\n")
        self.edit("libhigh/CMakeLists.txt", "src/title.cc", "src/door/title.cc")

    def test_rooms_in_order_pass(self):
        self.add_rooms()
        result = self.check("--only", QUICK)
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_include_against_the_order_of_the_rooms(self):
        self.add_rooms()
        self.edit("libhigh/src/bytes/rank.h", "once\n", 'once\n\n#include "door/knob.h"\n')
        self.expect("rooms", "libhigh/src/bytes/rank.h:6", "'bytes' includes from 'door'")

    def test_include_without_its_room(self):
        self.add_rooms()
        self.edit("libhigh/src/door/title.cc", '#include "bytes', '#include "knob.h"\n#include "bytes')
        self.expect("rooms", "libhigh/src/door/title.cc:4", 'include it as "door/knob.h"')

    def test_room_that_the_table_does_not_have(self):
        self.add_rooms()
        self.write("libhigh/src/cellar/stone.h", SPDX + "//\n// A stone.\n#pragma once\n")
        self.expect("rooms", "libhigh/src/cellar/stone.h", "no room 'cellar'")

    def test_file_beside_the_rooms(self):
        self.add_rooms()
        self.write("libhigh/src/stone.h", SPDX + "//\n// A stone.\n#pragma once\n")
        self.expect("rooms", "libhigh/src/stone.h", "no room '.'")

    def test_room_that_is_empty(self):
        self.add_rooms("bytes door roof")
        self.expect("rooms", "cmake/StrataLayers.cmake", "'roof' is empty")

    def test_graph(self):
        self.add_rooms()
        result = self.check("--graph", "high")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.splitlines(), [
            "high  (libhigh, 3 files)",
            "  room door             2 files  -> bytes 1",
            "  room bytes            1 files",
            "  floor  2  door/title",
            "  floor  1  bytes/rank door/knob",
            "  circles: none",
            "  arrows against the order: none"])

    def test_graph_shows_circles_and_arrows_against_the_order(self):
        self.add_rooms()
        self.edit("libhigh/src/bytes/rank.h", "once\n", 'once\n\n#include "door/knob.h"\n')
        self.edit("libhigh/src/door/knob.h", "once\n", 'once\n\n#include "bytes/rank.h"\n')
        result = self.check("--graph", "high")
        self.assertIn("circles: bytes/rank <-> door/knob\n", result.stdout)
        self.assertIn("arrows against the order: libhigh/src/bytes/rank.h:6 -> door\n", result.stdout)

    def test_foreign_type_in_public_header(self):
        self.edit(NAME_H, "#include <string>", "#include <openssl/evp.h>\n\n#include <string>")
        self.expect("foreign", NAME_H + ":6", "openssl/evp.h")

    def test_function_that_the_shared_library_hides(self):
        self.edit(NAME_H, "STRATA_EXPORT std::string Name();", "std::string Name();")
        self.expect("exported", NAME_H + ":12", "std::string Name()")

    def test_member_that_the_shared_library_hides(self):
        members = "  int number = 0;\n  int Twice() const { return 2 * number; }\n  int Half() const;\n"
        self.edit(NAME_H, "STRATA_EXPORT std", f"struct Pair {{\n{members}}};\n\nSTRATA_EXPORT std")
        self.expect("exported", NAME_H + ":15", "int Half() const")

    def test_members_of_an_exported_class_are_shown(self):
        members = " public:\n  virtual ~Pair() = default;\n  int Half() const;\n"
        self.edit(NAME_H, "STRATA_EXPORT std",
                  f"class STRATA_EXPORT Pair {{\n{members}}};\n\nSTRATA_EXPORT std")
        result = self.check("--only", QUICK)
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_header_that_does_not_stand_alone(self):
        self.edit(NAME_H, "#include <string>\n\n", "")
        self.edit(NAME_CC, '#include "strata/low/name.h"',
                  '#include <string>\n\n#include "strata/low/name.h"')
        self.expect("alone", NAME_H, "does not compile by itself")

    def test_format(self):
        self.edit(NAME_CC, "{ return", "{  return")
        self.expect("format", NAME_CC + ":6", "make format")

    def test_tidy(self):
        self.edit(NAME_CC, 'return "low";', "constexpr int size = 3;\n  return {size, 'x'};\n")
        result = self.check("--only", "tidy")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn(f"{NAME_CC}:6: [tidy] invalid case style for constexpr", result.stdout)

    def test_tidy_looks_at_what_changed_only(self):
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost"]
        self.edit(NAME_CC, 'return "low";', "constexpr int size = 3;\n  return {size, 'x'};\n")
        for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
            subprocess.run([*git, *command], cwd=self.root, check=True, capture_output=True)
        result = self.check("--only", "tidy")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.edit(NAME_CC, "size", "length")
        result = self.check("--only", "tidy")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)

    def test_unknown_rule_is_named(self):
        result = self.check("--only", "spelling")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("'spelling'", result.stderr)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The type stubs name what the extension modules have, with the same arguments."""

import ast
import importlib
import inspect
import pathlib
import re
import unittest

import strata


def declared(stub):
    """{"name" or "Class.name": [argument, ...]} of a stub file."""
    found = {}

    def visit(nodes, prefix):
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                visit(node.body, node.name + ".")
            elif isinstance(node, ast.FunctionDef):
                arguments = [a.arg for a in node.args.args + node.args.kwonlyargs if a.arg != "self"]
                found[prefix + node.name] = arguments

    visit(ast.parse(stub.read_text()).body, "")
    return found


def bound(module):
    """The same of an extension module, from the signatures that pybind11 writes into the docstrings."""
    found = {}

    def arguments(function):
        signature = re.search(r"\((.*)\) -> ", function.__doc__).group(1)
        names = re.findall(r"(?:^|, )(\w+)(?=:|,|$)", signature)
        return [name for name in names if not re.fullmatch(r"self|arg\d+", name)]

    for name, value in vars(module).items():
        if inspect.isclass(value):
            for member, function in vars(value).items():
                if isinstance(function, property):
                    found[f"{name}.{member}"] = []
                elif member == "__init__" and name in ("Scanner", "Store") or not member.startswith("_"):
                    found[f"{name}.{member}"] = arguments(function)
        elif inspect.isbuiltin(value):
            found[name] = arguments(value)
    return found


class StubsTest(unittest.TestCase):

    def test_stubs_match(self):
        folder = pathlib.Path(strata.__file__).parent
        self.assertTrue((folder / "py.typed").exists())
        for name in ("_dedup", "_object"):
            found = bound(importlib.import_module("strata." + name))
            self.assertGreater(len(found), 10, name)
            self.assertEqual(declared(folder / f"{name}.pyi"), found, name)


if __name__ == "__main__":
    unittest.main()

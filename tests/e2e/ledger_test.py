# SPDX-License-Identifier: Apache-2.0
"""The rules of the ledger that crash_test.py judges by."""
import unittest

from support.ledger import ABSENT, Content, Register

A, B, C = (Content.of(letter) for letter in (b"a", b"b", b"c"))


class RegisterTest(unittest.TestCase):
    def setUp(self):
        self.register = Register()

    def written(self, content):
        write = self.register.begin(content)
        self.register.acknowledge(write)

    def test_nothing_is_there_at_first(self):
        self.assertEqual({ABSENT}, self.register.allowed())

    def test_an_acknowledged_write_is_the_only_possibility(self):
        self.written(A)
        self.written(B)
        self.assertEqual((True, B), self.register.certain())

    def test_an_acknowledged_delete_leaves_nothing(self):
        self.written(A)
        self.written(ABSENT)
        self.assertEqual({ABSENT}, self.register.allowed())

    def test_a_write_in_doubt_may_have_happened_or_not(self):
        self.written(A)
        self.register.begin(B)
        self.assertEqual({A, B}, self.register.allowed())
        self.assertEqual((False, None), self.register.certain())

    def test_a_write_in_doubt_may_still_land_after_a_later_one(self):
        self.register.begin(A)
        self.written(B)
        self.assertEqual({A, B}, self.register.allowed())

    def test_of_two_at_the_same_time_either_may_be_last(self):
        first, second = self.register.begin(A), self.register.begin(B)
        self.register.acknowledge(second)
        self.register.acknowledge(first)
        self.assertEqual({A, B}, self.register.allowed())
        self.written(C)
        self.assertEqual({C}, self.register.allowed())

    def test_a_refused_write_did_not_happen(self):
        self.written(A)
        self.register.refuse(self.register.begin(B))
        self.assertEqual({A}, self.register.allowed())

    def test_what_was_found_stays(self):
        self.written(A)
        self.register.begin(B)
        self.register.settle(B)
        self.assertEqual({B}, self.register.allowed())


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""strata.ec over NumPy arrays."""

import itertools
import os
import unittest

import numpy as np

import strata
import strata.ec

SEED = int(os.environ.get("STRATA_SEED", "20"))


def multiply(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a > 255:
            a ^= 0x11d
        b >>= 1
    return product


class CodeTest(unittest.TestCase):

    def setUp(self):
        self.random = np.random.default_rng(SEED)

    def stripe(self, code, size=1000):
        shards = self.random.integers(0, 256, (code.total_shards, size), np.uint8)
        code.encode(shards[:code.data_shards], out=shards[code.data_shards:])
        return shards

    def test_parity_is_what_the_matrix_says(self):
        products = np.array([[multiply(a, b) for b in range(256)] for a in range(256)], np.uint8)
        for code in (strata.ec.ReedSolomon(5, 3), strata.ec.ReedSolomon(3, 1), strata.ec.LocallyRepairable(6, 2, 2)):
            shards = self.stripe(code)
            for row, parity in zip(code.matrix, shards[code.data_shards:]):
                expected = np.zeros(1000, np.uint8)
                for coefficient, shard in zip(row, shards):
                    expected ^= products[coefficient][shard]
                np.testing.assert_array_equal(parity, expected, code.name)

    def test_any_two_losses_come_back(self):
        code = strata.ec.ReedSolomon(4, 2)
        shards = self.stripe(code)
        before = shards.copy()
        for lost in itertools.combinations(range(6), 2):
            shards[list(lost)] = 0
            code.reconstruct(shards, lost=lost)
            np.testing.assert_array_equal(shards, before, str(lost))
        with self.assertRaisesRegex(strata.DataLossError, "cannot be rebuilt"):
            code.reconstruct(shards, lost=[0, 1, 2])
        self.assertTrue(code.is_recoverable([1, 5]))
        self.assertFalse(code.is_recoverable([1, 2, 5]))

    def test_every_kernel_gives_the_same_parity(self):
        data = self.random.integers(0, 256, (10, 5003), np.uint8)
        expected = strata.ec.ReedSolomon(10, 4, kernel="portable").encode(data)
        self.assertIn("isa-l", strata.ec.kernels())
        for kernel in strata.ec.kernels():
            parity = strata.ec.ReedSolomon(10, 4, kernel=kernel).encode(data)
            np.testing.assert_array_equal(parity, expected, kernel)

    def test_update_and_verify(self):
        code = strata.ec.ReedSolomon(4, 2)
        shards = self.stripe(code)
        old = shards[2].copy()
        shards[2] = self.random.integers(0, 256, 1000, np.uint8)
        with self.assertRaisesRegex(strata.DataLossError, "parity shard 4 .* at byte"):
            code.verify(shards[:4], shards[4:])
        code.update(2, old, shards[2], shards[4:])
        code.verify(shards[:4], shards[4:])

    def test_a_local_repair_reads_one_group(self):
        code = strata.ec.LocallyRepairable(12, 3, 2)
        shards = self.stripe(code)
        repair = code.plan_repair(present=[i for i in range(17) if i != 5], wanted=[5])
        self.assertEqual(repair.sources, (4, 6, 7, 13))
        self.assertEqual(repair.targets, (5,))
        target = bytearray(1000)
        repair.run([shards[i] for i in repair.sources], [target])
        self.assertEqual(bytes(target), shards[5].tobytes())

    def test_buffers_and_strided_rows(self):
        code = strata.ec.ReedSolomon(2, 1)
        parity = bytearray(3)
        code.encode([b"abc", memoryview(b"xyz")], out=[parity])
        self.assertEqual(bytes(parity), bytes(a ^ b for a, b in zip(b"abc", b"xyz")))
        wide = self.random.integers(0, 256, (4, 300), np.uint8)
        np.testing.assert_array_equal(code.encode(wide[::2, 10:200])[0], wide[0, 10:200] ^ wide[2, 10:200])
        self.assertEqual(code.encode(np.empty((2, 0), np.uint8)).shape, (1, 0))

    def test_wrong_shapes_are_named(self):
        code = strata.ec.ReedSolomon(4, 2)
        data = np.zeros((4, 10), np.uint8)
        parity = np.zeros((2, 10), np.uint8)
        with self.assertRaisesRegex(strata.InvalidArgumentError, "3 data shards instead of 4"):
            code.encode(data[:3])
        with self.assertRaisesRegex(strata.InvalidArgumentError, "0 data shards instead of 4"):
            code.encode(np.zeros((0, 10), np.uint8))
        for not_shards in (None, 4, b"abcd", bytearray(4)):
            with self.assertRaisesRegex(TypeError, "data is neither a two-dimensional array nor a sequence"):
                code.encode(not_shards)
        self.assertEqual(code.encode(list(data.view(np.uint16))).shape, (2, 10))  # Buffers of any type: bytes count.
        with self.assertRaisesRegex(ValueError, "two-dimensional array of bytes"):
            code.encode(data[0], out=parity)
        with self.assertRaisesRegex(ValueError, "two-dimensional array of bytes"):
            code.encode(data.astype(np.uint16), out=parity)
        with self.assertRaisesRegex(ValueError, "not contiguous"):
            code.encode(data[:, ::2], out=parity)
        with self.assertRaisesRegex(strata.InvalidArgumentError, "parity shard 0 has 9 bytes"):
            code.encode(data, out=parity[:, 1:])
        parity.flags.writeable = False
        with self.assertRaisesRegex(ValueError, "read-only"):
            code.encode(data, out=parity)
        with self.assertRaisesRegex(ValueError, "6 shards"):
            code.reconstruct(np.zeros((6, 10), np.uint8), lost=[7])
        with self.assertRaisesRegex(strata.InvalidArgumentError, "more than 255"):
            strata.ec.ReedSolomon(250, 6)
        with self.assertRaisesRegex(strata.InvalidArgumentError, "equal groups"):
            strata.ec.LocallyRepairable(7, 2, 2)
        with self.assertRaisesRegex(strata.InvalidArgumentError, "no kernel 'quick'"):
            strata.ec.ReedSolomon(4, 2, kernel="quick")

    def test_checksums(self):
        self.assertEqual(strata.ec.crc32c(b"123456789"), 0xE3069283)
        first, second = strata.ec.crc32c(b"1234"), strata.ec.crc32c(b"56789")
        self.assertEqual(strata.ec.combine_crc32c(first, second, 5), 0xE3069283)
        self.assertEqual(strata.ec.crc32c(b"56789", first), 0xE3069283)


class OverlapTest(unittest.TestCase):

    def setUp(self):
        self.code = strata.ec.ReedSolomon(4, 2)
        self.data = np.random.default_rng(SEED).integers(0, 256, (6, 1000), np.uint8)
        self.before = self.data.copy()

    def refused(self, call, *arguments, **options):
        with self.assertRaisesRegex(ValueError, "overlaps"):
            call(*arguments, **options)
        self.assertTrue((self.data == self.before).all(), "something was written")

    def test_output_over_input_is_refused(self):
        d = self.data
        self.refused(self.code.encode, d[:4], out=d[:2])
        self.refused(self.code.encode, d[:4], out=d[3:5])
        self.refused(self.code.encode, [d[0], d[1], d[2], d[3]], out=[d[4], d[2]])
        flat = d.reshape(-1)
        self.refused(self.code.encode, d[:4], out=[flat[3999:4999], flat[5000:6000]])
        self.refused(self.code.update, 0, d[0], d[4], parity=d[4:6])
        repair = self.code.plan_repair(present=[0, 1, 2, 3], wanted=[4])
        self.refused(repair.run, d[:4], d[3:4])

    def test_outputs_over_each_other_are_refused(self):
        d = self.data
        self.refused(self.code.encode, d[:4], out=[d[4], d[4]])
        same = np.lib.stride_tricks.as_strided(d, (6, 1000), (0, 1))
        self.refused(self.code.reconstruct, same, lost=[4])

    def test_what_lies_beside_is_not_over(self):
        parity = self.code.encode(self.data[:4], out=self.data[4:])
        self.code.verify(self.before[:4], parity)
        self.code.encode([self.data[0]] * 4, out=self.data[4:])  # Inputs may be the same.


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Erasure coding and CRC-32C against ISA-L, on one core (processor time, so that a busy machine does not count).

Both sides run in turn inside one process and each round gives a ratio; the process is run several times, because where the kernel puts the
pages decides how well they fit the second-level cache, and the median of the processes' medians is the result.
"""
import statistics
import subprocess

IN_CACHE = ("4+2", "8+3", "10+4", "17+3")


def measure(bench, kit, *options):
    """Median ratio, and medians of our and ISA-L's rates, by name."""
    samples = {}
    for _ in range(kit.rounds(5)):
        output = subprocess.run([bench, *options], check=True, capture_output=True, text=True).stdout
        for row in map(str.split, output.splitlines()):
            samples.setdefault(row[0], []).append([float(value) for value in row[1:4]])
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in samples.items()}


def report(kit, name, measured, bar):
    ours, peer, ratio = measured
    print(f"# {name}: {ours:.1f} GB/s, ISA-L {peer:.1f} GB/s")
    kit.at_least(f"ec.{name}/isal", ratio, bar, "x")


def run(kit):
    bench = kit.build("ec_bench") / "bench" / "ec_bench"
    shapes = ",".join(IN_CACHE)
    cached = measure(bench, kit, "--ops", "encode,rebuild2", "--shapes", shapes, "--sizes", "65536")
    fastest = subprocess.run([bench, "--ops", "plan", "--shapes", "4+2", "--rounds", "1", "--kernel", "gfni-avx512"],
                             capture_output=True, text=True, check=False).returncode == 0
    for shape in IN_CACHE:
        for op, bar in (("encode", 2.5), ("rebuild2", 2.3)):
            name = f"{op}.{shape}.65536"
            if fastest:
                report(kit, name, cached[name], bar)
            else:
                kit.skip(f"ec.{name}/isal", f">= {bar}x", "this CPU has no GFNI with AVX-512")
    memory = measure(bench, kit, "--ops", "memory,read", "--shapes", "8+3", "--sizes", "1048576", "--rounds", "9")
    print(f"# reading memory: {memory['read'][0]:.1f} GB/s")
    report(kit, "memory.8+3.1048576", memory["memory.8+3.1048576"], 1.3)
    for kernel in ("avx512", "avx2"):
        probe = subprocess.run([bench, "--ops", "plan", "--shapes", "4+2", "--rounds", "1", "--kernel", kernel],
                               capture_output=True, text=True, check=False)
        if probe.returncode != 0:
            kit.skip(f"ec.{kernel}/isal", ">= 1x", f"this CPU has no {kernel}")
            continue
        plain = measure(bench, kit, "--ops", "encode", "--shapes", shapes, "--sizes", "65536", "--kernel", kernel)
        for shape in IN_CACHE:
            report(kit, f"{kernel}.encode.{shape}.65536", plain[f"encode.{shape}.65536"], 1.0)
    checksums = measure(bench, kit, "--ops", "crc32c", "--sizes", "4096,65536,1048576")
    for name, measured in checksums.items():
        report(kit, name, measured, 1.0)

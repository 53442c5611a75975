#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs Ceph's s3-tests against a fresh stratad and sums up by area.

  STRATA_S3_TESTS=/path/of/s3-tests STRATA_BIN=build/release/bin tests/peers/s3_tests.py [LIST] [pytest argument...]

LIST is a file of test ids, one a line, else everything in test_s3.py and test_headers.py runs. STRATA_S3_TESTS_PYTHON names
an interpreter that has pytest, boto3 and the suite's other needs [this one]. --failures=FILE takes the ids that
failed; --expect=FILE makes the exit status 1 when a test of that list fails, else it is 0.
"""
import argparse
import collections
import configparser
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from support.appliance import Appliance  # noqa: E402

# The first that matches names a test's area.
AREAS = (
    ("lifecycle", r"lifecycle"), ("object lock", r"object_lock|object_legal|retention"), ("policy", r"policy|policies"),
    ("public access block", r"public_block|block_public|ignore_public|get_public"), ("encryption", r"encrypt|sse_|kms"),
    ("acl", r"acl|grant|access_bucket|anon|raw_"), ("cors", r"cors"), ("post object", r"post_object"), ("tagging", r"tag"),
    ("website", r"website"), ("logging", r"logging"), ("ownership", r"ownership"), ("versioning", r"version"),
    ("multipart", r"multipart|upload_part|abort"), ("copy", r"copy"), ("atomic", r"atomic"),
    ("conditional", r"_if(match|nonematch|modified|unmodified)|_if_|ifmatch|ifnone"), ("checksum", r"checksum|crc"),
    ("headers and auth", r"test_headers|_bad_|auth|presigned|x_amz"), ("listing", r"list"), ("range", r"range"),
    ("multi-delete", r"multi_object_delete|multi_objectv2_delete"), ("bucket", r"bucket"), ("object", r"object"),
)


def area_of(test):
    return next((name for name, pattern in AREAS if re.search(pattern, test)), "other")


def write_configuration(appliance, path):
    """The users that the suite wants, with keys that are theirs alone."""
    configuration = configparser.RawConfigParser()
    configuration["DEFAULT"] = {"host": "127.0.0.1", "port": appliance.s3_port, "is_secure": "False",
                                "ssl_verify": "False"}
    configuration["fixtures"] = {"bucket prefix": "s3tests-{random}-", "iam name prefix": "s3-tests-",
                                 "iam path prefix": "/s3-tests/"}
    for section in ("s3 main", "s3 alt", "s3 tenant", "iam", "iam root", "iam alt root"):
        user = "s3tests-" + section.replace(" ", "-")
        key = appliance.strata("user", "add", user, "--name", section)
        configuration[section] = {"user_id": user, "display_name": section, "email": f"{user}@example.com",
                                  "access_key": key["access_key"], "secret_key": key["secret_key"]}
    configuration["s3 main"]["api_name"] = ""
    configuration["s3 tenant"]["tenant"] = ""
    with open(path, "w", encoding="utf-8") as file:
        configuration.write(file)


def run(suite, tests, appliance, extra):
    """[(test id, outcome, message)]"""
    configuration = appliance.folder / "s3tests.conf"
    report = appliance.folder / "report.xml"
    write_configuration(appliance, configuration)
    environment = {**appliance.client_environment(), "S3TEST_CONF": str(configuration)}
    python = os.environ.get("STRATA_S3_TESTS_PYTHON", sys.executable)
    subprocess.run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "--tb=short",
                    *extra, *tests], cwd=suite, env=environment, stdout=sys.stderr, check=False)
    outcomes = []
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        test = case.get("classname").replace(".", "/") + ".py::" + case.get("name")
        worst = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        outcomes.append((test, "passed" if worst is None else worst.tag,
                         "" if worst is None else (worst.get("message") or "").splitlines()[0][:160]))
    return outcomes


def summarise(outcomes):
    areas = collections.defaultdict(collections.Counter)
    for test, outcome, _ in outcomes:
        areas[area_of(test)]["failed" if outcome in ("failure", "error") else outcome] += 1
    print(f"{'area':24}{'passed':>8}{'failed':>8}{'skipped':>8}")
    total = collections.Counter()
    for name in sorted(areas):
        counts = areas[name]
        total += counts
        print(f"{name:24}{counts['passed']:>8}{counts['failed']:>8}{counts['skipped']:>8}")
    print(f"{'all':24}{total['passed']:>8}{total['failed']:>8}{total['skipped']:>8}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list", nargs="?")
    parser.add_argument("--failures")
    parser.add_argument("--expect")
    arguments, extra = parser.parse_known_args()
    suite = os.environ.get("STRATA_S3_TESTS")
    if not suite:
        print("skipped: STRATA_S3_TESTS names no s3-tests tree")
        return 77
    tests = ["s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py"]
    if arguments.list:
        tests = pathlib.Path(arguments.list).read_text(encoding="utf-8").split()
    with Appliance() as appliance:
        appliance.start()
        outcomes = run(suite, tests, appliance, extra)
    failed = {test: message for test, outcome, message in outcomes if outcome in ("failure", "error")}
    for test, message in sorted(failed.items(), key=lambda item: (area_of(item[0]), item[0])):
        print(f"FAILED {area_of(test)}: {test.split('::')[1]}: {message}")
    summarise(outcomes)
    if arguments.failures:
        pathlib.Path(arguments.failures).write_text("".join(f"{test}\n" for test in sorted(failed)), encoding="utf-8")
    if arguments.expect:
        broken = set(pathlib.Path(arguments.expect).read_text(encoding="utf-8").split()) & failed.keys()
        return 1 if broken else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

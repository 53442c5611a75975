# SPDX-License-Identifier: Apache-2.0
"""/metrics, /health, /ready, /status.json and the console: what they say, and that it agrees with `strata stat`, with
what clients did, and with the disk."""
import json
import os
import pathlib
import re
import socket
import subprocess
import unittest

import program
from support.appliance import Appliance

# What an idle stratad may take; docs/operations.md.
REST_BYTES = 100 << 20

# metric -> the same in `strata stat`
STAT_OF = {
    "strata_dedup_streams": "streams", "strata_dedup_logical_bytes": "logical_bytes",
    "strata_dedup_unique_bytes": "unique_bytes", "strata_dedup_compressed_bytes": "compressed_bytes",
    "strata_dedup_deferred_bytes": "deferred_bytes", "strata_dedup_recipe_bytes": "recipe_bytes",
    "strata_dedup_container_bytes": "container_bytes", "strata_dedup_chunks": "chunks",
    "strata_dedup_average_chunk_bytes": "average_chunk_bytes",
    "strata_dedup_containers": "containers", "strata_dedup_device_bytes": "device_bytes",
    "strata_device_allocated_bytes": "device_allocated_bytes",
}
SINCE_OPEN_OF = {
    "strata_dedup_ingested_bytes_total": "ingested_bytes", "strata_dedup_ingested_chunks_total": "ingested_chunks",
    "strata_dedup_duplicate_bytes_total": "duplicate_bytes", "strata_dedup_duplicate_chunks_total": "duplicate_chunks",
    "strata_dedup_read_bytes_total": "read_bytes", "strata_dedup_index_reads_total": "index_reads",
    "strata_dedup_device_flushes_total": "device_flushes", "strata_dedup_corruptions_total": "corruptions_found",
    'strata_dedup_operation_seconds_count{operation="ingest"}': "ingests",
    'strata_dedup_operation_seconds_sum{operation="ingest"}': "ingest_seconds",
    'strata_dedup_operation_seconds_count{operation="read"}': "reads",
    'strata_dedup_operation_seconds_sum{operation="read"}': "read_seconds",
    'strata_dedup_operation_seconds_count{operation="collect"}': "collections",
    "strata_gc_runs_total": "collections", "strata_gc_freed_bytes_total": "collected_bytes",
}


class StatusTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance()
        cls.addClassCleanup(cls.appliance.close)
        cls.appliance.start()
        cls.rest_bytes = cls.appliance.rss_bytes()
        cls.wire = cls.appliance.wire()
        cls.wire.make_bucket("bucket")
        cls.body = os.urandom(3_000_000)

    def test_agreement(self):
        before = self.appliance.metrics()
        for key in ("first", "second"):
            self.wire.put("bucket", key, self.body).expect(200)
        self.wire.get("bucket", "first").expect(200)
        self.wire.get("bucket", "absent").expect(404)
        self.appliance.strata("gc")
        stat, metrics = self.appliance.strata("stat"), self.appliance.metrics()
        for metric, name in STAT_OF.items():
            self.assertEqual(stat[name], metrics[metric], metric)
        for metric, name in SINCE_OPEN_OF.items():
            self.assertEqual(stat["since_open"][name], metrics[metric], metric)
        page = json.loads(self.appliance.http_get("/status.json")[1])
        self.assertEqual(stat, page["store"])

        def grown(metric):
            return metrics[metric] - before.get(metric, 0)

        # What the clients did.
        self.assertEqual(2, grown('strata_s3_requests_total{operation="PutObject"}'))
        self.assertEqual(2 * len(self.body), grown('strata_s3_received_bytes_total{operation="PutObject"}'))
        self.assertEqual(2, grown('strata_s3_request_seconds_count{operation="GetObject"}'))
        self.assertEqual(1, grown('strata_s3_errors_total{operation="GetObject",class="4xx"}'))
        self.assertGreaterEqual(grown('strata_s3_sent_bytes_total{operation="GetObject"}'), len(self.body))
        self.assertEqual(2 * len(self.body), grown("strata_dedup_ingested_bytes_total"))
        self.assertGreater(grown("strata_dedup_duplicate_bytes_total"), 0.9 * len(self.body))
        self.assertEqual(1, grown("strata_gc_runs_total"))

        # What the disk and the kernel say.
        self.assertEqual(self.appliance.allocated_bytes(), metrics["strata_device_allocated_bytes"])
        self.assertAlmostEqual(self.appliance.allocated_bytes("meta"), metrics["strata_metadata_allocated_bytes"],
                               delta=1 << 20, msg="RocksDB may make and remove a file in between")
        self.assertAlmostEqual(self.appliance.rss_bytes(), metrics["process_resident_memory_bytes"], delta=16 << 20)
        self.assertAlmostEqual(self.appliance.open_files(), metrics["process_open_fds"], delta=5)
        self.assertGreaterEqual(metrics["strata_s3_connections"], 1)

    def test_form(self):
        text = self.appliance.http_get("/metrics")[1]
        described, typed = set(), set()
        for line in text.splitlines():
            if match := re.fullmatch(r"# HELP (\w+) \S.*", line):
                described.add(match[1])
            elif match := re.fullmatch(r"# TYPE (\w+) (gauge|counter|summary|histogram)", line):
                self.assertEqual(match[2] == "counter", match[1].endswith("_total"), match[1])
                typed.add(match[1])
            else:
                match = re.fullmatch(r'(\w+)(\{(\w+="[^"\\]*",?)+\})? [-+.e\d]+', line)
                self.assertIsNotNone(match, f"not a sample: {line}")
                self.assertIn(re.sub(r"_(sum|count|bucket)$", "", match[1]), typed, line)
        self.assertEqual(described, typed)
        self.assertRegex(text, r'strata_build_info\{version="\d+\.\d+\.\d+"\} 1')
        manual = (program.ROOT / "docs/operations.md").read_text()
        for name in described:
            self.assertIn(f"`{name}`", manual, "docs/operations.md lacks a metric")

    def test_pages(self):
        self.assertEqual((200, "alive\n"), self.appliance.http_get("/health"))
        self.assertEqual((200, "ready\n"), self.appliance.http_get("/ready"))
        self.assertEqual(404, self.appliance.http_get("/nothing")[0])
        status, page = self.appliance.http_get("/")
        self.assertEqual(200, status)
        self.assertIn("<title>Strata</title>", page)
        self.assertNotRegex(page, r"https?://", "the page needs nothing from elsewhere")

    def test_memory_at_rest(self):
        self.assertLess(self.rest_bytes, REST_BYTES)

    def test_clients_that_do_not_speak_hold_nobody_up(self):
        host, port = self.appliance.metrics_endpoint.split(":")
        silent = [socket.create_connection((host, int(port))) for _ in range(40)]
        self.assertEqual(200, self.appliance.http_get("/health")[0])
        for connection in silent:
            connection.close()

    def test_no_metrics_port_when_it_is_switched_off(self):
        appliance = Appliance()
        self.addCleanup(appliance.close)
        appliance.start()
        appliance.stop()
        process_arguments = [str(program.BIN / "stratad"), "--data", str(appliance.data), "--s3", "127.0.0.1:0"]
        process = subprocess.Popen(process_arguments, env=program.clean_environment(STRATA_METRICS_LISTEN=""),
                                   stderr=subprocess.PIPE, text=True)
        try:
            for line in process.stderr:
                if "s3 on http://" in line:
                    break
            listening = {int(row.split()[1].rsplit(":", 1)[1], 16)
                         for table in ("tcp", "tcp6")
                         for row in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]
                         if row.split()[3] == "0A" and row.split()[9] in inodes_of(process.pid)}
            self.assertEqual({int(line.rsplit(":", 1)[1])}, listening, "the S3 port alone")
        finally:
            process.terminate()
            process.communicate(timeout=30)
        self.assertEqual(0, process.returncode)


def inodes_of(pid):
    """The sockets that a process holds, as /proc/net shows them."""
    found = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
        except FileNotFoundError:
            continue
        if match:
            found.add(match[1])
    return found


if __name__ == "__main__":
    unittest.main()

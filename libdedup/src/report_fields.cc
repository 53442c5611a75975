// SPDX-License-Identifier: Apache-2.0
#include "strata/dedup/report_fields.h"

#include <iterator>

namespace strata::dedup {
namespace {

using Kind = StatsField::Kind;

constexpr StatsField kStats[] = {
    {&Stats::stream_count, Kind::kStored, "stream_count", "streams", "streams", "Streams stored."},
    {&Stats::logical_bytes, Kind::kStored, "logical_bytes", "logical_bytes", "logical_bytes",
     "Sum of the sizes of all streams."},
    {&Stats::chunk_count, Kind::kStored, "chunk_count", "chunks", "chunks",
     "Distinct chunks stored."},
    {&Stats::unique_bytes, Kind::kStored, "unique_bytes", "unique_bytes", "unique_bytes",
     "Sizes of the distinct chunks stored, before compression; uncollected garbage included."},
    {&Stats::compressed_bytes, Kind::kStored, "compressed_bytes", "compressed_bytes",
     "compressed_bytes", "The distinct chunks after compression."},
    {&Stats::deferred_bytes, Kind::kStored, "deferred_bytes", "deferred_bytes", "deferred_bytes",
     "Of the compressed bytes, those in containers that await their compression by a garbage "
     "collection."},
    {&Stats::recipe_count, Kind::kStored, "recipe_count", "", "", ""},
    {&Stats::recipe_bytes, Kind::kStored, "recipe_bytes", "recipe_bytes", "recipe_bytes",
     "Sizes of the recipe nodes stored, which unique and compressed bytes leave out."},
    {&Stats::container_count, Kind::kStored, "container_count", "containers", "containers",
     "Containers on the device."},
    {&Stats::container_bytes, Kind::kStored, "container_bytes", "container_bytes",
     "container_bytes", "Device space that the containers take, headers and padding included."},
    {&Stats::device_bytes, Kind::kStored, "device_bytes", "device_bytes", "device_bytes",
     "Size of the device."},
    {&Stats::metadata_memory_bytes, Kind::kStored, "metadata_memory_bytes", "memory_bytes",
     "metadata_memory_bytes", "Memory of the index filter and the caches."},

    {&Stats::ingested_bytes, Kind::kTotal, "ingested_bytes", "ingested_bytes", "ingested_bytes",
     "Bytes written to streams."},
    {&Stats::ingested_chunks, Kind::kTotal, "ingested_chunks", "ingested_chunks", "ingested_chunks",
     "Chunks written to streams."},
    {&Stats::duplicate_bytes, Kind::kTotal, "duplicate_bytes", "duplicate_bytes", "duplicate_bytes",
     "Of the ingested bytes, those stored before."},
    {&Stats::duplicate_chunks, Kind::kTotal, "duplicate_chunks", "duplicate_chunks",
     "duplicate_chunks", "Of the ingested chunks, those stored before."},
    {&Stats::rewritten_bytes, Kind::kTotal, "rewritten_bytes", "rewritten_bytes", "rewritten_bytes",
     "Duplicates stored again so that long streams stay in few places."},
    {&Stats::read_bytes, Kind::kTotal, "read_bytes", "read_bytes", "read_bytes",
     "Bytes read from streams."},
    {&Stats::device_read_bytes, Kind::kTotal, "device_read_bytes", "device_read_bytes",
     "device_read_bytes", "Read from the device of the containers."},
    {&Stats::device_flushes, Kind::kTotal, "device_flushes", "device_flushes", "device_flushes",
     "Flushes of the device."},
    {&Stats::index_reads, Kind::kTotal, "index_reads", "index_reads", "index_reads",
     "Lookups that went to the index on disk."},
    {&Stats::corruptions_found, Kind::kTotal, "corruptions_found", "corruptions_found",
     "corruptions", "Damaged places met while reading."},

    {&Stats::ingests, Kind::kCalls, "ingests", "ingests", "ingest", ""},
    {&Stats::ingest_ns, Kind::kTimeNs, "ingest_ns", "ingest_seconds", "", ""},
    {&Stats::reads, Kind::kCalls, "reads", "reads", "read", ""},
    {&Stats::read_ns, Kind::kTimeNs, "read_ns", "read_seconds", "", ""},
    {&Stats::commits, Kind::kCalls, "commits", "commits", "commit", ""},
    {&Stats::commit_ns, Kind::kTimeNs, "commit_ns", "commit_seconds", "", ""},
    {&Stats::collections, Kind::kCalls, "collections", "", "collect", ""},
    {&Stats::collection_ns, Kind::kTimeNs, "collection_ns", "collection_seconds", "", ""},
    {&Stats::verifications, Kind::kCalls, "verifications", "verifications", "verify", ""},
    {&Stats::verification_ns, Kind::kTimeNs, "verification_ns", "verification_seconds", "", ""},
};
static_assert(sizeof(Stats) == std::size(kStats) * sizeof(uint64_t), "a number has no row");

constexpr ReportField<GarbageReport> kGarbage[] = {
    {&GarbageReport::streams_marked, "streams_marked"},
    {&GarbageReport::containers_examined, "containers_examined"},
    {&GarbageReport::containers_freed, "containers_freed"},
    {&GarbageReport::duplicate_chunks, "duplicate_chunks"},
    {&GarbageReport::deferred_bytes, "deferred_bytes"},
    {&GarbageReport::recompressed_bytes, "recompressed_bytes"},
    {&GarbageReport::live_bytes_copied, "live_bytes_copied"},
    {&GarbageReport::freed_bytes, "freed_bytes"},
};
static_assert(sizeof(GarbageReport) == std::size(kGarbage) * sizeof(uint64_t),
              "a number has no row");

constexpr ReportField<VerifyReport> kVerify[] = {
    {&VerifyReport::containers_checked, "containers_checked"},
    {&VerifyReport::chunks_checked, "chunks_checked"},
    {&VerifyReport::bytes_read, "bytes_read"},
    {&VerifyReport::streams_checked, "streams_checked"},
    {&VerifyReport::index_entries_checked, "index_entries_checked"},
};

}  // namespace

std::span<const StatsField> StatsFields() { return kStats; }
std::span<const ReportField<GarbageReport>> GarbageReportFields() { return kGarbage; }
std::span<const ReportField<VerifyReport>> VerifyReportFields() { return kVerify; }

}  // namespace strata::dedup

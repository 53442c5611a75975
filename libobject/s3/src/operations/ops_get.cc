// SPDX-License-Identifier: Apache-2.0
//
// Objects on their way out: GetObject, HeadObject, GetObjectAttributes.
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "http/byte_range.h"
#include "http/errors.h"
#include "http/http_date.h"
#include "http/text.h"
#include "operations/operations.h"
#include "protocol/checksum_headers.h"
#include "protocol/listing_parameters.h"
#include "protocol/object_headers.h"
#include "protocol/xml.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

class ObjectSource final : public BodySource {
 public:
  ObjectSource(std::unique_ptr<object::ObjectReader> reader, uint64_t offset_bytes,
               uint64_t size_bytes)
      : reader_(std::move(reader)),
        offset_bytes_(offset_bytes),
        size_bytes_(size_bytes),
        remaining_bytes_(size_bytes) {}

  uint64_t size_bytes() const override { return size_bytes_; }

  absl::StatusOr<size_t> Read(std::span<std::byte> out) override {
    const size_t wanted = std::min<uint64_t>(out.size(), remaining_bytes_);
    size_t filled = 0;
    while (filled < wanted) {
      STRATA_ASSIGN_OR_RETURN(const size_t size,
                              reader_->Read(offset_bytes_, out.subspan(filled, wanted - filled)));
      if (size == 0) return absl::InternalError("an object ended before its size");
      filled += size;
      offset_bytes_ += size;
    }
    remaining_bytes_ -= filled;
    return filled;
  }

 private:
  const std::unique_ptr<object::ObjectReader> reader_;
  uint64_t offset_bytes_;
  const uint64_t size_bytes_;
  uint64_t remaining_bytes_;
};

absl::StatusOr<object::GetOptions> GetOptionsOf(const Call& call) {
  object::GetOptions options;
  options.version_id = call.request.Query("versionId");
  options.conditions = ParseConditions(call.request, "");
  if (const std::string* text = call.request.FindQuery("partNumber")) {
    const std::optional<uint64_t> number = ParseDecimal(*text);
    if (!number || *number < 1 || *number > object::ObjectLimits::kMaxPartNumber) {
      return MakeError(ErrorCode::kInvalidArgument, "partNumber must be from 1 to 10000.");
    }
    if (call.request.head.Find("range") != nullptr) {
      return MakeError(ErrorCode::kInvalidRequest,
                       "Cannot specify both Range header and partNumber query parameter.");
    }
    options.part_number = static_cast<uint32_t>(*number);
  }
  return options;
}

// 304 says which version the client's copy is (RFC 9110, section 15.4.5).
absl::StatusOr<Reply> NotModifiedReply(const Call& call, object::GetOptions options) {
  options.conditions = {};
  options.part_number = 0;
  STRATA_ASSIGN_OR_RETURN(const object::ObjectInfo info,
                          call.store().Head(call.bucket, call.request.key, options));
  Reply reply = EmptyReply(304);
  reply.Add("ETag", QuotedEtag(info.etag));
  reply.Add("Last-Modified", FormatHttpDate(info.modified_ns));
  if (!info.metadata.cache_control.empty()) {
    reply.Add("Cache-Control", info.metadata.cache_control);
  }
  AddVersionHeader(call.bucket, info.version_id, reply);
  return reply;
}

// If-Range: the range is wanted only of the version the client has a part of.
bool RangeStillWanted(const Request& request, const object::ObjectInfo& info) {
  const std::string_view condition = request.Header("if-range");
  if (condition.empty()) return true;
  if (condition.front() == '"') return condition == QuotedEtag(info.etag);
  const std::optional<uint64_t> date = ParseHttpDate(condition);
  constexpr uint64_t kSecond = 1'000'000'000;
  return date && info.modified_ns / kSecond == *date / kSecond;
}

// The object, or the part of it asked for by number.
struct Extent {
  uint32_t part_number = 0;
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
  std::optional<object::Checksum> checksum;
};

// What of the object the answer is of, and its head.
struct Selection {
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
  Reply reply;
};

absl::StatusOr<Selection> Select(const Call& call, const object::ObjectInfo& info,
                                 const Extent& extent) {
  const bool by_number = extent.part_number > 0;
  Selection selection;
  selection.offset_bytes = extent.offset_bytes;
  selection.size_bytes = extent.size_bytes;
  AddObjectHeaders(call.bucket, info, selection.reply);
  ApplyResponseOverrides(call.request, selection.reply);

  ByteRange range;
  const std::string_view header = call.request.Header("range");
  if (!by_number && RangeStillWanted(call.request, info)) {
    range = ParseByteRange(header, info.size_bytes);
  }
  if (range.kind == ByteRange::Kind::kUnsatisfiable) return MakeRangeError(header, info.size_bytes);
  if (range.kind == ByteRange::Kind::kPart) {
    selection.offset_bytes = range.offset_bytes;
    selection.size_bytes = range.size_bytes;
  }
  // What is asked for by number is a part, even where it is all there is. An empty one has no
  // range.
  if (range.kind == ByteRange::Kind::kPart || (by_number && extent.size_bytes > 0)) {
    selection.reply.status = 206;
    const uint64_t last = selection.offset_bytes + selection.size_bytes - 1;
    selection.reply.Add("Content-Range",
                        Concat({"bytes ", std::to_string(selection.offset_bytes), "-",
                                std::to_string(last), "/", std::to_string(info.size_bytes)}));
  }
  if (by_number && info.part_count > 0) {
    selection.reply.Add("x-amz-mp-parts-count", std::to_string(info.part_count));
  }
  const bool whole_extent = selection.size_bytes == extent.size_bytes;
  if (whole_extent && extent.checksum && info.checksum &&
      EqualsIgnoreCase(call.request.Header("x-amz-checksum-mode"), "enabled")) {
    AddChecksumHeaders(*extent.checksum, ChecksumTypeName(*info.checksum), selection.reply);
  }
  return selection;
}

Extent ExtentOf(const object::ObjectReader& reader, uint32_t part_number) {
  return {.part_number = part_number,
          .offset_bytes = reader.offset_bytes(),
          .size_bytes = reader.size_bytes(),
          .checksum = reader.checksum()};
}

void AddObjectParts(const object::ObjectPartsPage& page, uint64_t marker, size_t max_parts,
                    XmlWriter& xml) {
  xml.Open("ObjectParts");
  xml.Number("PartsCount", page.object.part_count);
  xml.Number("PartNumberMarker", marker);
  if (page.truncated) xml.Number("NextPartNumberMarker", page.parts.back().part_number);
  xml.Number("MaxParts", max_parts);
  xml.Bool("IsTruncated", page.truncated);
  for (const object::PartInfo& part : page.parts) {
    xml.Open("Part");
    xml.Number("PartNumber", part.part_number);
    xml.Number("Size", part.size_bytes);
    if (part.checksum) AddChecksumElement(*part.checksum, xml);
    xml.Close();
  }
  xml.Close();
}

}  // namespace

absl::StatusOr<Step> GetObject(const Call& call) {
  STRATA_ASSIGN_OR_RETURN(const object::GetOptions options, GetOptionsOf(call));
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> reader =
      call.store().OpenReader(call.bucket, call.request.key, options);
  if (!reader.ok()) {
    if (ErrorCodeOf(reader.status()) != ErrorCode::kNotModified) return reader.status();
    return NotModifiedReply(call, options);
  }
  const object::ObjectInfo& info = (*reader)->info();
  STRATA_ASSIGN_OR_RETURN(Selection selection,
                          Select(call, info, ExtentOf(**reader, options.part_number)));
  if (selection.size_bytes > 0) {
    selection.reply.source = std::make_unique<ObjectSource>(
        *std::move(reader), selection.offset_bytes, selection.size_bytes);
  }
  return std::move(selection.reply);
}

absl::StatusOr<Step> HeadObject(const Call& call) {
  STRATA_ASSIGN_OR_RETURN(const object::GetOptions options, GetOptionsOf(call));
  object::ObjectInfo info;
  Extent extent;
  absl::Status status;
  if (options.part_number > 0) {
    // Where a part begins and ends is for a reader to know.
    auto reader = call.store().OpenReader(call.bucket, call.request.key, options);
    status = reader.status();
    if (reader.ok()) {
      info = (*reader)->info();
      extent = ExtentOf(**reader, options.part_number);
    }
  } else {
    auto head = call.store().Head(call.bucket, call.request.key, options);
    status = head.status();
    if (head.ok()) {
      info = *std::move(head);
      extent.size_bytes = info.size_bytes;
      extent.checksum = info.checksum;
    }
  }
  if (!status.ok()) {
    if (ErrorCodeOf(status) != ErrorCode::kNotModified) return status;
    return NotModifiedReply(call, options);
  }
  STRATA_ASSIGN_OR_RETURN(Selection selection, Select(call, info, extent));
  selection.reply.content_length = selection.size_bytes;
  return std::move(selection.reply);
}

absl::StatusOr<Step> GetObjectAttributes(const Call& call) {
  constexpr std::array<std::string_view, 5> kAttributes = {"ETag", "Checksum", "ObjectParts",
                                                           "StorageClass", "ObjectSize"};
  std::array<bool, kAttributes.size()> wanted{};
  for (const HttpHeader& header : call.request.head.headers) {
    if (header.name != "x-amz-object-attributes") continue;
    for (std::string_view name : Split(header.value, ',')) {
      const auto* found = std::find(kAttributes.begin(), kAttributes.end(), Trim(name));
      if (found == kAttributes.end()) {
        return MakeError(ErrorCode::kInvalidArgument, "Invalid attribute name specified.");
      }
      wanted[static_cast<size_t>(found - kAttributes.begin())] = true;
    }
  }
  if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) {
    return MakeError(ErrorCode::kInvalidArgument, "x-amz-object-attributes is needed.");
  }
  STRATA_ASSIGN_OR_RETURN(
      const size_t max_parts,
      ParseMaxItems(call.request.head.Find("x-amz-max-parts"), "x-amz-max-parts"));
  const std::string_view marker_text = call.request.Header("x-amz-part-number-marker");
  const std::optional<uint64_t> marker = ParseDecimal(marker_text.empty() ? "0" : marker_text);
  if (!marker || *marker > INT32_MAX) {
    return MakeError(ErrorCode::kInvalidArgument, "x-amz-part-number-marker is no part number.");
  }
  object::GetOptions options;
  options.version_id = call.request.Query("versionId");
  options.conditions = ParseConditions(call.request, "");
  absl::StatusOr<object::ObjectPartsPage> page = call.store().ListObjectParts(
      call.bucket, call.request.key, options,
      {static_cast<uint32_t>(*marker), std::max<size_t>(max_parts, 1)});
  if (!page.ok()) {
    if (ErrorCodeOf(page.status()) != ErrorCode::kNotModified) return page.status();
    return NotModifiedReply(call, options);
  }
  if (max_parts == 0) {
    page->parts.clear();
    page->truncated = false;
  }
  const object::ObjectInfo& info = page->object;
  XmlWriter xml("GetObjectAttributesResponse");
  if (wanted[0]) xml.Text("ETag", info.etag);
  if (wanted[1] && info.checksum) {
    xml.Open("Checksum");
    AddChecksumElement(*info.checksum, xml);
    xml.Text("ChecksumType", ChecksumTypeName(*info.checksum));
    xml.Close();
  }
  if (wanted[2] && info.part_count > 0) AddObjectParts(*page, *marker, max_parts, xml);
  if (wanted[3]) xml.Text("StorageClass", info.metadata.storage_class);
  if (wanted[4]) xml.Number("ObjectSize", info.size_bytes);
  Reply reply = XmlReply(xml.Finish());
  reply.Add("Last-Modified", FormatHttpDate(info.modified_ns));
  AddVersionHeader(call.bucket, info.version_id, reply);
  return reply;
}

}  // namespace strata::s3

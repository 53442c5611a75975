// SPDX-License-Identifier: Apache-2.0
//
// Documents of clients. What is read can be written and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/text.h"
#include "protocol/xml.h"
#include "strata/base/check.h"

namespace {

using strata::s3::XmlElement;

size_t DepthOf(const XmlElement& element) {
  size_t depth = 0;
  for (const XmlElement& child : element.children) depth = std::max(depth, DepthOf(child));
  return depth + 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view document(reinterpret_cast<const char*>(data), size);
  for (std::string_view root : {"Delete", "CompleteMultipartUpload", "Tagging"}) {
    const absl::StatusOr<XmlElement> element =
        strata::s3::ParseXml(document, root, {.max_depth = 8, .max_elements = 1000});
    if (!element.ok()) continue;
    STRATA_CHECK(DepthOf(*element) <= 8, "deeper than the limit");
    for (const XmlElement& child : element->children) {
      strata::s3::XmlWriter writer("Root");
      writer.Text("Text", child.text);
      const absl::StatusOr<XmlElement> again = strata::s3::ParseXml(writer.Finish(), "Root");
      if (again.ok()) STRATA_CHECK(again->ChildText("Text") == child.text, "text changed");
    }
  }
  return 0;
}

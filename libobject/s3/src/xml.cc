// SPDX-License-Identifier: Apache-2.0
#include "xml.h"

#include <utility>

#include <pugixml.hpp>

#include "errors.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "text.h"

namespace strata::s3 {
namespace {

void AppendEscaped(std::string& out, std::string_view text) {
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          // Not allowed in XML 1.0 but for three of them; this is what S3 sends all the same, and
          // what encoding-type=url is there to avoid.
          out += "&#x";
          if (c >= 0x10) out += '1';
          out += "0123456789abcdef"[c & 15];
          out += ';';
        } else {
          out += c;
        }
    }
  }
}

std::string_view WithoutPrefix(std::string_view name) {
  const size_t colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

// Copies a pugixml tree, counting.
class Copier {
 public:
  explicit Copier(const XmlLimits& limits) : limits_(limits) {}

  absl::Status Copy(const pugi::xml_node& node, size_t depth, XmlElement& out) {
    if (depth > limits_.max_depth) {
      return MakeError(ErrorCode::kMalformedXml, "The XML is nested too deeply.");
    }
    if (++element_count_ > limits_.max_elements) {
      return MakeError(ErrorCode::kMalformedXml, "The XML has too many elements.");
    }
    out.name = WithoutPrefix(node.name());
    bool has_children = false;
    for (const pugi::xml_node& child : node.children()) {
      if (child.type() == pugi::node_element) {
        has_children = true;
        out.children.emplace_back();
        STRATA_RETURN_IF_ERROR(Copy(child, depth + 1, out.children.back()));
      } else if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) {
        out.text += child.value();
      }
    }
    if (has_children) out.text.clear();  // What stands between elements is indentation.
    return absl::OkStatus();
  }

 private:
  const XmlLimits limits_;
  size_t element_count_ = 0;
};

}  // namespace

XmlWriter::XmlWriter(std::string_view root, Namespace name_space) {
  out_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<";
  out_ += root;
  if (name_space == Namespace::kS3) out_ += " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
  out_ += '>';
  open_.push_back(root);
}

void XmlWriter::Open(std::string_view name) {
  out_ += '<';
  out_ += name;
  out_ += '>';
  open_.push_back(name);
}

void XmlWriter::Close() {
  STRATA_CHECK(!open_.empty(), "no XML element is open");
  out_ += "</";
  out_ += open_.back();
  out_ += '>';
  open_.pop_back();
}

void XmlWriter::Text(std::string_view name, std::string_view text) {
  Open(name);
  AppendEscaped(out_, text);
  Close();
}

void XmlWriter::Number(std::string_view name, uint64_t value) { Text(name, std::to_string(value)); }

void XmlWriter::Bool(std::string_view name, bool value) { Text(name, value ? "true" : "false"); }

std::string XmlWriter::Finish() {
  while (!open_.empty()) Close();
  return std::move(out_);
}

const XmlElement* XmlElement::Child(std::string_view child_name) const {
  for (const XmlElement& child : children) {
    if (child.name == child_name) return &child;
  }
  return nullptr;
}

std::string_view XmlElement::ChildText(std::string_view child_name) const {
  const XmlElement* child = Child(child_name);
  return child == nullptr ? std::string_view() : std::string_view(child->text);
}

absl::StatusOr<XmlElement> ParseXml(std::string_view document, std::string_view root,
                                    const XmlLimits& limits) {
  if (!IsValidUtf8(document)) {
    return MakeError(ErrorCode::kMalformedXml, "The XML is not valid UTF-8.");
  }
  pugi::xml_document parsed;
  // White space may be a whole key.
  const pugi::xml_parse_result result = parsed.load_buffer(
      document.data(), document.size(),
      pugi::parse_default | pugi::parse_ws_pcdata | pugi::parse_doctype, pugi::encoding_utf8);
  if (!result) return MakeError(ErrorCode::kMalformedXml);
  // No client has use for a document type but to define entities, which nothing here expands.
  for (const pugi::xml_node child : parsed.children()) {
    if (child.type() == pugi::node_doctype) return MakeError(ErrorCode::kMalformedXml);
  }
  const pugi::xml_node node = parsed.document_element();
  if (!node || WithoutPrefix(node.name()) != root) {
    return MakeError(ErrorCode::kMalformedXml, Concat({"The XML's root is not ", root, "."}));
  }
  XmlElement element;
  STRATA_RETURN_IF_ERROR(Copier(limits).Copy(node, 1, element));
  return element;
}

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
#include "protocol/xml.h"

#include <algorithm>
#include <utility>

#include <expat.h>

#include "http/errors.h"
#include "http/text.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "strata/base/utf8.h"

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

// With namespaces, expat gives an element's name as its namespace, this and its name.
constexpr char kNamespaceSeparator = '\n';

std::string_view WithoutNamespace(std::string_view name) {
  return name.substr(name.rfind(kNamespaceSeparator) + 1);  // npos + 1 is 0.
}

// XML 1.0, production 3.
bool IsWhiteSpace(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Builds the tree while expat reads, so that a document is refused at the element that breaks a
// limit and not after all of it has been stored.
class TreeBuilder final {
 public:
  explicit TreeBuilder(const XmlLimits& limits)
      : limits_(limits), parser_(XML_ParserCreateNS("UTF-8", kNamespaceSeparator)) {
    STRATA_CHECK(parser_ != nullptr, "no memory for an XML parser");
    XML_SetUserData(parser_, this);
    XML_SetXmlDeclHandler(parser_,
                          [](void* self, const XML_Char* version, const XML_Char* encoding,
                             int /*standalone*/) { Self(self).OnDeclaration(version, encoding); });
    // No client has use for a document type but to define entities.
    XML_SetStartDoctypeDeclHandler(
        parser_, [](void* self, const XML_Char* /*name*/, const XML_Char* /*system*/,
                    const XML_Char* /*public*/,
                    int /*has_internal*/) { Self(self).Refuse("The XML has a document type."); });
    XML_SetProcessingInstructionHandler(
        parser_, [](void* self, const XML_Char* /*target*/, const XML_Char* /*data*/) {
          Self(self).Refuse("The XML has a processing instruction.");
        });
    XML_SetElementHandler(
        parser_,
        [](void* self, const XML_Char* name, const XML_Char** attributes) {
          Self(self).OnStart(name, attributes);
        },
        [](void* self, const XML_Char* /*name*/) { Self(self).OnEnd(); });
    XML_SetCharacterDataHandler(parser_, [](void* self, const XML_Char* text, int size) {
      Self(self).OnText({text, static_cast<size_t>(size)});
    });
  }
  ~TreeBuilder() { XML_ParserFree(parser_); }
  TreeBuilder(const TreeBuilder&) = delete;
  TreeBuilder& operator=(const TreeBuilder&) = delete;

  absl::StatusOr<XmlElement> Build(std::string_view document) {
    // In pieces: expat sees a tag only when it is whole, and a tag may be as long as the document.
    for (size_t begin = 0; begin < document.size(); begin += kPieceBytes) {
      STRATA_RETURN_IF_ERROR(Parse(document.substr(begin, kPieceBytes), /*last=*/false));
      const size_t parsed = std::min(document.size(), begin + kPieceBytes);
      const XML_Index token = XML_GetCurrentByteIndex(parser_);
      if (token >= 0 && parsed - static_cast<size_t>(token) > kMaxTagBytes + kPieceBytes) {
        return MakeError(ErrorCode::kMalformedXml, "The XML has too long a tag or comment.");
      }
    }
    STRATA_RETURN_IF_ERROR(Parse({}, /*last=*/true));
    return std::move(root_);
  }

 private:
  static constexpr size_t kPieceBytes = 8 << 10;
  static constexpr size_t kMaxTagBytes = 64 << 10;
  static constexpr size_t kMaxAttributes = 1000;  // Of all elements; they are not kept.

  static TreeBuilder& Self(void* self) { return *static_cast<TreeBuilder*>(self); }

  absl::Status Parse(std::string_view piece, bool last) {
    const XML_Status parsed =
        XML_Parse(parser_, piece.data(), static_cast<int>(piece.size()), last ? 1 : 0);
    STRATA_RETURN_IF_ERROR(status_);
    if (parsed == XML_STATUS_OK) return absl::OkStatus();
    return MakeError(ErrorCode::kMalformedXml,
                     Concat({"The XML is not well formed: line ",
                             std::to_string(XML_GetCurrentLineNumber(parser_)), ": ",
                             XML_ErrorString(XML_GetErrorCode(parser_)), "."}));
  }

  void Refuse(std::string_view why) {
    if (status_.ok()) status_ = MakeError(ErrorCode::kMalformedXml, why);
    XML_StopParser(parser_, XML_FALSE);
  }

  void OnDeclaration(const XML_Char* version, const XML_Char* encoding) {
    if (version != nullptr && std::string_view(version) != "1.0") {
      Refuse("The XML is not of version 1.0.");
    }
    if (encoding != nullptr && !EqualsIgnoreCase(encoding, "UTF-8") &&
        !EqualsIgnoreCase(encoding, "US-ASCII")) {
      Refuse("The XML declares another encoding than UTF-8.");
    }
  }

  void OnStart(std::string_view name, const XML_Char** attributes) {
    if (!status_.ok()) return;
    for (; *attributes != nullptr; attributes += 2) ++attribute_count_;
    if (attribute_count_ > kMaxAttributes) return Refuse("The XML has too many attributes.");
    if (open_.size() == limits_.max_depth) return Refuse("The XML is nested too deeply.");
    if (++element_count_ > limits_.max_elements) {
      return Refuse("The XML has too many elements.");
    }
    // The parent's children do not move while one of them is open: there is one at a time.
    XmlElement& element = open_.empty() ? root_ : open_.back()->children.emplace_back();
    element.name = WithoutNamespace(name);
    open_.push_back(&element);
  }

  void OnEnd() {
    if (!status_.ok()) return;
    XmlElement& element = *open_.back();
    open_.pop_back();
    if (element.children.empty()) return;
    if (!IsWhiteSpace(element.text)) return Refuse("The XML has text between elements.");
    element.text.clear();
  }

  void OnText(std::string_view text) {
    if (status_.ok()) open_.back()->text += text;
  }

  const XmlLimits limits_;
  const XML_Parser parser_;
  absl::Status status_;  // Why the document is refused although it is well formed.
  XmlElement root_;
  std::vector<XmlElement*> open_;  // From the root to the element under way.
  size_t element_count_ = 0;
  size_t attribute_count_ = 0;
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
  // Where expat finds zeros it reads UTF-16, whatever it was told.
  if (!IsUtf8(document) || document.find('\0') != std::string_view::npos) {
    return MakeError(ErrorCode::kMalformedXml, "The XML is not valid UTF-8.");
  }
  STRATA_ASSIGN_OR_RETURN(XmlElement element, TreeBuilder(limits).Build(document));
  if (element.name != root) {
    return MakeError(ErrorCode::kMalformedXml, Concat({"The XML's root is not ", root, "."}));
  }
  return element;
}

absl::StatusOr<bool> ParseXmlBool(const XmlElement& element, std::string_view child_name) {
  const XmlElement* child = element.Child(child_name);
  if (child == nullptr) return false;
  const std::string_view text = Trim(child->text);
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return MakeError(ErrorCode::kMalformedXml, Concat({child_name, " must be true or false."}));
}

absl::Status CheckXmlChildren(const XmlElement& element,
                              std::initializer_list<XmlChildRule> rules) {
  auto refuse = [&element](std::initializer_list<std::string_view> why) {
    return MakeError(ErrorCode::kMalformedXml, Concat({"In ", element.name, ": ", Concat(why)}));
  };
  if (!IsWhiteSpace(element.text)) return refuse({"text where elements belong."});
  for (const XmlElement& child : element.children) {
    const auto* rule = std::find_if(rules.begin(), rules.end(),
                                    [&child](const auto& r) { return r.name == child.name; });
    if (rule == rules.end()) return refuse({"the element ", child.name, " is not known here."});
    if (rule->content == XmlContent::kText && !child.children.empty()) {
      return refuse({child.name, " holds elements, where text belongs."});
    }
    if (rule->count == XmlCount::kOne && element.Child(child.name) != &child) {
      return refuse({"there are two elements ", child.name, "."});
    }
  }
  return absl::OkStatus();
}

}  // namespace strata::s3

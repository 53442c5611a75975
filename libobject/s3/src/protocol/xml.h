// SPDX-License-Identifier: Apache-2.0
//
// The documents of the S3 protocol: written by XmlWriter, read by ParseXml (expat).
//
//   XmlWriter xml("LocationConstraint");
//   xml.Text("Name", bucket);
//   return xml.Finish();
//
// A writer is used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace strata::s3 {

class XmlWriter final {
 public:
  enum class Namespace { kS3, kNone };

  explicit XmlWriter(std::string_view root, Namespace name_space = Namespace::kS3);

  // Names are literals of this program: they outlive the writer and are not escaped.
  void Open(std::string_view name);
  void Close();
  void Text(std::string_view name, std::string_view text);
  void Number(std::string_view name, uint64_t value);
  void Bool(std::string_view name, bool value);
  void Raw(std::string_view xml) { out_ += xml; }

  // Closes what is open. REQUIRES: called once, last.
  std::string Finish();

 private:
  std::string out_;
  std::vector<std::string_view> open_;
};

// An element without its attributes and its namespace. An element has children or `text`.
struct XmlElement {
  std::string name;
  std::string text;
  std::vector<XmlElement> children;

  // nullptr: no child of that name. The first of several.
  const XmlElement* Child(std::string_view name) const;
  // Empty when there is none.
  std::string_view ChildText(std::string_view name) const;
};

struct XmlLimits {
  size_t max_depth = 16;
  size_t max_elements = 100'000;
};

// The root element. kMalformedXml, with what is wrong: not well-formed XML 1.0 with namespaces,
// another encoding than UTF-8, a document type or processing instruction, text between elements,
// a limit, or another root. Characters that XML 1.0 lacks are not well formed as references either.
absl::StatusOr<XmlElement> ParseXml(std::string_view document, std::string_view root,
                                    const XmlLimits& limits = {});

enum class XmlContent { kText, kElements };
enum class XmlCount { kOne, kMany };  // kOne: at most one.

struct XmlChildRule {
  std::string_view name;
  XmlContent content;
  XmlCount count = XmlCount::kOne;
};

// The child of that name, false where there is none. kMalformedXml: neither true nor false.
absl::StatusOr<bool> ParseXmlBool(const XmlElement& element, std::string_view child_name);

// A document that changes something must not mean two things: what is not known may be a condition
// of it, and of two equal elements only one could be meant. kMalformedXml: a child that `rules` do
// not name, a second one where they say one, elements where they say text, or text beside children.
absl::Status CheckXmlChildren(const XmlElement& element, std::initializer_list<XmlChildRule> rules);

}  // namespace strata::s3

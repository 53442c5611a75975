// SPDX-License-Identifier: Apache-2.0
#include "xml.h"

#include <catch2/catch.hpp>

#include "errors.h"
#include "text.h"

namespace strata::s3 {
namespace {

bool IsMalformed(std::string_view document, std::string_view root = "A") {
  const absl::StatusOr<XmlElement> element = ParseXml(document, root);
  return !element.ok() && ErrorCodeOf(element.status()) == ErrorCode::kMalformedXml;
}

TEST_CASE("a document is written with its characters escaped") {
  XmlWriter xml("Root", XmlWriter::Namespace::kNone);
  xml.Text("Key", "<a&b>\"\n\x01");
  xml.Open("Inner");
  xml.Number("N", 18446744073709551615u);
  xml.Bool("B", true);
  CHECK(xml.Finish() ==
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Root><Key>&lt;a&amp;b&gt;&quot;&#xa;&#x1;"
        "</Key><Inner><N>18446744073709551615</N><B>true</B></Inner></Root>");
}

TEST_CASE("what is written is read as it was") {
  for (std::string_view text : {"", " ", "a", "<>&\"'", "\n\t x \r", "\xC3\xA4", "]]>"}) {
    XmlWriter xml("A");
    xml.Text("Key", text);
    const absl::StatusOr<XmlElement> element = ParseXml(xml.Finish(), "A");
    INFO("'" << text << "'");
    REQUIRE(element.ok());
    CHECK(element->ChildText("Key") == text);
  }
}

TEST_CASE("documents of clients: prefixes, indentation, CDATA, entities") {
  const absl::StatusOr<XmlElement> element = ParseXml(
      "<?xml version='1.0'?>\n<!-- c --><x:Delete "
      "xmlns:x='http://s3.amazonaws.com/doc/2006-03-01/'>"
      "\n  <x:Object>\n <x:Key>a&amp;&#x62;<![CDATA[<c>]]></x:Key>\n</x:Object>\n"
      "<x:Object><x:Key> </x:Key></x:Object><x:Quiet>true</x:Quiet></x:Delete>",
      "Delete");
  REQUIRE(element.ok());
  REQUIRE(element->children.size() == 3);
  CHECK(element->children[0].ChildText("Key") == "a&b<c>");
  CHECK(element->children[1].ChildText("Key") == " ");
  CHECK(element->ChildText("Quiet") == "true");
  CHECK(element->text.empty());
  CHECK(element->Child("None") == nullptr);
}

TEST_CASE("what is not a document of the expected form") {
  CHECK(IsMalformed(""));
  CHECK(IsMalformed("text"));
  CHECK(IsMalformed("<A>"));
  CHECK(IsMalformed("<A></B>"));
  CHECK(IsMalformed("<B/>"));
  CHECK(IsMalformed("<!DOCTYPE A><A/>"));
  CHECK(IsMalformed("<!DOCTYPE A [<!ENTITY e \"eeee\">]><A>&e;</A>"));
  CHECK(IsMalformed("<A>\xFF</A>"));
  CHECK_FALSE(IsMalformed("<A/>"));
}

TEST_CASE("entities of a document's own are not expanded") {
  const absl::StatusOr<XmlElement> element = ParseXml(
      "<!DOCTYPE A [<!ENTITY e 'xxxxxxxxxx'><!ENTITY f SYSTEM 'file:///etc/passwd'>]>"
      "<A><K>&e;&f;</K></A>",
      "A");
  if (element.ok()) CHECK(element->ChildText("K") == "&e;&f;");
}

TEST_CASE("depth and number of elements are limited") {
  std::string deep;
  for (int i = 0; i < 17; ++i) deep += "<A>";
  for (int i = 0; i < 17; ++i) deep += "</A>";
  CHECK(IsMalformed(deep));
  std::string hostile;
  for (int i = 0; i < 200'000; ++i) hostile += "<A>";
  CHECK(IsMalformed(hostile));
  std::string wide = "<A>";
  for (int i = 0; i < 100; ++i) wide += "<B/>";
  wide += "</A>";
  CHECK(ParseXml(wide, "A", {.max_depth = 2, .max_elements = 101}).ok());
  CHECK_FALSE(ParseXml(wide, "A", {.max_depth = 2, .max_elements = 100}).ok());
  CHECK_FALSE(ParseXml(wide, "A", {.max_depth = 1, .max_elements = 101}).ok());
}

}  // namespace
}  // namespace strata::s3

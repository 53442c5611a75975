// SPDX-License-Identifier: Apache-2.0
#include "protocol/xml.h"

#include <catch2/catch.hpp>

#include "http/errors.h"
#include "http/text.h"

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

TEST_CASE("XML that is not well formed is not read halfway") {
  for (std::string_view document : {"<A><K>&unknown;</K></A>",
                                    "<A>&#0;</A>",
                                    "<A>&#x0;</A>",
                                    "<A>&#x1;</A>",
                                    "<A>&#xFFFE;</A>",
                                    "<A>&#xD800;</A>",
                                    "<A>&#x110000;</A>",
                                    "<A>\x01</A>",
                                    "<A>&</A>",
                                    "<A>&amp</A>",
                                    "<A/><A/>",
                                    "<A/><B/>",
                                    "<A/>text",
                                    "text<A/>",
                                    "<A/>&amp;",
                                    "<A/><",
                                    "<A/><![CDATA[x]]>",
                                    "<A>]]></A>",
                                    "<A b='1' b='2'/>",
                                    "<A b=1/>",
                                    "<A b/>",
                                    "<A b='<'/>",
                                    "<A b='&u;'/>",
                                    "<A><!-- a -- b --></A>",
                                    "<A><!-- </A>",
                                    "<A><![CDATA[ </A>",
                                    "<A><B></A></B>",
                                    "<A></A ></A>",
                                    "<1A/>",
                                    "< A/>",
                                    "<A/",
                                    "<x:A/>",
                                    "<A><x:B/></A>",
                                    "<A xmlns:x='' />",
                                    " <?xml version='1.0'?><A/>"}) {
    INFO(document);
    CHECK(IsMalformed(document));
  }
  CHECK(IsMalformed(std::string_view("<A>\0</A>", 8)));
  CHECK(IsMalformed(std::string_view("<A/>\0", 5)));
  CHECK_FALSE(IsMalformed("<?xml version=\"1.0\"?>\n<A/>\n<!-- end -->\n"));
}

TEST_CASE("documents are UTF-8, and only that") {
  CHECK_FALSE(IsMalformed("\xEF\xBB\xBF<A/>"));
  CHECK_FALSE(IsMalformed("<?xml version='1.0' encoding='utf-8' standalone='yes'?><A/>"));
  CHECK_FALSE(IsMalformed("<?xml version='1.0' encoding='US-ASCII'?><A/>"));
  CHECK(IsMalformed("<?xml version='1.0' encoding='UTF-16'?><A/>"));
  CHECK(IsMalformed("<?xml version='1.0' encoding='ISO-8859-1'?><A/>"));
  CHECK(IsMalformed("<?xml version='1.0' encoding='UTF-7'?><A/>"));
  CHECK(IsMalformed("<?xml version='1.1'?><A/>"));
  CHECK(IsMalformed(std::string_view("\xFF\xFE<\0A\0/\0>\0", 10)));
  CHECK(IsMalformed(std::string_view("\xFE\xFF\0<\0A\0/\0>", 10)));
  CHECK(IsMalformed(std::string_view("<\0A\0/\0>\0", 8)));
  CHECK(IsMalformed(std::string_view("\0<\0A\0/\0>", 8)));
  CHECK(IsMalformed("<A>\xED\xA0\x80</A>"));  // A surrogate.
  CHECK(IsMalformed("<A>\xC0\x80</A>"));      // An overlong zero.
}

TEST_CASE("what has no use in a document is refused") {
  CHECK(IsMalformed("<!DOCTYPE A SYSTEM 'http://localhost/x'><A/>"));
  CHECK(IsMalformed("<?xml-stylesheet href='x'?><A/>"));
  CHECK(IsMalformed("<A><?x y?></A>"));
  CHECK(IsMalformed("<A/><?x y?>"));
  CHECK(IsMalformed("<A>text<B/></A>"));
  CHECK(IsMalformed("<A><B/>text</A>"));
  CHECK(IsMalformed("<A>&#x20;.<B/></A>"));
  // A comment does not cut a text off.
  CHECK(ParseXml("<A>a<!-- x -->b<![CDATA[c]]>d</A>", "A")->text == "abcd");
}

TEST_CASE("a document's children are those its operation knows") {
  auto check = [](std::string_view document) {
    const absl::StatusOr<XmlElement> element = ParseXml(document, "A");
    REQUIRE(element.ok());
    return CheckXmlChildren(
        *element, {{"Key", XmlContent::kText}, {"Object", XmlContent::kElements, XmlCount::kMany}});
  };
  CHECK(check("<A/>").ok());
  CHECK(check("<A> <Key>k</Key> <Object/><Object><X/></Object></A>").ok());
  for (std::string_view document :
       {"<A>text</A>", "<A><Key/><Key/></A>", "<A><Key/><Object/><Key/></A>",
        "<A><Key><B/></Key></A>", "<A><Size/></A>", "<A><key/></A>"}) {
    INFO(document);
    CHECK(ErrorCodeOf(check(document)) == ErrorCode::kMalformedXml);
  }
}

TEST_CASE("tags and attributes are limited") {
  CHECK(IsMalformed("<A b='" + std::string(200'000, 'x') + "'/>"));
  CHECK(IsMalformed("<A><!--" + std::string(200'000, 'x') + "--></A>"));
  CHECK(IsMalformed("<" + std::string(200'000, 'A') + "/>"));
  std::string attributes = "<A";
  for (int i = 0; i < 1001; ++i) attributes += " a" + std::to_string(i) + "=''";
  CHECK(IsMalformed(attributes + "/>"));
  // Text is not.
  const std::string text(1'000'000, 'x');
  CHECK(ParseXml("<A>" + text + "</A>", "A")->text == text);
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

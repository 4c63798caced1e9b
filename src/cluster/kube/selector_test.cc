// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "cluster/kube/selector.h"
#include "core/document/json.h"

namespace caisson::kube {
namespace {
Value read(const char* text) {
  auto value = json::parse(text);
  REQUIRE(value.ok());
  return std::move(value).value();
}
}  // namespace

TEST_CASE("a label selector chooses by labels") {
  const Value labels = read(R"({"app":"web","tier":"front","weight":"5"})");
  struct Case {
    const char* text;
    bool want;
  };
  for (const Case& c : {Case{"", true},
                        Case{"app=web", true},
                        Case{"app==web", true},
                        Case{"app = web", true},
                        Case{"app!=web", false},
                        Case{"app!=api", true},
                        Case{"missing!=x", true},
                        Case{"app in (api, web)", true},
                        Case{"app notin (api)", true},
                        Case{"missing notin (a)", true},
                        Case{"app notin (web)", false},
                        Case{"app", true},
                        Case{"!app", false},
                        Case{"!missing", true},
                        Case{"weight>4", true},
                        Case{"weight<5", false},
                        Case{"app=web,tier=back", false},
                        Case{"app=web,tier in (front),!old", true},
                        Case{"app=", false},
                        Case{"missing=", false},
                        Case{"example.com/x", false}}) {
    CAPTURE(c.text);
    const auto selector = LabelSelector::parse(c.text);
    REQUIRE(selector.ok());
    CHECK_EQ(selector->matches(labels), c.want);
    const auto again = LabelSelector::parse(selector->str());
    REQUIRE(again.ok());
    CHECK_EQ(again->str(), selector->str());
    CHECK_EQ(again->matches(labels), c.want);
  }
}

TEST_CASE("a label selector that can't be read says where") {
  struct Case {
    const char* text;
    const char* want;
  };
  for (const Case& c :
       {Case{",a", "unable to parse requirement: found ',', expected: !, identifier, or 'end of string'"},
        Case{"a,,b", "unable to parse requirement: found ',', expected: identifier after ','"},
        Case{"a in b", "unable to parse requirement: found 'b' expected: '('"},
        Case{"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
        Case{"a>x",
             "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value "
             "must be an integer"}}) {
    CAPTURE(c.text);
    const auto selector = LabelSelector::parse(c.text);
    REQUIRE_FALSE(selector.ok());
    CHECK_EQ(selector.error().message, c.want);
  }
  for (const char* text : {"a=b=c", "a in (b", "-a=b", "a=-b", "a b c", "!a=b", "x/y/z=1"}) {
    CAPTURE(text);
    CHECK_FALSE(LabelSelector::parse(text).ok());
  }
}

TEST_CASE("a metav1.LabelSelector of nothing matches nothing, an empty one everything") {
  const Value labels = read(R"({"app":"web"})");
  struct Case {
    const char* text;
    bool want;
  };
  for (const Case& c :
       {Case{"null", false}, Case{"{}", true}, Case{R"({"matchLabels":{"app":"web"}})", true},
        Case{R"({"matchLabels":{"app":"api"}})", false},
        Case{R"({"matchExpressions":[{"key":"app","operator":"In","values":["web","api"]}]})", true},
        Case{R"({"matchExpressions":[{"key":"app","operator":"NotIn","values":["web"]}]})", false},
        Case{R"({"matchExpressions":[{"key":"old","operator":"DoesNotExist"}]})", true},
        Case{R"({"matchLabels":{"app":"web"},"matchExpressions":[{"key":"old","operator":"Exists"}]})", false}}) {
    CAPTURE(c.text);
    const auto selector = LabelSelector::from(read(c.text));
    REQUIRE(selector.ok());
    CHECK_EQ(selector->matches(labels), c.want);
  }
  CHECK_FALSE(LabelSelector::from(read(R"({"matchExpressions":[{"key":"a","operator":"Is"}]})")).ok());
  CHECK_FALSE(LabelSelector::from(read(R"({"matchExpressions":[{"key":"a","operator":"In"}]})")).ok());
}

TEST_CASE("a field selector chooses by paths of the object") {
  const Value pod =
      read(R"({"metadata":{"name":"a,b"},"spec":{"nodeName":"n1","hostNetwork":true},"status":{"phase":"Running"}})");
  struct Case {
    const char* text;
    bool want;
  };
  for (const Case& c :
       {Case{"", true}, Case{"spec.nodeName=n1", true}, Case{"spec.nodeName==n2", false},
        Case{"status.phase!=Failed", true}, Case{"spec.nodeName=n1,status.phase=Pending", false},
        Case{"metadata.name=a\\,b", true}, Case{"spec.hostNetwork=true", true}, Case{"spec.missing=", true}}) {
    CAPTURE(c.text);
    const auto selector = FieldSelector::parse(c.text);
    REQUIRE(selector.ok());
    CHECK_EQ(selector->matches(pod), c.want);
  }
  const auto wrong = FieldSelector::parse("spec.nodeName");
  REQUIRE_FALSE(wrong.ok());
  CHECK_EQ(wrong.error().message, "invalid selector: 'spec.nodeName'; can't understand 'spec.nodeName'");
  const auto chosen = FieldSelector::parse("spec.nodeName=n1,metadata.name!=x");
  REQUIRE(chosen.ok());
  CHECK_EQ(chosen->required_value("spec.nodeName"), "n1");
  CHECK_EQ(chosen->required_value("metadata.name"), "");
}

}  // namespace caisson::kube

// SPDX-License-Identifier: Apache-2.0
// What two threads make of a chart is what one makes of it.
#include <doctest/doctest.h>

#include <random>

#include "delivery/render/helm/render_chart.h"

namespace caisson::render::helm {
namespace {

using Files = std::map<std::string, std::string>;

// A lookup may be anything, so that one who has one is asked by one thread alone.
enum class Threads { one, two };

std::string rendered(const Files& files, Threads threads, std::uint64_t steps_max = 10'000'000) {
  const MemorySource source(files);
  std::vector<std::string> warnings;
  auto chart = load_chart(source, "c", warnings);
  REQUIRE(chart.ok());
  const auto prepared = prepare(*std::move(chart), Value::map(), false, warnings);
  REQUIRE(prepared.ok());
  RenderOptions options;
  options.release.name = "rel";
  options.engine.steps_max = steps_max;
  if (threads == Threads::one) {
    options.engine.lookup = [](auto...) -> Result<Value> { return Error{ErrorCode::not_found, "none"}; };
  }
  const auto out = render_prepared(*prepared, options, warnings);
  return out.ok() ? out->manifest : "error: " + out.error().message;
}

// More text than is worth a thread.
std::string filler() {
  return "# " + std::string(2'000, '=') + "\n";
}

Files chart_of(const std::vector<std::string>& templates) {
  Files files{{"c/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 0.1.0\n"},
              {"c/values.yaml", "m: {n: {o: 1}}\nl: [{k: 1}]\ns: text\n"},
              {"c/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n"},
              {"c/charts/sub/templates/x.yaml", "name: {{ .Template.Name }}\n"},
              {"c/templates/_t.tpl",
               "{{ define \"values\" }}{{ toJson .Values }}{{ end }}{{ define \"own\" }}{{ .Template.Name }}{{ end }}"
               "{{ define \"both\" }}{{ include \"own\" . }} {{ include \"values\" $ }}{{ end }}"
               "{{ define \"whole\" }}{{ len (toJson .) }}{{ end }}"
               "{{ define \"adds\" }}{{ $_ := set .Values \"added\" .Template.Name }}{{ end }}"}};
  for (std::size_t i = 0; i < templates.size(); ++i)
    files["c/templates/" + std::to_string(100 + i) + ".yaml"] = filler() + "v: |-\n  " + templates[i] + "\n";
  return files;
}

// Most templates only look; some edit what they made, few what all see.
std::string random_template(std::mt19937& random) {
  static constexpr std::string_view kLooks[] = {
      "{{ include \"values\" . }}",         "{{ include \"own\" . }} {{ .Template.Name }}",
      "{{ include \"both\" . }}",           "{{ include \"whole\" . }}",
      "{{ .Subcharts.sub.Template.Name }}", "{{ range $k, $v := .Values.m }}{{ $k }}{{ $v }}{{ end }}",
      "{{ tpl \"{{ .Values.m }}\" . }}",    "{{ toYaml .Values.l | nindent 2 }}"};
  static constexpr std::string_view kMakes[] = {
      "{{ $d := dict \"a\" .Values.m }}{{ $_ := set $d \"b\" 2 }}{{ toJson $d }}",
      "{{ $c := deepCopy .Values }}{{ $_ := set $c.m.n \"o\" 2 }}{{ toJson $c }}{{ include \"values\" . }}",
      "{{ $p := mergeOverwrite (dict) (deepCopy .Values.m) (dict \"n\" (dict \"o\" 3)) }}{{ toJson $p }}",
      "{{ $y := fromYaml \"a: {b: 1}\" }}{{ $_ := set $y.a \"b\" 2 }}{{ toJson $y }}"};
  static constexpr std::string_view kEdits[] = {
      "{{ $_ := set .Values \"seen\" .Template.Name }}{{ include \"values\" . }}",
      "{{ include \"adds\" . }}{{ include \"values\" . }}",
      "{{ $_ := merge (dict) .Values.m }}{{ $_ := set .Values.m.n \"o\" .Template.Name }}{{ include \"values\" . }}",
      "{{ $d := dict \"x\" 1 }}{{ $_ := set .Values \"d\" $d }}{{ include \"values\" . }}{{ $_ := set $d \"x\" 2 }}"
      "{{ include \"values\" . }}",
      "{{ range .Values.l }}{{ $_ := set . \"k\" $.Template.Name }}{{ end }}{{ include \"values\" . }}",
      "{{ $_ := set .Subcharts \"more\" 1 }}{{ keys .Subcharts }}",
      "{{ $m := mergeOverwrite (dict) (dict \"n\" .Values.m.n) (dict \"n\" (dict \"o\" .Template.Name)) }}"
      "{{ include \"values\" . }}",
      "{{ $_ := unset .Values \"s\" }}{{ include \"values\" . }}"};
  const auto one_of = [&](const auto& texts) { return std::string(texts[random() % std::size(texts)]); };
  const std::uint32_t what = random() % 40;
  if (what == 0) return one_of(kEdits);
  return what < 10 ? one_of(kMakes) : one_of(kLooks);
}

}  // namespace

TEST_CASE("two threads give what one gives, whatever templates edit") {
  const std::uint32_t seed = std::random_device{}();
  MESSAGE("seed ", seed);
  std::mt19937 random(seed);
  for (int times = 0; times < 60; ++times) {
    std::vector<std::string> templates(40 + random() % 60);
    for (std::string& text : templates) text = random_template(random);
    if (random() % 4 == 0) templates[random() % templates.size()] = "{{ fail .Template.Name }}";
    if (random() % 4 == 0) templates[random() % templates.size()] = "{{ .Values.s.none }}";
    const Files files = chart_of(templates);
    REQUIRE(rendered(files, Threads::two) == rendered(files, Threads::one));
  }
}

TEST_CASE("an include is made anew when what it shows has changed") {
  const Files files = chart_of(
      {"{{ include \"both\" . }}", "{{ include \"both\" . }}", "{{ include \"adds\" . }}", "{{ include \"both\" . }}"});
  const std::string out = rendered(files, Threads::one);
  const auto shown = [&](const std::string& name) {
    const std::size_t at = out.find("demo/templates/" + name + " {");
    return at == std::string::npos ? "nothing" : out.substr(at, out.find('\n', at) - at);
  };
  CHECK(shown("103.yaml").find("\"l\":[{\"k\":1}]") != std::string::npos);
  CHECK(shown("103.yaml").find("added") == std::string::npos);
  CHECK(shown("101.yaml").find("\"added\":\"demo/templates/102.yaml\"") != std::string::npos);
  CHECK(shown("100.yaml").find("\"added\":\"demo/templates/102.yaml\"") != std::string::npos);
}

TEST_CASE("what a template made belongs to the data once it was put there") {
  const Files files =
      chart_of({"{{ $d := dict \"x\" 1 }}{{ $_ := set .Values \"d\" $d }}{{ include \"values\" . }}"
                "{{ $_ := set $d \"x\" 2 }}{{ include \"values\" . }}"});
  const std::string out = rendered(files, Threads::one);
  CHECK(out.find("\"d\":{\"x\":1}") != std::string::npos);
  CHECK(out.find("\"d\":{\"x\":2}") != std::string::npos);
}

TEST_CASE("steps are counted over both threads, and end at the template where one thread would end") {
  std::vector<std::string> templates(40, filler() + "{{ range until 1000 }}{{ . }}{{ end }}");
  const Files files = chart_of(templates);
  for (const std::uint64_t steps_max : {10'000ull, 60'000ull, 90'000ull, 200'000ull})
    CHECK(rendered(files, Threads::two, steps_max) == rendered(files, Threads::one, steps_max));
}

}  // namespace caisson::render::helm

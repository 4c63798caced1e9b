// SPDX-License-Identifier: Apache-2.0
// Charts that are broken or hostile: each ends with Helm's kind of message, in bounded time and memory.
#include <doctest/doctest.h>

#include <unistd.h>

#include "artifact/content/compress.h"
#include "artifact/content/tar.h"
#include "core/base/file.h"
#include "core/document/yaml.h"
#include "delivery/render/helm/render_chart.h"
#include "delivery/render/helm/template_cache.h"

namespace caisson::render::helm {
namespace {

using Files = std::map<std::string, std::string>;

template <class T>
T must(Result<T> result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
  return std::move(result).value();
}

Result<RenderedChart> render(const FileSource& source, const Value& values, const RenderOptions& options) {
  std::vector<std::string> warnings;
  Chart chart = TRY(load_chart(source, "c", warnings));
  const Prepared prepared = TRY(prepare(std::move(chart), values, false, warnings));
  return render_prepared(prepared, options, warnings);
}

// What is said of a chart `demo` with one template.
std::string refusal(const std::string& text, Files more = {}, const Value& values = Value::map()) {
  more["c/Chart.yaml"] = "apiVersion: v2\nname: demo\nversion: 0.1.0\n";
  more["c/templates/a.yaml"] = text;
  RenderOptions options;
  options.release.name = "rel";
  options.engine.steps_max = 2'000'000;
  const auto out = render(MemorySource(std::move(more)), values, options);
  return out.ok() ? "" : out.error().message;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string tgz(const std::vector<content::TarEntry>& entries) {
  std::string tar;
  for (const content::TarEntry& entry : entries) {
    content::append_header(tar, entry);
    tar.append(entry.size_bytes, 'x');
    tar.append(content::padding_bytes(entry.size_bytes), '\0');
  }
  tar.append(content::kTrailerBytes, '\0');
  const auto packed = must(content::compress_gzip(content::from_string(std::move(tar))));
  return must(content::read_all(packed, 64u << 20));
}

content::TarEntry entry(const std::string& name, std::uint64_t size, content::EntryType type = content::EntryType::file,
                        const std::string& link = "") {
  content::TarEntry out;
  out.name = name;
  out.size_bytes = size;
  out.type = type;
  out.link = link;
  return out;
}

}  // namespace

TEST_CASE("templates that include one another, or expand themselves, end at a depth") {
  const std::string cycle =
      "{{ define \"a\" }}{{ include \"b\" . }}{{ end }}{{ define \"b\" }}{{ include \"a\" . }}{{ end }}";
  CHECK(holds(refusal(cycle + "{{ include \"a\" . }}"), "rendering template has a nested reference name: "));
  CHECK(holds(refusal("{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" . }}"),
              "exceeded maximum template depth"));
  const Value values{{"self", "{{ tpl .Values.self . }}"}};
  CHECK(holds(refusal("{{ tpl .Values.self . }}", {}, values), "tpl is nested more than 1000 times"));
}

TEST_CASE("loops without an end are ended, and texts without an end do not fill the memory") {
  CHECK(holds(refusal("{{ range $i := until 100000 }}{{ range $j := until 100000 }}{{ $j }}{{ end }}{{ end }}"),
              "steps"));
  CHECK(holds(refusal("{{ range 1000000000 }}{{ end }}"), "steps"));
  CHECK_FALSE(refusal("{{ repeat 2000000000 \"x\" }}").empty());
  CHECK_FALSE(
      refusal("{{ $x := \"xxxxxxxxxxxxxxxx\" }}{{ range until 40 }}{{ $x = print $x $x }}{{ end }}{{ $x }}").empty());
  CHECK_FALSE(refusal("{{ until 2000000000 }}").empty());
  CHECK_FALSE(refusal("{{ randAlphaNum 2000000000 }}").empty());
  CHECK_FALSE(refusal("{{ indent 2000000000 \"x\" }}").empty());
}

TEST_CASE("what does not parse is said with its place") {
  CHECK(refusal("{{ nope . }}") == "parse error at (demo/templates/a.yaml:1): function \"nope\" not defined");
  CHECK(refusal("x: 1\n{{ if }}") == "parse error at (demo/templates/a.yaml:2): missing value for if");
  CHECK(refusal("{{ if . }}") == "parse error at (demo/templates/a.yaml:1): unexpected EOF");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{{ if . }}";
  CHECK_FALSE(refusal(deep).empty());
  CHECK_FALSE(refusal("{{ " + std::string(200'000, '(') + " }}").empty());
  CHECK(
      refusal("a: [").starts_with("YAML parse error on demo/templates/a.yaml: error converting YAML to JSON: yaml: "));
}

TEST_CASE("values that do not fit their schema, or do not fit at all, are refused") {
  const std::string wrong = refusal(
      "a: 1", {{"c/values.schema.json", R"({"properties": {"port": {"type": "integer"}}, "required": ["port"]})"}},
      Value{{"port", "eighty"}});
  CHECK(wrong ==
        "values don't meet the specifications of the schema(s) in the following chart(s):\ndemo:\n"
        "- at '/port': got string, want integer\n");
  CHECK(holds(refusal("a: 1", {{"c/values.schema.json", "{"}}), "demo:\n"));
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 10; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += "*a" + std::to_string(i - 1) + ",";
    bomb += "]\n";
  }
  CHECK(refusal("a: 1", {{"c/values.yaml", bomb}}).starts_with("cannot load values.yaml: "));
  CHECK(holds(refusal("a: 1", {{"c/values.yaml", std::string((5u << 20) + 1, '#')}}),
              "is larger than the maximum file size"));
  ValueSources sources;
  sources.files = {"big.yaml"};
  const auto merged = merge_sources(sources, [](const std::string&) -> Result<std::string> {
    return "a: \"" + std::string(100u << 20, 'x') + "\"\n";
  });
  CHECK_FALSE(merged.ok());
}

TEST_CASE("an archive's links are not followed, and what it unpacks to is bounded") {
  std::vector<std::string> warnings;
  const auto files =
      must(read_archive(tgz({entry("d/templates/x.yaml", 0, content::EntryType::symlink, "/etc/passwd")})));
  CHECK(files.at(0).data.empty());
  CHECK(read_archive(tgz({entry("d/../../x", 1)})).error().message == "chart illegally references parent directory");
  CHECK(holds(read_archive(tgz({entry("d/big", 6u << 20)})).error().message, "is larger than the maximum file size"));
  std::vector<content::TarEntry> many;
  for (int i = 0; i < 30; ++i) many.push_back(entry("d/" + std::to_string(i), 4u << 20));
  CHECK(read_archive(tgz(many)).error().message == "decompressed chart is larger than the maximum file size 104857600");
  LoadLimits small;
  small.chart_bytes_max = 1'000;
  CHECK(read_archive(tgz({entry("d/big", 2'000)}), small).error().message ==
        "decompressed chart is larger than the maximum file size 1000");
  many.assign(20'001, entry("d/a", 0));
  CHECK_FALSE(read_archive(tgz(many)).ok());
  const std::string whole = tgz({entry("d/Chart.yaml", 100)});
  CHECK_FALSE(read_archive(whole.substr(0, whole.size() / 2)).ok());
}

TEST_CASE("a chart's folder is read below its root: links that lead out, devices and pipes are refused") {
  const TempDir folder = must(TempDir::make("chart"));
  const std::string root = folder.path() + "/repo";
  REQUIRE(make_dirs(root + "/c/templates").ok());
  REQUIRE(write_file(root + "/c/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 0.1.0\n").ok());
  REQUIRE(write_file(folder.path() + "/secret", "a: secret\n").ok());
  REQUIRE(write_file(root + "/shared.yaml", "a: {{ .Values.x }}\n").ok());
  const auto said = [&](const std::string& target) {
    const std::string link = root + "/c/templates/a.yaml";
    ::unlink(link.c_str());
    REQUIRE(::symlink(target.c_str(), link.c_str()) == 0);
    const auto source = disk_source(root);
    const auto out = render(*source, Value{{"x", 1}}, {});
    return out.ok() ? out->manifest : out.error().message;
  };
  CHECK(holds(said("../../shared.yaml"), "a: 1"));
  CHECK(holds(said(root + "/shared.yaml"), "a: 1"));
  for (const std::string& out : {std::string("../../../secret"), folder.path() + "/secret", std::string("/etc/passwd")})
    CHECK(holds(said(out), "leads out of the directory"));
  CHECK_FALSE(holds(said("/dev/zero"), "a:"));
  CHECK_FALSE(said("a.yaml").empty());  // a link to itself
}

TEST_CASE("parsed templates are kept by their content, and forgotten when they are too many") {
  const auto chart = [](const std::string& text) {
    std::vector<std::string> warnings;
    const std::string described = "apiVersion: v2\nname: demo\nversion: 0.1.0\n";
    return must(load_files({{"Chart.yaml", described}, {"templates/a.yaml", text}}, warnings));
  };
  TemplateCache cache(100);
  const auto first = must(cache.find_or_parse(chart("a: {{ .Values.x }}")));
  CHECK(must(cache.find_or_parse(chart("a: {{ .Values.x }}"))) == first);
  CHECK(must(cache.find_or_parse(chart("b: {{ .Values.x }}"))) != first);
  CHECK(cache.size() == 2);
  CHECK_FALSE(cache.find_or_parse(chart("{{ nope }}")).ok());
  CHECK(cache.size() == 2);
  must(cache.find_or_parse(chart(std::string(120, 'x'))));
  CHECK(cache.size() == 1);
  RenderOptions options;
  options.templates = &cache;
  const MemorySource source(
      {{"c/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 0.1.0\n"}, {"c/templates/a.yaml", "a: {{ .Values.x }}"}});
  for (int x = 0; x < 3; ++x)
    CHECK(holds(must(render(source, Value{{"x", x}}, options)).manifest, "a: " + std::to_string(x)));
}

// `script/bench helm` names a chart: how long it takes to render it again with a changed value, of which every document
// depends, or only the image's tag. Otherwise nothing.
TEST_CASE("rendering again with a changed value") {
  const char* path = std::getenv("CAISSON_BENCH_CHART");
  if (path == nullptr) return;
  const auto source = disk_source(path);
  std::vector<std::string> warnings;
  const Chart chart = must(load_chart(*source, ".", warnings));
  TemplateCache cache;
  RenderOptions options;
  options.release = {.name = "rel", .ns = "demo"};
  options.templates = &cache;
  const auto measure = [&](const std::string& what, const std::function<Value(const std::string& text)>& values) {
    std::vector<double> took_ms;
    for (int i = 0; i < 51; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const Prepared prepared = must(prepare(chart, values("n" + std::to_string(i)), false, warnings));
      must(render_prepared(prepared, options, warnings));
      took_ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(took_ms.begin(), took_ms.end());
    MESSAGE("rendered again with another " << what << ", median of 51: " << took_ms[25] << " ms, least: " << took_ms[0]
                                           << " ms");
  };
  measure("image tag", [](const std::string& text) {
    return Value{{"global", Value{{"image", Value{{"tag", text}}}}}, {"image", Value{{"tag", text}}}};
  });
  measure("nameOverride", [](const std::string& text) { return Value{{"nameOverride", text}}; });
}

}  // namespace caisson::render::helm

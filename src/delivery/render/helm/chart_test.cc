// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "artifact/content/compress.h"
#include "artifact/content/tar.h"
#include "core/document/json.h"
#include "delivery/render/helm/deprecated_apis.h"
#include "delivery/render/helm/render_chart.h"

namespace caisson::render::helm {
namespace {

std::string tgz(const std::vector<File>& files) {
  std::string tar;
  for (const File& file : files) {
    content::TarEntry entry;
    entry.name = file.name;
    entry.size_bytes = file.data.size();
    content::append_header(tar, entry);
    tar += file.data;
    tar.append(content::padding_bytes(file.data.size()), '\0');
  }
  tar.append(content::kTrailerBytes, '\0');
  auto packed = content::compress_gzip(content::from_string(tar));
  REQUIRE(packed.ok());
  auto bytes = content::read_all(*packed, 1u << 20);
  REQUIRE(bytes.ok());
  return std::move(bytes).value();
}

const char* const kChart = "apiVersion: v2\nname: demo\nversion: 0.1.0\nappVersion: 1.0\n";

std::string refusal(const std::vector<File>& files) {
  std::vector<std::string> warnings;
  const auto chart = load_archive(tgz(files), warnings);
  return chart.ok() ? "" : chart.error().message;
}

Result<std::string> rendered(std::map<std::string, std::string> files, const Value& values = Value::map(),
                             const TemplateOutput& output = {}) {
  const MemorySource source(std::move(files));
  std::vector<std::string> warnings;
  Chart chart = TRY(load_chart(source, "c", warnings));
  TRY(check_installable(chart));
  const Prepared prepared = TRY(prepare(std::move(chart), values, false, warnings));
  RenderOptions options;
  options.release.name = "rel";
  const RenderedChart out = TRY(render_prepared(prepared, options, warnings));
  return template_output(out, out.manifest, output);
}

}  // namespace

TEST_CASE("an archive is read in memory, and no name in it leaves the chart") {
  std::vector<std::string> warnings;
  const auto chart =
      load_archive(tgz({{"demo/Chart.yaml", kChart}, {"demo/templates/a.yaml", "a"}, {"demo/x", "y"}}), warnings);
  REQUIRE(chart.ok());
  CHECK(chart->metadata.app_version == "1");
  CHECK(chart->files->templates[0].name == "templates/a.yaml");
  CHECK(chart->files->others[0].data == "y");
  CHECK(refusal({{"demo/../../etc/passwd", "x"}}) == "chart illegally references parent directory");
  CHECK(refusal({{"demo//etc/passwd", "x"}}) == "chart illegally contains absolute paths");
  CHECK(refusal({{"Chart.yaml", kChart}}) == "chart yaml not in base directory");
  CHECK(refusal({{"demo", "x"}}).starts_with("chart illegally contains content outside the base directory"));
  CHECK(refusal({{"demo\\c:/x", "x"}}) == "chart contains illegally named files");
  CHECK(refusal({}) == "no files in chart archive");
  CHECK(refusal({{"demo/big", std::string((5u << 20) + 1, 'x')}}).find("is larger than the maximum file size") !=
        std::string::npos);
  CHECK_FALSE(load_archive("plain text", warnings).ok());
}

TEST_CASE("Chart.yaml is checked as Helm checks it") {
  const auto message = [](const std::string& text) { return refusal({{"d/Chart.yaml", text}}); };
  CHECK(message("name: a\nversion: 1.0.0\n") == "");
  CHECK(message("version: 1.0.0\n") == "validation: chart.metadata.name is required");
  CHECK(message("name: a\n") == "validation: chart.metadata.version is required");
  CHECK(message("name: a/b\nversion: 1.0.0\n") == "validation: chart.metadata.name \"a/b\" is invalid");
  CHECK(message("name: a\nversion: x\n") == "validation: chart.metadata.version \"x\" is invalid");
  CHECK(message("name: a\nversion: 1.0.0\ntype: other\n") ==
        "validation: chart.metadata.type must be application or library");
  CHECK(message("name: a\nversion: 1.0.0\ndependencies: [{name: b, alias: 'x y'}]\n") ==
        "validation: dependency \"b\" has disallowed characters in the alias");
  CHECK(message("name: a\nversion: 1.0.0\ndependencies: [{name: b}, {name: b}]\n") ==
        "validation: more than one dependency with name or alias \"b\"");
  CHECK(message("name: [a]\n").find("cannot unmarshal array into Go struct field Metadata.name of type string") !=
        std::string::npos);
}

TEST_CASE("charts within charts end at a depth") {
  std::string inner = tgz({{"d/Chart.yaml", kChart}});
  for (int i = 0; i < 20; ++i) inner = tgz({{"d/Chart.yaml", kChart}, {"d/charts/x.tgz", inner}});
  std::vector<std::string> warnings;
  const auto chart = load_archive(inner, warnings);
  REQUIRE_FALSE(chart.ok());
  CHECK(chart.error().message.ends_with("charts nest too deeply"));
}

TEST_CASE("a rendered stream is split at separators, whatever follows them") {
  CHECK(split_manifests("---\na: 1\n---\nb: 2\n") == std::vector<std::string>{"a: 1", "b: 2"});
  CHECK(split_manifests("a: |\n  ---\nb: 1") == std::vector<std::string>{"a: |\n  ---\nb: 1"});
  CHECK(split_manifests("a: 1\n---b: 2") == std::vector<std::string>{"a: 1", "b: 2"});
  CHECK(split_manifests("---\n---\na: 1") == std::vector<std::string>{"---\na: 1"});
  CHECK(split_manifests(" \n").empty());
}

TEST_CASE("manifests come in the order of their kinds, hooks after them, notes not at all") {
  const auto out =
      rendered({{"c/Chart.yaml", kChart},
                {"c/templates/b.yaml", "kind: Deployment\n---\nkind: Zebra\n---\nkind: Namespace\n"},
                {"c/templates/a.yaml", "kind: Apple\n"},
                {"c/templates/_p.tpl", "kind: Never\n"},
                {"c/templates/NOTES.txt", "thanks"},
                {"c/templates/h.yaml", "kind: Job\nmetadata: {annotations: {helm.sh/hook: pre-install}}"}});
  REQUIRE(out.ok());
  CHECK(
      *out ==
      "---\n# Source: demo/templates/b.yaml\nkind: Namespace\n---\n# Source: demo/templates/b.yaml\nkind: Deployment\n"
      "---\n# Source: demo/templates/a.yaml\nkind: Apple\n---\n# Source: demo/templates/b.yaml\nkind: Zebra\n"
      "---\n# Source: demo/templates/h.yaml\nkind: Job\nmetadata: {annotations: {helm.sh/hook: pre-install}}\n");
}

TEST_CASE("show-only takes the named files, in the order they are named") {
  const std::map<std::string, std::string> files{
      {"c/Chart.yaml", kChart}, {"c/templates/a.yaml", "a: 1"}, {"c/templates/b.yaml", "b: 1"}};
  const auto out = rendered(files, Value::map(), {false, false, {"templates/b.yaml", "templates/a.yaml"}});
  REQUIRE(out.ok());
  CHECK(*out == "---\n# Source: demo/templates/b.yaml\nb: 1\n---\n# Source: demo/templates/a.yaml\na: 1\n");
  CHECK(rendered(files, Value::map(), {false, false, {"templates/x.yaml"}}).error().message ==
        "could not find template templates/x.yaml in chart");
}

TEST_CASE("a parent's template replaces its subchart's of the same name; what templates change is seen after") {
  const auto out =
      rendered({{"c/Chart.yaml", kChart},
                {"c/templates/a.yaml", "{{ template \"x\" }}{{ .Subcharts.sub.Chart.Name }}{{ .Chart.IsRoot }}"},
                {"c/templates/_x.tpl", "{{ define \"x\" }}parent: {{ end }}"},
                {"c/charts/sub/Chart.yaml", "name: sub\nversion: 1.0.0"},
                {"c/charts/sub/templates/_x.tpl", "{{ define \"x\" }}child: {{ end }}"}});
  REQUIRE(out.ok());
  CHECK(*out == "---\n# Source: demo/templates/a.yaml\nparent: subtrue\n");
}

TEST_CASE("a subchart that its parent's Chart.yaml does not name keeps the path of the parent's own name") {
  const auto out =
      rendered({{"c/Chart.yaml", std::string(kChart) + "dependencies: [{name: sub, version: '>=0', alias: other}]\n"},
                {"c/charts/sub/Chart.yaml", "name: sub\nversion: 1.0.0"},
                {"c/charts/sub/templates/a.yaml", "a: {{ .Chart.Name }}"},
                {"c/charts/sub/charts/leaf/Chart.yaml", "name: leaf\nversion: 1.0.0"},
                {"c/charts/sub/charts/leaf/templates/b.yaml", "b: {{ .Template.Name }}"}});
  REQUIRE(out.ok());
  CHECK(
      *out ==
      "---\n# Source: demo/charts/other/templates/a.yaml\na: other\n"
      "---\n# Source: demo/charts/sub/charts/leaf/templates/b.yaml\nb: demo/charts/sub/charts/leaf/templates/b.yaml\n");
}

TEST_CASE("what does not parse is told before what fails, wherever it stands") {
  const std::string fails = "{{ fail \"no\" }}";
  const auto told = [&](const std::string& path, const std::string& text) {
    const auto out = rendered({{"c/Chart.yaml", kChart}, {"c/templates/m.yaml", fails}, {path, text}});
    return out.ok() ? "" : out.error().message;
  };
  const std::string broken = "a: {{ .Values.x";
  CHECK(told("c/templates/a.yaml", broken) == "parse error at (demo/templates/a.yaml:1): unclosed action");
  CHECK(told("c/templates/z.yaml", broken) == "parse error at (demo/templates/z.yaml:1): unclosed action");
  CHECK(told("c/templates/_p.tpl", broken) == "parse error at (demo/templates/_p.tpl:1): unclosed action");
  CHECK(told("c/templates/_d.tpl", "{{- define \"d\" }}" + broken) ==
        "parse error at (demo/templates/_d.tpl:1): unclosed action");
  CHECK(told("c/templates/z.yaml", "a: 1") == "execution error at (demo/templates/m.yaml:1:3): no");
}

TEST_CASE("a template is included by its path, before and after it has run, and may be defined elsewhere") {
  const std::string sum = "sum: {{ include (print .Template.BasePath \"/m.yaml\") . | trim | quote }}";
  const auto out = rendered({{"c/Chart.yaml", kChart},
                             {"c/templates/a.yaml", sum},
                             {"c/templates/m.yaml", "m: {{ .Template.Name }}"},
                             {"c/templates/z.yaml", sum}});
  REQUIRE(out.ok());
  CHECK(*out ==
        "---\n# Source: demo/templates/a.yaml\nsum: \"m: demo/templates/a.yaml\"\n"
        "---\n# Source: demo/templates/m.yaml\nm: demo/templates/m.yaml\n"
        "---\n# Source: demo/templates/z.yaml\nsum: \"m: demo/templates/z.yaml\"\n");
  // Files are parsed from the last to the first: what is defined later replaces the file of that name.
  const std::string define = "{{ define \"demo/templates/m.yaml\" }}m: defined{{ end }}";
  const auto replaced =
      rendered({{"c/Chart.yaml", kChart}, {"c/templates/_a.tpl", define}, {"c/templates/m.yaml", "m: 1"}});
  REQUIRE(replaced.ok());
  CHECK(*replaced == "---\n# Source: demo/templates/m.yaml\nm: defined\n");
  const auto kept = rendered({{"c/Chart.yaml", kChart}, {"c/templates/z.tpl", define}, {"c/templates/m.yaml", "m: 1"}});
  REQUIRE(kept.ok());
  CHECK(*kept == "---\n# Source: demo/templates/m.yaml\nm: 1\n");
}

TEST_CASE("a large chart, which two threads parse and read, gives what one gives, and its first error") {
  const std::string filler = "# " + std::string(1'000, '=') + "\n";  // more text than is worth a thread
  std::map<std::string, std::string> files{{"c/Chart.yaml", kChart},
                                           {"c/templates/_n.tpl", "{{ define \"n\" }}n{{ . }}{{ end }}"}};
  std::string want;
  for (int i = 100; i < 300; ++i) {
    const std::string n = std::to_string(i), path = "templates/" + n + ".yaml";
    const std::string before = i == 299 ? "0" : std::to_string(i + 1);  // the last name runs first
    files["c/" + path] = filler + "name: {{ include \"n\" " + n +
                         " }}\nseen: {{ .Values.seen }}{{ $_ := set .Values \"seen\" " + n + " }}\n";
    want += "---\n# Source: demo/" + path + "\n" + filler + "name: n" + n + "\nseen: " + before + "\n";
  }
  const auto message = [&](const std::string& text) {
    files["c/templates/150.yaml"] = files["c/templates/250.yaml"] = filler + text;
    const auto out = rendered(files);
    return out.ok() ? "" : out.error().message;
  };
  for (int times = 0; times < 10; ++times) {
    const auto out = rendered(files, Value{{"seen", Value(0)}});
    REQUIRE(out.ok());
    CHECK(*out == want);
  }
  CHECK(message("a: {{") == "parse error at (demo/templates/250.yaml:2): unclosed action");
  CHECK(message("{{ fail \"no\" }}") == "execution error at (demo/templates/250.yaml:2:3): no");
  CHECK(message("a: [1").starts_with("YAML parse error on demo/templates/150.yaml: "));
}

TEST_CASE("a kind that Kubernetes has deprecated is told with what to use instead") {
  CHECK(deprecation("policy/v1beta1", "PodDisruptionBudget", 37) ==
        "policy/v1beta1 PodDisruptionBudget is deprecated in v1.21+, unavailable in v1.25+; use policy/v1 "
        "PodDisruptionBudget");
  CHECK(deprecation("policy/v1beta1", "PodDisruptionBudget", 20) == "");
  CHECK(deprecation("v1", "ComponentStatus", 19) == "v1 ComponentStatus is deprecated in v1.19+");
  CHECK(deprecation("v1", "EndpointsList", 33) ==
        "v1 EndpointsList is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSliceList");
  CHECK(deprecation("storage.k8s.io/v1beta1", "CSINodeList", 22).ends_with("use storage.k8s.io/v1 CSINode"));
  CHECK(deprecation("apps/v1", "Deployment", 37) == "");
  CHECK(deprecation("example.com/v1beta1", "Ingress", 37) == "");
}

TEST_CASE("values that JSON cannot hold are refused") {
  const auto out = rendered({{"c/Chart.yaml", kChart}, {"c/values.yaml", "a: [{b: .inf}]"}});
  REQUIRE_FALSE(out.ok());
  CHECK(out.error().message == "cannot load values.yaml: error converting YAML to JSON: json: unsupported value: +Inf");
}

TEST_CASE("templates that never end are ended") {
  const auto recursion =
      rendered({{"c/Chart.yaml", kChart},
                {"c/templates/a.yaml", "{{ define \"r\" }}{{ include \"r\" . }}{{ end }}{{ include \"r\" . }}"}});
  REQUIRE_FALSE(recursion.ok());
  CHECK(recursion.error().message.find("rendering template has a nested reference name: r") != std::string::npos);
}

TEST_CASE("files are found by patterns as gobwas/glob reads them") {
  CHECK(file_glob_matches("conf/*.txt", "conf/a.txt"));
  CHECK_FALSE(file_glob_matches("conf/*.txt", "conf/x/a.txt"));
  CHECK(file_glob_matches("conf/**.txt", "conf/x/a.txt"));
  CHECK(file_glob_matches("**", "a/b"));
  CHECK(file_glob_matches("{a,b/c}.?s", "b/c.js"));
  CHECK(file_glob_matches("[!a-c]x", "dx"));
  CHECK_FALSE(file_glob_matches("[!a-c]x", "bx"));
  CHECK(file_glob_matches("[unclosed", "anything"));
}

TEST_CASE("release names are held to Kubernetes' rules") {
  CHECK(check_release_name("a-b.c1").ok());
  for (const char* name : {"", "A", "-a", "a-", "a..b", "a_b"}) CHECK_FALSE(check_release_name(name).ok());
  CHECK_FALSE(check_release_name(std::string(54, 'a')).ok());
  CHECK(parse_kube_version("v1.30.4+k3s1")->version == "v1.30.4");
  CHECK(parse_kube_version("1.30")->minor == "30");
  CHECK_FALSE(parse_kube_version("one").ok());
}

}  // namespace caisson::render::helm

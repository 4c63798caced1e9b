// SPDX-License-Identifier: Apache-2.0
#include "main/cli/helm_command_table.h"

#include "main/cli/helm_release.h"

namespace caisson::cli {
namespace {

using enum FlagKind;

constexpr FlagSpec kGlobal[] = {
    {"namespace", text, 'n', "namespace of the release"},
    {"kubeconfig", text, 0, "file that says where the cluster is"},
    {"kube-context", text, 0, "context of that file"},
    {"debug", boolean, 0, "say more"},
    {"registry-config", text, 0, "file with logins of registries"},
    {"repository-config", text, 0, "file with the repositories that were added"},
    {"repository-cache", text, 0, "folder with their indexes"},
    {"kube-apiserver", text, 0, "address of the API server"},
    {"kube-token", text, 0, "bearer token"},
    {"kube-as-user", text, 0, "user in whose name to ask"},
    {"kube-as-group", array, 0, "a group of that user; may be repeated"},
    {"kube-ca-file", text, 0, "certificates that sign the API server's"},
    {"kube-tls-server-name", text, 0, "name that the API server's certificate is to be of"},
    {"kube-insecure-skip-tls-verify", boolean, 0, "take any certificate of the API server"},
    {"burst-limit", text, 0, "taken for Helm's sake: requests are not held back"},
    {"qps", text, 0, "taken for Helm's sake: requests are not held back"},
    {"help", boolean, 'h', "this help"},
};

// How what is remote is reached.
constexpr FlagSpec kLogin[] = {
    {"username", text, 0, "user name at the repository or registry"},
    {"password", text, 0, "its password"},
    {"cert-file", text, 0, "certificate to show"},
    {"key-file", text, 0, "its key"},
    {"ca-file", text, 0, "certificates that sign the server's"},
    {"insecure-skip-tls-verify", boolean, 0, "take any certificate of the server"},
    {"plain-http", boolean, 0, "speak HTTP to registries"},
};
constexpr FlagSpec kKeyring[] = {{"keyring", text, 0, "public keys of those who sign charts"}};
constexpr FlagSpec kVerify[] = {{"verify", boolean, 0, "check the chart's provenance first"}};
constexpr FlagSpec kDevel[] = {{"devel", boolean, 0, "pre-releases too, as --version '>0.0.0-0'"}};
// Which chart.
constexpr FlagSpec kSource[] = {
    {"version", text, 0, "version of the chart, or a range of versions; default: the newest"},
    {"repo", text, 0, "URL of the repository that the chart is in"},
    {"pass-credentials", boolean, 0, "send the login to other hosts too"},
};
constexpr FlagSpec kValues[] = {
    {"values", list, 'f', "file or URL with values; may be repeated, the last one counts"},
    {"set", array, 0, "values: key=value,a.b=c,list[0]=x"},
    {"set-string", array, 0, "the same, every value a string"},
    {"set-json", array, 0, "values in JSON: key={\"a\":1}"},
    {"set-file", array, 0, "values that are the content of files: key=path"},
    {"set-literal", array, 0, "one value as it stands: key=value"},
};
constexpr FlagSpec kSkipSchema[] = {{"skip-schema-validation", boolean, 0, "do not hold values to values.schema.json"}};
constexpr FlagSpec kKubeVersion[] = {{"kube-version", text, 0, "Kubernetes version that the chart sees"}};

constexpr FlagSpec kTimeout[] = {{"timeout", text, 0, "how long to wait for one thing (5m)"}};
constexpr FlagSpec kWait[] = {{"wait", boolean, 0, "wait until the release's objects are ready, or gone"}};
constexpr FlagSpec kWaitForJobs[] = {{"wait-for-jobs", boolean, 0, "with --wait: until its Jobs are complete, too"}};
constexpr FlagSpec kNoHooks[] = {{"no-hooks", boolean, 0, "leave hooks out"}};
constexpr FlagSpec kForce[] = {{"force", boolean, 0, "replace objects in place of patching them"}};
constexpr FlagSpec kDryRunAsked[] = {{"dry-run", boolean, 0, "say what would be done"}};
constexpr FlagSpec kDescription[] = {{"description", text, 0, "text that the history shows"}};
constexpr FlagSpec kHideNotes[] = {{"hide-notes", boolean, 0, "do not print NOTES.txt"}};
constexpr FlagSpec kHistoryMax[] = {{"history-max", text, 0, "revisions that are kept; 0: all (10)"}};
constexpr FlagSpec kCleanup[] = {{"cleanup-on-fail", boolean, 0, "delete what was made when it fails"}};
constexpr FlagSpec kInstall[] = {
    {"create-namespace", boolean, 0, "make the namespace when there is none"},
    {"dry-run", optional, 0, "say what would be done; \"server\": with lookup in the cluster"},
    {"atomic", boolean, 0, "undo it when it fails; implies --wait"},
    {"dependency-update", boolean, 0, "fetch missing dependencies first"},
    {"disable-openapi-validation", boolean, 0, "taken for Helm's sake: the API server checks objects"},
    {"skip-crds", boolean, 0, "leave the chart's crds/ out"},
    {"render-subchart-notes", boolean, 0, "the notes of subcharts too"},
    {"labels", list, 'l', "labels of the release: key=value,…"},
    {"enable-dns", boolean, 0, "let getHostByName ask"},
    {"take-ownership", boolean, 0, "take objects that belong to no or another release"},
    {"post-renderer", program, 0, "program that changes the manifest, from its input to its output"},
    {"post-renderer-args", array, 0, "an argument of that program; may be repeated"},
};
constexpr FlagSpec kNew[] = {
    {"generate-name", boolean, 'g', "make a name up, and leave out NAME"},
    {"name-template", text, 0, "template of that name"},
    {"replace", boolean, 0, "take a name that a deleted release has in the history"},
};
constexpr FlagSpec kHideSecret[] = {{"hide-secret", boolean, 0, "with --dry-run: do not show Secrets"}};
constexpr FlagSpec kOutput[] = {{"output", text, 'o', "table, json or yaml"}};
constexpr FlagSpec kRevision[] = {{"revision", text, 0, "of this revision; default: the last"}};

constexpr FlagSpec kTemplate[] = {
    {"show-only", array, 's', "only these files: templates/web.yaml; may be repeated"},
    {"output-dir", text, 0, "write files below this folder"},
    {"release-name", boolean, 0, "with --output-dir: below a folder of the release's name"},
    {"validate", boolean, 0, "hold the objects to the cluster's schemas, and let lookup ask it"},
    {"include-crds", boolean, 0, "print the chart's crds/ too"},
    {"skip-tests", boolean, 0, "leave tests out"},
    {"is-upgrade", boolean, 0, ".Release.IsUpgrade instead of .Release.IsInstall"},
    {"api-versions", list, 'a', "more of .Capabilities.APIVersions"},
};
constexpr FlagSpec kUpgrade[] = {
    {"install", boolean, 'i', "install when there is no such release"},
    {"reset-values", boolean, 0, "from the chart's own values alone"},
    {"reuse-values", boolean, 0, "over the values of the last revision"},
    {"reset-then-reuse-values", boolean, 0, "over the chart's own, the last revision's and then those given"},
};
constexpr FlagSpec kRollback[] = {{"recreate-pods", boolean, 0, "taken for Helm's sake: pods change when they must"}};
constexpr FlagSpec kUninstall[] = {
    {"keep-history", boolean, 0, "keep the revisions, marked as uninstalled"},
    {"ignore-not-found", boolean, 0, "succeed when there is no such release"},
    {"cascade", text, 0, "background, foreground or orphan (background)"},
};
constexpr FlagSpec kTest[] = {
    {"filter", list, 0, "tests to run, or with !name not to: name=…,!name=…"},
    {"logs", boolean, 0, "print the logs of the test pods"},
};
constexpr FlagSpec kList[] = {
    {"all", boolean, 'a', "releases of every status"},
    {"all-namespaces", boolean, 'A', "of every namespace"},
    {"short", boolean, 'q', "names alone"},
    {"filter", text, 'f', "those whose name fits this regular expression"},
    {"selector", text, 'l', "those whose labels fit"},
    {"max", text, 'm', "at most so many (256)"},
    {"offset", text, 0, "without the first ones"},
    {"date", boolean, 'd', "in the order of their dates"},
    {"reverse", boolean, 'r', "the other way round"},
    {"deployed", boolean, 0, "deployed ones"},
    {"failed", boolean, 0, "failed ones"},
    {"pending", boolean, 0, "those under way"},
    {"superseded", boolean, 0, "superseded revisions"},
    {"uninstalled", boolean, 0, "uninstalled ones whose history was kept"},
    {"uninstalling", boolean, 0, "those being uninstalled"},
    {"no-headers", boolean, 0, "the table without its head"},
    {"time-format", text, 0, "layout of times, as Go's"},
};
constexpr FlagSpec kHistory[] = {{"max", text, 0, "at most so many revisions (256)"}};
constexpr FlagSpec kStatus[] = {
    {"show-desc", boolean, 0, "the description too"},
    {"show-resources", boolean, 0, "the objects too"},
};
constexpr FlagSpec kAllValues[] = {{"all", boolean, 'a', "with the chart's own values"}};
constexpr FlagSpec kGoTemplate[] = {{"template", text, 0, "Go template of the output"}};
constexpr FlagSpec kVersion[] = {{"short", boolean, 0, "the number alone"}};

constexpr FlagSpec kJsonpath[] = {{"jsonpath", text, 0, "the part that this JSONPath names"}};
constexpr FlagSpec kLint[] = {
    {"strict", boolean, 0, "warnings fail, too"},
    {"with-subcharts", boolean, 0, "subcharts too"},
    {"quiet", boolean, 0, "warnings and errors alone"},
};
constexpr FlagSpec kDestination[] = {{"destination", text, 'd', "folder to write to (.)"}};
constexpr FlagSpec kPackage[] = {
    {"version", text, 0, "version to give to the chart"},
    {"app-version", text, 0, "appVersion to give to it"},
    {"dependency-update", boolean, 'u', "fetch dependencies first"},
    {"sign", boolean, 0, "write provenance"},
    {"key", text, 0, "whose key signs"},
    {"passphrase-file", text, 0, "file with that key's passphrase; \"-\": standard input"},
};
constexpr FlagSpec kCreate[] = {{"starter", text, 'p', "chart to begin with"}};
constexpr FlagSpec kPull[] = {
    {"prov", boolean, 0, "the provenance file too"},
    {"untar", boolean, 0, "unpack it"},
    {"untardir", text, 0, "with --untar: into this folder (.)"},
};
constexpr FlagSpec kRegistryLogin[] = {
    {"username", text, 'u', "user name"},
    {"password", text, 'p', "password, or a token"},
    {"password-stdin", boolean, 0, "read the password from standard input"},
    {"insecure", boolean, 0, "take any certificate of the registry"},
    {"cert-file", text, 0, "certificate to show"},
    {"key-file", text, 0, "its key"},
    {"ca-file", text, 0, "certificates that sign the registry's"},
    {"plain-http", boolean, 0, "speak HTTP"},
};
constexpr FlagSpec kRepoLogin[] = {
    {"username", text, 0, "user name"},
    {"password", text, 0, "password"},
    {"password-stdin", boolean, 0, "read the password from standard input"},
    {"cert-file", text, 0, "certificate to show"},
    {"key-file", text, 0, "its key"},
    {"ca-file", text, 0, "certificates that sign the repository's"},
    {"insecure-skip-tls-verify", boolean, 0, "take any certificate of the repository"},
    {"pass-credentials", boolean, 0, "send the login to other hosts too"},
};
constexpr FlagSpec kRepoAdd[] = {
    {"force-update", boolean, 0, "replace a repository of that name"},
    {"no-update", boolean, 0, "taken for Helm's sake: a repository is replaced only when asked for"},
    {"allow-deprecated-repos", boolean, 0, "take the repositories that Helm has moved from"},
    {"timeout", text, 0, "how long the index may take (2m)"},
};
constexpr FlagSpec kRepoIndex[] = {
    {"url", text, 0, "where the archives will be"},
    {"merge", text, 0, "index to add to"},
    {"json", boolean, 0, "write JSON"},
};
constexpr FlagSpec kRepoUpdate[] = {
    {"fail-on-repo-update-fail", boolean, 0, "fail when one repository does"},
    {"timeout", text, 0, "how long an index may take (2m)"},
};
constexpr FlagSpec kSearch[] = {
    {"versions", boolean, 'l', "every version, not the newest alone"},
    {"version", text, 0, "range of versions"},
    {"regexp", boolean, 'r', "KEYWORD is a regular expression"},
    {"fail-on-no-result", boolean, 0, "fail when nothing is found"},
};
constexpr FlagSpec kWidth[] = {{"max-col-width", text, 0, "widest column; 0: any"}};
constexpr FlagSpec kRefresh[] = {{"skip-refresh", boolean, 0, "do not fetch indexes anew"}};

using Group = std::span<const FlagSpec>;
constexpr Group kOfTemplate[] = {kValues,      kTemplate, kKubeVersion, kSource,  kLogin,       kVerify,
                                 kKeyring,     kDevel,    kSkipSchema,  kInstall, kNew,         kWait,
                                 kWaitForJobs, kTimeout,  kNoHooks,     kForce,   kDescription, kHideNotes};
constexpr Group kOfInstall[] = {kValues,  kNew,        kSource,      kLogin,     kVerify,      kKeyring,
                                kDevel,   kSkipSchema, kInstall,     kWait,      kWaitForJobs, kTimeout,
                                kNoHooks, kForce,      kDescription, kHideNotes, kHideSecret,  kOutput};
constexpr Group kOfUpgrade[] = {kUpgrade,     kValues,    kSource,     kLogin,       kVerify,     kKeyring, kDevel,
                                kSkipSchema,  kInstall,   kWait,       kWaitForJobs, kTimeout,    kNoHooks, kForce,
                                kDescription, kHideNotes, kHideSecret, kOutput,      kHistoryMax, kCleanup};
constexpr Group kOfDiff[] = {kValues,  kUpgrade, kSource,     kLogin,   kVerify,
                             kKeyring, kDevel,   kSkipSchema, kInstall, kNoHooks};
constexpr Group kOfRollback[] = {kDryRunAsked, kWait,       kWaitForJobs, kTimeout, kNoHooks,
                                 kForce,       kHistoryMax, kCleanup,     kRollback};
constexpr Group kOfUninstall[] = {kUninstall, kDryRunAsked, kWait, kTimeout, kNoHooks, kDescription};
constexpr Group kOfTest[] = {kTest, kTimeout, kHideNotes};
constexpr Group kOfList[] = {kList, kOutput};
constexpr Group kOfHistory[] = {kHistory, kOutput};
constexpr Group kOfStatus[] = {kRevision, kStatus, kOutput};
constexpr Group kOfGet[] = {kRevision};
constexpr Group kOfGetAll[] = {kRevision, kGoTemplate};
constexpr Group kOfGetMetadata[] = {kRevision, kOutput};
constexpr Group kOfGetValues[] = {kAllValues, kRevision, kOutput};
constexpr Group kOfVersion[] = {kVersion, kGoTemplate};
constexpr Group kOfShow[] = {kSource, kLogin, kVerify, kKeyring, kDevel};
constexpr Group kOfShowValues[] = {kJsonpath, kSource, kLogin, kVerify, kKeyring, kDevel};
constexpr Group kOfLint[] = {kLint, kValues, kKubeVersion, kSkipSchema};
constexpr Group kOfPackage[] = {kDestination, kPackage, kKeyring, kLogin};
constexpr Group kOfCreate[] = {kCreate};
constexpr Group kOfPull[] = {kDestination, kPull, kSource, kLogin, kVerify, kKeyring, kDevel};
constexpr Group kOfPush[] = {kLogin};
constexpr Group kOfRegistryLogin[] = {kRegistryLogin};
constexpr Group kOfRepoAdd[] = {kRepoAdd, kRepoLogin};
constexpr Group kOfRepoIndex[] = {kRepoIndex};
constexpr Group kOfRepoList[] = {kOutput};
constexpr Group kOfRepoUpdate[] = {kRepoUpdate};
constexpr Group kOfSearch[] = {kSearch, kDevel, kWidth, kOutput};
constexpr Group kOfDependencies[] = {kRefresh, kVerify, kKeyring, kLogin};
constexpr Group kOfDependencyList[] = {kWidth};
constexpr Group kOfVerify[] = {kKeyring};

constexpr HelmCommand kCommands[] = {
    {"create", "", "NAME", "Write a new chart.", "caisson helm create web", kOfCreate, command_helm_create},
    {"dependency build", "", "CHART", "Fill charts/ as Chart.lock says.", "caisson helm dependency build ./web",
     kOfDependencies, command_helm_dependency},
    {"dependency list", "ls", "CHART", "Show a chart's dependencies and whether charts/ has them.",
     "caisson helm dependency list ./web", kOfDependencyList, command_helm_dependency},
    {"dependency update", "up", "CHART", "Fill charts/ as Chart.yaml says, and write Chart.lock.",
     "caisson helm dependency update ./web", kOfDependencies, command_helm_dependency},
    {"diff upgrade", "", "[RELEASE] [CHART]", "Show what an upgrade would change.",
     "caisson helm diff upgrade web ./web -n shop -f values-stg.yaml", kOfDiff, command_helm_diff},
    {"get all", "", "RELEASE_NAME", "Show all that is kept of a release.", "caisson helm get all web -n shop",
     kOfGetAll, command_helm_get},
    {"get hooks", "", "RELEASE_NAME", "Show a release's hooks.", "caisson helm get hooks web -n shop", kOfGet,
     command_helm_get},
    {"get manifest", "", "RELEASE_NAME", "Show a release's objects.",
     "caisson helm get manifest web -n shop --revision 2", kOfGet, command_helm_get},
    {"get metadata", "", "RELEASE_NAME", "Show which chart a release is of, and when it was made.",
     "caisson helm get metadata web -n shop -o json", kOfGetMetadata, command_helm_get},
    {"get notes", "", "RELEASE_NAME", "Show a release's notes.", "caisson helm get notes web -n shop", kOfGet,
     command_helm_get},
    {"get values", "", "RELEASE_NAME", "Show the values that a release was given.",
     "caisson helm get values web -n shop --all", kOfGetValues, command_helm_get},
    {"history", "hist", "RELEASE_NAME", "Show a release's revisions.", "caisson helm history web -n shop", kOfHistory,
     command_helm_history},
    {"install", "", "[NAME] [CHART]", "Install a chart.",
     "caisson helm install web ./web -n shop --create-namespace -f values-stg.yaml --wait", kOfInstall,
     command_helm_install},
    {"lint", "", "PATH", "Look for mistakes in a chart.", "caisson helm lint ./web -f values-stg.yaml --strict",
     kOfLint, command_helm_lint},
    {"list", "ls", "", "Show releases.", "caisson helm list -A --filter '^web'", kOfList, command_helm_list},
    {"package", "", "[CHART_PATH] [...]", "Pack a chart.", "caisson helm package ./web -d dist --version 1.2.0",
     kOfPackage, command_helm_package},
    {"pull", "fetch", "[chart URL | repo/chartname] [...]", "Fetch a chart.",
     "caisson helm pull oci://localhost:5000/shop/charts/web --version 1.x --untar", kOfPull, command_helm_pull},
    {"push", "", "[chart] [remote]", "Push a packed chart to a registry.",
     "caisson helm push web-1.2.0.tgz oci://localhost:5000/shop/charts", kOfPush, command_helm_push},
    {"registry login", "", "[host]", "Log in to a registry.",
     "caisson helm registry login localhost:5000 -u ann --password-stdin <token", kOfRegistryLogin,
     command_helm_registry},
    {"registry logout",
     "",
     "[host]",
     "Forget a registry's login.",
     "caisson helm registry logout localhost:5000",
     {},
     command_helm_registry},
    {"repo add", "", "[NAME] [URL]", "Add a repository.",
     "caisson helm repo add ingress-nginx https://kubernetes.github.io/ingress-nginx", kOfRepoAdd, command_helm_repo},
    {"repo index", "", "[DIR]", "Write the index of a folder of packed charts.",
     "caisson helm repo index dist --url https://charts.example.com", kOfRepoIndex, command_helm_repo},
    {"repo list", "ls", "", "Show the repositories that were added.", "caisson helm repo list", kOfRepoList,
     command_helm_repo},
    {"repo remove",
     "rm",
     "[REPO1 [REPO2 ...]]",
     "Remove repositories.",
     "caisson helm repo remove ingress-nginx",
     {},
     command_helm_repo},
    {"repo update", "up", "[REPO1 [REPO2 ...]]", "Fetch the indexes of repositories anew.", "caisson helm repo update",
     kOfRepoUpdate, command_helm_repo},
    {"rollback", "", "<RELEASE> [REVISION]", "Go back to a revision; default: the one before.",
     "caisson helm rollback web 3 -n shop --wait", kOfRollback, command_helm_rollback},
    {"search repo", "", "[keyword]", "Look for charts in the repositories that were added.",
     "caisson helm search repo ingress --versions", kOfSearch, command_helm_search},
    {"show all", "", "[CHART]", "Show a chart's metadata, values, README and CRDs.", "caisson helm show all ./web",
     kOfShow, command_helm_show},
    {"show chart", "", "[CHART]", "Show a chart's metadata.",
     "caisson helm show chart oci://localhost:5000/shop/charts/web", kOfShow, command_helm_show},
    {"show crds", "", "[CHART]", "Show a chart's CRDs.", "caisson helm show crds ./web", kOfShow, command_helm_show},
    {"show readme", "", "[CHART]", "Show a chart's README.", "caisson helm show readme ./web", kOfShow,
     command_helm_show},
    {"show values", "", "[CHART]", "Show a chart's values.", "caisson helm show values ./web --jsonpath '{.image.tag}'",
     kOfShowValues, command_helm_show},
    {"status", "", "RELEASE_NAME", "Show how a release is.", "caisson helm status web -n shop --show-resources",
     kOfStatus, command_helm_status},
    {"template", "", "[NAME] [CHART]", "Print what a chart makes, without a cluster.",
     "caisson helm template web ./web -f values.yaml -f values-stg.yaml --set image.tag=v2", kOfTemplate,
     command_helm_template},
    {"test", "", "[RELEASE]", "Run a release's tests.", "caisson helm test web -n shop --logs", kOfTest,
     command_helm_test},
    {"uninstall", "delete del un", "RELEASE_NAME [...]", "Remove releases.",
     "caisson helm uninstall web -n shop --keep-history", kOfUninstall, command_helm_uninstall},
    {"upgrade", "", "[RELEASE] [CHART]", "Change a release to a chart and values.",
     "caisson helm upgrade --install web ./web -n shop --set image.tag=v2 --wait --atomic", kOfUpgrade,
     command_helm_upgrade},
    {"verify", "", "PATH", "Check a packed chart's provenance.", "caisson helm verify web-1.2.0.tgz", kOfVerify,
     command_helm_verify},
    {"version", "", "", "Show the version.", "caisson helm version --short", kOfVersion, command_helm_version},
};

}  // namespace

std::span<const HelmCommand> helm_commands() {
  return kCommands;
}

std::span<const FlagSpec> helm_global_flags() {
  return kGlobal;
}

}  // namespace caisson::cli

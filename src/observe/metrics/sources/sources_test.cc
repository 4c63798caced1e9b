// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/document/yaml.h"
#include "core/http/tls.h"
#include "observe/metrics/sources/kube_state.h"
#include "observe/metrics/sources/machine.h"

namespace caisson::metrics {
namespace {

// The value of the series that is written so; nothing when there is none.
std::optional<double> value_of(const Exposition& all, const std::string& series) {
  for (const ExposedSample& s : all.samples)
    if (s.labels.str() == series) return s.v;
  return {};
}

Exposition state_of(const schema::Resource& kind, const std::string& text) {
  const kube::Object object(yaml::read(text).value());
  return kube_state([&](const kube::Resource& asked) {
    return asked == kind ? std::vector<kube::Object>{object} : std::vector<kube::Object>();
  });
}

constexpr const char* kPod = R"(
metadata: {name: p, namespace: a, uid: u}
spec:
  volumes: [{name: v, persistentVolumeClaim: {claimName: data}}, {name: gone, persistentVolumeClaim: {claimName: none}}]
status:
  phase: Running
  qosClass: Burstable
  containerStatuses:
  - {name: one, state: {running: {}}}
  - {name: two, state: {terminated: {}}}
)";

constexpr const char* kApplication = R"(
metadata: {name: shop, namespace: argocd}
spec: {destination: {namespace: shop}}
status:
  history:
  - {id: 0, revision: abc, deployedAt: '2023-11-14T22:13:20Z'}
  - {id: 1, revision: def, deployedAt: '2023-11-14T22:14:20Z'}
)";

}  // namespace

TEST_CASE("an Application's last deployment is a marker with its commit") {
  const Exposition all = state_of(schema::kApplications, kApplication);
  CHECK(value_of(all,
                 R"({__name__="caisson_application_deployed_timestamp_seconds", commit="def", dest_namespace="shop", )"
                 R"(name="shop", namespace="argocd"})") == 1'700'000'060);
  CHECK_FALSE(value_of(all, R"({__name__="caisson_application_deployed_timestamp_seconds", commit="abc", )"
                            R"(dest_namespace="shop", name="shop", namespace="argocd"})"));
}

TEST_CASE("a pod without an owner has a series of its own, without the owner's labels") {
  const Exposition all = state_of(schema::kPods, kPod);
  CHECK(value_of(all, R"({__name__="kube_pod_owner", namespace="a", pod="p", uid="u"})") == 1);
  CHECK(value_of(all,
                 R"({__name__="kube_pod_status_qos_class", namespace="a", pod="p", qos_class="Burstable", uid="u"})") ==
        1);
}

TEST_CASE("Endpoints tell each address with each port, ready or not") {
  const Exposition all = state_of(schema::kEndpoints, R"(
metadata: {name: e, namespace: a}
subsets:
- addresses: [{ip: 10.0.0.1}]
  notReadyAddresses: [{ip: 10.0.0.2}]
  ports: [{name: http, port: 80, protocol: TCP}]
)");
  const auto address = [&](const std::string& ip, const std::string& ready) {
    return value_of(all,
                    "{__name__=\"kube_endpoint_address\", endpoint=\"e\", ip=\"" + ip +
                        "\", namespace=\"a\", port_name=\"http\", port_number=\"80\", port_protocol=\"TCP\", ready=\"" +
                        ready + "\"}");
  };
  CHECK(address("10.0.0.1", "true") == 1);
  CHECK(address("10.0.0.2", "false") == 1);
  CHECK(value_of(all, R"({__name__="kube_endpoint_info", endpoint="e", namespace="a"})") == 1);
}

TEST_CASE("certificates of Secrets and results of policies are told") {
  const http::KeyPair ca = http::make_ca("test", system_clock().now(), std::chrono::hours(24)).value();
  const auto secret = [](const std::string& name, const std::string& type, const std::string& certificate) {
    return kube::Object(Value{{"kind", "Secret"},
                              {"metadata", Value{{"name", name}, {"namespace", "a"}}},
                              {"type", type},
                              {"data", Value{{"tls.crt", base64(certificate)}}}});
  };
  Families out;
  namespaced_state(out, "kube_secret",
                   {secret("good", "kubernetes.io/tls", ca.certificate_pem), secret("bad", "kubernetes.io/tls", "no"),
                    secret("other", "Opaque", ca.certificate_pem)});
  const auto report = [](const std::string& name, int fail) {
    return kube::Object(Value{{"kind", "PolicyReport"},
                              {"metadata", Value{{"name", name}, {"namespace", "a"}}},
                              {"summary", Value{{"pass", 1}, {"fail", fail}}}});
  };
  policy_state(out, {report("x", 2), report("y", 3)});
  const Exposition all = out.take();
  const auto of = [&](const std::string& series, const std::string& name) {
    return value_of(all, "{__name__=\"" + series + "\", secret_key=\"tls.crt\", secret_name=\"" + name +
                             "\", secret_namespace=\"a\"}");
  };
  const double left = of("x509_cert_not_after", "good").value_or(0) -
                      std::chrono::duration<double>(system_clock().now().time_since_epoch()).count();
  CHECK(left > 23 * 3600);
  CHECK(left < 25 * 3600);
  CHECK(of("x509_cert_error", "good") == 0);
  CHECK(of("x509_cert_error", "bad") == 1);
  CHECK_FALSE(of("x509_cert_not_after", "bad"));
  CHECK_FALSE(of("x509_cert_error", "other"));
  CHECK(value_of(all, R"({__name__="policy_report_summary", namespace="a", status="fail"})") == 5);
  CHECK(value_of(all, R"({__name__="policy_report_summary", namespace="a", status="pass"})") == 2);
}

TEST_CASE("the kubelet's series count what runs, and tell volumes that are there") {
  const auto dir = TempDir::make("kubelet").value();
  const std::vector<kube::Object> pods{kube::Object(yaml::read(kPod).value())};
  const Exposition all = kubelet_state("n", pods, [&](const kube::Object&, const std::string& volume) {
    return volume == "v" ? dir.path() : std::string();
  });
  CHECK(value_of(all, R"({__name__="kubelet_node_name", node="n"})") == 1);
  CHECK(value_of(all, R"({__name__="kubelet_running_pods"})") == 1);
  CHECK(value_of(all, R"({__name__="kubelet_running_containers", container_state="running"})") == 1);
  CHECK(value_of(all, R"({__name__="kubelet_running_containers", container_state="exited"})") == 1);
  const auto capacity = [&](const std::string& claim) {
    return value_of(
        all,
        "{__name__=\"kubelet_volume_stats_capacity_bytes\", namespace=\"a\", persistentvolumeclaim=\"" + claim + "\"}");
  };
  CHECK(capacity("data").value_or(0) > 0);
  CHECK_FALSE(capacity("none"));
}

TEST_CASE("the machine's network is told from its files, and nothing of those that are absent") {
  const auto dir = TempDir::make("proc").value();
  const std::string proc = dir.path() + "/proc", sys = dir.path() + "/sys";
  REQUIRE(make_dirs(proc + "/net").ok());
  REQUIRE(make_dirs(sys + "/class/net/eth0").ok());
  REQUIRE(write_file(proc + "/net/dev",
                     "Inter-| Receive | Transmit\n face |bytes\n"
                     "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n")
              .ok());
  REQUIRE(write_file(proc + "/net/snmp", "Tcp: ActiveOpens CurrEstab\nTcp: 7 3\nUdp: InDatagrams\nTcp: 9\n").ok());
  REQUIRE(write_file(proc + "/net/sockstat", "sockets: used 9\nTCP: inuse 4 mem 2\n").ok());
  REQUIRE(write_file(proc + "/net/arp", "IP HW Flags MAC Mask Device\n10.0.0.2 1 2 aa * eth0\n").ok());
  REQUIRE(write_file(sys + "/class/net/eth0/mtu", "1500\n").ok());
  REQUIRE(write_file(sys + "/class/net/eth0/speed", "-1\n").ok());
  REQUIRE(write_file(sys + "/class/net/eth0/operstate", "up\n").ok());
  Families out;
  node_network(out, proc, sys);
  const Exposition all = out.take();
  CHECK(value_of(all, R"({__name__="node_network_receive_bytes_total", device="eth0"})") == 1);
  CHECK(value_of(all, R"({__name__="node_network_transmit_compressed_total", device="eth0"})") == 16);
  CHECK(value_of(all, R"({__name__="node_netstat_Tcp_CurrEstab"})") == 3);
  CHECK_FALSE(value_of(all, R"({__name__="node_netstat_Udp_InDatagrams"})"));  // its numbers are not there
  CHECK(value_of(all, R"({__name__="node_sockstat_TCP_mem_bytes"})") == 8192);
  CHECK(value_of(all, R"({__name__="node_arp_entries", device="eth0"})") == 1);
  CHECK(value_of(all, R"({__name__="node_network_mtu_bytes", device="eth0"})") == 1500);
  CHECK_FALSE(value_of(all, R"({__name__="node_network_speed_bytes", device="eth0"})"));
  CHECK(value_of(all, R"({__name__="node_network_up", device="eth0"})") == 1);
  CHECK_FALSE(value_of(all, R"({__name__="node_nf_conntrack_entries"})"));
}

}  // namespace caisson::metrics

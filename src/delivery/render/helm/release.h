// SPDX-License-Identifier: Apache-2.0
// A release: a chart that was installed into a cluster, one record for each revision. Kept in Secrets
// `sh.helm.release.v1.NAME.vN` of the release's namespace, as Helm 3 keeps them, so that either program goes on with
// what the other installed. Source: Helm 3.22 pkg/release, pkg/storage/driver. Any thread.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/manifest.h"

namespace caisson::render::helm {

struct ReleaseHook {
  Hook hook;
  std::string started_at, completed_at, phase;  // of the last run; phase "Succeeded", "Failed", "Running", "Unknown"
};

struct Release {
  std::string name, ns;
  std::int64_t version = 1;
  std::string status;  // deployed, superseded, failed, uninstalled, uninstalling, pending-install, -upgrade, -rollback
  std::string description, notes;
  std::string first_deployed, last_deployed, deleted;  // RFC 3339; deleted may be empty
  Value chart;   // as Helm's JSON: metadata, lock, templates, values, schema, files
  Value config;  // the values that the user gave
  std::string manifest;
  std::vector<ReleaseHook> hooks;
  std::map<std::string, std::string> labels;  // the user's own
  bool is_pending() const { return status.starts_with("pending-"); }
};

Value chart_json(const Chart& chart);
// The chart of a record, without its subcharts, which Helm does not keep.
Result<Chart> chart_of_record(const Value& json);

// base64(gzip(JSON)). Errors of decode: bad_request; too_large above 64 MiB.
Result<std::string> encode_release(const Release& release);
Result<Release> decode_release(std::string_view text);

class ReleaseStore {
 public:
  ReleaseStore(kube::Client& client, std::string ns, const Clock& clock)
      : client_(client), ns_(std::move(ns)), clock_(clock) {}

  Result<std::vector<Release>> history(const std::string& name) const;  // by revision; empty when there is none
  // Newest revision of every release; of all namespaces when this store's is empty.
  Result<std::vector<Release>> newest() const;
  Result<void> create(const Release& release);  // already_exists when somebody else was faster
  Result<void> update(const Release& release);
  Result<void> remove(const std::string& name, std::int64_t version);

 private:
  Result<std::vector<kube::Object>> secrets(const std::string& selector) const;
  Result<kube::Object> secret_of(const Release& release) const;

  kube::Client& client_;
  std::string ns_;
  const Clock& clock_;
};

}  // namespace caisson::render::helm

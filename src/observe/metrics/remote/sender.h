// SPDX-License-Identifier: Apache-2.0
// The sending end of remote write: what is stored here goes on to Prometheus, Mimir, VictoriaMetrics … (remote_write of
// prometheus.yml, with Prometheus' names and defaults).
//
// Each remote has one thread and one connection, so samples of a series stay in order. New samples wait in a bounded
// queue; what does not fit while the remote is away is read back from the storage when it answers again, and so is what
// was not sent when the program ended (a small file says up to when everything was delivered). A sample may so be
// delivered twice, never not at all while the storage has it. Any thread.
#pragma once
#include "core/base/clock.h"
#include "core/document/value.h"
#include "observe/metrics/exposition/families.h"
#include "observe/metrics/remote/write_request.h"
#include "observe/metrics/scrape/relabel.h"

namespace caisson::metrics {

struct RemoteWrite {
  std::string name;  // unique; of the state file and of the remote_name label
  std::string url;
  std::int64_t timeout_ms = 30'000;
  std::vector<std::pair<std::string, std::string>> headers;  // X-Scope-OrgID among them
  std::string authorization;                                 // the header's value; empty: none
  std::string ca_pem;
  bool insecure_skip_verify = false;
  bool histograms = false;  // send_native_histograms
  std::vector<RelabelRule> relabeling;
  WriteProtocol protocol = WriteProtocol::v1;
  std::size_t capacity = 10'000;  // samples that wait in memory
  std::size_t samples_per_send_max = 2'000;
  std::int64_t batch_deadline_ms = 5'000;
  std::int64_t backoff_min_ms = 30, backoff_max_ms = 5'000;
  bool retry_on_429 = false;
  bool operator==(const RemoteWrite&) const = default;
};

// remote_write of a prometheus.yml. Errors: bad_request with the entry and the field; an option that has no meaning
// here is refused by name.
Result<std::vector<RemoteWrite>> parse_remote_writes(const Value& list);

class RemoteSender {
 public:
  // `directory` keeps the state; it is made when a remote needs it.
  RemoteSender(const Tsdb& storage, std::string directory, Clock& clock);
  ~RemoteSender();  // what waits is sent after the next start
  // From now on these are the remotes; those that are as they were go on.
  void set_remotes(std::vector<RemoteWrite> remotes);
  // What was stored just now. Never blocks.
  void offer(std::span<const NewSample> samples);
  Exposition read() const;  // prometheus_remote_storage_…

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::metrics

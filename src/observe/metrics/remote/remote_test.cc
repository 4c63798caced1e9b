// SPDX-License-Identifier: Apache-2.0
// Golden messages in testdata are Prometheus 3.8's own encoding (prompb, golang/snappy), made by
// tests/differential/prometheus_messages/main.go.
#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/document/yaml.h"
#include "core/http/server.h"
#include "observe/metrics/remote/receiver.h"
#include "observe/metrics/remote/sender.h"

namespace caisson::metrics {
namespace {

constexpr std::int64_t kStart = 1'700'000'000'000;

std::string golden(const std::string& name) {
  return read_file(test_room_dir() + "/remote/testdata/" + name).value();
}

std::unique_ptr<Tsdb> open_storage(const std::string& dir) {
  return Tsdb::open(dir, {}).value();
}

http::Headers headers_of(WriteProtocol protocol) {
  return {{"Content-Type", content_type_of(protocol)}, {"Content-Encoding", "snappy"}};
}

std::vector<NewSample> numbered(int from, int count) {
  std::vector<NewSample> samples;
  for (int i = from; i < from + count; ++i)
    samples.push_back({Labels::from({{"__name__", "n"}, {"series", std::to_string(i % 7)}}), kStart + i,
                       static_cast<double>(i), nullptr});
  return samples;
}

std::size_t count_of(const Tsdb& storage) {
  std::size_t count = 0;
  for (const auto& series : storage.select({}, INT64_MIN, INT64_MAX).value()) {
    Samples samples;
    REQUIRE(series->read(INT64_MIN, INT64_MAX, samples).ok());
    count += samples.floats.size() + samples.histograms.size();
  }
  return count;
}

// A remote that stores what it gets, and can be told to answer something else first.
class Remote {
 public:
  Remote() : storage_(open_storage(dir_.path())) {
    server_.emplace(http::Server::start({}).value());
    port_ = server_->listen("127.0.0.1", 0, [this](http::ExchangePtr exchange) { answer(*exchange); }).value();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/api/v1/write"; }
  // Blocks until `count` samples are there.
  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return count_of(*storage_) >= count; });
  }
  bool wait_for_refusals(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return refused >= count; });
  }
  std::atomic<int> status = 0;  // 0: it takes what comes
  int refused = 0;              // GUARDED_BY(mutex_)

 private:
  void answer(http::Exchange& exchange) {
    const std::string body = exchange.read_body(1u << 24).value();
    const std::lock_guard lock(mutex_);
    if (status != 0) {
      ++refused;
      exchange.respond({status, {}, "not now"});
    } else {
      exchange.respond(receive_write(*storage_, side_, exchange.headers, body, kStart + 3'600'000));
    }
    changed_.notify_all();
  }

  TempDir dir_ = TempDir::make().value();
  std::unique_ptr<Tsdb> storage_;
  SideData side_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<http::Server> server_;
  int port_ = 0;
};

RemoteWrite remote_at(const std::string& url) {
  RemoteWrite remote;
  remote.name = "peer";
  remote.url = url;
  remote.batch_deadline_ms = 20;
  remote.backoff_min_ms = 1;
  remote.backoff_max_ms = 5;
  return remote;
}

}  // namespace

TEST_CASE("remote write: Prometheus' own messages of both versions are read") {
  for (const auto& [protocol, file] :
       {std::pair(WriteProtocol::v1, "v1.snappy"), std::pair(WriteProtocol::v2, "v2.snappy")}) {
    CAPTURE(file);
    const auto request = read_write_request(protocol, golden(file));
    REQUIRE_MESSAGE(request.ok(), (request.ok() ? "" : request.error().message));
    REQUIRE(request->samples.size() == 3);
    CHECK(request->samples[0].labels.str() == "{__name__=\"up\", job=\"가\"}");
    CHECK(request->samples[0].t == kStart);
    CHECK(request->samples[1].v == 0.5);
    REQUIRE(request->samples[2].h);
    CHECK(histogram_string(*request->samples[2].h) ==
          "{count:6, sum:7.5, [-0.5,-0.3535533905932738):1, [-0.001,0.001]:1, (0.7071067811865476,1]:1, "
          "(1,1.4142135623730951]:2, (4,5.656854249492381]:1}");
    REQUIRE(request->exemplars.size() == 1);
    CHECK(request->exemplars[0].labels.get("trace_id") == "abc");
    REQUIRE(!request->metadata.empty());
    CHECK(request->metadata[0].type == "gauge");
    CHECK(request->metadata[0].help == "Up?");
  }
}

TEST_CASE("remote write: what is made is read back, with histograms") {
  const auto golden_request = read_write_request(WriteProtocol::v1, golden("v1.snappy"));
  REQUIRE(golden_request.ok());
  for (const WriteProtocol protocol : {WriteProtocol::v1, WriteProtocol::v2}) {
    const auto again = read_write_request(protocol, make_write_request(protocol, golden_request->samples));
    REQUIRE(again.ok());
    REQUIRE(again->samples.size() == golden_request->samples.size());
    for (std::size_t i = 0; i < again->samples.size(); ++i) {
      CHECK(again->samples[i].labels == golden_request->samples[i].labels);
      CHECK(again->samples[i].t == golden_request->samples[i].t);
      if (again->samples[i].h)
        CHECK(equals(*again->samples[i].h, *golden_request->samples[i].h));
      else
        CHECK(again->samples[i].v == golden_request->samples[i].v);
    }
  }
}

TEST_CASE("remote write: a receiver stores, counts and refuses as the specification says") {
  const TempDir dir = TempDir::make().value();
  const auto storage = open_storage(dir.path());
  SideData side;
  const auto write = [&](http::Headers headers, const std::string& body) {
    return receive_write(*storage, side, headers, body, kStart + 60'000);
  };

  const http::Response first = write(headers_of(WriteProtocol::v2), golden("v2.snappy"));
  CHECK(first.status == 204);
  CHECK(first.headers.get("X-Prometheus-Remote-Write-Samples-Written") == "2");
  CHECK(first.headers.get("X-Prometheus-Remote-Write-Histograms-Written") == "1");
  CHECK(first.headers.get("X-Prometheus-Remote-Write-Exemplars-Written") == "1");
  CHECK(write(headers_of(WriteProtocol::v1), golden("v1.snappy")).status == 204);  // the same again is no mistake
  CHECK(count_of(*storage) == 3);

  std::vector<NewSample> wrong{{Labels::from({{"__name__", "up"}, {"job", "가"}}), kStart, 7, nullptr}};
  const http::Response conflicting = write(headers_of(WriteProtocol::v1), make_write_request(WriteProtocol::v1, wrong));
  CHECK(conflicting.status == 400);
  CHECK(conflicting.body == "1 sample duplicate sample for timestamp: another value is there already\n");
  wrong[0].t = kStart + 11 * 60'000 + 60'000;
  CHECK(write(headers_of(WriteProtocol::v1), make_write_request(WriteProtocol::v1, wrong)).body.find("in the future") !=
        std::string::npos);

  CHECK(write({{"Content-Type", "application/json"}}, "{}").status == 415);
  CHECK(write({{"Content-Type", "application/x-protobuf;proto=other"}}, "").status == 415);
  CHECK(write({{"Content-Type", "application/x-protobuf"}, {"Content-Encoding", "gzip"}}, "").status == 415);
  CHECK(write(headers_of(WriteProtocol::v1), "not snappy").status == 400);
  const std::vector<NewSample> nameless{{Labels::from({{"job", "x"}}), kStart, 1, nullptr}};
  CHECK(write(headers_of(WriteProtocol::v1), make_write_request(WriteProtocol::v1, nameless)).status == 400);
}

TEST_CASE("remote write: a message that would unpack to too much is refused before it is unpacked") {
  const std::string bomb("\x80\x80\x80\x80\x08\x00", 6);  // says that it has 2 GiB
  const auto read = read_write_request(WriteProtocol::v1, bomb);
  REQUIRE(!read.ok());
  CHECK(read.error().code == ErrorCode::too_large);
}

TEST_CASE(
    "remote write: everything arrives, also what was stored while the remote was away and more than the queue holds") {
  const TempDir dir = TempDir::make().value();
  const auto storage = open_storage(dir.path() + "/db");
  FakeClock clock{Time(std::chrono::milliseconds(kStart))};
  Remote remote;
  RemoteSender sender(*storage, dir.path() + "/remote", clock);
  storage->on_append([&](std::span<const NewSample> samples) { sender.offer(samples); });
  RemoteWrite options = remote_at(remote.url());
  options.capacity = 50;
  options.samples_per_send_max = 10;
  sender.set_remotes({options});

  REQUIRE(storage->append(numbered(0, 30)).ok());
  REQUIRE(remote.wait_for(30));
  remote.status = 503;
  REQUIRE(storage->append(numbered(30, 30)).ok());
  REQUIRE(remote.wait_for_refusals(3));
  REQUIRE(storage->append(numbered(60, 500)).ok());
  remote.status = 0;
  CHECK(remote.wait_for(560));
}

TEST_CASE("remote write: what was not delivered when the program ended is delivered after the next start") {
  const TempDir dir = TempDir::make().value();
  FakeClock clock{Time(std::chrono::milliseconds(kStart))};
  Remote remote;
  {
    const auto storage = open_storage(dir.path() + "/db");
    RemoteSender sender(*storage, dir.path() + "/remote", clock);
    storage->on_append([&](std::span<const NewSample> samples) { sender.offer(samples); });
    sender.set_remotes({remote_at(remote.url())});
    remote.status = 500;
    REQUIRE(storage->append(numbered(0, 100)).ok());
    REQUIRE(remote.wait_for_refusals(2));
  }
  remote.status = 0;
  clock.advance(std::chrono::seconds(10));
  const auto storage = open_storage(dir.path() + "/db");
  RemoteSender sender(*storage, dir.path() + "/remote", clock);
  sender.set_remotes({remote_at(remote.url())});
  CHECK(remote.wait_for(100));
}

TEST_CASE("remote write: a batch that is refused for good is not sent again, and the next ones are") {
  const TempDir dir = TempDir::make().value();
  const auto storage = open_storage(dir.path() + "/db");
  FakeClock clock{Time(std::chrono::milliseconds(kStart))};
  Remote remote;
  RemoteSender sender(*storage, dir.path() + "/remote", clock);
  storage->on_append([&](std::span<const NewSample> samples) { sender.offer(samples); });
  sender.set_remotes({remote_at(remote.url())});
  remote.status = 400;
  REQUIRE(storage->append(numbered(0, 10)).ok());
  REQUIRE(remote.wait_for_refusals(1));
  remote.status = 0;
  REQUIRE(storage->append(numbered(10, 10)).ok());
  CHECK(remote.wait_for(10));
}

TEST_CASE(
    "remote write: configuration is read with Prometheus' names, and what has no meaning here is refused by name") {
  const auto parse = [](const std::string& text) { return parse_remote_writes(yaml::read(text).value()); };
  const auto good = parse(R"(
- url: https://mimir.example/api/v1/push
  name: mimir
  remote_timeout: 10s
  headers: {X-Scope-OrgID: shop}
  protobuf_message: io.prometheus.write.v2.Request
  basic_auth: {username: u, password: p}
  queue_config: {capacity: 5000, max_samples_per_send: 500, max_shards: 10, batch_send_deadline: 1s, retry_on_http_429: true}
  write_relabel_configs:
  - {source_labels: [__name__], regex: go_.*, action: drop}
)");
  REQUIRE_MESSAGE(good.ok(), (good.ok() ? "" : good.error().message));
  const RemoteWrite& remote = (*good)[0];
  CHECK(remote.protocol == WriteProtocol::v2);
  CHECK(remote.timeout_ms == 10'000);
  CHECK(remote.capacity == 5000);
  CHECK(remote.authorization == "Basic dTpw");
  CHECK(remote.relabeling.size() == 1);

  const std::pair<const char*, const char*> wrong[] = {
      {"[{url: 'ftp://x/y'}]", "remote_write[0]: url: neither http nor https: ftp://x/y"},
      {"[{url: 'http://x/y', sigv4: {}}]", "remote_write[0]: sigv4 is not supported here"},
      {"[{url: 'http://x/y', urll: 1}]", "remote_write[0]: unknown field urll"},
      {"[{url: 'http://x/y', name: ../x}]",
       "remote_write[0]: name: letters, digits, '-', '_' and '.' only, at most 100: ../x"},
      {"[{url: 'http://x/y', name: a}, {url: 'http://x/z', name: a}]", "remote_write[1]: name a stands twice"},
      {"[{url: 'http://x/y', remote_timeout: 0s}]", "remote_write[0]: remote_timeout must be greater than 0"},
  };
  for (const auto& [text, message] : wrong) {
    const auto parsed = parse(text);
    REQUIRE(!parsed.ok());
    CHECK(parsed.error().message == message);
  }
}

}  // namespace caisson::metrics

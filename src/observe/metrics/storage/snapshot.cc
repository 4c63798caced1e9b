// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/snapshot.h"

#include <bit>
#include <functional>
#include <thread>

#include "observe/metrics/storage/codec.h"
#include "observe/metrics/storage/crc32c.h"
#include "observe/metrics/storage/file_writer.h"
#include "observe/metrics/storage/mapped_file.h"

namespace caisson::metrics {
namespace {

// Version 2 closed every chunk: none of its heads has the flag of an open one. It is read as it is.
constexpr std::string_view kMagic = "CAISNAP3", kMagicBefore = "CAISNAP2";
constexpr std::size_t kTailBytes = 4 + kMagic.size();
constexpr std::uint32_t kOpenFlag = 1u << 17;   // of a chunk's head: its encoder follows its bytes
constexpr std::uint64_t kTwoThreadsFrom = 20'000;  // series
constexpr std::size_t kForgetEvery = 1u << 16;  // series, after which the pages that were read are given back

void write_chunk(Writer& out, const FloatChunk& chunk) {
  const FloatChunk::Encoder* encoder = chunk.encoder();
  out.number(encoder ? chunk.head() | kOpenFlag : chunk.head());
  out.signed_number(chunk.first_time());
  out.number(static_cast<std::uint64_t>(chunk.last_time() - chunk.first_time()));
  out.text(chunk.bytes());
  if (!encoder) return;
  out.signed_number(encoder->delta);
  out.real(std::bit_cast<double>(encoder->value_bits));
  for (const std::int8_t part : {encoder->free_bits, encoder->leading, encoder->trailing}) out.signed_number(part);
}

Result<FloatChunk> read_chunk(Reader& in) {
  const auto head = static_cast<std::uint32_t>(TRY(in.number()));
  const std::int64_t first = TRY(in.signed_number());
  const auto last = static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + TRY(in.number()));
  const std::string_view bytes = TRY(in.text());
  if ((head & kOpenFlag) == 0) return FloatChunk::restore(head, first, last, bytes);
  FloatChunk::Encoder encoder;
  encoder.delta = TRY(in.signed_number());
  encoder.value_bits = std::bit_cast<std::uint64_t>(TRY(in.real()));
  for (std::int8_t* part : {&encoder.free_bits, &encoder.leading, &encoder.trailing})
    *part = static_cast<std::int8_t>(TRY(in.signed_number()));
  return FloatChunk::restore(head & ~kOpenFlag, first, last, bytes, &encoder);
}

void write_series(Writer& out, const TsdbSeries& series) {
  const TsdbSeries::Contents contents = series.contents();
  out.number(series.ref());
  out.text(series.labels().bytes());
  out.signed_number(series.newest());
  out.number(contents.chunks.size());
  for (const FloatChunk& chunk : contents.chunks) write_chunk(out, chunk);
  out.number(contents.loose.floats.size());
  for (const FloatPoint& p : contents.loose.floats) {
    out.signed_number(p.t);
    out.real(p.v);
  }
  out.number(contents.loose.histograms.size());
  for (const HistogramPoint& p : contents.loose.histograms) {
    out.signed_number(p.t);
    out.histogram(*p.h);
  }
}

Result<SeriesPtr> read_series(Reader& in) {
  const std::uint64_t ref = TRY(in.number());
  const std::string_view label_bytes = TRY(in.text());
  auto series = std::make_shared<TsdbSeries>(ref, TRY(Labels::from_bytes(label_bytes)));
  series->note_newest(TRY(in.signed_number()));
  for (std::uint64_t n = TRY(in.number()); n > 0; --n) series->restore(TRY(read_chunk(in)));
  for (std::uint64_t n = TRY(in.number()); n > 0; --n) {
    const std::int64_t t = TRY(in.signed_number());
    series->restore_loose(t, TRY(in.real()), nullptr);
  }
  for (std::uint64_t n = TRY(in.number()); n > 0; --n) {
    const std::int64_t t = TRY(in.signed_number());
    series->restore_loose(t, 0, std::make_shared<const FloatHistogram>(TRY(in.histogram())));
  }
  return series;
}

Result<void> write_postings(FileWriter& file, const SeriesIndex::Names& names) {
  Writer count;
  count.number(names.size());
  TRY(file.put(count.bytes()));
  for (const auto& [name, values] : names) {
    Writer head;
    head.text(name);
    head.number(values.size());
    TRY(file.put(head.bytes()));
    for (const auto& [value, refs] : values) {
      Writer list;
      list.text(value);
      list.number(refs.size());
      std::uint64_t last = 0;
      for (const std::uint64_t ref : refs) list.number(ref - std::exchange(last, ref));
      TRY(file.put(list.bytes()));
    }
  }
  return {};
}

Result<void> read_postings(Reader& in, SeriesIndex& index) {
  for (std::uint64_t names = TRY(in.number()); names > 0; --names) {
    const std::string_view name = TRY(in.text());
    for (std::uint64_t values = TRY(in.number()); values > 0; --values) {
      const std::string_view value = TRY(in.text());
      const std::uint64_t count = TRY(in.number());
      if (count > index.size()) return Error{ErrorCode::invalid, "a list of series is longer than there are series"};
      Postings refs;
      refs.reserve(count);
      std::uint64_t ref = 0;
      for (std::uint64_t i = 0; i < count; ++i) refs.push_back(ref += TRY(in.number()));
      index.restore(name, value, std::move(refs));
    }
  }
  return {};
}

Result<void> read_some(Reader& in, std::uint64_t count, const MappedFile& file,
                       const std::function<void(SeriesPtr)>& take) {
  for (std::uint64_t i = 0; i < count; ++i) {
    take(TRY(read_series(in)));
    if (i % kForgetEvery == kForgetEvery - 1) file.forget_pages();
  }
  return {};
}

// The second half of the series on another thread, when they are many: two take half the time.
Result<void> read_all_series(Reader& first, Reader& second, std::uint64_t count, const MappedFile& file,
                             SeriesIndex& index) {
  const std::uint64_t half = count / 2;
  std::vector<SeriesPtr> later;
  Result<void> read_later;
  std::thread other([&] {
    later.reserve(count - half);
    read_later = read_some(second, count - half, file, [&](SeriesPtr series) { later.push_back(std::move(series)); });
  });
  const auto read = read_some(first, half, file, [&](SeriesPtr series) { index.restore(std::move(series)); });
  other.join();
  TRY(read);
  TRY(read_later);
  if (!first.at_end()) return Error{ErrorCode::invalid, "its second half does not begin where it says"};
  for (SeriesPtr& series : later) index.restore(std::move(series));
  return {};
}

// `middle`: where the second half of the series begins in `body`; 0: it does not say.
Result<SnapshotPlace> read_body(std::string_view body, std::uint64_t middle, const MappedFile& file,
                                SeriesIndex& index) {
  Reader in(body.substr(kMagic.size()));
  SnapshotPlace place;
  place.first_segment = TRY(in.number());
  const std::uint64_t count = TRY(in.number());
  if (count > body.size()) return Error{ErrorCode::invalid, "more series than bytes"};
  index.reserve(count);
  if (count >= kTwoThreadsFrom && middle > 0) {
    const std::size_t begin = body.size() - in.left();
    if (middle < begin || middle > body.size()) return Error{ErrorCode::invalid, "its second half is beyond its end"};
    Reader first(body.substr(begin, middle - begin));
    in = Reader(body.substr(middle));
    TRY(read_all_series(first, in, count, file, index));
  } else {
    TRY(read_some(in, count, file, [&](SeriesPtr series) { index.restore(std::move(series)); }));
  }
  index.restored();
  TRY(read_postings(in, index));
  if (!in.at_end()) return Error{ErrorCode::invalid, "more than a snapshot"};
  return place;
}

}  // namespace

Result<void> write_snapshot(const std::string& path, const SeriesIndex& index, const SnapshotPlace& place) {
  FileWriter file = TRY(FileWriter::create(path));
  Writer head;
  head.number(place.first_segment);
  head.number(index.size());
  TRY(file.put(kMagic));
  TRY(file.put(head.bytes()));
  const std::vector<SeriesPtr> all = index.all();
  std::uint64_t middle = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i == all.size() / 2) middle = file.at();
    Writer one;
    write_series(one, *all[i]);
    TRY(file.put(one.bytes()));
  }
  TRY(write_postings(file, index.names()));
  TRY(file.put({reinterpret_cast<const char*>(&middle), sizeof middle}));
  const std::uint32_t crc = file.crc();
  TRY(file.put({reinterpret_cast<const char*>(&crc), sizeof crc}));
  TRY(file.put(kMagic));
  return file.finish();
}

Result<SnapshotPlace> read_snapshot(const std::string& path, SeriesIndex& index) {
  const MappedFile file = TRY(MappedFile::open(path));
  const std::string_view bytes = file.bytes();
  const std::string_view version = bytes.substr(0, kMagic.size());
  if (bytes.size() < kMagic.size() + kTailBytes || (version != kMagic && version != kMagicBefore) ||
      !bytes.ends_with(version))
    return Error{ErrorCode::invalid, path + " is no snapshot of this version"};
  const std::string_view body = bytes.substr(0, bytes.size() - kTailBytes);
  std::uint32_t wanted, crc = 0;
  bytes.copy(reinterpret_cast<char*>(&wanted), sizeof wanted, body.size());
  constexpr std::size_t kPiece = 16u << 20;  // no more of it is in memory at once
  for (std::size_t at = 0; at < body.size(); at += kPiece) {
    crc = crc32c(body.substr(at, kPiece), crc);
    file.forget_pages();
  }
  if (crc != wanted) return Error{ErrorCode::invalid, path + " is damaged"};
  if (version == kMagicBefore) return read_body(body, 0, file, index).in(path);
  std::uint64_t middle = 0;
  if (body.size() < kMagic.size() + sizeof middle) return Error{ErrorCode::invalid, path + " ends early"};
  body.copy(reinterpret_cast<char*>(&middle), sizeof middle, body.size() - sizeof middle);
  return read_body(body.substr(0, body.size() - sizeof middle), middle, file, index).in(path);
}

}  // namespace caisson::metrics

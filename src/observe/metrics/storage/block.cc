// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/block.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "observe/metrics/storage/codec.h"
#include "observe/metrics/storage/crc32c.h"
#include "observe/metrics/storage/file_writer.h"

namespace caisson::metrics {
namespace {

constexpr std::string_view kMagic = "CAIBLK01";
constexpr std::size_t kEntryBytes = 16, kFooterBytes = 48;  // footer: table, count, mint, maxt, CRC (8 each), magic

void put(std::string& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i));
}

std::uint64_t get(std::string_view bytes, std::size_t at) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

void write_series(Writer& out, const BlockSeries& series) {
  out.labels(series.labels);
  out.number(series.contents.chunks.size());
  for (const FloatChunk& chunk : series.contents.chunks) {
    out.signed_number(chunk.first_time());
    out.signed_number(chunk.last_time());
    out.number(chunk.head());
    out.text(chunk.bytes());
  }
  out.number(series.contents.loose.floats.size());
  for (const FloatPoint& p : series.contents.loose.floats) {
    out.signed_number(p.t);
    out.real(p.v);
  }
  out.number(series.contents.loose.histograms.size());
  for (const HistogramPoint& p : series.contents.loose.histograms) {
    out.signed_number(p.t);
    out.histogram(*p.h);
  }
}

// What follows the labels; chunks beyond mint..maxt are skipped undecoded.
template <class Chunk>
Result<void> read_series(Reader& in, std::int64_t mint, std::int64_t maxt, Chunk chunk, Samples& loose) {
  for (std::uint64_t n = TRY(in.number()); n > 0; --n) {
    const std::int64_t first = TRY(in.signed_number()), last = TRY(in.signed_number());
    const std::uint64_t head = TRY(in.number());
    const std::string_view bytes = TRY(in.text());
    if (last >= mint && first <= maxt) TRY(chunk(static_cast<std::uint32_t>(head), first, last, bytes));
  }
  for (std::uint64_t n = TRY(in.number()); n > 0; --n) {
    const std::int64_t t = TRY(in.signed_number());
    const double v = TRY(in.real());
    if (t >= mint && t <= maxt) loose.floats.push_back({t, v});
  }
  for (std::uint64_t n = TRY(in.number()); n > 0; --n) {
    const std::int64_t t = TRY(in.signed_number());
    FloatHistogram h = TRY(in.histogram());
    if (t >= mint && t <= maxt) loose.histograms.push_back({t, std::make_shared<const FloatHistogram>(std::move(h))});
  }
  return {};
}

void span_of(const TsdbSeries::Contents& c, std::int64_t& mint, std::int64_t& maxt) {
  const auto note = [&](std::int64_t first, std::int64_t last) {
    mint = std::min(mint, first);
    maxt = std::max(maxt, last);
  };
  for (const FloatChunk& chunk : c.chunks) note(chunk.first_time(), chunk.last_time());
  if (!c.loose.floats.empty()) note(c.loose.floats.front().t, c.loose.floats.back().t);
  if (!c.loose.histograms.empty()) note(c.loose.histograms.front().t, c.loose.histograms.back().t);
}

bool is_empty(const TsdbSeries::Contents& c) {
  return c.chunks.empty() && c.loose.empty();
}

// Two lists of one series become one. Chunks that follow one another stay as they are; else all is encoded anew.
Result<void> append(TsdbSeries::Contents& to, TsdbSeries::Contents from) {
  const bool follows =
      to.loose.floats.empty() && from.loose.floats.empty() &&
      (to.chunks.empty() || from.chunks.empty() || to.chunks.back().last_time() < from.chunks.front().first_time());
  if (follows) {
    for (FloatChunk& chunk : from.chunks) to.chunks.push_back(std::move(chunk));
  } else {
    std::vector<FloatPoint> all = std::move(to.loose.floats);
    all.insert(all.end(), from.loose.floats.begin(), from.loose.floats.end());
    for (const auto* list : {&to.chunks, &from.chunks})
      for (const FloatChunk& chunk : *list) TRY(chunk.decode(INT64_MIN, INT64_MAX, all));
    std::stable_sort(all.begin(), all.end(), [](const FloatPoint& a, const FloatPoint& b) { return a.t < b.t; });
    to.chunks.clear();
    to.loose.floats.clear();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i > 0 && all[i].t == all[i - 1].t) continue;
      if (to.chunks.empty() || to.chunks.back().full()) to.chunks.emplace_back();
      to.chunks.back().append(all[i].t, all[i].v);
    }
  }
  auto& histograms = to.loose.histograms;
  histograms.insert(histograms.end(), from.loose.histograms.begin(), from.loose.histograms.end());
  std::stable_sort(histograms.begin(), histograms.end(),
                   [](const HistogramPoint& a, const HistogramPoint& b) { return a.t < b.t; });
  histograms.erase(std::unique(histograms.begin(), histograms.end(),
                               [](const HistogramPoint& a, const HistogramPoint& b) { return a.t == b.t; }),
                   histograms.end());
  return {};
}

}  // namespace

Result<void> Block::write(const std::string& path, const std::vector<BlockSeries>& series) {
  FileWriter file = TRY(FileWriter::create(path));
  TRY(file.put(kMagic));
  std::string table;
  std::uint64_t count = 0;
  std::int64_t mint = INT64_MAX, maxt = INT64_MIN;
  for (const BlockSeries& one : series) {
    if (is_empty(one.contents)) continue;
    put(table, one.ref);
    put(table, file.at());
    ++count;
    span_of(one.contents, mint, maxt);
    Writer record;
    write_series(record, one);
    TRY(file.put(record.bytes()));
  }
  const std::uint64_t table_at = file.at();
  for (const std::uint64_t field :
       {table_at, count, static_cast<std::uint64_t>(mint), static_cast<std::uint64_t>(maxt)})
    put(table, field);
  put(table, crc32c(table));
  TRY(file.put(table));
  TRY(file.put(kMagic));
  return file.finish();
}

Result<std::shared_ptr<const Block>> Block::open(const std::string& path) {
  std::shared_ptr<Block> block(new Block);
  block->file_ = TRY(MappedFile::open(path));
  block->path_ = path;
  block->bytes_ = block->file_.bytes();
  TRY(block->parse().in(path));
  return std::shared_ptr<const Block>(std::move(block));
}

Result<void> Block::parse() {
  if (bytes_.size() < kMagic.size() + kFooterBytes) return Error{ErrorCode::invalid, "ends early"};
  const std::size_t footer = bytes_.size() - kFooterBytes;
  if (!bytes_.starts_with(kMagic) || !bytes_.ends_with(kMagic)) return Error{ErrorCode::invalid, "is no block"};
  table_at_ = get(bytes_, footer);
  count_ = get(bytes_, footer + 8);
  mint_ = static_cast<std::int64_t>(get(bytes_, footer + 16));
  maxt_ = static_cast<std::int64_t>(get(bytes_, footer + 24));
  if (count_ > bytes_.size() / kEntryBytes || table_at_ != footer - count_ * kEntryBytes)
    return Error{ErrorCode::invalid, "has a damaged footer"};
  if (get(bytes_, footer + 32) != crc32c(bytes_.substr(table_at_, footer + 32 - table_at_)))
    return Error{ErrorCode::invalid, "is damaged"};
  return {};
}

std::uint64_t Block::table(std::size_t index, std::size_t field) const {
  return get(bytes_, table_at_ + index * kEntryBytes + field * 8);
}

std::size_t Block::place_of(std::uint64_t ref) const {
  std::size_t low = 0, high = count_;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (table(middle, 0) < ref)
      low = middle + 1;
    else
      high = middle;
  }
  return low < count_ && table(low, 0) == ref ? low : count_;
}

bool Block::has(std::uint64_t ref) const {
  return place_of(ref) < count_;
}

Result<void> Block::read(std::uint64_t ref, std::int64_t mint, std::int64_t maxt, Samples& into) const {
  if (maxt < mint_ || mint > maxt_) return {};
  const std::size_t place = place_of(ref);
  if (place == count_) return {};
  const std::uint64_t at = table(place, 1);
  if (at >= table_at_) return Error{ErrorCode::invalid, path_ + " is damaged"};
  Reader in(bytes_.substr(at, table_at_ - at));
  TRY(in.skip_labels());
  return read_series(
      in, mint, maxt,
      [&](std::uint32_t head, std::int64_t, std::int64_t, std::string_view bytes) {
        return decode_chunk(bytes, head, mint, maxt, into.floats);
      },
      into);
}

Result<void> Block::each(const std::function<Result<void>(std::uint64_t, const ReadLabels&)>& call) const {
  for (std::size_t i = 0; i < count_; ++i) {
    const std::uint64_t at = table(i, 1);
    if (at >= table_at_) return Error{ErrorCode::invalid, path_ + " is damaged"};
    TRY(call(table(i, 0), [&] { return Reader(bytes_.substr(at, table_at_ - at)).labels(); }));
  }
  return {};
}

Result<std::vector<BlockSeries>> Block::contents() const {
  std::vector<BlockSeries> all;
  for (std::size_t i = 0; i < count_; ++i) {
    const std::uint64_t at = table(i, 1);
    if (at >= table_at_) return Error{ErrorCode::invalid, path_ + " is damaged"};
    Reader in(bytes_.substr(at, table_at_ - at));
    auto labels = TRY(in.labels());
    BlockSeries series{table(i, 0), std::move(labels), {}};
    TRY(read_series(
        in, INT64_MIN, INT64_MAX,
        [&](std::uint32_t head, std::int64_t first, std::int64_t last, std::string_view bytes) -> Result<void> {
          series.contents.chunks.push_back(TRY(FloatChunk::restore(head, first, last, bytes)));
          return {};
        },
        series.contents.loose));
    all.push_back(std::move(series));
  }
  return all;
}

Result<std::vector<BlockSeries>> merge_blocks(std::span<const std::shared_ptr<const Block>> blocks) {
  std::map<std::uint64_t, BlockSeries> merged;
  for (const auto& block : blocks)
    for (BlockSeries& series : TRY(block->contents())) {
      const auto [at, fresh] = merged.try_emplace(series.ref, BlockSeries{series.ref, series.labels, {}});
      TRY(append(at->second.contents, std::move(series.contents)));
    }
  std::vector<BlockSeries> out;
  for (auto& [ref, series] : merged) out.push_back(std::move(series));
  return out;
}

}  // namespace caisson::metrics

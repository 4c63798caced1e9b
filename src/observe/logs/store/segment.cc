// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/store/segment.h"

#include <algorithm>
#include <cstring>

#include "observe/metrics/storage/codec.h"
#include "observe/metrics/storage/crc32c.h"
#include "observe/metrics/storage/file_writer.h"

namespace caisson::logs {
namespace {

constexpr std::string_view kMagic = "CAISLOG1";
constexpr std::size_t kTrailerBytes = 8 + 8 + 4 + 8;  // place, length, CRC, magic

std::string_view bytes_of(const auto& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

Error damaged(const std::string& path) {
  return {ErrorCode::invalid, path + " is damaged"};
}

void put_info(metrics::Writer& index, const BlockRef& block, std::uint64_t at) {
  index.signed_number(block.info.mint);
  index.number(static_cast<std::uint64_t>(block.info.maxt - block.info.mint));
  index.number(block.info.count);
  index.number(block.info.text_bytes);
  index.number(block.info.has_metadata ? 1 : 0);
  index.number(at);
  for (const std::string_view part : {block.columns, block.text, block.filter}) index.number(part.size());
}

Result<void> write_all_of(metrics::FileWriter& file, const std::vector<SegmentStream>& streams,
                          const Segment::Meta& meta) {
  TRY(file.put(kMagic));
  metrics::Writer index;
  index.number(static_cast<std::uint64_t>(
      std::count_if(streams.begin(), streams.end(), [](const auto& s) { return !s.blocks.empty(); })));
  for (const SegmentStream& stream : streams) {
    if (stream.blocks.empty()) continue;
    index.labels(stream.labels);
    index.number(stream.blocks.size());
    for (const BlockRef& block : stream.blocks) {
      put_info(index, block, file.at());
      for (const std::string_view part : {block.columns, block.text, block.filter}) TRY(file.put(part));
    }
  }
  index.number(meta.last_record);
  index.number(meta.positions.size());
  for (const auto& [source, position] : meta.positions) {
    index.text(source);
    index.text(position.file);
    index.number(position.offset);
    index.labels(position.labels);
  }
  const std::uint64_t at = file.at(), length = index.bytes().size();
  TRY(file.put(index.bytes()));
  TRY(file.put(bytes_of(at)));
  TRY(file.put(bytes_of(length)));
  TRY(file.put(bytes_of(metrics::crc32c(index.bytes()))));
  TRY(file.put(kMagic));
  return file.finish();
}

}  // namespace

Result<std::shared_ptr<const Lines>> BlockRef::read(Columns wanted) const {
  if (lines) return lines;
  return std::make_shared<const Lines>(TRY(unseal(columns, text, wanted)));
}

Result<void> Segment::write(const std::string& path, const std::vector<SegmentStream>& streams, const Meta& meta) {
  metrics::FileWriter file = TRY(metrics::FileWriter::create(path));
  return write_all_of(file, streams, meta);
}

Result<std::shared_ptr<const Segment>> Segment::open(const std::string& path) {
  std::shared_ptr<Segment> segment(new Segment);
  segment->file_ = TRY(metrics::MappedFile::open(path));
  segment->path_ = path;
  segment->bytes_ = segment->file_.bytes();
  if (segment->bytes_.size() < kMagic.size() + kTrailerBytes) return damaged(path);
  TRY(segment->parse().in(path));
  return std::shared_ptr<const Segment>(std::move(segment));
}

Result<void> Segment::parse() {
  const std::string_view trailer = bytes_.substr(bytes_.size() - kTrailerBytes);
  std::uint64_t at, length;
  std::uint32_t crc;
  std::memcpy(&at, trailer.data(), sizeof at);
  std::memcpy(&length, trailer.data() + 8, sizeof length);
  std::memcpy(&crc, trailer.data() + 16, sizeof crc);
  const std::uint64_t index_end = bytes_.size() - kTrailerBytes;
  if (!bytes_.starts_with(kMagic) || !trailer.ends_with(kMagic) || at > index_end || length != index_end - at)
    return damaged(path_);
  const std::string_view index = bytes_.substr(at, length);
  if (metrics::crc32c(index) != crc) return damaged(path_);
  metrics::Reader reader(index);
  for (std::uint64_t streams = TRY(reader.number()); streams > 0; --streams) {
    SegmentStream stream;
    stream.labels = TRY(reader.labels());
    for (std::uint64_t blocks = TRY(reader.number()); blocks > 0; --blocks) {
      BlockRef block;
      block.info.mint = TRY(reader.signed_number());
      block.info.maxt = block.info.mint + static_cast<std::int64_t>(TRY(reader.number()));
      block.info.count = static_cast<std::uint32_t>(TRY(reader.number()));
      block.info.text_bytes = TRY(reader.number());
      block.info.has_metadata = TRY(reader.number()) != 0;
      std::uint64_t from = TRY(reader.number());
      for (std::string_view* part : {&block.columns, &block.text, &block.filter}) {
        const std::uint64_t size = TRY(reader.number());
        if (from > at || size > at - from) return damaged(path_);
        *part = bytes_.substr(from, size);
        from += size;
      }
      mint_ = std::min(mint_, block.info.mint);
      maxt_ = std::max(maxt_, block.info.maxt);
      stream.blocks.push_back(std::move(block));
    }
    streams_.push_back(std::move(stream));
  }
  meta_.last_record = TRY(reader.number());
  for (std::uint64_t positions = TRY(reader.number()); positions > 0; --positions) {
    const std::string source(TRY(reader.text()));
    Position& position = meta_.positions[source];
    position.file = TRY(reader.text());
    position.offset = TRY(reader.number());
    position.labels = TRY(reader.labels());
  }
  return {};
}

}  // namespace caisson::logs

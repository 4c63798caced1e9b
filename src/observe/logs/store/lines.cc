// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/store/lines.h"
#include "core/base/owner.h"

#include <zstd.h>

#include <algorithm>
#include <numeric>

#include "observe/logs/store/filter.h"
#include "observe/metrics/storage/codec.h"

namespace caisson::logs {
namespace {

constexpr int kLevel = 1;
constexpr std::uint64_t kFrameBytesMax = 256u << 20;  // unpacked

Result<std::string> compress(std::string_view bytes) {
  const Owned<ZSTD_CCtx, ZSTD_freeCCtx> context(ZSTD_createCCtx());
  if (!context) return Error{ErrorCode::internal, "no memory to compress a block"};
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t size = ZSTD_compress2(context.get(), out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(size))
    return Error{ErrorCode::internal, std::string("compress a block: ") + ZSTD_getErrorName(size)};
  out.resize(size);
  out.shrink_to_fit();
  return out;
}

Result<std::string> decompress(std::string_view frame) {
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > kFrameBytesMax)
    return Error{ErrorCode::invalid, "a block of log lines is damaged"};
  std::string out(size, '\0');
  const std::size_t got = ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(got) || got != size) return Error{ErrorCode::invalid, "a block of log lines is damaged"};
  return out;
}

}  // namespace

void Lines::append(std::int64_t t, std::string_view line, std::uint32_t set) {
  if (!times.empty() && t < times.back()) sorted = false;
  times.push_back(t);
  text += line;
  ends.push_back(static_cast<std::uint32_t>(text.size()));
  metadata.push_back(set);
}

Lines Lines::ordered() const {
  std::vector<std::uint32_t> order(size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return times[a] < times[b]; });
  Lines out;
  out.sets = sets;
  out.text.reserve(text.size());
  for (const std::uint32_t i : order) {
    bool twice = false;
    for (std::size_t k = out.size(); k > 0 && out.times[k - 1] == times[i] && !twice; --k)
      twice = out.metadata[k - 1] == metadata[i] && out.line(k - 1) == line(i);
    if (twice) continue;
    out.times.push_back(times[i]);
    out.text += line(i);
    out.ends.push_back(static_cast<std::uint32_t>(out.text.size()));
    out.metadata.push_back(metadata[i]);
  }
  return out;
}

Result<SealedBlock> seal(const Lines& lines) {
  SealedBlock block;
  block.info = {lines.times.front(), lines.times.back(), static_cast<std::uint32_t>(lines.size()), lines.text.size(),
                lines.sets.size() > 1};
  metrics::Writer writer;
  writer.number(lines.size());
  std::int64_t last = 0;
  for (const std::int64_t t : lines.times) {
    writer.signed_number(t - last);
    last = t;
  }
  for (std::size_t i = 0; i < lines.size(); ++i) writer.number(lines.line_bytes(i));
  writer.number(lines.sets.size() - 1);
  for (std::size_t i = 1; i < lines.sets.size(); ++i) writer.labels(lines.sets[i]);
  if (lines.sets.size() > 1)
    for (const std::uint32_t index : lines.metadata) writer.number(index);
  block.columns = TRY(compress(writer.bytes()));
  block.text = TRY(compress(lines.text));
  block.filter = make_filter(lines.text);
  return block;
}

Result<Lines> unseal(std::string_view columns, std::string_view text, Columns wanted) {
  const std::string bytes = TRY(decompress(columns));
  metrics::Reader reader(bytes);
  Lines lines;
  const std::uint64_t count = TRY(reader.number());
  if (count > bytes.size()) return Error{ErrorCode::invalid, "a block of log lines is damaged"};
  lines.times.reserve(count);
  lines.ends.reserve(count);
  std::int64_t t = 0;
  for (std::uint64_t i = 0; i < count; ++i) lines.times.push_back(t += TRY(reader.signed_number()));
  std::uint64_t end = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    end += TRY(reader.number());
    if (end > kFrameBytesMax) return Error{ErrorCode::invalid, "a block of log lines is damaged"};
    lines.ends.push_back(static_cast<std::uint32_t>(end));
  }
  const std::uint64_t sets = TRY(reader.number());
  if (sets > bytes.size()) return Error{ErrorCode::invalid, "a block of log lines is damaged"};
  for (std::uint64_t i = 0; i < sets; ++i) lines.sets.push_back(TRY(reader.labels()));
  lines.metadata.assign(count, 0);
  for (std::uint64_t i = 0; sets > 0 && i < count; ++i) {
    const std::uint64_t index = TRY(reader.number());
    if (index > sets) return Error{ErrorCode::invalid, "a block of log lines is damaged"};
    lines.metadata[i] = static_cast<std::uint32_t>(index);
  }
  if (wanted != Columns::all) return lines;
  lines.text = TRY(decompress(text));
  if (lines.text.size() != end) return Error{ErrorCode::invalid, "a block of log lines is damaged"};
  return lines;
}

}  // namespace caisson::logs

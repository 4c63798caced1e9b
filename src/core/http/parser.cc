// SPDX-License-Identifier: Apache-2.0
#include "core/http/parser.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"

namespace caisson::http {
namespace {

constexpr std::size_t kFieldsMax = 500;
constexpr std::size_t kChunkLineBytesMax = 4096;
constexpr std::size_t kTrailerBytesMax = 16u << 10;

// RFC 9110, token; and what may stand in a field's value.
enum CharClass : std::uint8_t { kToken = 1, kValue = 2 };
constexpr std::array<std::uint8_t, 256> kCharClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  for (std::size_t c = 0x20; c < classes.size(); ++c) classes[c] = c == 0x7f ? 0 : kValue;
  classes['\t'] = kValue;
  for (unsigned char c = '0'; c <= '9'; ++c) classes[c] |= kToken;
  for (unsigned char c = 'a'; c <= 'z'; ++c) classes[c] |= kToken;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) classes[c] |= kToken;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) classes[static_cast<unsigned char>(c)] |= kToken;
  return classes;
}();

bool all_are(std::string_view text, CharClass wanted) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return (kCharClasses[static_cast<unsigned char>(c)] & wanted) != 0; });
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view trim_ows(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The next line without its CRLF; `bytes` is known to hold CRLF line ends only (find_head_end saw to it).
std::string_view take_line(std::string_view& bytes) {
  const auto end = bytes.find("\r\n");
  if (end == std::string_view::npos) return std::exchange(bytes, {});
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(end + 2);
  return line;
}

Refusal parse_fields(std::string_view bytes, Headers& headers) {
  std::size_t count = 0;
  for (std::string_view line = take_line(bytes); !line.empty(); line = take_line(bytes)) {
    if (++count > kFieldsMax) return {431, "more than 500 header fields"};
    if (line.front() == ' ' || line.front() == '\t')
      return {400, "a header field continues on a second line (obs-fold)"};
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return {400, "a header line without ':'"};
    const std::string_view name = line.substr(0, colon);
    if (!is_token(name))
      return {400, "a header name that is empty or holds white space or other characters that names may not hold"};
    const std::string_view value = trim_ows(line.substr(colon + 1));
    if (!all_are(value, kValue)) return {400, "a control character in the value of header " + std::string(name)};
    headers.add(name, value);
  }
  return {};
}

std::size_t count_of(const Headers& headers, std::string_view name) {
  return static_cast<std::size_t>(std::count_if(headers.fields().begin(), headers.fields().end(),
                                                [name](const auto& f) { return equals_ignoring_case(f.first, name); }));
}

Refusal length_framing(const Headers& headers, Framing& framing) {
  if (count_of(headers, "Content-Length") > 1) return {400, "more than one Content-Length"};
  const std::string_view text = headers.get("Content-Length");
  if (!is_digits(text) || text.size() > 18) return {400, "Content-Length '" + std::string(text) + "' is not a length"};
  framing.kind = Framing::Kind::length;
  framing.length = static_cast<std::uint64_t>(*parse_int(text));
  return {};
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && all_are(text, kToken);
}

HeadEnd find_head_end(std::string_view bytes, std::size_t from) {
  std::size_t at = from > 3 ? from - 3 : 0;
  while ((at = bytes.find('\n', at)) != std::string_view::npos) {
    if (at == 0 || bytes[at - 1] != '\r') return {HeadEnd::State::malformed, 0};
    if (at >= 3 && bytes[at - 2] == '\n') return {HeadEnd::State::complete, at + 1};
    ++at;
  }
  return {};
}

Refusal parse_request_head(std::string_view bytes, RequestHead& head) {
  const std::string_view line = take_line(bytes);
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return {400, "malformed request line"};
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(head.method)) return {400, "malformed method"};
  for (const unsigned char c : head.target) {
    if (c <= 0x20 || c == 0x7f) return {400, "white space or a control character in the request target"};
  }
  if (head.target.empty()) return {400, "empty request target"};
  if (version.size() != 8 || !version.starts_with("HTTP/")) return {400, "malformed protocol version"};
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return {505, "this server speaks HTTP/1.1"};
  head.minor = version.back() - '0';
  if (Refusal refusal = parse_fields(bytes, head.headers); refusal.status != 0) return refusal;
  const std::size_t hosts = count_of(head.headers, "Host");
  if (hosts > 1 || (hosts == 0 && head.minor == 1))
    return {400, hosts == 0 ? "no Host header" : "more than one Host header"};
  return {};
}

Result<ResponseHead> parse_response_head(std::string_view bytes) {
  const auto malformed = [](const std::string& what) {
    return Error{ErrorCode::unavailable, "malformed HTTP response: " + what};
  };
  ResponseHead head;
  const std::string_view line = take_line(bytes);
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ' || !is_digits(line.substr(9, 3)) ||
      (line.size() > 12 && line[12] != ' '))
    return malformed("status line");
  head.minor = line[7] == '0' ? 0 : 1;
  head.status = static_cast<int>(*parse_int(line.substr(9, 3)));
  if (const Refusal refusal = parse_fields(bytes, head.headers); refusal.status != 0) return malformed(refusal.message);
  return head;
}

bool header_has_token(const Headers& headers, std::string_view name, std::string_view token) {
  for (const auto& [key, value] : headers.fields()) {
    if (!equals_ignoring_case(key, name)) continue;
    for (const std::string_view part : split(value, ',')) {
      if (equals_ignoring_case(trim_ows(part), token)) return true;
    }
  }
  return false;
}

bool wants_keep_alive(int minor, const Headers& headers) {
  if (header_has_token(headers, "Connection", "close")) return false;
  return minor >= 1 || header_has_token(headers, "Connection", "keep-alive");
}

Refusal request_framing(const RequestHead& head, Framing& framing) {
  const bool coded = head.headers.contains("Transfer-Encoding");
  const bool sized = head.headers.contains("Content-Length");
  if (coded && sized) return {400, "both Content-Length and Transfer-Encoding"};
  if (coded) {
    if (head.minor == 0) return {400, "Transfer-Encoding in HTTP/1.0"};
    if (count_of(head.headers, "Transfer-Encoding") > 1) return {400, "more than one Transfer-Encoding"};
    if (!equals_ignoring_case(head.headers.get("Transfer-Encoding"), "chunked"))
      return {501,
              "transfer coding '" + std::string(head.headers.get("Transfer-Encoding")) + "' (only chunked is known)"};
    framing.kind = Framing::Kind::chunked;
    return {};
  }
  if (sized) return length_framing(head.headers, framing);
  return {};
}

Result<Framing> response_framing(const ResponseHead& head, bool is_head_request) {
  Framing framing;
  if (is_head_request || head.status < 200 || head.status == 204 || head.status == 304) return framing;
  if (head.headers.contains("Transfer-Encoding")) {
    const std::string_view coding = head.headers.get("Transfer-Encoding");
    if (!equals_ignoring_case(coding, "chunked") || head.headers.contains("Content-Length"))
      return Error{ErrorCode::unavailable, "malformed HTTP response: Transfer-Encoding '" + std::string(coding) + "'"};
    framing.kind = Framing::Kind::chunked;
    return framing;
  }
  if (head.headers.contains("Content-Length")) {
    if (const Refusal refusal = length_framing(head.headers, framing); refusal.status != 0)
      return Error{ErrorCode::unavailable, "malformed HTTP response: " + refusal.message};
    return framing;
  }
  framing.kind = Framing::Kind::until_close;
  return framing;
}

BodyDecoder::BodyDecoder(const Framing& framing) : kind_(framing.kind), left_(framing.length) {
  done_ = kind_ == Framing::Kind::none || (kind_ == Framing::Kind::length && left_ == 0);
}

Result<void> BodyDecoder::chunk_line(std::string_view line) {
  if (line.empty() || line.back() != '\r')
    return Error{ErrorCode::bad_request, "a chunk line that does not end with CRLF"};
  line.remove_suffix(1);
  if (chunk_ == Chunk::trailer) {
    trailer_bytes_ += line.size() + 2;
    if (trailer_bytes_ > kTrailerBytesMax) return Error{ErrorCode::bad_request, "trailer fields larger than 16 KiB"};
    done_ = line.empty();
    return {};
  }
  const std::string_view digits = trim_ows(line.substr(0, line.find(';')));
  if (digits.empty() || digits.size() > 15)
    return Error{ErrorCode::bad_request, "a chunk size that is not a hexadecimal number"};
  left_ = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return Error{ErrorCode::bad_request, "a chunk size that is not a hexadecimal number"};
    left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
  }
  chunk_ = left_ == 0 ? Chunk::trailer : Chunk::data;
  return {};
}

Result<std::size_t> BodyDecoder::decode(std::string_view in, std::string& out) {
  std::size_t used = 0;
  if (kind_ == Framing::Kind::until_close) {
    out.append(in);
    return in.size();
  }
  while (!done_ && used < in.size()) {
    const std::string_view rest = in.substr(used);
    if (kind_ == Framing::Kind::length || chunk_ == Chunk::data) {
      const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size()));
      out.append(rest.substr(0, n));
      used += n;
      left_ -= n;
      if (left_ == 0 && kind_ == Framing::Kind::length) done_ = true;
      if (left_ == 0 && kind_ == Framing::Kind::chunked) chunk_ = Chunk::data_end;
      continue;
    }
    const auto newline = rest.find('\n');
    const std::size_t taken = newline == std::string_view::npos ? rest.size() : newline + 1;
    used += taken;
    if (line_.size() + taken > kChunkLineBytesMax)
      return Error{ErrorCode::bad_request, "a chunk line longer than 4 KiB"};
    line_.append(rest.substr(0, newline == std::string_view::npos ? taken : newline));
    if (newline == std::string_view::npos) break;
    const std::string line = std::exchange(line_, {});
    if (chunk_ == Chunk::data_end) {
      if (line != "\r") return Error{ErrorCode::bad_request, "chunk data longer than its size"};
      chunk_ = Chunk::size;
      continue;
    }
    TRY(chunk_line(line));
  }
  return used;
}

}  // namespace caisson::http

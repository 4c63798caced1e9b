// SPDX-License-Identifier: Apache-2.0
// Every decoder is a small state machine that turns pieces into pieces of at most 1 MiB; `Inflater` adapts it to a
// ByteSource.
#include "artifact/content/compress.h"

#include <bzlib.h>
#include <dlfcn.h>
#include <isa-l/igzip_lib.h>
#include <lzma.h>
#include <zstd.h>

#include <cstring>
#include <memory>

namespace caisson::content {
namespace {

constexpr std::size_t kOutBytes = 1u << 20;

// ISA-L has only a shared library in Debian, and the program must not need it to start.
struct Isal {
  decltype(&isal_inflate_init) inflate_init = nullptr;
  decltype(&isal_inflate_reset) inflate_reset = nullptr;
  decltype(&isal_inflate) inflate = nullptr;
  decltype(&isal_deflate_init) deflate_init = nullptr;
  decltype(&isal_deflate) deflate = nullptr;
  std::string error;
};

const Isal& isal() {
  static const Isal loaded = [] {
    Isal out;
    void* library = ::dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      out.error = "gzip needs ISA-L (package libisal2): " + std::string(::dlerror());
      return out;
    }
    const auto get = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
      if (function == nullptr) out.error = std::string("libisal.so.2 lacks ") + name;
    };
    get(out.inflate_init, "isal_inflate_init");
    get(out.inflate_reset, "isal_inflate_reset");
    get(out.inflate, "isal_inflate");
    get(out.deflate_init, "isal_deflate_init");
    get(out.deflate, "isal_deflate");
    return out;
  }();
  return loaded;
}

Error broken(std::string_view format, std::string_view why) {
  return Error{ErrorCode::bad_request, std::string(format) + ": " + std::string(why)};
}

// Turns input into output. step() consumes from the front of `in` and appends to `out`; `at_end` is set between
// members.
class Codec {
 public:
  virtual ~Codec() = default;
  virtual Result<void> step(std::string_view& in, bool last, std::string& out) = 0;
  bool at_end = false;    // no member is open: the input may stop here
  bool finished = false;  // of compressors: everything was written
};

class GzipDecoder : public Codec {
 public:
  GzipDecoder() {
    isal().inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP;
    at_end = true;
  }
  Result<void> step(std::string_view& in, bool, std::string& out) override {
    if (at_end) {
      if (in.empty()) return {};
      if (in[0] == '\0') {  // padding after the last member, as tar makes on tapes
        in = in.substr(1);
        return {};
      }
      isal().inflate_reset(&state_);
      state_.crc_flag = ISAL_GZIP;
      at_end = false;
    }
    out.resize(kOutBytes);
    state_.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(in.data()));
    state_.avail_in = static_cast<std::uint32_t>(in.size());
    state_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    state_.avail_out = static_cast<std::uint32_t>(out.size());
    const int status = isal().inflate(&state_);
    if (status < 0) return broken("gzip", "corrupt data (" + std::to_string(status) + ")");
    in = in.substr(in.size() - state_.avail_in);
    out.resize(out.size() - state_.avail_out);
    if (state_.block_state == ISAL_BLOCK_FINISH) at_end = true;
    return {};
  }

 private:
  inflate_state state_{};
};

class ZstdDecoder : public Codec {
 public:
  ZstdDecoder() : stream_(ZSTD_createDStream()) { at_end = true; }
  ~ZstdDecoder() override { ZSTD_freeDStream(stream_); }
  Result<void> step(std::string_view& in, bool, std::string& out) override {
    out.resize(kOutBytes);
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const std::size_t left = ZSTD_decompressStream(stream_, &to, &from);
    if (ZSTD_isError(left)) return broken("zstd", ZSTD_getErrorName(left));
    if (from.pos > 0 || to.pos > 0) at_end = left == 0;
    in = in.substr(from.pos);
    out.resize(to.pos);
    return {};
  }

 private:
  ZSTD_DStream* stream_;
};

class Bzip2Decoder : public Codec {
 public:
  Bzip2Decoder() { at_end = true; }
  ~Bzip2Decoder() override {
    if (!at_end) BZ2_bzDecompressEnd(&stream_);
  }
  Result<void> step(std::string_view& in, bool, std::string& out) override {
    if (at_end) {
      if (in.empty()) return {};
      stream_ = {};
      if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) return broken("bzip2", "out of memory");
      at_end = false;
    }
    out.resize(kOutBytes);
    stream_.next_in = const_cast<char*>(in.data());
    stream_.avail_in = static_cast<unsigned>(in.size());
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<unsigned>(out.size());
    const int status = BZ2_bzDecompress(&stream_);
    if (status != BZ_OK && status != BZ_STREAM_END)
      return broken("bzip2", "corrupt data (" + std::to_string(status) + ")");
    in = in.substr(in.size() - stream_.avail_in);
    out.resize(out.size() - stream_.avail_out);
    if (status == BZ_STREAM_END) {
      BZ2_bzDecompressEnd(&stream_);
      at_end = true;
    }
    return {};
  }

 private:
  bz_stream stream_{};
};

class XzDecoder : public Codec {
 public:
  XzDecoder() { ready_ = lzma_stream_decoder(&stream_, 256u << 20, LZMA_CONCATENATED) == LZMA_OK; }
  ~XzDecoder() override { lzma_end(&stream_); }
  Result<void> step(std::string_view& in, bool last, std::string& out) override {
    if (!ready_) return broken("xz", "out of memory");
    out.resize(kOutBytes);
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
    stream_.avail_in = in.size();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream_.avail_out = out.size();
    const lzma_ret status = lzma_code(&stream_, last ? LZMA_FINISH : LZMA_RUN);
    if (status != LZMA_OK && status != LZMA_STREAM_END && status != LZMA_BUF_ERROR) {
      return broken("xz", status == LZMA_MEMLIMIT_ERROR ? "needs more than 256 MiB of memory"
                                                        : "corrupt data (" + std::to_string(status) + ")");
    }
    in = in.substr(in.size() - stream_.avail_in);
    out.resize(out.size() - stream_.avail_out);
    if (status == LZMA_STREAM_END) at_end = true;
    if (status == LZMA_BUF_ERROR && last) return broken("xz", "cut off");
    return {};
  }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_ = false;
};

class ZstdEncoder : public Codec {
 public:
  explicit ZstdEncoder(int level) : context_(ZSTD_createCCtx()) {
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
  }
  ~ZstdEncoder() override { ZSTD_freeCCtx(context_); }
  Result<void> step(std::string_view& in, bool last, std::string& out) override {
    out.resize(kOutBytes);
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const std::size_t left = ZSTD_compressStream2(context_, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left)) return broken("zstd", ZSTD_getErrorName(left));
    in = in.substr(from.pos);
    out.resize(to.pos);
    finished = last && left == 0;
    return {};
  }

 private:
  ZSTD_CCtx* context_;
};

class GzipEncoder : public Codec {
 public:
  GzipEncoder() : level_buffer_(ISAL_DEF_LVL1_DEFAULT, '\0') {
    isal().deflate_init(&stream_);
    stream_.gzip_flag = IGZIP_GZIP;
    stream_.level = 1;
    stream_.level_buf = reinterpret_cast<std::uint8_t*>(level_buffer_.data());
    stream_.level_buf_size = static_cast<std::uint32_t>(level_buffer_.size());
  }
  Result<void> step(std::string_view& in, bool last, std::string& out) override {
    out.resize(kOutBytes);
    stream_.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<std::uint32_t>(in.size());
    stream_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream_.avail_out = static_cast<std::uint32_t>(out.size());
    stream_.end_of_stream = last ? 1 : 0;
    const int status = isal().deflate(&stream_);
    if (status != COMP_OK) return broken("gzip", "compression failed (" + std::to_string(status) + ")");
    in = in.substr(in.size() - stream_.avail_in);
    out.resize(out.size() - stream_.avail_out);
    finished = last && stream_.internal_state.state == ZSTATE_END;
    return {};
  }

 private:
  isal_zstream stream_{};
  std::string level_buffer_;
};

// Pulls from `source` through `codec`.
class Pump {
 public:
  Pump(ByteSource source, std::unique_ptr<Codec> codec, std::string_view name, bool decoding)
      : source_(std::move(source)), codec_(std::move(codec)), name_(name), decoding_(decoding) {}

  Result<std::string> next() {
    std::string out;
    for (;;) {
      if (done_) return std::string();
      if (left_.empty() && !ended_) {
        piece_ = TRY(source_());
        left_ = piece_;
        ended_ = piece_.empty();
      }
      const std::size_t before = left_.size();
      out.clear();
      TRY(codec_->step(left_, ended_, out));
      const bool stuck = out.empty() && left_.size() == before;
      if (ended_ && stuck) {
        done_ = true;
        if (decoding_ && !codec_->at_end) return broken(name_, "cut off");
      } else if (stuck && !left_.empty()) {
        return broken(name_, "no progress");
      }
      if (codec_->finished) done_ = true;
      if (!out.empty()) return out;
    }
  }

 private:
  ByteSource source_;
  std::unique_ptr<Codec> codec_;
  std::string name_;
  bool decoding_;
  std::string piece_;
  std::string_view left_;
  bool ended_ = false, done_ = false;
};

ByteSource pump(ByteSource source, std::unique_ptr<Codec> codec, std::string_view name, bool decoding) {
  auto state = std::make_shared<Pump>(std::move(source), std::move(codec), name, decoding);
  return [state] { return state->next(); };
}

}  // namespace

Compression detect_compression(std::string_view first) {
  if (first.starts_with("\x1f\x8b")) return Compression::gzip;
  if (first.starts_with("\x28\xb5\x2f\xfd")) return Compression::zstd;
  if (first.starts_with("BZh")) return Compression::bzip2;
  if (first.starts_with(std::string_view("\xfd"
                                         "7zXZ\0",
                                         6)))
    return Compression::xz;
  return Compression::none;
}

Result<ByteSource> decompress(ByteSource source) {
  std::string first;
  while (first.size() < 6) {
    const std::string piece = TRY(source());
    if (piece.empty()) break;
    first += piece;
  }
  const Compression kind = detect_compression(first);
  ByteSource whole = [first, source = std::move(source)]() mutable -> Result<std::string> {
    if (!first.empty()) return std::exchange(first, {});
    return source();
  };
  switch (kind) {
    case Compression::none:
      return whole;
    case Compression::gzip:
      if (!isal().error.empty()) return Error{ErrorCode::unavailable, isal().error};
      return pump(std::move(whole), std::make_unique<GzipDecoder>(), "gzip", true);
    case Compression::zstd:
      return pump(std::move(whole), std::make_unique<ZstdDecoder>(), "zstd", true);
    case Compression::bzip2:
      return pump(std::move(whole), std::make_unique<Bzip2Decoder>(), "bzip2", true);
    case Compression::xz:
      return pump(std::move(whole), std::make_unique<XzDecoder>(), "xz", true);
  }
  return whole;
}

ByteSource compress_zstd(ByteSource source, int level) {
  return pump(std::move(source), std::make_unique<ZstdEncoder>(level), "zstd", false);
}

Result<ByteSource> compress_gzip(ByteSource source) {
  if (!isal().error.empty()) return Error{ErrorCode::unavailable, isal().error};
  return pump(std::move(source), std::make_unique<GzipEncoder>(), "gzip", false);
}

Result<std::string> zstd_decompress(std::string_view bytes, std::size_t size_bytes_max) {
  const ByteSource plain = pump(from_string(std::string(bytes)), std::make_unique<ZstdDecoder>(), "zstd", true);
  return read_all(plain, size_bytes_max);
}

}  // namespace caisson::content

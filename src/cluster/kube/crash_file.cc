// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/crash_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <mutex>

#include "core/base/file.h"

namespace caisson::kube {
namespace {

constexpr std::size_t kRecords = 256;
constexpr std::size_t kNameBytes = 480;
constexpr char kMagic[8] = {'c', 'r', 'a', 's', 'h', 'e', 's', '1'};

struct Record {
  enum State : std::uint32_t { free, running, crashed, noted };
  volatile std::uint32_t state;
  std::uint32_t crashes;
  std::int64_t last_crash_s;  // since the epoch
  char name[kNameBytes];      // "reconciler key"
};
struct Layout {
  char magic[8];
  Record records[kRecords];
};

thread_local Record* current = nullptr;

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
struct sigaction previous[std::size(kSignals)];

// Async-signal-safe: one store to memory that is the file, then whatever was to happen without us.
void on_fatal_signal(int number) {
  if (current) current->state = Record::crashed;
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    if (kSignals[i] == number) sigaction(number, &previous[i], nullptr);
  }
  raise(number);
}

std::string record_name(std::string_view reconciler, std::string_view key) {
  std::string name = std::string(reconciler) + " " + std::string(key);
  if (name.size() >= kNameBytes) name.resize(kNameBytes - 1);
  return name;
}

std::int64_t seconds(Time time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace

struct CrashFile::Impl {
  Clock& clock;
  Layout* layout;
  mutable std::mutex mutex;  // which record is whose; the contents of a running one are its thread's

  Record* find(std::string_view name, Record::State state) const {
    for (Record& record : layout->records) {
      if (record.state == state && name == record.name) return &record;
    }
    return nullptr;
  }

  // A crashed record joins the note of the same key; a running one belongs to a process killed from outside.
  void digest() {
    for (Record& record : layout->records) {
      record.name[kNameBytes - 1] = '\0';
      if (record.state == Record::crashed) {
        Record* note = find(record.name, Record::noted);
        record.state = Record::free;
        Record& target = note ? *note : record;
        if (!note) target.crashes = 0;
        target.crashes += 1;
        target.last_crash_s = seconds(clock.now());
        target.state = Record::noted;
      } else if (record.state != Record::noted) {
        record.state = Record::free;
      } else if (seconds(clock.now()) - record.last_crash_s > 24 * 3600) {
        record.state = Record::free;
      }
    }
  }

  bool holds(const Record& record) const {
    constexpr auto kHeldForS = std::chrono::duration_cast<std::chrono::seconds>(kHeldFor).count();
    return record.state == Record::noted && record.crashes >= kCrashesMax &&
           seconds(clock.now()) - record.last_crash_s < kHeldForS;
  }
};

Result<std::unique_ptr<CrashFile>> CrashFile::open(const std::string& path, Clock& clock) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return errno_error("open " + path);
  if (ftruncate(fd.get(), sizeof(Layout)) != 0) return errno_error("resize " + path);
  void* memory = mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return errno_error("map " + path);
  auto impl = std::unique_ptr<Impl>(new Impl{clock, static_cast<Layout*>(memory), {}});
  if (std::memcmp(impl->layout->magic, kMagic, sizeof kMagic) != 0) {
    std::memset(memory, 0, sizeof(Layout));
    std::memcpy(impl->layout->magic, kMagic, sizeof kMagic);
  }
  impl->digest();
  struct sigaction action {};
  action.sa_handler = on_fatal_signal;
  action.sa_flags = SA_ONSTACK;
  for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &previous[i]);
  return std::unique_ptr<CrashFile>(new CrashFile(std::move(impl)));
}

CrashFile::CrashFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

CrashFile::~CrashFile() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &previous[i], nullptr);
  munmap(impl_->layout, sizeof(Layout));
}

bool CrashFile::is_held(std::string_view reconciler, std::string_view key) const {
  const std::lock_guard lock(impl_->mutex);
  const Record* note = impl_->find(record_name(reconciler, key), Record::noted);
  return note && impl_->holds(*note);
}

std::vector<std::string> CrashFile::held() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::string> out;
  for (const Record& record : impl_->layout->records) {
    if (impl_->holds(record)) out.emplace_back(record.name);
  }
  return out;
}

void CrashFile::begin(std::string_view reconciler, std::string_view key) {
  const std::string name = record_name(reconciler, key);
  const std::lock_guard lock(impl_->mutex);
  for (Record& record : impl_->layout->records) {
    if (record.state != Record::free) continue;
    std::memcpy(record.name, name.c_str(), name.size() + 1);
    record.crashes = 0;
    record.state = Record::running;
    current = &record;
    return;
  }
  current = nullptr;  // more notes than records: this run is not watched
}

void CrashFile::end() {
  if (!current) return;
  const std::lock_guard lock(impl_->mutex);
  if (Record* note = impl_->find(current->name, Record::noted)) note->state = Record::free;  // it can live
  current->state = Record::free;
  current = nullptr;
}

void CrashFile::prepare_thread() {
  thread_local std::vector<char> memory;
  if (!memory.empty()) return;
  memory.resize(std::max<std::size_t>(16 * 1024, static_cast<std::size_t>(SIGSTKSZ)));
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  sigaltstack(&stack, nullptr);
}

}  // namespace caisson::kube

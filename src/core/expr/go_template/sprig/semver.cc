// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/semver.h"

#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"
#include "core/expr/go_template/version_object.h"

namespace caisson::go_template {
namespace {

const Version& version_of(const Datum& datum) {
  return static_cast<const VersionObject&>(*datum.as_object()).version();
}

Datum uint64(std::uint64_t number) {
  return Datum::scalar(kUint64, Value(static_cast<long long>(number)));
}

const Version& other_version(const Call& call) {
  return version_of(call[0]);
}  // the letter 'V' says that it is one

// What Inc… keep of the way it was written is the "v".
Datum next(const Version& from, Version version) {
  version.prerelease.clear();
  version.metadata.clear();
  version.original = (from.original.starts_with('v') ? "v" : "") + version.str();
  return version_datum(std::move(version));
}

Result<Datum> major(Call& call) {
  return uint64(version_of(*call.receiver).major);
}
Result<Datum> minor(Call& call) {
  return uint64(version_of(*call.receiver).minor);
}
Result<Datum> patch(Call& call) {
  return uint64(version_of(*call.receiver).patch);
}
Result<Datum> prerelease(Call& call) {
  return Datum(version_of(*call.receiver).prerelease);
}
Result<Datum> metadata(Call& call) {
  return Datum(version_of(*call.receiver).metadata);
}
Result<Datum> original(Call& call) {
  return Datum(version_of(*call.receiver).original);
}
Result<Datum> string(Call& call) {
  return Datum(version_of(*call.receiver).str());
}

Result<Datum> compare(Call& call) {
  return Datum::integer(version_of(*call.receiver).compare(other_version(call)));
}
Result<Datum> equal(Call& call) {
  return Datum(version_of(*call.receiver).compare(other_version(call)) == 0);
}
Result<Datum> less(Call& call) {
  return Datum(version_of(*call.receiver).compare(other_version(call)) < 0);
}
Result<Datum> greater(Call& call) {
  return Datum(version_of(*call.receiver).compare(other_version(call)) > 0);
}
Result<Datum> less_equal(Call& call) {
  return Datum(version_of(*call.receiver).compare(other_version(call)) <= 0);
}
Result<Datum> greater_equal(Call& call) {
  return Datum(version_of(*call.receiver).compare(other_version(call)) >= 0);
}

Result<Datum> inc_major(Call& call) {
  Version version = version_of(*call.receiver);
  ++version.major;
  version.minor = version.patch = 0;
  return next(version_of(*call.receiver), std::move(version));
}
Result<Datum> inc_minor(Call& call) {
  Version version = version_of(*call.receiver);
  ++version.minor;
  version.patch = 0;
  return next(version_of(*call.receiver), std::move(version));
}
Result<Datum> inc_patch(Call& call) {
  Version version = version_of(*call.receiver);
  if (version.prerelease.empty()) ++version.patch;
  return next(version_of(*call.receiver), std::move(version));
}

constexpr Method kMethods[] = {
    {"Compare", "V", compare},          {"Equal", "V", equal},
    {"GreaterThan", "V", greater},      {"GreaterThanEqual", "V", greater_equal},
    {"IncMajor", "", inc_major},        {"IncMinor", "", inc_minor},
    {"IncPatch", "", inc_patch},        {"LessThan", "V", less},
    {"LessThanEqual", "V", less_equal}, {"Major", "", major},
    {"Metadata", "", metadata},         {"Minor", "", minor},
    {"Original", "", original},         {"Patch", "", patch},
    {"Prerelease", "", prerelease},     {"String", "", string},
};

std::string text(const Datum& datum) {
  return version_of(datum).str();
}

constinit const Type kVersion{Kind::pointer, "*semver.Version", nullptr, kMethods, text};

}  // namespace

const Type& VersionObject::type() const {
  return kVersion;
}
Result<Value> VersionObject::to_value() const {
  return Value(version_.str());
}

Datum version_datum(Version version) {
  return Datum(Ref<Object>(new VersionObject(std::move(version))));
}

namespace sprig {

Result<Datum> semver(Call& call) {
  return version_datum(TRY(Version::parse(call.text(0))));
}

Result<Datum> semver_compare(Call& call) {
  const Constraint constraint = TRY(Constraint::parse(call.text(0)));
  const Version version = TRY(Version::parse(call.text(1)));
  return Datum(constraint.check(version));
}

}  // namespace sprig
}  // namespace caisson::go_template

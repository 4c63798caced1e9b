# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts of this folder; sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD

# What the release build and the running platform need (Debian 12).
BUILD_PACKAGES=(g++ cmake ninja-build ccache mold pkg-config libssl-dev libsqlite3-dev libgit2-dev libre2-dev libzstd-dev libsnappy-dev libisal-dev zlib1g-dev libbz2-dev liblzma-dev
  libnftables-dev liblua5.4-dev libjq-dev libcli11-dev doctest-dev)
RUN_PACKAGES=(git openssh-client runc conmon nginx-light libnginx-mod-http-ndk libnginx-mod-http-lua lua-resty-core nftables libnftables1 libgit2-1.5 libisal2 libjq1
  mmdebstrap busybox-static ca-certificates)
TEST_PACKAGES=(e2fsprogs curl skopeo docker-registry gpg gpg-agent python3 python3-yaml procps iproute2)

# Paths below this folder count as relative, so that every copy of the repository shares what ccache has.
export CCACHE_COMPRESS=1 CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_BASEDIR=$ROOT CCACHE_NOHASHDIR=1

say() { printf '\033[1m%s\033[0m\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# as_root COMMAND...: by sudo where that is needed. sudo would drop the proxy that apt, pulls and builds need.
as_root() {
  local name kept=()
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || fail "this needs root: install sudo, or run the script as root"
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do [ -z "${!name:-}" ] || kept+=("$name"); done
  [ ${#kept[@]} = 0 ] || set -- "--preserve-env=$(IFS=,; echo "${kept[*]}")" "$@"
  sudo "$@"
}

# install_packages NAME...: installs what is missing. No service of the host is started meanwhile: Debian's policy-rc.d says no, and
# is put back as it was.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "these packages are missing and apt-get is not here: ${missing[*]}"
  say "Installing ${#missing[@]} packages: ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive bash -s -- "${missing[@]}" <<'ROOT_SCRIPT'
set -eu
policy=/usr/sbin/policy-rc.d
if [ -e $policy ]; then cp -p $policy $policy.caisson-saved; fi
restore() { if [ -e $policy.caisson-saved ]; then mv $policy.caisson-saved $policy; else rm -f $policy; fi; }
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' >$policy
chmod 755 $policy
apt-get install -y --no-install-recommends "$@" >/tmp/caisson-apt.log 2>&1 ||
  { apt-get update >>/tmp/caisson-apt.log 2>&1 && apt-get install -y --no-install-recommends "$@" >>/tmp/caisson-apt.log 2>&1; } ||
  { tail -n 20 /tmp/caisson-apt.log >&2; exit 1; }
ROOT_SCRIPT
}

# The host's Debian sources as mmdebstrap takes them; on another system, the public mirror.
apt_sources() {
  if [ "$(. /etc/os-release; echo "$ID-${VERSION_CODENAME:-}")" != debian-bookworm ]; then echo http://deb.debian.org/debian
  elif [ -e /etc/apt/sources.list.d/debian.sources ]; then echo /etc/apt/sources.list.d/debian.sources
  else echo /etc/apt/sources.list; fi
}
# bookworm FOLDER FLAG...: a Debian 12 by the host's apt configuration and mmdebstrap's flags, its package lists kept.
bookworm() {
  local options=() line tree=$1; shift
  while read -r line; do options+=("--aptopt=$line"); done < <(apt-config dump Acquire::http Acquire::https | grep -v '""' || :)
  mmdebstrap --quiet --mode=root --skip=cleanup/apt/lists "${options[@]}" "$@" bookworm "$tree" "$(apt_sources)"
}

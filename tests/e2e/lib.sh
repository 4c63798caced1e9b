# SPDX-License-Identifier: Apache-2.0
# Shared by the end-to-end tests; sourced. They start only build/caisson and third-party clients, as root, on loopback and on the
# instance's own addresses, and take everything away again.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CAISSON=${CAISSON:-$ROOT/build/caisson}
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
[ -x "$CAISSON" ] || { echo "no $CAISSON: run script/build"; exit 1; }
export CAISSON CAISSON_PACKAGE_CACHE=${CAISSON_PACKAGE_CACHE:-/var/cache/caisson-packages}
mkdir -p "$CAISSON_PACKAGE_CACHE"

TEST_DIR=$(mktemp -d /var/tmp/caisson-e2e-XXXXXX)
chmod 755 "$TEST_DIR"   # the server's user must be able to enter it
DATA=$TEST_DIR/${TEST_DIR##*-}   # names the working copies of script/demo too: one for each test
c() { "$CAISSON" --data-dir "$DATA" "$@"; }
k() { KUBECONFIG=$DATA/pki/admin.kubeconfig "${KUBECTL:-kubectl}" "$@"; }
note() { printf '  %s\n' "$*"; }
die() { printf 'FAILED: %s\n' "$*"; [ ! -s "$DATA/logs/caisson.log" ] || tail -n 40 "$DATA/logs/caisson.log"; exit 1; }
setting() { sed -nE "s/^ *\"$1\": \"?([^\",]*)\"?,?$/\1/p" "$DATA/instance.json" | head -n 1; }
instance() { sed -nE 's/^ *"id": "([^"]*)".*/\1/p' "$DATA/instance.json"; }

# says PATTERN COMMAND...: whether the command's output holds the pattern, whatever its exit status (pipefail would mix the two).
says() { local pattern=$1 out; shift; out=$("$@" 2>&1 || :); grep -qE -- "$pattern" <<<"$out"; }

# until_true SECONDS WHAT COMMAND...: runs the command until it succeeds; WHAT is what is waited for.
until_true() {
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { "$@" || :; c status || :; die "not within the time: $what"; }
    read -rt 0.1 <> <(:) || :
  done
}
free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
up() { c up --detach --api-port "$(free_port)" --portal-port "$(free_port)" --registry-port "$(free_port)" --http-port "$(free_port)" --https-port "$(free_port)" --package-cache "$CAISSON_PACKAGE_CACHE" "$@"; }
again() { c up --detach --api-port "$(setting apiPort)" --portal-port "$(setting portalPort)" --registry-port "$(setting registryPort)" --http-port "$(setting httpPort)" --https-port "$(setting httpsPort)" --package-cache "$CAISSON_PACKAGE_CACHE"; }
# get HOST PATH: one request through the ingress.
get() { curl -sS -m 5 -H "Host: $1" "http://127.0.0.1:$(setting httpPort)$2"; }
# api METHOD PATH [BODY [TYPE]]: one request to the API as the administrator.
token() { sed -nE 's/^ *token: "?([^" ]*)"?$/\1/p' "$DATA/pki/admin.kubeconfig" | head -n 1; }
api() {
  curl -ksS -m 10 -X "$1" -H "Authorization: Bearer $(token)" ${3:+-H "Content-Type: ${4:-application/json}" -d "$3"} "https://127.0.0.1:$(setting apiPort)$2"
}
process_of() { pgrep -f -- "$CAISSON $1 --data-dir $DATA\$" | head -n 1; }
# memory_while PID FIELD COMMAND...: runs the command; the process' greatest FIELD (Pss, Pss_Anon), in kB, meanwhile and for 2 s after.
memory_while() {
  local pid=$1 field=$2 most=0 now job after=40; shift 2
  "$@" & job=$!
  while kill -0 "$job" 2>/dev/null || [ $((after--)) -gt 0 ]; do
    now=$(awk -v field="$field:" '$1 == field {print $2}' "/proc/$pid/smaps_rollup")
    [ "$now" -le "$most" ] || most=$now
    read -rt 0.05 <> <(:) || :
  done
  wait "$job" && echo "$most"
}

# What of the host must be as it was after `down`.
host_state() {
  {
    echo "mounts"; awk '{print $5}' /proc/self/mountinfo | sort
    echo "links"; ip -o link | awk -F': ' '{print $2}' | sort
    echo "tables"; nft list tables 2>/dev/null | sort || :
    echo "cgroups"; find /sys/fs/cgroup -maxdepth 2 -name 'caisson*' 2>/dev/null | sort || :
    echo "sysctls"; sysctl -n net.ipv4.ip_forward net.ipv4.conf.all.rp_filter net.ipv4.conf.all.route_localnet 2>/dev/null || :
    echo "processes"; ps -eo stat=,args= | grep -v '^Z' | grep -cE '[c]onmon|[n]ginx: master' || :
    echo "routes"; ip route
    echo "files"; find /etc /run /usr/local -newer "$TEST_DIR" -type f 2>/dev/null | grep -v -E '/run/(udev|lock|systemd|utmp)|/etc/(mtab|resolv)' | sort | head -n 20 || :
  }
}
cleanup() {
  local code=$?
  [ ! -e "$DATA/instance.json" ] || c down --purge >/dev/null 2>&1 || :
  [ -z "${ALSO_UNMOUNT:-}" ] || umount -l "$ALSO_UNMOUNT" 2>/dev/null || :
  rm -rf "$TEST_DIR" ${ALSO_REMOVE:+"$ALSO_REMOVE"}
  exit $code
}
trap cleanup EXIT

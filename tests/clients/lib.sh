# SPDX-License-Identifier: Apache-2.0
# A server for one client: started in a directory of its own, ended with the script. Sets $kubeconfig.
start_server() {
  home=$(mktemp -d)
  "$server" "$home" --controllers 2>"$home/log" &
  server_pid=$!
  for _ in $(seq 200); do [ -s "$home/port" ] && break; sleep 0.05; done
  [ -s "$home/port" ] || { cat "$home/log" >&2; fail "the server did not start"; }
  kubeconfig=$home/kubeconfig
}
stop_server() {
  kill "$server_pid" 2>/dev/null; wait "$server_pid" 2>/dev/null
  rm -rf "$home"
}

// SPDX-License-Identifier: Apache-2.0
// Shell texts and configuration that stand-ins carry. Each does what the upstream image's file of that name does, as
// far as said here.
#include "artifact/bootstrap/recipe.h"

namespace caisson::bootstrap {

// adduser, addgroup (busybox's options) and useradd, groupadd (shadow's), over plain files: no program of the packages
// does it without its maintainer scripts.
const std::string_view kAccountsScript = R"SH(#!/bin/sh
# Part of a Caisson stand-in image: adduser, addgroup, useradd, groupadd.
set -eu
me=${0##*/}
fail() { echo "$me: $*" >&2; exit 1; }
next_id() { # FILE FIRST
  id=$2
  while cut -d: -f3 "$1" | grep -qx "$id"; do id=$((id + 1)); done
  echo "$id"
}
gid_of() {
  case $1 in *[!0-9]*) ;; *) echo "$1"; return ;; esac
  sed -n "s/^$1:[^:]*:\([0-9]*\):.*/\1/p" /etc/group
}
join_group() { # USER GROUP
  grep -q "^$2:" /etc/group || fail "group $2 does not exist"
  sed -i "/^$2:/{/[:,]$1\(,\|\$\)/!{s/:\$/:$1/;t;s/\$/,$1/}}" /etc/group
}
add_group() { # NAME GID
  grep -q "^$1:" /etc/group && { [ "$force" = 1 ] && return; fail "group $1 is there already"; }
  [ -n "$2" ] || set -- "$1" "$(next_id /etc/group $([ "$system" = 1 ] && echo 100 || echo 1000))"
  echo "$1:x:$2:" >> /etc/group
}
name= other= uid= gid= group= groups= home= shell=/bin/sh gecos= system=0 make_home=0 user_group=1 force=0
[ "$me" = adduser ] && make_home=1
while [ $# -gt 0 ]; do
  option=$1
  case $option in --*=*) shift; set -- "${option%%=*}" "${option#*=}" "$@"; option=$1 ;; esac
  case $me:$option in
    *:-S|*:-r|*:--system) system=1 ;;
    *:-D|*:-N|*:--no-user-group|*:--disabled-password|*:--disabled-login|*:-q|*:--quiet|*:-l|*:--no-log-init|*:-o|*:--non-unique)
      case $option in -N|--no-user-group) user_group=0 ;; esac ;;
    groupadd:-f|groupadd:--force) force=1 ;;
    *:-U|*:--user-group|*:--group) user_group=1 ;;
    adduser:-H|*:-M|*:--no-create-home) make_home=0 ;;
    *:-m|*:--create-home) make_home=1 ;;
    *:-u|*:--uid) uid=$2; shift ;;
    addgroup:-g|groupadd:-g|*:--gid) gid=$2; shift ;;
    useradd:-g) gid=$2; shift ;;
    adduser:-G|*:--ingroup) group=$2; shift ;;
    useradd:-G|*:--groups) groups=$2; shift ;;
    adduser:-h|*:-d|*:--home|*:--home-dir) home=$2; shift ;;
    *:-s|*:--shell) shell=$2; shift ;;
    adduser:-g|*:--gecos|*:-c|*:--comment) gecos=$2; shift ;;
    *:-*) fail "option $option is not known to this stand-in" ;;
    *) if [ -z "$name" ]; then name=$1; else other=$1; fi ;;
  esac
  shift
done
[ -n "$name" ] || fail "no name given"
case $name in *[!a-zA-Z0-9._-]*|-*) fail "\"$name\" is not a name" ;; esac
case $me in
  addgroup|groupadd)
    if [ -n "$other" ]; then join_group "$name" "$other"; else add_group "$name" "$gid"; fi
    exit 0 ;;
esac
if [ -n "$other" ]; then join_group "$name" "$other"; exit 0; fi
grep -q "^$name:" /etc/passwd && fail "user $name is there already"
[ -n "$uid" ] || uid=$(next_id /etc/passwd $([ "$system" = 1 ] && echo 100 || echo 1000))
[ -n "$group" ] && gid=$(gid_of "$group")
[ -n "$gid" ] && gid=$(gid_of "$gid")
if [ -z "$gid$group" ]; then
  if [ "$user_group" = 1 ]; then force=1; add_group "$name" "$(cut -d: -f3 /etc/group | grep -qx "$uid" || echo "$uid")"; gid=$(gid_of "$name")
  else gid=100; fi
fi
[ -n "$gid" ] || fail "group $group does not exist"
[ -n "$home" ] || home=/home/$name
echo "$name:x:$uid:$gid:$gecos:$home:$shell" >> /etc/passwd
[ ! -f /etc/shadow ] || echo "$name:!::0:99999:7:::" >> /etc/shadow
for one in $(echo "$groups" | tr ',' ' '); do join_group "$name" "$one"; done
if [ "$make_home" = 1 ] && [ ! -d "$home" ]; then mkdir -p "$home"; chown "$uid:$gid" "$home"; fi
)SH";

const std::string_view kApkScript = R"SH(#!/bin/sh
# Part of a Caisson stand-in image: this is no Alpine, so apk can only say whether what is asked for is here already.
set -eu
command=
for word in "$@"; do
  case $word in
    -*) ;;
    add|update|upgrade|del|info|fix|cache) [ -n "$command" ] || { command=$word; continue; } ;;
  esac
done
case $command in
  update|upgrade|fix|cache|info|del) exit 0 ;;
  add) ;;
  *) echo "apk: only add, update, upgrade and del are known to this stand-in image" >&2; exit 1 ;;
esac
present() { for path in "$@"; do [ -e "$path" ] || return 1; done; }
missing= skip=0 seen=0
for word in "$@"; do
  if [ "$skip" = 1 ]; then skip=0; continue; fi
  case $word in
    add) if [ "$seen" = 0 ]; then seen=1; continue; fi ;;
    -t|--virtual|-X|--repository|-p|--root) skip=1; continue ;;
    -*) continue ;;
  esac
  name=${word%%[=<>~@]*}
  case $name in
    alpine-baselayout|busybox|musl|musl-utils|libc6-compat|gcompat|libc-utils|coreutils|findutils|grep|sed|gawk|tar|gzip|wget|unzip|shadow|su-exec) ;;
    ca-certificates|ca-certificates-bundle) present /etc/ssl/certs/ca-certificates.crt || missing="$missing $name" ;;
    tzdata) present /usr/share/zoneinfo || missing="$missing $name" ;;
    nodejs) present /usr/bin/node || missing="$missing $name" ;;
    go) present /usr/bin/go || missing="$missing $name" ;;
    python3) present /usr/bin/python3 || missing="$missing $name" ;;
    py3-pip) present /usr/bin/pip3 || missing="$missing $name" ;;
    redis) present /usr/bin/redis-server || missing="$missing $name" ;;
    gettext|gettext-envsubst) present /usr/bin/envsubst || missing="$missing $name" ;;
    *) present "/usr/bin/$name" || present "/bin/$name" || present "/usr/sbin/$name" || missing="$missing $name" ;;
  esac
done
[ -z "$missing" ] && exit 0
for name in $missing; do echo "apk: package $name is not in this stand-in image" >&2; done
echo "apk: the image was made by Caisson from Debian packages because its registry could not be reached; use a Debian base (apt-get) instead" >&2
exit 1
)SH";

const std::string_view kNginxEntrypoint = R"SH(#!/bin/sh
# Part of a Caisson stand-in image. As upstream: templates are filled from the environment, scripts of /docker-entrypoint.d are run.
set -e
if [ "$1" = nginx ] || [ "$1" = nginx-debug ]; then
  if [ -d /etc/nginx/templates ] && [ -w /etc/nginx/conf.d ]; then
    defined=$(env | cut -d= -f1 | sed 's/.*/${&}/' | tr '\n' ' ')
    find /etc/nginx/templates -follow -type f -name '*.template' | while read -r template; do
      out=/etc/nginx/conf.d/${template#/etc/nginx/templates/}
      out=${out%.template}
      mkdir -p "$(dirname "$out")"
      envsubst "$defined" < "$template" > "$out"
    done
  fi
  find /docker-entrypoint.d -follow -type f | sort | while read -r file; do
    case $file in
      *.envsh) [ -x "$file" ] && . "$file" ;;
      *.sh) [ -x "$file" ] && "$file" ;;
    esac
  done
fi
exec "$@"
)SH";

const std::string_view kNginxConf = R"(user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;

events {
    worker_connections 1024;
}

http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                    '$status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
    access_log /var/log/nginx/access.log main;
    client_body_temp_path /var/cache/nginx/client_temp;
    proxy_temp_path /var/cache/nginx/proxy_temp;
    fastcgi_temp_path /var/cache/nginx/fastcgi_temp;
    uwsgi_temp_path /var/cache/nginx/uwsgi_temp;
    scgi_temp_path /var/cache/nginx/scgi_temp;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
)";

const std::string_view kNginxDefaultConf = R"(server {
    listen 80;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html index.htm;
    }
}
)";

const std::string_view kNginxUnprivilegedConf = R"(worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /tmp/nginx.pid;

events {
    worker_connections 1024;
}

http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                    '$status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
    access_log /var/log/nginx/access.log main;
    client_body_temp_path /tmp/client_temp;
    proxy_temp_path /tmp/proxy_temp_path;
    fastcgi_temp_path /tmp/fastcgi_temp;
    uwsgi_temp_path /tmp/uwsgi_temp;
    scgi_temp_path /tmp/scgi_temp;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
)";

const std::string_view kNginxUnprivilegedDefaultConf = R"(server {
    listen 8080;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html index.htm;
    }
}
)";

const std::string_view kNginxIndex = R"(<!doctype html>
<html lang="en"><meta charset="utf-8"><title>nginx</title>
<h1>nginx answers</h1>
<p>This page is from a stand-in image that Caisson made from Debian packages.</p>
</html>
)";

const std::string_view kRedisEntrypoint = R"SH(#!/bin/sh
# Part of a Caisson stand-in image. As upstream: options make it "redis-server OPTIONS", and root becomes the user redis.
# Upstream's build has no protected mode; Debian's has, so it is turned off here unless the arguments say otherwise.
set -e
case ${1:-} in -*|*.conf) set -- redis-server "$@" ;; esac
if [ "${1:-}" = redis-server ]; then
  case " $* " in *" --protected-mode "*) ;; *) set -- "$@" --protected-mode no ;; esac
  if [ "$(id -u)" = 0 ]; then
    chown -R redis:redis . 2>/dev/null || true
    quoted=
    for word in "$@"; do quoted="$quoted '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"; done
    exec su -s /bin/sh redis -c "exec $quoted"
  fi
fi
exec "$@"
)SH";

const std::string_view kPostgresEntrypoint = R"SH(#!/bin/sh
# Part of a Caisson stand-in image. As upstream, shorter: POSTGRES_PASSWORD[_FILE], POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS,
# POSTGRES_HOST_AUTH_METHOD and /docker-entrypoint-initdb.d/*.{sh,sql,sql.gz}.
set -eu
case ${1:-} in -*) set -- postgres "$@" ;; esac
[ "${1:-}" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"; chown -R postgres "$PGDATA"; chmod 700 "$PGDATA"
  quoted=
  for word in "$0" "$@"; do quoted="$quoted '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"; done
  exec su -m -s /bin/sh postgres -c "exec $quoted"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=${POSTGRES_USER:-postgres} database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}} method=${POSTGRES_HOST_AUTH_METHOD:-}
  [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
  if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
    echo "Error: Database is uninitialized and superuser password is not specified. Set POSTGRES_PASSWORD." >&2
    exit 1
  fi
  umask 077
  printf '%s\n' "${POSTGRES_PASSWORD:-}" > /tmp/.pw
  initdb --username="$user" ${POSTGRES_PASSWORD:+--pwfile=/tmp/.pw} ${POSTGRES_INITDB_ARGS:-} -D "$PGDATA"
  rm -f /tmp/.pw
  echo "host all all all ${method:-scram-sha-256}" >> "$PGDATA/pg_hba.conf"
  pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
  [ "$database" = postgres ] || createdb --username="$user" "$database"
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) psql -v ON_ERROR_STOP=1 --username="$user" --dbname="$database" -f "$file" ;;
      *.sql.gz) gunzip -c "$file" | psql -v ON_ERROR_STOP=1 --username="$user" --dbname="$database" ;;
    esac
  done
  pg_ctl -D "$PGDATA" -m fast -w stop
fi
case " $* " in *listen_addresses*) ;; *) set -- "$@" -c "listen_addresses=*" ;; esac
exec "$@"
)SH";

}  // namespace caisson::bootstrap

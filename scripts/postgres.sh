# Sourced, not run: a Postgres server for the tests, and what Debian's packages provide.
#
# need_postgres sets and exports TEST_DATABASE_URL: to the server it names already; without that, to a throwaway
# cluster on loopback made from the programs installed here; without those, from Debian's package where this user may
# install it. Who calls it sets `trap stop_postgres EXIT` first, which stops only the cluster that this run started.

cluster=
postgres_bin=
runs_postgres=()

# --- Postgres --------------------------------------------------------------------------------------------------------

need_postgres() {
  if [ -n "${TEST_DATABASE_URL:-}" ]; then
    echo "Postgres: the server TEST_DATABASE_URL names" >&2
  else
    find_postgres || install_postgres
    start_postgres
  fi
  export TEST_DATABASE_URL
}

# Sets postgres_bin to the newest installed programs: Debian keeps them out of PATH, one folder a version.
find_postgres() {
  local folder newest
  newest=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  for folder in "$newest" "$(dirname -- "$(readlink -f -- "$(command -v initdb || echo /none/none)")")"; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ] && [ -x "$folder/postgres" ]; then
      postgres_bin=$folder
      return 0
    fi
  done
  return 1
}

install_postgres() {
  install postgresql "Postgres (or set TEST_DATABASE_URL)"
  find_postgres || fail "the postgresql package is installed, but initdb, pg_ctl and postgres are not where it puts them"
}

start_postgres() {
  local port password
  become_unprivileged
  # The other user must be able to enter it, which is sure of /tmp alone.
  [ ${#runs_postgres[@]} = 0 ] || TMPDIR=/tmp
  cluster=$(mktemp -d "${TMPDIR:-/tmp}/turnpike-postgres.XXXXXX")
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  (umask 077 && printf '%s\n' "$password" >"$cluster/password")
  [ ${#runs_postgres[@]} = 0 ] || chown -R "$(owner_of_postgres)" "$cluster"
  as_postgres "$postgres_bin/initdb" --pgdata="$cluster/data" --username=turnpike --pwfile="$cluster/password" \
    --auth=password --encoding=UTF8 --locale=C --no-sync >"$cluster/initdb.log" 2>&1 ||
    fail "initdb failed:" "$cluster/initdb.log"

  # Settings go into the file rather than the command line, so that whoever stops the server can start it again.
  # No fsync: the cluster lives as long as the run.
  printf '%s\n' "listen_addresses = '127.0.0.1'" "unix_socket_directories = ''" "max_connections = 400" "fsync = off" \
    "full_page_writes = off" "shared_buffers = 64MB" >>"$cluster/data/postgresql.conf"
  # A port is free when the server could take it, so taking it is the test. The range lies below the one the system
  # hands out for port 0, which the tests use.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    port=$((RANDOM % 12000 + 18000))
    printf 'port = %s\n' "$port" >>"$cluster/data/postgresql.conf"
    if as_postgres "$postgres_bin/pg_ctl" --pgdata="$cluster/data" --log="$cluster/server.log" --silent --wait --timeout=60 \
      start >"$cluster/start.log" 2>&1; then
      TEST_DATABASE_URL="postgres://turnpike:$password@127.0.0.1:$port/postgres"
      echo "Postgres: $("$postgres_bin/postgres" --version), a throwaway cluster on 127.0.0.1:$port" >&2
      return
    fi
    grep -q 'could not create any TCP/IP sockets' "$cluster/server.log" || break
  done
  fail "Postgres did not start:" "$cluster/server.log"
}

# Postgres refuses to run as root: as root its programs run as the package's user, or as nobody.
become_unprivileged() {
  [ "$(id -u)" = 0 ] || return 0
  local user
  for user in postgres nobody; do
    if id "$user" >/dev/null 2>&1; then
      runs_postgres=(runuser -u "$user" --)
      return 0
    fi
  done
  fail "Postgres does not run as root, and there is neither a user postgres nor a user nobody"
}

owner_of_postgres() {
  as_postgres id -u
}

# From the cluster's own folder, since the other user may not be able to enter this one.
as_postgres() {
  (cd "$cluster" && "${runs_postgres[@]}" "$@")
}

# Stops only the cluster this run started.
stop_postgres() {
  local status=$?
  trap - EXIT
  if [ -n "$cluster" ]; then
    [ ! -f "$cluster/data/postmaster.pid" ] ||
      as_postgres "$postgres_bin/pg_ctl" --pgdata="$cluster/data" --mode=immediate --silent stop >/dev/null 2>&1 || true
    rm -rf "$cluster"
  fi
  exit "$status"
}

# --- installing ------------------------------------------------------------------------------------------------------

# install PACKAGE WHAT_IT_IS_FOR
install() {
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo -n)
  command -v apt-get >/dev/null || fail "$2 is needed, and there is no apt-get to install it with"
  [ ${#root[@]} = 0 ] || sudo -n true 2>/dev/null || fail "$2 is needed, and this user may not install it"
  echo "installing Debian's package $1 for $2" >&2
  # The package would start a cluster of its own, which nobody here asked for.
  if [ "$1" = postgresql ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    "${root[@]}" mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" | "${root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  "${root[@]}" apt-get update -qq >&2
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Options::=--force-confold "$1" >&2 ||
    fail "$2 is needed, and installing $1 failed"
}

# fail MESSAGE [LOG]
fail() {
  echo "$0: $1" >&2
  [ $# -lt 2 ] || tail -n 20 "$2" >&2
  exit 1
}

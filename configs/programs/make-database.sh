#!/bin/sh
# Makes the database that the row `postgres` copies: `make-database.sh FOLDER`. PostgreSQL refuses to run as root, so root lets
# the user with the number 65534 make it.
set -eu
[ ! -e "$1/PG_VERSION" ] || exit 0
mkdir -p "$1"
folder=$(cd "$1" && pwd)
PATH=$(echo /usr/lib/postgresql/*/bin | tr ' ' '\n' | tail -n 1):$PATH
work=$(mktemp -d /var/tmp/database-XXXXXX)
trap 'rm -rf "$work"' EXIT
user=
if [ "$(id -u)" = 0 ]; then
    chown 65534 "$work"
    user="setpriv --reuid=65534 --regid=65534 --clear-groups"
fi
cd "$work"
# Only a socket in the folder: no port is taken.
$user initdb --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C --wal-segsize=1 data >/dev/null
$user pg_ctl -D data -w -l log -o "-F -k $work -c listen_addresses=''" start >/dev/null
$user pgbench -h "$work" -U postgres -i -q postgres 2>/dev/null
$user pg_ctl -D data -w -m fast stop >/dev/null
cp -R data/. "$folder"

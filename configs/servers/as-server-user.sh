#!/bin/sh
# Runs a shell command of postgres.toml, with further arguments in "$@". PostgreSQL refuses to run as root, so root runs it as
# the user with the number 65534, who gets the folders of the run. Debian keeps the programs in a folder of their version.
set -eu
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')
export PATH
command=$1
shift
if [ "$(id -u)" = 0 ]; then
    chown 65534 "$ABLATE_SCRATCH" "$ABLATE_BLOCK_SCRATCH"
    exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "$command" sh "$@"
fi
exec sh -c "$command" sh "$@"

#!/bin/sh
# The quick form of the studies of this folder, into target/ablate: `just servers` runs those whose programs are here and says
# what the others need; `just servers redis` runs one. Words from the first option on go to the runner: `just servers redis
# --blocks 3`. `run.sh RUNNER STAMP [NAME …] [OPTION …]`. MISSING=skip leaves out named studies as well whose programs are
# missing; MISSING=install, as root, installs them on a machine that is made for this.
set -eu
runner=$1
stamp=$2
shift 2
cd "$(dirname "$0")/../.."

names=
while [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; do
    names="$names $1"
    shift
done
if [ -z "$names" ]; then
    names="redis nginx postgres"
    MISSING=${MISSING:-skip}
fi

PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):/usr/sbin
# The packages that a study needs and this machine lacks.
lacks() {
    need() { command -v "$1" >/dev/null || printf ' %s' "$2"; }
    case $1 in
    redis) need redis-server redis-server && need redis-benchmark redis-tools ;;
    nginx) need nginx nginx && need ab apache2-utils ;;
    postgres) need postgres postgresql && need pgbench postgresql ;;
    esac
}

skipped=
for name in $names; do
    if [ ! -f "configs/servers/$name.toml" ]; then
        echo "there is no study configs/servers/$name.toml; known: redis, nginx, postgres" >&2
        exit 2
    fi
    missing=$(lacks "$name")
    install="apt-get install --yes --no-install-recommends$missing"
    if [ -n "$missing" ] && [ "${MISSING:-}" = skip ]; then
        skipped="$skipped
skipped: server $name, whose programs are missing: $install"
        continue
    fi
    if [ -n "$missing" ] && [ "${MISSING:-}" != install ]; then
        echo "server $name: its programs are missing; install them and call this again: $install" >&2
        exit 1
    fi
    if [ -n "$missing" ]; then
        apt-get update --quiet
        # A server of the system is not wanted, only its program.
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        DEBIAN_FRONTEND=noninteractive $install
        rm /usr/sbin/policy-rc.d
    fi
    echo "-- server $name"
    $runner run "configs/servers/$name.toml" --quick --out "target/ablate/servers-$name-$stamp" "$@"
done
[ -z "$skipped" ] || echo "$skipped"

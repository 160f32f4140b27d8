#!/bin/sh
# The quick form of every study of this folder, into target/ablate: `just servers`, or `just servers redis`. `run.sh RUNNER
# STAMP [NAME …]`. What is missing is named; root installs it where CI=1 says that the machine is made for this.
set -eu
runner=$1
stamp=$2
shift 2
[ $# -gt 0 ] || set -- redis nginx postgres
cd "$(dirname "$0")/../.."

PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):/usr/sbin
missing=
need() {
    command -v "$1" >/dev/null || missing="$missing $2"
}
for name in "$@"; do
    case $name in
    redis) need redis-server redis-server && need redis-benchmark redis-tools ;;
    nginx) need nginx nginx && need ab apache2-utils ;;
    postgres) need postgres postgresql && need pgbench postgresql ;;
    *) echo "there is no study configs/servers/$name.toml; known: redis, nginx, postgres" >&2 && exit 2 ;;
    esac
done
if [ -n "$missing" ]; then
    install="apt-get install --yes --no-install-recommends$missing"
    if [ "${CI:-}" != 1 ] || [ "$(id -u)" != 0 ]; then
        echo "programs are missing; install them and call this again: $install" >&2
        exit 1
    fi
    apt-get update --quiet
    # A server of the system is not wanted, only its program.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    DEBIAN_FRONTEND=noninteractive $install
    rm /usr/sbin/policy-rc.d
fi
for name in "$@"; do
    $runner run "configs/servers/$name.toml" --quick --out "target/ablate/servers-$name-$stamp"
done

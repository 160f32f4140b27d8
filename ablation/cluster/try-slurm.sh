#!/bin/sh
# Runs slurm.sh for real, on a Slurm of one node that this script starts and ends: `just slurm [CONFIG]`. Two shards run one
# after the other and are merged, then the same study runs unsharded, and both results stand beside each other.
#
# Needs Debian's slurm-wlm and munge, and changes nothing of the system: configuration, state, keys and sockets are in a
# temporary folder, and the daemons are children that are ended by their process ids. Exit code 1: the results differ by more
# than their intervals allow; 3: something that it needs is missing.
# `try-slurm.sh RUNNER [CONFIG]`; LOGS=1 prints the logs of the daemons at the end.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
ablate=$(realpath "$1")
config=$(realpath "${2:-$here/loop.toml}")
PATH=$PATH:/usr/sbin:/sbin

lacks=
for tool in munged:munge slurmctld:slurm-wlm slurmd:slurm-wlm sbatch:slurm-wlm squeue:slurm-wlm python3:python3; do
    command -v "${tool%%:*}" >/dev/null || lacks="$lacks ${tool##*:}"
done
if [ -n "$lacks" ]; then
    packages=$(printf '%s\n' $lacks | sort -u | tr '\n' ' ')
    echo "just slurm needs what this machine lacks: apt-get install --yes --no-install-recommends $packages" >&2
    exit 3
fi

dir=$(mktemp -d)
chmod 755 "$dir"
pids=
finish() {
    code=$?
    trap - EXIT INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    for pid in $pids; do wait "$pid" 2>/dev/null || true; done
    if [ -n "${LOGS:-}" ]; then tail -n 30 "$dir"/log/* "$dir"/out/*.log >&2 || true; fi
    rm -rf "$dir"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Waits up to 20 s until a command succeeds.
until_true() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ]; then
            echo "just slurm: gave up waiting for: $*" >&2
            LOGS=1
            exit 1
        fi
        sleep 0.2
    done
}

mkdir "$dir/munge" "$dir/log" "$dir/state" "$dir/spool"
chmod 700 "$dir/munge"
head -c 128 /dev/urandom >"$dir/munge/key"
chmod 600 "$dir/munge/key"
# The socket must be in a folder that others can enter; the key must not.
mkdir "$dir/socket"
munged --foreground --force --key-file="$dir/munge/key" --socket="$dir/socket/munge" --pid-file="$dir/munge/pid" \
    --seed-file="$dir/munge/seed" >"$dir/log/munged" 2>&1 &
pids="$! $pids"
until_true test -S "$dir/socket/munge"

# Two ports that are free now.
ports=$(python3 -c '
import socket
both = [socket.socket() for _ in range(2)]
[one.bind(("127.0.0.1", 0)) for one in both]
print(*[one.getsockname()[1] for one in both])')
user=$(id -un)
host=$(hostname -s)
cat >"$dir/slurm.conf" <<END
ClusterName=ablate
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports% *}
SlurmdPort=${ports#* }
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$dir/socket/munge
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/state/slurmctld.pid
SlurmdPidFile=$dir/state/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld
SlurmdLogFile=$dir/log/slurmd
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
END
export SLURM_CONF="$dir/slurm.conf"
slurmctld -D -c -f "$SLURM_CONF" >"$dir/log/slurmctld.out" 2>&1 &
pids="$! $pids"
slurmd -D -f "$SLURM_CONF" -N "$host" >"$dir/log/slurmd.out" 2>&1 &
pids="$! $pids"
is_idle() { sinfo --noheader --format=%T | grep -qx idle; }
until_true is_idle
echo "a Slurm of one node runs ($(sinfo --version))" >&2

merge=$(ABLATE=$ablate "$here/slurm.sh" "$config" 2 "$dir/out")
echo "jobs are submitted; the merge is job $merge" >&2
waited=0
while [ -n "$(squeue --noheader --jobs="$merge" --states=PENDING,RUNNING,COMPLETING,CONFIGURING 2>/dev/null)" ]; do
    waited=$((waited + 1))
    if [ $waited -gt 170 ]; then
        echo "just slurm: the jobs did not end within 170 s" >&2
        squeue >&2
        LOGS=1
        exit 1
    fi
    sleep 1
done
if [ ! -f "$dir/out/merged/effects.json" ]; then
    echo "just slurm: the merge left no result" >&2
    LOGS=1
    exit 1
fi
grep -h '^merged ' "$dir"/out/merge-*.log
echo "running the same study unsharded" >&2
"$ablate" --quiet run "$config" --out "$dir/whole" >/dev/null
python3 "$here/compare.py" "$dir/whole" "$dir/out/merged"

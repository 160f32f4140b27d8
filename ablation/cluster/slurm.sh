#!/bin/sh
# A study on the machines of a Slurm cluster: build once, an array of shards, and a merge that waits for them.
#
#   ablation/cluster/slurm.sh CONFIG SHARDS OUT [OPTION OF sbatch …]
#   ablation/cluster/slurm.sh study.toml 8 /shared/study --partition=bench --constraint=cpu-x --time=2:00:00
#
# OUT must be on a file system that all nodes see; so must CONFIG and `cargo-ablate` (ABLATE names another one). It prints
# the number of the merge job, with whose end OUT/merged is the study: `cargo ablate report OUT/merged`.
set -eu
if [ $# -lt 3 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
ablate=${ABLATE:-cargo-ablate}
config=$(realpath "$1")
shards=$2
mkdir -p "$3"
out=$(realpath "$3")
shift 3

# A word as the shell reads it back.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
ablate=$(quoted "$ablate")
config=$(quoted "$config")
dir=$(quoted "$out")

# Submits a script of one line, in the folder of this call, and prints the job's number.
submit() {
    name=$1
    line=$2
    shift 2
    sbatch --parsable --job-name="ablate-$name" --nodes=1 --ntasks=1 --output="$out/$name-%A-%a.log" "$@" --wrap "$line" |
        cut -d ';' -f 1
}

build=$(submit build "$ablate build $config --out $dir/bundle" "$@")
# --exclusive: no other job on the node while it measures. A shard is not requeued, because another node could not continue
# it: its runs are of one machine. A shard that failed is missing from the merge, and `merge` says so.
task='"$SLURM_ARRAY_TASK_ID"'
array=$(submit shard "$ablate run $config --builds $dir/bundle --shard $task/$shards --out $dir/shard-$task" \
    --dependency="afterok:$build" --kill-on-invalid-dep=yes --array="1-$shards" --exclusive --no-requeue "$@")
# `afterany`: what is there is joined. The folders are found when the job runs.
submit merge "$ablate merge $dir/shard-*/ --out $dir/merged" --dependency="afterany:$array" "$@"

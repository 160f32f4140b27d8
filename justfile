# Names the folders of a run of `just bench`.
stamp := datetime_utc("%Y%m%dT%H%M%S")

# What runs ablate. `just runner=target/debug/cargo-ablate …` takes a binary that is built already.
runner := "cargo ablate"

# `cargo ablate` with these arguments; without any, a first table of what each factor costs.
[group('measure')]
ablate *ARGS:
    {{runner}} {{ARGS}}

# The man pages of `cargo ablate`, into a folder.
[group('documents')]
man DIR="target/man":
    {{runner}} man {{DIR}}

# A short study, under a minute once built.
[group('measure')]
ablate-smoke *ARGS:
    {{runner}} run configs/smoke.toml {{ARGS}}

# The default allocator beside every peer, held to its targets, into results/: half an hour once built.
[group('measure')]
bench *ARGS: preload (bench-study "bench" ARGS) (bench-archive "bench") (bench-study "bench-memory") (bench-archive "bench-memory")

# The memory shapes beside every peer, held to their targets, into results/: ten minutes once built.
[group('measure')]
bench-shapes *ARGS: (bench-study "shapes" ARGS) (bench-archive "shapes")

# The memory shapes that take a wait to show: an hour once built; the row of three minutes takes more than half of it.
[group('measure')]
bench-shapes-later *ARGS: (bench-study "shapes-later" ARGS) (bench-archive "shapes-later")

# One study of `just bench` or `just bench-shapes`, into a folder of this call.
[private]
bench-study NAME *ARGS:
    {{runner}} run configs/{{NAME}}.toml --out target/ablate/{{NAME}}-{{stamp}} {{ARGS}}

# Its results, under results/, unless options have shortened it.
[private]
bench-archive NAME:
    {{runner}} archive --whole target/ablate/{{NAME}}-{{stamp}}

# Real programs beside every peer, held to their targets, into results/: twenty minutes; `just bench-programs quick`, or rows.
[group('measure')]
bench-programs *ARGS: preload
    sh configs/programs/run.sh "{{runner}}" target/ablate/programs-{{stamp}} {{ARGS}}
    {{ if ARGS == "" { runner + " archive --whole target/ablate/programs-" + stamp } else { "" } }}

# What options of Redis, nginx and PostgreSQL cost, in quick form: `just servers` skips what is not installed and says how to.
[group('measure')]
servers *NAMES:
    sh configs/run.sh servers "{{runner}}" {{stamp}} {{NAMES}}

# Eight recorded programs: what each part of the default costs on them, beside the peers, into results/. Half an hour once built; two minutes with `--quick`.
[group('measure')]
traces *ARGS: (bench-study "traces" ARGS) (bench-archive "traces")

# Whether replays order allocators as the programs themselves do: both orders and their rank correlation.
[group('measure')]
trace-check *ARGS: preload
    configs/traces/check.sh "{{runner}}" {{ARGS}}

# Records traces of configs/traces/ again: `just record-traces database`, or `all`.
[group('measure')]
record-traces *NAMES:
    cargo recorder
    RUNNER="{{runner}}" configs/traces/record.sh {{NAMES}}

# The measured program alone: `just measure --allocator hakmem --scenario vm --iterations 100`.
[group('measure')]
measure *ARGS:
    cargo run --quiet --profile cell --package bench_allocators -- {{ARGS}}

# The library for LD_PRELOAD, target/preload/libhakmem.so; takes `--no-default-features --features header` and such.
[group('allocator')]
preload *ARGS:
    cargo preload {{ARGS}}

# Program, libraries, header, pkg-config and CMake files, and man page, below a prefix: `just install ~/.local`.
[group('allocator')]
install PREFIX:
    bash packaging/install.sh "{{PREFIX}}"

# Removes what `just install` put there.
[group('allocator')]
uninstall PREFIX:
    bash packaging/uninstall.sh "{{PREFIX}}"

# The same as a Debian package, target/debian/hakmem_*.deb; builds cargo-deb into target/tools where it is missing.
[group('allocator')]
deb:
    bash packaging/deb.sh

# The machine code of `malloc` and `free` in the library for LD_PRELOAD.
[group('allocator')]
asm *ARGS: (preload ARGS)
    for name in malloc free; do objdump --disassemble=$name --no-show-raw-insn --section=.text target/preload/libhakmem.so; done

# The documentation of the crates; a warning is an error.
[group('documents')]
doc:
    RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps

# All tests of the workspace.
[group('check')]
test:
    cargo test --workspace

# Every order of steps of what threads share, under loom: two minutes; `just models loom_stack`: one file.
[group('check')]
models FILTER="loom_":
    RUSTFLAGS="--cfg loom" cargo test --release --package hakmem --lib --target-dir target/loom -- {{FILTER}} --test-threads 1

# The stress test under ThreadSanitizer, which does not know the purge thread: PURGE is `immediate` or `never`.
[group('check')]
tsan PURGE="immediate":
    HAKMEM_PURGE={{PURGE}} TSAN_OPTIONS=suppressions=tests/tsan.supp RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" cargo test --release --package hakmem --test stress --target {{arch()}}-unknown-linux-gnu --target-dir target/tsan

# AddressSanitizer finds its stacks for uses after return by thread-local storage, which the purge's thread does not have.
# The contract and the stress test under AddressSanitizer.
[group('check')]
asan *ARGS:
    ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer" cargo test --release --package hakmem --test contract --test stress --target {{arch()}}-unknown-linux-gnu --target-dir target/asan {{ARGS}}

# Coverage of intervals and false findings, on 2,000 simulated studies of each scenario.
[group('check')]
coverage:
    cargo test --release --package ablate-stats --lib coverage -- --include-ignored --nocapture

# 1,000 machines of three kinds and 10,000 cells, simulated: a minute.
[group('check')]
fleet:
    cargo run --quiet --release --package ablate-stats --example fleet

# Format, lints, and every feature subset that is promised to compile.
[group('check')]
check:
    bash .ci/check

# The report of a finished study once more: `just report target/ablate/feature-isolation-1`.
[group('measure')]
report DIR:
    {{runner}} report {{DIR}}

# HTML reports in Chromium: three widths, light and dark, sorting, and axe; `just browser DIR` takes a study of your own.
[group('check')]
browser *DIRS:
    bash ablation/tests/browser/run.sh "{{runner}}" {{DIRS}}

# The pictures of a report in the README, from a finished study.
[group('documents')]
screenshots DIR:
    bash ablation/tests/browser/run.sh "{{runner}}" --pictures docs/images {{DIR}}

# How long reading, analysing and reporting 1,000,000 records takes, and how much memory: at most 20 s and 1 GiB.
[group('measure')]
bench-analysis: runner
    cargo run --quiet --release --package ablation --example many_records

# The gate for pull requests, on changes whose effect is known and on so many without one: `just gate 50`.
[group('measure')]
gate NULLS="1":
    cargo build --quiet --package ablation
    ablation/gate/run.sh target/debug/cargo-ablate {{NULLS}}

# `cargo ablate diff` beside criterion's own comparison, planted 2 % and so many times nothing: an hour; `just bench-diff 5 2`.
[group('measure')]
bench-diff NULLS="50" PLANTED="8":
    cargo build --quiet --package ablation
    ablation/gate/bench.py target/debug/cargo-ablate {{NULLS}} {{PLANTED}}

# Benchmarks that others wrote, under their own harness: `just harness` skips what lacks a tool; `just harness libtest --blocks 3`.
[group('measure')]
harness *NAMES:
    sh configs/run.sh harness "{{runner}}" {{stamp}} {{NAMES}}

# The example of a C program with a Makefile: `just c-program`, `just c-program --blocks 3`.
[group('measure')]
c-program *ARGS:
    {{runner}} run configs/examples/c-program/study.toml --out target/ablate/c-program-{{stamp}} {{ARGS}}

# Forty factors of which five matter: a screening beside one factor at a time, equally precise. Five minutes.
[group('measure')]
screen-demo:
    python3 configs/examples/forty-factors/demo.py "{{runner}}" target/ablate/screen-demo-{{stamp}}

# A study in two shards under a private Slurm of one node, beside the same study unsharded: half a minute; `just slurm CONFIG`.
[group('measure')]
slurm *CONFIG:
    cargo build --quiet --package ablation
    ablation/cluster/try-slurm.sh target/debug/cargo-ablate {{CONFIG}}

# `cargo ablate` beside hyperfine and criterion on the same planted differences: ten minutes, two with `--quick`.
[group('measure')]
bench-runner *ARGS: hyperfine
    cargo run --quiet --release --package bench_runner -- {{ARGS}}

# The Markdown files as a book, target/book/index.html; builds mdbook into target/tools where it is missing.
[group('documents')]
book:
    bash docs/book.sh

# The picture of the README from a finished study: `just picture DIR small-warm`, workloads that cross their factors.
[group('documents')]
picture DIR *WORKLOADS:
    cargo run --quiet --package bench_runner --example picture -- {{DIR}} {{WORKLOADS}}

# The `cargo-ablate` that `just bench-analysis` measures.
[private]
runner:
    cargo build --quiet --release --package ablation

# hyperfine, for `just bench-runner`, under target/tools unless it is installed.
[private]
hyperfine:
    command -v hyperfine target/tools/bin/hyperfine || cargo install --quiet hyperfine --version 1.20.0 --locked --root target/tools

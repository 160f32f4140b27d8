# Names the folders of a run of `just bench`.
stamp := datetime_utc("%Y%m%dT%H%M%S")

# Builds what it needs, runs configs/feature-isolation.toml and prints the attribution; arguments go to `ablate`.
ablate *ARGS:
    cargo ablate {{ARGS}}

# A short study, under a minute once built.
ablate-smoke *ARGS:
    cargo ablate run configs/smoke.toml {{ARGS}}

# The default beside every peer, held to its targets: half an hour, once built. Results are kept under results/.
bench *ARGS:
    cargo preload
    cargo ablate run configs/bench.toml --out target/ablate/bench-{{stamp}} {{ARGS}}
    cargo ablate keep target/ablate/bench-{{stamp}}
    cargo ablate run configs/bench-memory.toml --out target/ablate/bench-memory-{{stamp}}
    cargo ablate keep target/ablate/bench-memory-{{stamp}}

# The measured program: `just measure --allocator hakmem --scenario vm --iterations 100`.
measure *ARGS:
    cargo run --quiet --profile cell --package bench_allocators -- {{ARGS}}

# The library for LD_PRELOAD, target/preload/libhakmem.so; takes `--no-default-features --features header` and such.
preload *ARGS:
    cargo preload {{ARGS}}

# The machine code of `malloc` and `free` in that library.
asm *ARGS: (preload ARGS)
    objdump --disassemble=malloc --no-show-raw-insn --section=.text target/preload/libhakmem.so
    objdump --disassemble=free --no-show-raw-insn --section=.text target/preload/libhakmem.so

# All tests.
test:
    cargo test --workspace

# Every order of steps of what threads share, under loom: a minute, and one to build. `just models loom_stack`: one file's.
models FILTER="loom_":
    RUSTFLAGS="--cfg loom" cargo test --release --package hakmem --lib --target-dir target/loom -- {{FILTER}} --test-threads 1

# The stress test under ThreadSanitizer, which does not know the allocator's own thread: HAKMEM_PURGE is `immediate`, or `never`.
tsan PURGE="immediate":
    HAKMEM_PURGE={{PURGE}} TSAN_OPTIONS=suppressions=tests/tsan.supp RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" cargo test --release --package hakmem --test stress --target {{arch()}}-unknown-linux-gnu --target-dir target/tsan

# The contract and the stress test under AddressSanitizer.
asan *ARGS:
    ASAN_OPTIONS=detect_leaks=0 RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer" cargo test --release --package hakmem --test contract --test stress --target {{arch()}}-unknown-linux-gnu --target-dir target/asan {{ARGS}}

# Coverage of intervals and false findings on 2,000 simulated studies of each scenario, printed.
coverage:
    cargo test --release --package ablation --lib coverage -- --include-ignored --nocapture

# Format, lints, and every feature subset that is promised to compile.
check:
    bash .ci/check

# Prints the report of a finished study again: `just report target/ablate/feature-isolation-1`.
report DIR:
    cargo ablate report {{DIR}}

# How long reading, analysing and reporting 100,000 records takes, and how much memory.
bench-analysis:
    cargo run --quiet --release --package ablation --example many_records

# ablate beside hyperfine and criterion on the same planted differences, ten minutes; `just bench-runner --quick`: two.
bench-runner *ARGS:
    command -v hyperfine target/tools/bin/hyperfine || cargo install --quiet hyperfine --version 1.20.0 --locked --root target/tools
    cargo run --quiet --release --package bench_runner -- {{ARGS}}

# The documentation as a book, target/book/index.html; installs mdbook into target/tools where it is missing.
book:
    bash docs/book.sh

# The README's picture from a finished study, `just picture DIR small-warm`: workloads that cross their factors.
picture DIR *WORKLOADS:
    cargo run --quiet --package bench_runner --example picture -- {{DIR}} {{WORKLOADS}}

# Builds what it needs, runs configs/feature-isolation.toml and prints the attribution; arguments go to `ablate`.
ablate *ARGS:
    cargo ablate {{ARGS}}

# A short study, under a minute once built.
ablate-smoke *ARGS:
    cargo ablate run configs/smoke.toml {{ARGS}}

# The measured program: `just bench --allocator hakmem --scenario vm --iterations 100`.
bench *ARGS:
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

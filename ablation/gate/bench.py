#!/usr/bin/env python3
"""`cargo ablate diff` beside criterion's own comparison, on a benchmark of a crate that others wrote (crc32fast).

    ablation/gate/bench.py PROGRAM [NULLS] [PLANTED]

PROGRAM is cargo-ablate. NULLS comparisons (default 50) have nothing planted: the head has another text in a part that is
not measured, so its machine code differs and its speed does not. PLANTED comparisons (default 8) have 2 % more work.
The tools take turns, each with its defaults. criterion's comparison is two processes one after the other, as
`cargo bench -- --save-baseline` and `--baseline` run them.

Printed for each tool: the seconds per comparison, alarms where nothing is planted, planted changes that were found, half
of the width that it claims (95 %), and half of the width that 95 of 100 null results really stay in. The last decides:
an interval that misses the truth is not narrow. Builds are not part of any time.
"""
import glob
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

CRATE, BENCHMARK, MARGIN = "crc32fast-1.5.5", "baseline/16384", "1"
SIGNATURE = "pub(crate) fn update_fast_16(prev: u32, mut buf: &[u8]) -> u32 {\n"
PLANT = """    if buf.len() > 1000 {
        core::hint::black_box(update_fast_16(prev, core::hint::black_box(&buf[..buf.len() / 50])));
    }
"""
NULL_AT, NULL = "fn baseline(c: &mut Criterion) {\n", '    eprintln!("nothing is planted here");\n'


def call(*command, **options):
    return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout


def prepare(work):
    """The crate as a repository with the tags `base`, `planted` and `nothing`. Returns its folder."""
    name, version = CRATE.rsplit("-", 1)
    fetch = os.path.join(work, "fetch")
    os.mkdir(fetch)
    call("cargo", "init", "-q", "--lib", "--name", "fetch", cwd=fetch)
    call("cargo", "add", "-q", f"{name}@={version}", cwd=fetch)
    call("cargo", "fetch", "-q", cwd=fetch)
    cargo_home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    crate = os.path.join(work, "crate")
    shutil.copytree(glob.glob(f"{cargo_home}/registry/src/*/{CRATE}")[0], crate)
    with open(os.path.join(crate, ".gitignore"), "w") as file:
        file.write("target\n")
    call("git", "init", "-q", "-b", "main", cwd=crate)
    commit(crate, "base")
    for tag, path, before, text in [
        ("planted", "src/baseline.rs", SIGNATURE, PLANT),
        ("nothing", "benches/bench.rs", NULL_AT, NULL),
    ]:
        call("git", "checkout", "-q", "base", cwd=crate)
        with open(os.path.join(crate, path)) as file:
            source = file.read()
        if before not in source:
            sys.exit(f"{path} of {CRATE} does not have the line after which {tag} goes: {before.strip()}")
        with open(os.path.join(crate, path), "w") as file:
            file.write(source.replace(before, before + text, 1))
        commit(crate, tag)
    call("git", "checkout", "-q", "base", cwd=crate)
    return crate


def commit(crate, tag):
    call("git", "add", "-A", "-f", cwd=crate)
    call("git", "commit", "-qm", tag, cwd=crate)
    call("git", "tag", tag, cwd=crate)


class Ablate:
    name = f"cargo ablate diff, margin {MARGIN} %"

    def __init__(self, program, crate):
        self.program, self.crate, self.seed = program, crate, 0
        for head in ("planted", "nothing"):
            # Builds both sides; the time of the comparisons is that of measuring.
            self.compare(head, "5s")

    def compare(self, head, most="5m"):
        """Returns the verdict and the change with its interval, in percent."""
        self.seed += 1
        command = [self.program, "--quiet", "diff", f"base..{head}", "--bench", "bench", "--filter", f"^{BENCHMARK}$"]
        command += ["--margin", MARGIN, "--seed", str(self.seed), "--max-time", most, "--json"]
        ran = subprocess.run(command, cwd=self.crate, text=True, capture_output=True)
        try:
            row = json.loads(ran.stdout)["parts"][0]["workloads"][0]
            numbers = [(row["change"] or {}).get(key) for key in ("value", "low", "high")]
            return row["verdict"], [math.nan if number is None else 100 * number for number in numbers]
        except (ValueError, KeyError, IndexError) as error:
            sys.exit(f"cargo ablate diff printed no result ({error!r}):\n{ran.stdout}\n{ran.stderr}")


class Criterion:
    name = "criterion, its defaults"

    def __init__(self, work, crate):
        self.work, self.binaries = work, {}
        for side in ("base", "planted", "nothing"):
            call("git", "checkout", "-q", side, cwd=crate)
            lines = call("cargo", "bench", "--bench", "bench", "--no-run", "--message-format=json", cwd=crate)
            built = [json.loads(line).get("executable") for line in lines.splitlines() if line.startswith("{")]
            self.binaries[side] = shutil.copy([path for path in built if path][-1], os.path.join(work, side))
        call("git", "checkout", "-q", "base", cwd=crate)

    def compare(self, head):
        home = os.path.join(self.work, "home")
        shutil.rmtree(home, ignore_errors=True)
        environment = dict(os.environ, CRITERION_HOME=home)
        for side, keep in (("base", "--save-baseline"), (head, "--baseline")):
            command = [self.binaries[side], "--bench", "--noplot", keep, "old", f"^{BENCHMARK}$"]
            text = call(*command, env=environment, cwd=self.work)
        verdict = "worse" if "has regressed" in text else "better" if "has improved" in text else "none"
        with open(glob.glob(f"{home}/**/change/estimates.json", recursive=True)[0]) as file:
            mean = json.load(file)["mean"]
        interval = mean["confidence_interval"]
        return verdict, [100 * v for v in (mean["point_estimate"], interval["lower_bound"], interval["upper_bound"])]


def compare(tools, head, times):
    """Both tools in turn. Returns for each its results: verdict, numbers, seconds."""
    results = {tool: [] for tool in tools}
    for turn in range(times):
        for tool in tools if turn % 2 == 0 else tools[::-1]:
            started = time.monotonic()
            verdict, (value, low, high) = tool.compare(head)
            seconds = time.monotonic() - started
            results[tool].append((verdict, (value, low, high), seconds))
            print(f"  {head:8} {tool.name:28} {seconds:6.1f} s  {verdict:10} {value:+6.2f} % [{low:+.2f}, {high:+.2f}]", flush=True)
    return results


def main():
    if len(sys.argv) not in (2, 3, 4):
        sys.exit(__doc__)
    program, nulls, planted = os.path.realpath(sys.argv[1]), *(int(n) for n in (sys.argv[2:] + ["50", "8"][len(sys.argv) - 2 :]))
    identity = {f"GIT_{who}_{what}": "bench@invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    os.environ.update(identity)
    with tempfile.TemporaryDirectory() as work:
        os.environ["CARGO_TARGET_DIR"] = os.path.join(work, "target")
        print(f"building {CRATE} three times for each tool", flush=True)
        crate = prepare(work)
        tools = [Ablate(program, crate), Criterion(work, crate)]
        of_nulls, of_planted = compare(tools, "nothing", nulls), compare(tools, "planted", planted)
    print(f"\n{BENCHMARK} of {CRATE}\n{'':28} {'a comparison':>13} {'alarms':>10} {'2 % found':>10} {'claimed':>9} {'true':>9}")
    true, took = [], []
    for tool in tools:
        alarms = sum(verdict in ("worse", "better") for verdict, _, _ in of_nulls[tool])
        found = sum(verdict == "worse" for verdict, _, _ in of_planted[tool])
        both = of_nulls[tool] + of_planted[tool]
        took.append(statistics.mean(seconds for _, _, seconds in both))
        claimed = [(high - low) / 2 for _, (_, low, high), _ in both if math.isfinite(high - low)]
        errors = sorted(abs(value) for _, (value, _, _), _ in of_nulls[tool] if math.isfinite(value))
        true.append(errors[math.ceil(0.95 * len(errors)) - 1] if errors else math.nan)
        claim = statistics.median(claimed) if claimed else math.nan
        print(f"{tool.name:28} {took[-1]:11.1f} s {alarms:4} of {nulls:2} {found:4} of {planted:2} {claim:7.2f} % {true[-1]:7.2f} %")
    # Errors of independent runs fall with the square root of the time; criterion's have a part that does not, which is
    # left out here in its favour.
    same = took[1] * (true[1] / true[0]) ** 2 if true[0] else math.nan
    print(f"criterion would take {same:.0f} s for ± {true[0]:.2f} %: cargo ablate diff takes {took[0] / same:.2f} of that")


main()

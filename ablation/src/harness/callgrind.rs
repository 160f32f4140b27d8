//! Harnesses that run a function under callgrind and print what it counted, one name and number a line: gungraun, which
//! was iai-callgrind before, and iai. They measure no time, so a benchmark is judged by its instructions, which
//! hardly differ between runs.

use super::adapter::{Adapter, Call, Output, Request, not_there};
use super::samples;
use super::text::listed;
use ablate_format::Measured;

pub(super) const GUNGRAUN: Adapter = Adapter {
    name: "gungraun",
    passes: &["PATH", "HOME", "GUNGRAUN_RUNNER"],
    one: |request| in_scratch(request, "GUNGRAUN_HOME", request.benchmark),
    list: |request| in_scratch(request, "GUNGRAUN_HOME", "--list"),
    ids: |output| Ok(listed(output.stdout)),
    ..IAI
};

/// It lists benchmarks and cannot choose one: what its command line takes is a part of the name of the benchmark target, and
/// with any other text it runs nothing and ends well. So every process runs all benchmarks.
pub(super) const IAI_CALLGRIND: Adapter = Adapter {
    name: "iai-callgrind",
    passes: &["PATH", "HOME", "IAI_CALLGRIND_RUNNER"],
    one: |request| in_scratch(request, "IAI_CALLGRIND_HOME", ""),
    list: |request| in_scratch(request, "IAI_CALLGRIND_HOME", "--list"),
    ids: |output| Ok(listed(output.stdout)),
    ..IAI
};

/// It can neither list nor choose: every process runs all benchmarks.
pub(super) const IAI: Adapter = Adapter {
    name: "iai",
    by_cargo: true,
    passes: &["PATH", "HOME"],
    response: "value:instructions",
    one: |_| Call { args: vec!["--bench".to_owned()], ..Call::default() },
    read,
    list: |_| Call { args: vec!["--bench".to_owned()], ..Call::default() },
    ids: |output| Ok(sections(output.stdout).into_iter().map(|section| section.id).collect()),
};

/// A process with its files in its own folder, and one more word unless that is empty: an option, or an id. Ids are paths of
/// Rust, which have no sign that gungraun's globs know.
fn in_scratch(request: &Request<'_>, home: &'static str, word: &str) -> Call {
    let words = ["--bench", word].into_iter().filter(|word| !word.is_empty());
    let args = words.map(str::to_owned).collect();
    Call { args, env: vec![(home, request.scratch.display().to_string())], files: Vec::new() }
}

/// The lines about one benchmark.
struct Section {
    id: String,
    counts: Vec<(String, f64)>,
}

/// Headings with the counts below them, which are indented.
fn sections(stdout: &str) -> Vec<Section> {
    let mut out: Vec<Section> = Vec::new();
    for line in stdout.lines() {
        if line.starts_with(char::is_whitespace) {
            if let (Some(section), Some(count)) = (out.last_mut(), count(line)) {
                section.counts.push(count);
            }
        } else if !line.is_empty() {
            out.push(Section { id: id(line), counts: Vec::new() });
        }
    }
    out.retain(|section| !section.counts.is_empty());
    out
}

/// The id in a heading `FILE::GROUP::FUNCTION NAME:ARGUMENTS`, as a list has it: `FILE::GROUP::FUNCTION::NAME`.
fn id(heading: &str) -> String {
    match heading.split_once(' ') {
        Some((path, rest)) => format!("{path}::{}", rest.split(':').next().unwrap_or(rest)),
        None => heading.to_owned(),
    }
}

/// Name and number of a line `  L1 Hits:   479|N/A   (…)`.
fn count(line: &str) -> Option<(String, f64)> {
    let (name, rest) = line.split_once(':')?;
    let number = rest.trim_start().split(['|', ' ']).next()?;
    Some((name.trim().to_owned(), number.replace(',', "").parse().ok()?))
}

fn read(output: &Output<'_>) -> Result<Measured, String> {
    let sections = sections(output.stdout);
    let Some(own) = sections.iter().find(|section| section.id == output.benchmark) else {
        let others: Vec<&str> = sections.iter().map(|section| section.id.as_str()).collect();
        return Err(not_there(output.benchmark, &others));
    };
    let mut out = Measured::of(1);
    // Further tools repeat names of the first.
    for (name, value) in own.counts.iter().rev() {
        samples::add_value(&mut out, name, *value);
    }
    if !out.values.contains_key("instructions") {
        return Err(format!("`{}` told no instructions", output.benchmark));
    }
    Ok(out)
}

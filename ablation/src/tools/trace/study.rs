//! A study of one trace: the config that `ablate run` takes. It is the study of the traces that ship, with this one in their
//! place, so that its factors, levels and peers are written once.

use super::error::TraceToolError;
use super::open::open;
use crate::support::call::quoted;
use crate::support::text::{printable, shortened};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The study of the traces that ship, in the repository.
const TEMPLATE: &str = "configs/traces.toml";
/// A pass over more operations takes seconds.
const LARGE: u64 = 5_000_000;
/// So many seconds for a run, and as many again for so many operations.
const TIMEOUT_SECONDS: u64 = 60;
const TIMEOUT_OPERATIONS: u64 = 3_000_000;

/// Writes the study of a trace to a path where nothing is; gives what to say.
///
/// # Errors
/// Those of the trace, a repository that is not found, and a file that is there.
pub(crate) fn study(file: &Path, out: Option<&Path>, repository: Option<&Path>) -> Result<String, TraceToolError> {
    let trace = open(file)?;
    if let Some(cut_off) = trace.cut_off() {
        return Err(TraceToolError::CutOff { path: file.to_owned(), operations: cut_off.operations });
    }
    let name = name_of(file);
    let out = out.map_or_else(|| PathBuf::from(format!("{name}.toml")), Path::to_owned);
    let repository = find_repository(repository)?;
    let template = repository.join(TEMPLATE);
    let failed = |path: &Path, doing| {
        let path = path.to_owned();
        move |source| TraceToolError::System { path, doing, source }
    };
    let text = std::fs::read_to_string(&template).map_err(failed(&template, "reading"))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| TraceToolError::Template {
        path: template.clone(),
        what: error.message().to_owned(),
    })?;
    let header = trace.header();
    let about = Subject {
        name: &name,
        trace: &text_of(&file.canonicalize().map_err(failed(file, "finding"))?)?,
        manifest: &text_of(&repository.join("Cargo.toml"))?,
        program: &header.about.program.join(" "),
        operations: header.operations,
        has_threads: header.threads.len() > 1,
    };
    let table = about.put_into(table);
    let body = toml::to_string(&table)
        .map_err(|error| TraceToolError::Template { path: template.clone(), what: error.to_string() })?;
    let head = format!(
        "# What each part costs on a recorded program, in time and in memory, beside the peers. Written by `cargo ablate trace\n\
         # study` after {TEMPLATE}; every key is in configs/README.md.\n\n"
    );
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&out);
    let mut made = made.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => TraceToolError::Exists { path: out.clone() },
        _ => failed(&out, "writing")(source),
    })?;
    made.write_all((head + &body).as_bytes()).map_err(failed(&out, "writing"))?;
    let shown = quoted(&out);
    let large = match header.operations > LARGE {
        true => "\nnote: it has many operations; a part of them, by `cargo ablate trace cut`, gives answers sooner",
        false => "",
    };
    Ok(format!(
        "{}: {} operations as a study in time and in memory\n\
         next: cargo ablate run {shown} --quick (some minutes), or without --quick for narrower intervals{large}",
        out.display(),
        crate::support::count::grouped(header.operations),
    ))
}

/// What a study is of.
struct Subject<'a> {
    name: &'a str,
    trace: &'a str,
    manifest: &'a str,
    program: &'a str,
    operations: u64,
    has_threads: bool,
}

impl Subject<'_> {
    /// The table with this trace in place of its own.
    fn put_into(&self, mut table: Table) -> Table {
        let memory = format!("{}-memory", self.name);
        let about = format!("recorded: {}, {} operations", shortened(&printable(self.program), 60), self.operations);
        table.insert("study".to_owned(), self.name.into());
        table.insert("about".to_owned(), about.clone().into());
        let seconds = TIMEOUT_SECONDS * (1 + self.operations / TIMEOUT_OPERATIONS);
        table.insert("timeout_seconds".to_owned(), Value::Integer(seconds.cast_signed()));
        table.insert(
            "workload".to_owned(),
            Value::Array(vec![
                self.workload(self.name, &about, &["--samples", "0", "--no-tail"], "mean"),
                self.workload(
                    &memory,
                    "the same, resident bytes over live bytes",
                    &["--no-tail"],
                    "value:resident_per_live",
                ),
            ]),
        );
        if let Some(Value::Table(subject)) = table.get_mut("subject") {
            subject.insert("manifest".to_owned(), self.manifest.into());
        }
        if let Some(Value::Table(quick)) = table.get_mut("quick") {
            quick.insert("workloads".to_owned(), Value::Array(vec![self.name.into(), memory.into()]));
        }
        // A peer of some workloads is one of those in time.
        for peer in table.get_mut("peer").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(workloads) = peer.get_mut("workloads") {
                *workloads = Value::Array(vec![self.name.into()]);
            }
        }
        table
    }

    fn workload(&self, name: &str, about: &str, options: &[&str], response: &str) -> Value {
        let args = ["--trace", self.trace].into_iter().chain(options.iter().copied()).map(Value::from);
        let mut workload = Table::new();
        workload.insert("name".to_owned(), name.into());
        workload.insert("about".to_owned(), about.into());
        workload.insert("args".to_owned(), Value::Array(args.collect()));
        workload.insert("response".to_owned(), response.into());
        if self.has_threads {
            workload.insert("pin".to_owned(), false.into());
        }
        Value::Table(workload)
    }
}

/// A name of a study, out of that of a file.
fn name_of(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let words = stem.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-");
    if name.is_empty() { "trace".to_owned() } else { name }
}

fn text_of(path: &Path) -> Result<String, TraceToolError> {
    path.to_str().map(str::to_owned).ok_or_else(|| TraceToolError::NoText { path: path.to_owned() })
}

/// The repository: the folder that is named, or the first above this one or the program that has the template.
fn find_repository(named: Option<&Path>) -> Result<PathBuf, TraceToolError> {
    let has_template = |folder: &&Path| folder.join(TEMPLATE).is_file();
    let own = std::env::current_exe().ok().and_then(|own| own.canonicalize().ok());
    let here = std::env::current_dir().ok();
    let found = match named {
        Some(named) => Some(named).filter(has_template),
        None => [here.as_deref(), own.as_deref()].into_iter().flatten().flat_map(Path::ancestors).find(has_template),
    };
    let found = found.and_then(|folder| folder.canonicalize().ok());
    found.ok_or_else(|| TraceToolError::NoRepository { template: TEMPLATE, named: named.map(Path::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_become_names_of_studies() {
        for (file, name) in [("perl.trace", "perl"), ("a/My Script.2.trace", "my-script-2"), ("é.trace", "trace")] {
            assert_eq!(name_of(Path::new(file)), name);
        }
    }

    #[test]
    fn the_trace_takes_the_place_of_those_that_ship() {
        let template = "study = \"traces\"\nblocks = 12\n[quick]\nblocks = 6\nworkloads = [\"a\"]\n[subject]\n\
                        manifest = \"../Cargo.toml\"\n[[workload]]\nname = \"a\"\n[[workload]]\nname = \"b\"\n\
                        [[peer]]\nname = \"one\"\n[[peer]]\nname = \"two\"\nworkloads = [\"a\", \"b\"]\n";
        let subject = Subject {
            name: "perl",
            trace: "/t/perl.trace",
            manifest: "/r/Cargo.toml",
            program: &"perl ".repeat(40),
            operations: 7_000_000,
            has_threads: true,
        };
        let table = subject.put_into(template.parse().expect("is TOML"));
        let text = |path: &[&str]| {
            let value = path.iter().try_fold(Value::Table(table.clone()), |value, key| {
                key.parse::<usize>().map_or_else(|_| value.get(*key).cloned(), |at| value.get(at).cloned())
            });
            value.map(|value| value.to_string())
        };
        assert_eq!(text(&["study"]).as_deref(), Some("\"perl\""));
        assert_eq!(text(&["quick"]).as_deref(), Some("{ blocks = 6, workloads = [\"perl\", \"perl-memory\"] }"));
        assert_eq!(text(&["subject", "manifest"]).as_deref(), Some("\"/r/Cargo.toml\""));
        assert_eq!(text(&["timeout_seconds"]).as_deref(), Some("180"));
        assert_eq!(text(&["workload", "1", "name"]).as_deref(), Some("\"perl-memory\""));
        assert_eq!(text(&["workload", "2"]), None);
        assert_eq!(text(&["workload", "0", "pin"]).as_deref(), Some("false"));
        assert_eq!(text(&["peer", "0", "workloads"]), None);
        assert_eq!(text(&["peer", "1", "workloads"]).as_deref(), Some("[\"perl\"]"));
    }
}

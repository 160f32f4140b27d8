//! What processes told of themselves: the lines of the file that `HAKMEM_REPORT` names.
//!
//! Any process that knows the file can write to it, so nothing in it is trusted further than to be shown.

use std::collections::BTreeMap;

/// The processes that told anything.
#[derive(Debug, Default)]
pub(crate) struct Report {
    processes: BTreeMap<u32, Process>,
}

/// What one process told. `exec` begins it anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Process {
    /// The library's version.
    pub(crate) version: String,
    /// The object whose `malloc` comes first, unless it is hakmem's; `None` is hakmem's.
    pub(crate) other: Option<String>,
    /// What it told at its end.
    pub(crate) end: Option<End>,
}

/// What a process told at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct End {
    /// Numbers by name, as `src/preload_end.rs` writes them.
    numbers: BTreeMap<String, u64>,
    /// Factors with their levels, in the registry's order.
    pub(crate) levels: Vec<(String, String)>,
}

impl End {
    /// A number; `None` where the library does not tell it.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.numbers.get(name).copied()
    }
}

impl Report {
    /// Reads the lines; what is none is left out.
    pub(crate) fn parse(text: &str) -> Report {
        let mut report = Report::default();
        for line in text.lines() {
            report.add(line);
        }
        report
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        // A path may have spaces, and is the last.
        let (fields, malloc) = rest.split_once(" malloc=").map_or((rest, None), |(fields, path)| (fields, Some(path)));
        let fields: BTreeMap<&str, &str> = fields.split(' ').filter_map(|field| field.split_once('=')).collect();
        let version = shown(fields.get("version")?);
        let process = self.processes.entry(fields.get("pid")?.parse().ok()?).or_default();
        match kind {
            "began" => {
                let other = malloc.filter(|name| *name != "hakmem").map(shown);
                *process = Process { version, other, end: None };
            }
            "ended" => {
                let numbers = fields.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.parse().ok()?)));
                let levels = fields.get("levels").copied().unwrap_or_default().split(',');
                let levels = levels.filter_map(|level| level.split_once(':'));
                let end = End {
                    numbers: numbers.collect(),
                    levels: levels.map(|(name, level)| (shown(name), shown(level))).collect(),
                };
                let before = process.end.as_ref().and_then(|end| end.number("allocations"));
                if before <= end.number("allocations") {
                    process.end = Some(end);
                }
                process.version = version;
            }
            _ => {}
        }
        Some(())
    }

    /// What a process told, if it told anything.
    pub(crate) fn of(&self, process: u32) -> Option<&Process> {
        self.processes.get(&process)
    }

    /// All processes but one.
    pub(crate) fn others(&self, process: u32) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(move |(id, _)| **id != process).map(|(_, told)| told)
    }
}

/// Text that cannot control a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_left_out() {
        let text = "began pid=7 version=0.1.0 malloc=hakmem\n\
                    began pid=8 version=0.1.0 malloc=/a b/lib.so\n\
                    \n\nwhat\nbegan\nbegan pid=x version=1 malloc=y\nended pid=9\n\
                    ended pid=7 version=0.1.0 allocations=9 frees=7 peak_kib=x levels=elo:off,thp:dense\n\
                    ended pid=10 version=0.1.0 allocations=18446744073709551616\n";
        let report = Report::parse(text);
        let seven = report.of(7).expect("it told");
        assert_eq!(seven.other, None);
        let end = seven.end.as_ref().expect("it ended");
        assert_eq!((end.number("allocations"), end.number("peak_kib")), (Some(9), None));
        assert_eq!(end.levels[1], ("thp".to_owned(), "dense".to_owned()));
        assert_eq!(report.of(8).expect("it told").other.as_deref(), Some("/a b/lib.so"));
        assert_eq!(report.of(9), None);
        assert_eq!(report.others(7).count(), 2);
    }

    #[test]
    fn a_program_that_replaces_itself_begins_anew() {
        let began = "began pid=7 version=0.1.0 malloc=hakmem\n";
        let ended = "ended pid=7 version=0.1.0 allocations=9\n";
        assert_eq!(Report::parse(&[began, ended, began].concat()).of(7).expect("it told").end, None);
        // A program that is linked with hakmem and has it preloaded tells twice, and is the last to tell.
        let preloaded = "began pid=7 version=0.1.0 malloc=/bin/program\n";
        assert_eq!(Report::parse(&[preloaded, began].concat()).of(7).expect("it told").other, None);
    }
}

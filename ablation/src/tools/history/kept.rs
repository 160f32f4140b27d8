//! The file that keeps results over time: JSON Lines, one result per line, only ever appended to.

use super::error::HistoryError;
use crate::tools::results::{self, Key, Results, Subject, machine_key};
use ablate_format::MainResponse;
use ablate_stats::MIN_BLOCKS;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;

/// Version of a line.
const FORMAT: u32 = 1;
/// What stands for a machine whose facts are not all known.
const UNKNOWN: &str = "unknown machine";

/// One result: a study that was run once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Version of the line.
    pub(super) format: u32,
    /// Name of the study.
    pub(super) study: String,
    /// Commit of the measured sources.
    pub(super) commit: Option<String>,
    /// Whether the sources had changes beside that commit.
    #[serde(default)]
    pub(super) changed: bool,
    /// Start, seconds since 1970.
    pub(super) time: u64,
    /// Processor, cores and memory.
    pub(super) machine: String,
    /// Compiler.
    pub(super) toolchain: Option<String>,
    /// Every value.
    pub(super) rows: Vec<KeptRow>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptRow {
    pub(super) workload: String,
    /// `cell` or `factor`.
    pub(super) kind: String,
    /// Id of the cell, or the factor with its level.
    pub(super) name: String,
    /// Kind of contrast of a factor.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) contrast: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) arm: String,
    /// The response, as in configs.
    pub(super) response: MainResponse,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) per_run: bool,
    pub(super) value: f64,
    /// Ends of the 95 % interval; missing below six blocks.
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    /// Blocks.
    pub(super) n: usize,
    /// Whether nothing tells the levels of the factor apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unproven: bool,
}

impl KeptRow {
    /// What the row is about.
    pub(super) fn key(&self) -> Key {
        let subject = match self.kind.as_str() {
            "cell" => Subject::Cell(self.name.clone()),
            _ => Subject::Factor { title: self.name.clone(), contrast: self.contrast.clone(), arm: self.arm.clone() },
        };
        Key { workload: self.workload.clone(), subject }
    }
}

impl Kept {
    /// The result of a folder. Values that are not proven or no numbers are left out, and those of fewer
    /// blocks than an interval needs.
    pub(super) fn of(results: &Results) -> Kept {
        let manifest = &results.manifest;
        let fact = |name: &str| manifest.machine.facts.get(name).cloned().flatten();
        let told = results::rows(results).into_iter().filter(results::Row::is_told);
        let rows = told.filter_map(|row| {
            let value = row.value.filter(|value| value.value.is_finite() && value.blocks >= MIN_BLOCKS)?;
            let (kind, (name, contrast, arm)) = (row.key.subject.kind(), parts(&row.key.subject));
            let (low, high) = value.interval.unzip();
            Some(KeptRow {
                workload: row.key.workload.clone(),
                kind: kind.to_owned(),
                name,
                contrast,
                arm,
                response: row.response,
                per_run: row.is_per_run,
                value: value.value,
                low,
                high,
                n: value.blocks,
                unproven: row.is_unproven,
            })
        });
        Kept {
            format: FORMAT,
            study: manifest.study.clone(),
            commit: fact("commit"),
            changed: fact("uncommitted-changes").as_deref() == Some("yes"),
            time: manifest.started_unix_s,
            machine: machine_key(manifest).unwrap_or_else(|| UNKNOWN.to_owned()),
            toolchain: fact("rustc"),
            rows: rows.collect(),
        }
    }

    /// Whether it is the same run of the same study.
    pub(super) fn is_same_run(&self, other: &Kept) -> bool {
        let run = |of: &Kept| (of.study.clone(), of.machine.clone(), of.commit.clone(), of.time);
        run(self) == run(other)
    }
}

fn parts(subject: &Subject) -> (String, String, String) {
    match subject {
        Subject::Cell(id) => (id.clone(), String::new(), String::new()),
        Subject::Factor { title, contrast, arm } => (title.clone(), contrast.clone(), arm.clone()),
    }
}

/// A line that is no result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// Number of the line, from 1.
    pub(crate) line: usize,
    /// Why.
    pub(crate) why: String,
}

/// Reads the results of a file, and the lines that are none.
///
/// # Errors
/// [`HistoryError::NoFile`], or the system's error.
pub(super) fn read(path: &Path) -> Result<(Vec<Kept>, Vec<BadLine>), HistoryError> {
    check(path)?;
    match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(HistoryError::NoFile { file: path.to_owned() }),
        read => Ok(parsed(&read.map_err(failed(path, "reading"))?)),
    }
}

/// Refuses what is there and no file: a device has no end.
fn check(path: &Path) -> Result<(), HistoryError> {
    match path.metadata().is_ok_and(|found| !found.is_file()) {
        true => Err(failed(path, "reading")(std::io::Error::other("it is no file"))),
        false => Ok(()),
    }
}

fn parsed(text: &[u8]) -> (Vec<Kept>, Vec<BadLine>) {
    let (mut all, mut bad) = (Vec::new(), Vec::new());
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match of_line(line) {
            Ok(kept) => all.push(kept),
            Err(why) => bad.push(BadLine { line: at + 1, why }),
        }
    }
    (all, bad)
}

fn of_line(line: &[u8]) -> Result<Kept, String> {
    #[derive(Deserialize)]
    #[serde(expecting = "an object with the key `format`")]
    struct Version {
        format: u32,
    }
    let version: Version = serde_json::from_slice(line).map_err(|e| format!("is no result: {e}"))?;
    if version.format != FORMAT {
        return Err(format!(
            "has format {}, and this ablate reads {FORMAT}; read it with a newer ablate",
            version.format
        ));
    }
    serde_json::from_slice(line).map_err(|e| format!("is no result: {e}"))
}

/// Appends a result unless it is there; returns whether it was new. Two calls at the same time add one after the other.
///
/// # Errors
/// [`HistoryError`]; the file is as it was then, up to a torn line at its end, which the next call leaves behind.
pub(super) fn add(path: &Path, results: &Results) -> Result<bool, HistoryError> {
    check(path)?;
    if results.manifest.shard.is_some() {
        return Err(HistoryError::Shard { dir: results.dir.clone() });
    }
    let kept = Kept::of(results);
    if kept.rows.is_empty() {
        return Err(HistoryError::Empty { dir: results.dir.clone() });
    }
    let line =
        serde_json::to_string(&kept).map_err(|source| HistoryError::Encode { dir: results.dir.clone(), source })?;
    let mut file =
        OpenOptions::new().create(true).read(true).append(true).open(path).map_err(failed(path, "opening"))?;
    File::lock(&file).map_err(failed(path, "locking"))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(failed(path, "reading"))?;
    if parsed(&text).0.iter().any(|known| known.is_same_run(&kept)) {
        return Ok(false);
    }
    // A line that was torn gets its end, so that this one is whole.
    let begin = if text.is_empty() || text.ends_with(b"\n") { "" } else { "\n" };
    file.write_all(format!("{begin}{line}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed(path, "appending"))?;
    Ok(true)
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> HistoryError {
    let path = path.to_owned();
    move |source| HistoryError::Io { path, doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_lines_and_other_versions_are_told_by_their_number() {
        let good = r#"{"format":1,"study":"s","commit":null,"time":5,"machine":"m","toolchain":null,"rows":[]}"#;
        let text = format!("{good}\n\n{{\"format\":1\n{}\nx\n{good}", good.replace("\"format\":1", "\"format\":2"));
        let (kept, bad) = parsed(text.as_bytes());
        assert_eq!(kept.len(), 2);
        assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [3, 4, 5]);
        assert!(bad[1].why.contains("newer ablate"), "{bad:?}");
        // Keys that a later version adds are no damage.
        let later = good.replacen('{', "{\"later\":1,", 1);
        assert_eq!(parsed(later.as_bytes()).0.len(), 1);
    }

    #[test]
    fn a_row_is_the_same_after_it_was_kept() {
        let row = KeptRow {
            workload: "w".to_owned(),
            kind: "factor".to_owned(),
            name: "opt: o2".to_owned(),
            contrast: "on-o2".to_owned(),
            arm: "build".to_owned(),
            response: MainResponse::P10,
            per_run: true,
            value: 0.1 + 0.2,
            low: None,
            high: None,
            n: 3,
            unproven: false,
        };
        let text = serde_json::to_string(&row).expect("is text");
        assert_eq!(serde_json::from_str::<KeptRow>(&text).expect("is a row"), row);
    }
}

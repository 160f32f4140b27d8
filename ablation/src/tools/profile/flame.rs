//! Flame graphs of two cells and of their difference, as SVG, with the folded stacks beside them.

use super::sample::Sampled;
use super::shares::Stacks;
use crate::tools::cells::CellsError;
use inferno::{differential, flamegraph};
use std::io;
use std::path::Path;

/// Writes everything to a folder and returns what was written, one line for people each.
pub(super) fn write(
    out: &Path,
    names: &[String; 2],
    both: &[Sampled; 2],
    unit: &str,
) -> Result<Vec<String>, CellsError> {
    let mut said = Vec::new();
    let mut keep = |name: String, about: &str, bytes: io::Result<Vec<u8>>| {
        let path = out.join(&name);
        let bytes = bytes.map_err(CellsError::io(&path, "drawing the graph"))?;
        std::fs::write(&path, bytes).map_err(CellsError::io(&path, "writing the file"))?;
        said.push(format!("{name}: {about}"));
        Ok::<(), CellsError>(())
    };
    let files = names.each_ref().map(|name| name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-"));
    for ((name, file), sampled) in names.iter().zip(&files).zip(both) {
        let lines = lines(&sampled.stacks);
        keep(format!("{file}.svg"), &format!("flame graph of {name}"), graph(&lines, name, unit))?;
        keep(format!("{file}.folded"), &format!("stacks of {name}, for other tools"), Ok(lines.into_bytes()))?;
    }
    let [before, after] = both.each_ref().map(|sampled| lines(&sampled.stacks));
    let title = format!("{} against {}", names[1], names[0]);
    let name = format!("{}-against-{}.svg", files[1], files[0]);
    keep(name, "differential flame graph", difference(&before, &after, &title, unit))?;
    Ok(said)
}

fn lines(stacks: &Stacks) -> String {
    stacks.iter().map(|(stack, n)| format!("{stack} {n}\n")).collect()
}

fn options<'a>(title: &str, unit: &str) -> flamegraph::Options<'a> {
    let mut options = flamegraph::Options::default();
    options.title = title.to_owned();
    options.count_name = unit.to_owned();
    // The same samples give the same file.
    options.deterministic = true;
    options
}

fn graph(lines: &str, title: &str, unit: &str) -> io::Result<Vec<u8>> {
    let mut svg = Vec::new();
    if !lines.is_empty() {
        flamegraph::from_lines(&mut options(title, unit), lines.lines(), &mut svg)?;
    }
    Ok(svg)
}

/// Widths are those of `after`; both are scaled to the same total first.
fn difference(before: &str, after: &str, title: &str, unit: &str) -> io::Result<Vec<u8>> {
    let mut both = Vec::new();
    let normal = differential::Options { normalize: true, strip_hex: true };
    differential::from_readers(normal, before.as_bytes(), after.as_bytes(), &mut both)?;
    graph(&String::from_utf8_lossy(&both), title, unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_are_drawn_with_their_frames_and_are_the_same_twice() {
        let svg = graph("main;work 30\nmain;rest 10\n", "the title", "samples").expect("draws");
        let text = String::from_utf8(svg.clone()).expect("is text");
        for part in ["<svg", "the title", "work (30 samples, 75.00%)"] {
            assert!(text.contains(part), "no `{part}` in the graph");
        }
        assert_eq!(graph("main;work 30\nmain;rest 10\n", "the title", "samples").expect("draws"), svg);
    }

    #[test]
    fn a_difference_compares_shares_and_not_numbers_of_samples() {
        let same = difference("main;work 30\nmain;rest 10\n", "main;work 3\nmain;rest 1\n", "t", "samples");
        let same = String::from_utf8(same.expect("draws")).expect("is text");
        assert!(!same.contains("%; +") && !same.contains("%; -"), "shares are equal");
        let grown = difference("main;work 30\nmain;rest 10\n", "main;work 10\nmain;rest 30\n", "t", "samples");
        let grown = String::from_utf8(grown.expect("draws")).expect("is text");
        assert!(grown.contains("%; +50.00%") && grown.contains("%; -50.00%"), "{grown}");
    }

    #[test]
    fn files_are_named_after_cells() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let names = ["baseline".to_owned(), "no-red@env".to_owned()];
        let mut both = [Sampled::default(), Sampled::default()];
        both.iter_mut().for_each(|sampled| sampled.add(Stacks::from([("main;x".to_owned(), 4)]), 1));
        let said = write(dir.path(), &names, &both, "samples").expect("writes");
        assert_eq!(said.len(), 5);
        for file in ["baseline.svg", "baseline.folded", "no-red-env.svg", "no-red-env-against-baseline.svg"] {
            assert!(std::fs::metadata(dir.path().join(file)).expect("is there").len() > 0, "{file}");
        }
    }
}

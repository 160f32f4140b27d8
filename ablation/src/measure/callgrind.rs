//! Output files of callgrind: the totals of a process, and the cost of each function under its callers.
//!
//! The format is that of the Valgrind manual, "Callgrind Format Specification", version 1.

use std::collections::BTreeMap;

/// Names of counts without the prefix `callgrind-`, and the events that each is the sum of.
pub(crate) const COUNTS: [(&str, &[&str]); 7] = [
    ("instructions", &["Ir"]),
    ("data-refs", &["Dr", "Dw"]),
    ("l1i-misses", &["I1mr"]),
    ("l1d-misses", &["D1mr", "D1mw"]),
    ("llc-misses", &["ILmr", "DLmr", "DLmw"]),
    ("branches", &["Bc", "Bi"]),
    ("branch-misses", &["Bcm", "Bim"]),
];

/// Adds the totals of one output file to `counts`, by instrument name.
///
/// # Errors
/// The reason why the text is not a finished output, in one line.
pub(crate) fn add_totals(text: &str, counts: &mut BTreeMap<String, u64>) -> Result<(), String> {
    let events: Vec<&str> = match text.lines().find_map(|line| line.strip_prefix("events:")) {
        Some(names) => names.split_whitespace().collect(),
        None => return Err("callgrind wrote no line `events:`, as when it is ended early; run it again".to_owned()),
    };
    let mut seen = false;
    // One line per part of the run: callgrind begins another part when it is asked to dump.
    for line in text.lines().filter_map(|line| line.strip_prefix("totals:")) {
        seen = true;
        let values: Option<Vec<u64>> = line.split_whitespace().map(|value| value.parse().ok()).collect();
        let values = values.ok_or_else(|| format!("callgrind's totals are not numbers: `{}`", line.trim()))?;
        for (name, parts) in COUNTS {
            let place = |event: &&str| events.iter().position(|known| known == event);
            if parts.iter().all(|event| place(event).is_some()) {
                // Zeros at the end of a line are left out.
                let at = parts.iter().filter_map(place).map(|at| values.get(at).copied().unwrap_or(0));
                *counts.entry(format!("callgrind-{name}")).or_insert(0) += at.sum::<u64>();
            }
        }
    }
    match seen {
        true => Ok(()),
        false => Err("callgrind wrote no line `totals:`, as when it is ended early; run it again".to_owned()),
    }
}

/// The cost of the first event (instructions) by stack, the outermost caller first and `;` between, from an output of
/// `--separate-callers=N`. Code that was inlined from another file has a frame `inlined from FILE` of its own.
pub(crate) fn stacks(text: &str) -> BTreeMap<String, u64> {
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line);
    }
    reader.stacks
}

#[derive(Default)]
struct Reader {
    /// Names by their numbers. A name is in the text once, and its number stands for it from then on.
    files: BTreeMap<String, String>,
    functions: BTreeMap<String, String>,
    /// File of the function.
    home: String,
    /// File of the next costs.
    file: String,
    function: String,
    is_call: bool,
    started: bool,
    stacks: BTreeMap<String, u64>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "fn" => self.function = named(&mut self.functions, value),
                "fl" => {
                    self.home = named(&mut self.files, value);
                    self.file = self.home.clone();
                }
                "fi" | "fe" => self.file = named(&mut self.files, value),
                "cfn" => drop(named(&mut self.functions, value)),
                "cfi" | "cfl" => drop(named(&mut self.files, value)),
                "calls" => self.is_call = true,
                _ => {}
            }
            self.started |= key == "fn";
            return;
        }
        let is_cost = line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*'));
        if !is_cost || !self.started {
            return;
        }
        // The line after `calls=` is the cost of the callee, which its own lines have once more.
        if std::mem::take(&mut self.is_call) {
            return;
        }
        if let Some(cost) = line.split_whitespace().nth(1).and_then(|cost| cost.parse().ok()) {
            self.add(cost);
        }
    }

    fn add(&mut self, cost: u64) {
        // `f'caller'callers-caller`, and `f'2` for a recursion.
        let mut frames: Vec<&str> = self.function.split('\'').filter(|part| part.parse::<u32>().is_err()).collect();
        frames.reverse();
        let mut stack = frames.join(";");
        if self.file != self.home && !self.file.is_empty() {
            stack += &format!(";inlined from {}", self.file.replace(';', ":"));
        }
        *self.stacks.entry(stack).or_insert(0) += cost;
    }
}

/// The name in a value: `(3) name` gives a name its number, and `(3)` stands for that name.
fn named(names: &mut BTreeMap<String, String>, value: &str) -> String {
    let Some((number, name)) = value.strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
        return value.to_owned();
    };
    let name = name.trim();
    if name.is_empty() {
        return names.get(number).cloned().unwrap_or_default();
    }
    names.insert(number.to_owned(), name.to_owned());
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = include_str!("fixtures/callgrind.out");
    const CALLERS: &str = include_str!("fixtures/callgrind-callers.out");

    #[test]
    fn totals_of_a_real_output_are_read() {
        let mut counts = BTreeMap::new();
        add_totals(REAL, &mut counts).expect("a real output");
        let count = |name: &str| counts[&format!("callgrind-{name}")];
        // What callgrind itself printed at the end of this run.
        assert_eq!((count("instructions"), count("data-refs")), (618_298_214, 288_100_643));
        assert_eq!((count("l1i-misses"), count("l1d-misses"), count("llc-misses")), (1_667, 2_795, 3_798));
        assert_eq!((count("branches"), count("branch-misses")), (90_056_690, 5_273));
        add_totals(REAL, &mut counts).expect("a real output");
        assert_eq!(counts["callgrind-instructions"], 2 * 618_298_214, "two processes add up");
    }

    #[test]
    fn a_count_that_was_not_finished_or_not_simulated_is_not_0() {
        let mut counts = BTreeMap::new();
        assert!(add_totals("version: 1\n", &mut counts).expect_err("no events").contains("ended early"));
        assert!(add_totals("events: Ir\nfn=(1) x\n", &mut counts).expect_err("no totals").contains("totals"));
        assert!(add_totals("events: Ir\ntotals: many\n", &mut counts).expect_err("no numbers").contains("many"));
        add_totals("events: Ir\ntotals: 12\n", &mut counts).expect("instructions only");
        assert_eq!(counts, BTreeMap::from([("callgrind-instructions".to_owned(), 12)]));
    }

    #[test]
    fn stacks_of_a_real_output_add_up_to_its_total() {
        let stacks = stacks(CALLERS);
        let total = CALLERS.lines().find_map(|line| line.strip_prefix("summary: ")).expect("a summary");
        assert_eq!(stacks.values().sum::<u64>(), total.trim().parse::<u64>().expect("a number"));
        let work: u64 = stacks.iter().filter(|(stack, _)| stack.contains("outer;t::work")).map(|(_, n)| n).sum();
        assert!(work * 10 > total.trim().parse::<u64>().expect("a number") * 5, "{stacks:#?}");
    }

    #[test]
    fn callees_are_not_counted_twice_and_inlined_files_are_seen() {
        let text = "events: Ir\nfl=(1) a.rs\nfn=(1) main\n1 5\ncfi=(2) b.rs\ncfn=(2) work'main\ncalls=1 7\n2 40\n\
                    fl=(2)\nfn=(2)\n7 30\nfi=(3) c;d.rs\n9 10\nfe=(2)\n+1 0\n";
        let expected = [("main", 5), ("main;work", 30), ("main;work;inlined from c:d.rs", 10)];
        assert_eq!(stacks(text), expected.map(|(stack, cost)| (stack.to_owned(), cost)).into());
    }
}

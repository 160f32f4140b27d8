//! What differs between two folders besides their values: pure.

use crate::support::count::counted;
use crate::tools::results::SETTINGS;
use ablate_format::{BuildRecord, BuiltBinary, CellPlan, Manifest, WorkloadPlan};
use std::collections::BTreeSet;

/// Facts that differ from hour to hour and change nothing, or that are told elsewhere.
const TOLD_ELSEWHERE: [&str; 5] = ["load", "steal_percent", "commit", "rustc", "uncommitted-changes"];
/// Settings of the subject that decide what a run does, besides arguments and environment, which cells have.
const WORK: [&str; 10] = [
    "stdin",
    "before_run",
    "after_run",
    "before_block",
    "server",
    "warm_up",
    "run_in",
    "scratch_in",
    "allow_env",
    "accept_exit",
];
/// Facts of files that runs read.
const INPUTS: [&str; 2] = ["stdin-sha256", "client-sha256"];
/// Keys of a workload that change no run of it.
const NO_WORK: [&str; 3] = ["about", "designs", "name"];
/// Most keys of the config that are named.
const KEYS_MAX: usize = 8;
/// Digits of a commit for people.
const SHORT: usize = 10;

/// Two manifests.
#[derive(Clone, Copy)]
pub(super) struct Both<'a> {
    pub(super) old: &'a Manifest,
    pub(super) new: &'a Manifest,
}

impl<'a> Both<'a> {
    fn fact(self, name: &str) -> [Option<&'a str>; 2] {
        [self.old, self.new].map(|manifest| manifest.machine.facts.get(name).and_then(Option::as_deref))
    }

    /// Facts of a machine's settings that differ: what every program of a session is subject to.
    pub(super) fn settings(self) -> Vec<&'static str> {
        let differs = |name: &&str| {
            let [old, new] = self.fact(name);
            old != new
        };
        SETTINGS.into_iter().filter(differs).collect()
    }

    /// Everything that differs, a line each.
    pub(super) fn lines(self) -> Vec<String> {
        let mut out = Vec::new();
        let mut fact = |name: &str, shown: &dyn Fn(&str) -> String| {
            let [old, new] = self.fact(name);
            if old != new {
                let show = |value: Option<&str>| value.map_or_else(|| "not known".to_owned(), shown);
                out.push(format!("{name}: {} → {}", show(old), show(new)));
            }
        };
        fact("commit", &|commit| short(commit).to_owned());
        let whole = |text: &str| text.to_owned();
        fact("uncommitted-changes", &whole);
        fact("rustc", &whole);
        let names = self.old.machine.facts.keys().chain(self.new.machine.facts.keys());
        let names: BTreeSet<&str> = names.map(String::as_str).filter(|name| !TOLD_ELSEWHERE.contains(name)).collect();
        for name in names {
            fact(name, &|value| if name.ends_with("sha256") { short(value).to_owned() } else { value.to_owned() });
        }
        if self.old.study != self.new.study {
            out.push(format!("study: {} → {}", self.old.study, self.new.study));
        }
        out.extend(self.config());
        let [_, other] = self.binaries();
        out.extend(other);
        if self.old.plan.layouts != self.new.plan.layouts {
            out.push(format!("code layouts: {} → {}", self.old.plan.layouts, self.new.plan.layouts));
        }
        out
    }

    /// Keys of the config that differ.
    fn config(self) -> Option<String> {
        let (old, new) = (self.old.config_text.parse::<toml::Table>(), self.new.config_text.parse::<toml::Table>());
        let (Ok(old), Ok(new)) = (old, new) else {
            let is_equal = self.old.config_text == self.new.config_text;
            return (!is_equal).then(|| "config: differs, and one of both cannot be read".to_owned());
        };
        let mut keys = Vec::new();
        changed("", &toml::Value::Table(old), &toml::Value::Table(new), &mut keys);
        let more = keys.len().saturating_sub(KEYS_MAX);
        let more = if more > 0 { format!(" and {}", counted(more, "more key")) } else { String::new() };
        keys.truncate(KEYS_MAX);
        (!keys.is_empty()).then(|| format!("config: {}{more} changed", keys.join(", ")))
    }

    /// Everything that is worth saying that it is the same, a line each.
    pub(super) fn alike(self) -> Vec<String> {
        let [equal, _] = self.binaries();
        equal.into_iter().collect()
    }

    /// Which builds are the same, and which differ.
    fn binaries(self) -> [Option<String>; 2] {
        let same = |build: &&BuildRecord| self.is_same_build(&build.id, &build.id);
        let both = || self.old.builds.iter().filter(|build| self.new.builds.iter().any(|new| new.id == build.id));
        let (equal, other): (Vec<&BuildRecord>, Vec<&BuildRecord>) = both().partition(same);
        let line = |builds: &[&BuildRecord], what: [&str; 2]| {
            let names: Vec<&str> = builds.iter().map(|build| build.id.as_str()).take(KEYS_MAX).collect();
            let more = builds.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (count, what) = if builds.len() == 1 {
                ("1 binary".to_owned(), what[0])
            } else {
                (format!("{} binaries", builds.len()), what[1])
            };
            (!builds.is_empty()).then(|| format!("{count} {what}: {}{more}", names.join(", ")))
        };
        [line(&equal, ["has the same code", "have the same code"]), line(&other, ["differs", "differ"])]
    }

    /// Whether both have the same machine code in every layout.
    fn is_same_build(self, old: &str, new: &str) -> bool {
        let codes = |manifest: &'a Manifest, id: &str| -> Option<Vec<&'a str>> {
            let build = manifest.builds.iter().find(|build| build.id == id)?;
            let first = build.result.as_ref().ok()?;
            Some([first].into_iter().chain(&build.layouts).map(BuiltBinary::code).collect())
        };
        let (old, new) = (codes(self.old, old), codes(self.new, new));
        // A hash that is missing is no evidence.
        old.is_some() && old == new && old.is_some_and(|codes| codes.iter().all(|code| !code.is_empty()))
    }

    /// Whether a cell runs the same binary with the same libraries, whatever its arguments.
    pub(super) fn is_same_binary(self, id: &str) -> bool {
        let Some((old, new)) = self.cells(id) else { return false };
        let libraries = |manifest: &'a Manifest, cell: &CellPlan| -> Vec<&'a str> {
            let own = manifest.libraries.iter().filter(|library| library.peer == cell.name);
            own.map(|library| library.sha256.as_str()).collect()
        };
        self.is_same_build(&old.build, &new.build) && libraries(self.old, old) == libraries(self.new, new)
    }

    fn cells(self, id: &str) -> Option<(&'a CellPlan, &'a CellPlan)> {
        let of = |manifest: &'a Manifest| manifest.plan.cells.iter().find(|cell| cell.id == id);
        of(self.old).zip(of(self.new))
    }

    /// Why a cell is another one than before, though it has the same name.
    pub(super) fn changed_cell(self, id: &str) -> Option<String> {
        let (old, new) = self.cells(id)?;
        if !are_same(&old.args, &new.args) {
            return Some(format!("the arguments of `{id}` changed: {} → {}", words(&old.args), words(&new.args)));
        }
        let env = |cell: &CellPlan| -> Vec<String> {
            cell.env.iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        if !are_same(&env(old), &env(new)) {
            return Some(format!("the environment of `{id}` changed: {} → {}", words(&env(old)), words(&env(new))));
        }
        (old.levels != new.levels).then(|| format!("the levels of `{id}` changed"))
    }

    /// Why a workload is another one than before, though it has the same name.
    pub(super) fn changed_workload(self, name: &str) -> Option<String> {
        let of = |manifest: &'a Manifest| manifest.plan.workloads.iter().find(|workload| workload.name == name);
        let (old, new) = (of(self.old)?, of(self.new)?);
        if old.response != new.response {
            let (old, new) = (old.response.as_str(), new.response.as_str());
            return Some(format!("workload `{name}` is judged by another response: {old} → {new}"));
        }
        if !are_same(&old.args, &new.args) {
            return Some(format!(
                "the arguments of workload `{name}` changed: {} → {}",
                words(&old.args),
                words(&new.args)
            ));
        }
        if (&old.benchmark, old.output) != (&new.benchmark, new.output) {
            return Some(format!("workload `{name}` is another benchmark, or its output is judged otherwise"));
        }
        let table = |manifest: &Manifest, plan: &WorkloadPlan| workload_table(&manifest.config_text, &plan.name);
        let (before, after) = (table(self.old, old)?, table(self.new, new)?);
        let mut keys = Vec::new();
        changed("", &before, &after, &mut keys);
        keys.retain(|key| !NO_WORK.contains(&key.as_str()) && key != "args");
        (!keys.is_empty()).then(|| format!("the definition of workload `{name}` changed: {}", keys.join(", ")))
    }

    /// Why no run of the subject is what it was: its surroundings or its input changed.
    pub(super) fn changed_surroundings(self) -> Option<String> {
        for name in INPUTS {
            let [old, new] = self.fact(name);
            if old != new && old.is_some() && new.is_some() {
                return Some(format!("{} changed", name.trim_end_matches("-sha256")));
            }
        }
        let subject = |manifest: &Manifest| -> Option<toml::Table> {
            Some(manifest.config_text.parse::<toml::Table>().ok()?.get("subject")?.as_table()?.clone())
        };
        let (old, new) = (subject(self.old)?, subject(self.new)?);
        let differs = |key: &&&str| old.get(**key) != new.get(**key);
        WORK.iter().find(differs).map(|key| format!("`{key}` of the subject changed"))
    }
}

fn workload_table(config: &str, name: &str) -> Option<toml::Value> {
    let config: toml::Table = config.parse().ok()?;
    let all = config.get("workload")?.as_array()?;
    all.iter().find(|table| table.get("name").and_then(toml::Value::as_str) == Some(name)).cloned()
}

/// Names of the keys that differ, down to those of tables; entries of a list of tables by their name.
fn changed(at: &str, old: &toml::Value, new: &toml::Value, out: &mut Vec<String>) {
    if old == new {
        return;
    }
    let named = |value: &toml::Value| -> Option<toml::Table> {
        let entries = value.as_array()?.iter().map(|entry| {
            let name = entry.as_table()?.get("name")?.as_str()?;
            Some((name.to_owned(), entry.clone()))
        });
        entries.collect()
    };
    let tables = match (old.as_table().cloned(), new.as_table().cloned()) {
        (Some(old), Some(new)) => Some((old, new)),
        _ => named(old).zip(named(new)),
    };
    let Some((old, new)) = tables else { return out.push(at.to_owned()) };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => changed(&path, old, new, out),
            _ => out.push(path),
        }
    }
}

/// Whether two lists of words are the same, as far as an archived copy tells, in which paths of the machine are cut.
fn are_same(old: &[String], new: &[String]) -> bool {
    let ends = |text: &str| text.matches(ENDS).collect::<String>();
    let is_same = |(old, new): (&String, &String)| {
        ends(old) == ends(new) && old.split(ENDS).zip(new.split(ENDS)).all(|(old, new)| is_same_path(old, new))
    };
    old.len() == new.len() && old.iter().zip(new).all(is_same)
}

/// What divides the paths of a word, as in `LIBRARIES=/a/x.so:/b/y.so`.
const ENDS: [char; 4] = ['=', ':', ',', ' '];

/// Whether two texts are equal, or one is what archiving makes of the other: cut before its last part, or relative to a
/// folder above it.
fn is_same_path(old: &str, new: &str) -> bool {
    let is_cut = |text: &str| text.starts_with("…/");
    let last = |text: &str| text.rsplit_once('/').map(|(_, last)| last.to_owned());
    let is_part = |part: &str, path: &str| {
        let is_relative = !part.is_empty() && !part.starts_with('/');
        is_relative && path.starts_with('/') && path.strip_suffix(part).is_some_and(|above| above.ends_with('/'))
    };
    let are_cut = (is_cut(old) || is_cut(new)) && last(old).is_some() && last(old) == last(new);
    old == new || are_cut || is_part(old, new) || is_part(new, old)
}

fn words(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { format!("`{}`", words.join(" ")) }
}

/// The beginning of a commit or of a hash.
pub(super) fn short(text: &str) -> &str {
    let is_hash = text.len() > SHORT && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { &text[..SHORT] } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::manifest;

    fn both(change: impl FnOnce(&mut Manifest)) -> (Manifest, Manifest) {
        let mut new = manifest();
        change(&mut new);
        (manifest(), new)
    }

    #[test]
    fn what_is_equal_is_no_difference() {
        let (old, new) = both(|_| {});
        let both = Both { old: &old, new: &new };
        let (lines, alike) = (both.lines(), both.alike());
        assert!(lines.is_empty() && alike.len() == 1 && alike[0].contains("the same code"), "{lines:?} {alike:?}");
    }

    #[test]
    fn facts_keys_and_binaries_that_differ_are_named() {
        let (mut old, mut new) = both(|new| {
            new.builds[0].result.as_mut().expect("built").sha256 = "11".to_owned();
            new.config_text = new.config_text.replace("blocks = 3", "blocks = 9");
        });
        let fact = |manifest: &mut Manifest, name: &str, value: &str| {
            manifest.machine.facts.insert(name.to_owned(), Some(value.to_owned()));
        };
        fact(&mut old, "commit", &"a".repeat(40));
        fact(&mut new, "commit", &"b".repeat(40));
        fact(&mut old, "load", "1 1 1");
        fact(&mut new, "kernel", "7.0");
        let differs = Both { old: &old, new: &new };
        let lines = differs.lines();
        for part in ["commit: aaaaaaaaaa → bbbbbbbbbb", "kernel: not known → 7.0", "1 binary differs: "] {
            assert!(lines.iter().any(|line| line.starts_with(part)), "{part}: {lines:?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("load")), "{lines:?}");
        assert_eq!(differs.settings(), ["kernel"]);
        let baseline = &old.plan.cells[0];
        assert!(!differs.is_same_binary(&baseline.id), "{lines:?}");
    }

    #[test]
    fn keys_are_named_by_their_tables() {
        let parsed = |text: &str| toml::Value::Table(text.parse().expect("is TOML"));
        let (old, new) = (
            parsed("a = 1\n[subject]\nstdin = \"x\"\n[[workload]]\nname = \"w\"\nargs = [\"1\"]"),
            parsed(
                "a = 2\n[subject]\nstdin = \"y\"\n[[workload]]\nname = \"w\"\nargs = [\"2\"]\n[[workload]]\nname = \"v\"",
            ),
        );
        let mut keys = Vec::new();
        changed("", &old, &new, &mut keys);
        assert_eq!(keys, ["a", "subject.stdin", "workload.v", "workload.w.args"]);
    }

    #[test]
    fn a_changed_workload_or_cell_is_told() {
        let (old, new) = both(|new| {
            new.plan.workloads[0].args = vec!["--other".to_owned()];
            new.plan.cells[0].env.insert("X".to_owned(), "1".to_owned());
        });
        let both = Both { old: &old, new: &new };
        let name = &old.plan.workloads[0].name;
        assert!(both.changed_workload(name).expect("changed").contains("→ `--other`"));
        assert_eq!(both.changed_workload(&old.plan.workloads[1].name), None);
        assert!(both.changed_cell(&old.plan.cells[0].id).expect("changed").contains("X=1`"));
        assert_eq!(both.changed_surroundings(), None);
    }

    #[test]
    fn a_copy_whose_paths_are_cut_is_the_same() {
        let same = |old: &str, new: &str| are_same(&[old.to_owned()], &[new.to_owned()]);
        assert!(same("/a/b/input.txt", "…/input.txt") && same("/a/b/input.txt", "b/input.txt"));
        assert!(same("LD_PRELOAD=/x/y.so", "LD_PRELOAD=…/y.so"));
        assert!(!same("/a/b/input.txt", "…/other.txt") && !same("/a/x", "/b/x") && !same("A=…/x", "B=/a/x"));
        assert!(same("L=/x/a.so:/y/b.so", "L=…/a.so:y/b.so") && !same("L=/x/a.so:/y/b.so", "L=…/c.so:y/b.so"));
        assert!(!same("1", "2"));
        // Whole on both sides.
        for (old, new) in [("small/input.txt", "large/input.txt"), ("--share=1/3", "--share=2/3"), ("/a/b/x", "c/x")] {
            assert!(!same(old, new), "{old} {new}");
        }
    }
}

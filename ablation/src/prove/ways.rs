//! Ways to prove the switch of a factor that has no counter, as far as they fit the subject: what the report offers where
//! an effect is measured and unproven.

use ablate_format::{FactorPlan, Manifest};

/// What the outputs of a workload's runs are good for as a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Outputs {
    /// There are none: a result line stands in their place.
    #[default]
    None,
    /// The config does not look at them.
    Ignored,
    /// The baseline prints the same in all of its runs.
    Steady,
    /// The baseline prints different things, such as times, process ids or addresses.
    Varying,
}

/// What is measured, as far as proofs depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Command,
    Build,
    Package,
    Harness,
    Server { reads_back: bool },
}

impl Subject {
    /// From the text of the config that the manifest holds.
    fn of(config: &str) -> Subject {
        let config: toml::Table = config.parse().unwrap_or_default();
        let Some(subject) = config.get("subject") else { return Subject::Command };
        match subject.get("server") {
            Some(server) => Subject::Server { reads_back: server.get("read_back").is_some() },
            None if subject.get("harness").is_some() => Subject::Harness,
            None if subject.get("build").is_some() => Subject::Build,
            None if subject.get("package").is_some() => Subject::Package,
            None => Subject::Command,
        }
    }
}

/// Every way to prove the switch of a factor, in one line that can be pasted from.
pub(crate) fn ways(manifest: &Manifest, factor: &str, outputs: Outputs) -> String {
    let planned = manifest.plan.factors.iter().find(|planned| planned.name == factor);
    let mut ways: Vec<String> = Vec::new();
    let subject = Subject::of(&manifest.config_text);
    match subject {
        Subject::Server { reads_back: true } => {
            ways.push("let `read_back` print what the levels set, in one order, and nothing else".to_owned())
        }
        Subject::Server { reads_back: false } => ways.push(
            "read_back = [\"CLIENT\", \"ARGUMENTS\"] in [subject.server], a client that asks the running server for \
             what the levels set"
                .to_owned(),
        ),
        Subject::Harness => ways
            .push("levels of different binaries, by `features` or a setting of the build such as opt-level".to_owned()),
        Subject::Command | Subject::Build | Subject::Package => {
            ways.push(counter(factor, planned));
            ways.extend(exact_counts(manifest));
            ways.extend(by_output(outputs));
            match subject {
                Subject::Package => ways.push(format!("a Cargo feature as the switch, feature = \"{factor}\"")),
                Subject::Build => {
                    ways.push("build_args or build_env in the levels, which make two binaries".to_owned())
                }
                _ => {}
            }
        }
    }
    let mut line = ways.join("; or ");
    if outputs == Outputs::Varying {
        line += ". Its output varies by itself, so it proves nothing and is not compared: output = \"ignored\" in \
                 [[workload]] says so";
    }
    line
}

/// A counter that the program prints, with the shortest line that proves it.
fn counter(factor: &str, planned: Option<&FactorPlan>) -> String {
    let works = planned.and_then(|planned| planned.levels.iter().find(|level| super::alone::works(level)));
    let level = works.map_or("on", String::as_str);
    format!(
        "proof = [\"{factor}.COUNTER\"] in its [[factor]], where the program's last line is {{\"levels\": {{\"{factor}\": \
         \"{level}\"}}, \"counters\": {{\"{factor}\": {{\"COUNTER\": 1}}}}}}, and 0 when it is off"
    )
}

/// The exact counts of valgrind, where they are not taken yet.
fn exact_counts(manifest: &Manifest) -> Option<String> {
    let ours = |name: &str| name.starts_with("callgrind");
    match manifest.instruments.iter().find(|instrument| ours(&instrument.name)) {
        None => Some("instruments = [\"perf\", \"callgrind\"], the exact counts of valgrind".to_owned()),
        Some(instrument) => match &instrument.unavailable {
            Some(why) => Some(format!("callgrind, which is not possible so far: {why}")),
            None if number(&manifest.config_text, "counting_repeats") == Some(0) => {
                Some("counting_repeats = 2, so that callgrind counts".to_owned())
            }
            None => Some(
                "counts of callgrind, where they differ from run to run so far: switch off what makes them, such as \
                 hash seeds"
                    .to_owned(),
            ),
        },
    }
}

/// A number at the top level of a config.
fn number(config: &str, key: &str) -> Option<i64> {
    config.parse::<toml::Table>().ok()?.get(key)?.as_integer()
}

/// An output that differs between the levels.
fn by_output(outputs: Outputs) -> Option<String> {
    let may_differ = "output = \"may-differ\" in [[workload]], where the program prints what is set";
    matches!(outputs, Outputs::Ignored | Outputs::Steady).then(|| may_differ.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;

    fn said(config: &str, change: impl FnOnce(&mut Study), outputs: Outputs) -> String {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.config_text = config.to_owned();
        change(&mut study);
        ways(&study.manifest, "cache", outputs)
    }

    #[test]
    fn a_program_can_be_proven_by_a_counter_valgrind_and_its_output() {
        let said = said("[subject]\ncommand = [\"x\"]\n", |_| (), Outputs::Steady);
        for way in [
            "proof = [\"cache.COUNTER\"] in its [[factor]], where the program's last line is {\"levels\": {\"cache\": \"on\"}, \
             \"counters\": {\"cache\": {\"COUNTER\": 1}}}",
            "; or instruments = [\"perf\", \"callgrind\"], the exact counts",
            "; or output = \"may-differ\" in [[workload]]",
        ] {
            assert!(said.contains(way), "{said}");
        }
    }

    #[test]
    fn valgrind_that_is_listed_and_does_not_count_is_to_count() {
        let callgrind = |study: &mut Study| {
            let mut instrument = study.manifest.instruments[0].clone();
            (instrument.name, instrument.unavailable) = ("callgrind-instructions".to_owned(), None);
            study.manifest.instruments.push(instrument);
        };
        let uncounted = said("counting_repeats = 0\n[subject]\ncommand = [\"x\"]\n", callgrind, Outputs::Varying);
        assert!(uncounted.contains("counting_repeats = 2, so that callgrind counts"), "{uncounted}");
    }

    #[test]
    fn an_output_that_varies_is_no_way_and_is_said_to_be_none() {
        let said = said("[subject]\ncommand = [\"x\"]\n", |_| (), Outputs::Varying);
        assert!(
            !said.contains("may-differ") && said.ends_with("output = \"ignored\" in [[workload]] says so"),
            "{said}"
        );
    }

    #[test]
    fn a_server_is_proven_by_what_it_reads_back_and_a_harness_by_its_binaries() {
        let server = said("[subject.server]\ncommand = [\"x\"]\n", |_| (), Outputs::None);
        assert!(server.starts_with("read_back = [") && !server.contains("callgrind"), "{server}");
        let server = said("[subject.server]\nread_back = [\"x\"]\n", |_| (), Outputs::None);
        assert!(server.starts_with("let `read_back` print"), "{server}");
        let harness = said("[subject]\npackage = \"x\"\nharness = \"criterion\"\n", |_| (), Outputs::None);
        assert!(harness.contains("different binaries") && !harness.contains("proof ="), "{harness}");
    }

    #[test]
    fn only_what_is_built_can_have_two_binaries_and_callgrind_is_offered_once() {
        let package = said("[subject]\npackage = \"x\"\n", |_| (), Outputs::Steady);
        assert!(package.contains("feature = \"cache\""), "{package}");
        let callgrind = |unavailable: Option<&str>| {
            said(
                "[subject.build]\ncommand = [\"make\"]\n",
                |study| {
                    let mut instrument = study.manifest.instruments[0].clone();
                    instrument.name = "callgrind-instructions".to_owned();
                    instrument.unavailable = unavailable.map(str::to_owned);
                    study.manifest.instruments.push(instrument);
                },
                Outputs::Steady,
            )
        };
        assert!(
            callgrind(None).contains("counts of callgrind, where") && callgrind(None).contains("build_args"),
            "{}",
            callgrind(None)
        );
        assert!(callgrind(Some("install valgrind")).contains("so far: install valgrind"));
    }
}

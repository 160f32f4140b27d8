//! Rules of benchmark harnesses: which keys they need, and which say something that no harness reports.

use super::check::{Checked, Checker};
use super::raw;
use super::study::Subject;
use crate::harness::Harness;
use toml::Spanned;

impl Checker<'_> {
    /// The harness of a subject. Its keys are checked against each other.
    pub(super) fn harness(&self, raw: &raw::Subject) -> Checked<Option<Harness>> {
        let Some(name) = &raw.harness else {
            return match [("bench", &raw.bench), ("filter", &raw.filter)]
                .into_iter()
                .find_map(|(key, text)| Some((key, text.as_ref()?)))
            {
                Some((key, text)) => self.fail(
                    text.span(),
                    format!(
                        "`{key}` is about the benchmarks of a harness; add `harness`, like \"criterion\", or remove it"
                    ),
                ),
                None => Ok(None),
            };
        };
        let known = Harness::ALL.iter().map(|known| known.as_str());
        let harness = Harness::ALL[self.known("harness", name, known)?];
        if let Some(package) = raw.package.as_ref().filter(|_| !harness.is_built_by_cargo()) {
            let message = format!("{} is no harness of Cargo packages; write `command` instead", harness.as_str());
            return self.fail(package.span(), message);
        }
        if let (Some(_), None) = (&raw.package, &raw.bench) {
            let message = "the harness of a package needs `bench`, the name of its [[bench]] target or of a file in \
                           its folder `benches`";
            return self.fail(name.span(), message);
        }
        if let Some(binary) = &raw.binary {
            return self.fail(binary.span(), "`bench` names the target of a harness; remove `binary`");
        }
        let unknown = [
            ("idle_args", raw.idle_args.as_ref().map(|args| args.first().map_or(name.span(), Spanned::span))),
            ("counting_args", raw.counting_args.first().map(Spanned::span)),
            ("served_by", raw.served_by.as_ref().map(|_| name.span())),
        ];
        if let Some((key, span)) = unknown.into_iter().find_map(|(key, span)| Some((key, span?))) {
            return self.fail(span, format!("no harness has a use for `{key}`; remove it"));
        }
        if let Some(filter) = &raw.filter
            && let Err(error) = regex::Regex::new(filter.get_ref())
        {
            // The lines before the last one repeat the text.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            return self.fail(filter.span(), format!("`filter` is no regular expression: {why}"));
        }
        Ok(Some(harness))
    }

    /// Refuses what a harness cannot report: counters of factors, and events per operation.
    pub(super) fn fits_harness(&self, raw: &raw::Study, subject: &Subject) -> Checked<()> {
        if subject.harness.is_none() {
            return Ok(());
        }
        if let Some(proof) = raw.factors.iter().find_map(|factor| factor.get_ref().proof.as_ref()) {
            let message = "a harness reports no counters, so binaries or exact counts prove a factor; remove `proof`";
            return self.fail(proof.span(), message);
        }
        if let Some(repeats) = raw.counting_repeats.as_ref().filter(|repeats| *repeats.get_ref() > 0) {
            let message = "a harness decides how many operations it does, so the counts of a process are not per \
                           operation; remove `counting_repeats`";
            return self.fail(repeats.span(), message);
        }
        match (&raw.subject.get_ref().filter, raw.workloads.first()) {
            (Some(filter), Some(_)) => {
                self.fail(filter.span(), "`filter` chooses the workloads where none is written; remove it or them")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{Messages, check_in};
    use crate::config::{CargoTarget, Program};
    use crate::harness::Harness;
    use ablate_format::MainResponse;

    /// A study of a harness of a package.
    const GOOD: &str = r#"
study = "demo"
seed = 1
blocks = 6
arms = ["feature"]
design = ["leave-one-out"]
[subject]
package = "subject"
harness = "criterion"
bench = "speed"
[[factor]]
name = "fast"
feature = "fast"
levels = { on = {} }
"#;

    #[test]
    fn a_harness_is_a_bench_target_without_counts() {
        let study = crate::config::tests::parsed(GOOD).expect("good");
        assert_eq!((study.subject.harness, study.counting_repeats), (Some(Harness::Criterion), 0));
        let Program::Cargo(program) = &study.subject.program else { panic!("a package") };
        let is_bench = program.target == CargoTarget::Bench { libtest: false };
        assert!(is_bench && program.binary == "speed" && program.profile == "bench", "{program:?}");
        assert!(study.workloads.is_empty());
        let written = format!("{GOOD}[[workload]]\nname = \"a\"\nbenchmark = \"u64[0]/itoa\"\n");
        let study = crate::config::tests::parsed(&written).expect("good");
        assert_eq!(study.workloads[0].benchmark.as_deref(), Some("u64[0]/itoa"));
        assert_eq!(study.workloads[0].response, MainResponse::P50);
        let counts = GOOD
            .replace("criterion", "gungraun")
            .replace("[[factor]]", "[[workload]]\nname = \"a\"\nbenchmark = \"b\"\n[[factor]]");
        let study = crate::config::tests::parsed(&counts).expect("good");
        assert_eq!(study.workloads[0].response.as_str(), "value:instructions");
    }

    #[test]
    fn keys_that_do_not_fit_a_harness_are_pointed_at() {
        let mut messages = Messages::default();
        let workload = "\n[[workload]]\nname = \"w\"\nargs = []\n";
        for (from, to) in [
            ("harness = \"criterion\"", "harness = \"criterium\""),
            ("harness = \"criterion\"", "harness = \"go\""),
            ("harness = \"criterion\"\n", ""),
            ("bench = \"speed\"\n", ""),
            ("bench = \"speed\"", "bench = \"speed\"\nbinary = \"x\""),
            ("bench = \"speed\"", "bench = \"speed\"\nidle_args = [\"--no\"]"),
            ("bench = \"speed\"", "bench = \"speed\"\nserved_by = \"x\""),
            ("bench = \"speed\"", "bench = \"speed\"\nfilter = \"(\""),
            ("blocks = 6", "blocks = 6\ncounting_repeats = 2"),
            ("levels =", "proof = [\"fast.hits\"]\nlevels ="),
            ("levels = { on = {} }", &format!("levels = {{ on = {{}} }}{workload}")),
        ] {
            check_in(&mut messages, GOOD, from, to);
        }
        insta::assert_snapshot!(messages);
    }
}

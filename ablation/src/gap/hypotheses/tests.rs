//! Verdicts on claims about numbers whose truth is known.

use super::*;
use crate::gap::fixture::{exact, noisy};
use ablate_stats::bootstrap::Drawn;
use std::collections::BTreeMap;

/// One workload: parts of the gap to the peer `fast`, and cells.
#[derive(Default)]
struct Numbers {
    gap: Option<Drawn>,
    parts: BTreeMap<&'static str, Drawn>,
    cells: BTreeMap<&'static str, Drawn>,
}

impl Measured for Numbers {
    fn gap(&self, _: &str, peer: &str) -> Result<Drawn, String> {
        self.gap.clone().filter(|_| peer == "fast").ok_or_else(|| format!("{peer} has no proven run"))
    }

    fn part(&self, _: &str, _: &str, part: &str) -> Result<Drawn, String> {
        self.parts.get(part).cloned().ok_or_else(|| format!("{part} is not separated"))
    }

    fn cell(&self, _: &str, cell: &str) -> Result<Drawn, String> {
        self.cells.get(cell).cloned().ok_or_else(|| format!("`{cell}` has no proven run"))
    }

    fn ratio(&self, workload: &str, plus: &str, minus: &str) -> Result<Drawn, String> {
        Ok(self.cell(workload, plus)?.combine(&self.cell(workload, minus)?, |plus, minus| plus / minus))
    }
}

fn relative(low_percent: f64, high_percent: f64) -> HypothesisKind {
    HypothesisKind::Relative { plus: "a".to_owned(), minus: "b".to_owned(), low_percent, high_percent }
}

fn share(of: &[&str], low: f64, high: f64) -> HypothesisKind {
    let of = of.iter().map(|part| (*part).to_owned()).collect();
    HypothesisKind::Share { peer: "fast".to_owned(), of, low, high }
}

fn difference(low_ns: f64, high_ns: f64) -> HypothesisKind {
    HypothesisKind::Difference { plus: "a".to_owned(), minus: "b".to_owned(), low_ns, high_ns }
}

fn ordering(cells: &[&str]) -> HypothesisKind {
    HypothesisKind::Ordering { cells: cells.iter().map(|cell| (*cell).to_owned()).collect() }
}

fn decide_all(numbers: &Numbers, kinds: &[HypothesisKind]) -> Vec<Decision> {
    let hypothesis = |kind: &HypothesisKind| Hypothesis {
        name: "h".to_owned(),
        claim: "words".to_owned(),
        workload: "w".to_owned(),
        kind: kind.clone(),
    };
    decide(&kinds.iter().map(hypothesis).collect::<Vec<_>>(), numbers)
}

fn decided(numbers: &Numbers, kind: HypothesisKind) -> Decision {
    decide_all(numbers, &[kind]).remove(0)
}

/// A gap of 1000 ns of which `cache` is 7 %, faults 50 % and calls 15 %.
fn numbers(noise: f64) -> Numbers {
    Numbers {
        gap: Some(noisy(1_000.0, noise, 1)),
        parts: BTreeMap::from([
            ("cache", noisy(70.0, noise, 2)),
            ("page-faults", noisy(500.0, noise, 3)),
            ("system-calls", noisy(150.0, noise, 4)),
        ]),
        cells: BTreeMap::from([("a", noisy(130.0, noise, 5)), ("b", exact(100.0)), ("c", exact(90.0))]),
    }
}

#[test]
fn shares_are_decided_by_their_intervals() {
    let quiet = numbers(5.0);
    let supported = decided(&quiet, share(&["cache"], 0.05, 0.10));
    assert_eq!((supported.verdict, supported.unit), (Verdict::Supported, ClaimUnit::Share));
    assert!((supported.value.unwrap().value - 0.07).abs() < 1e-9);
    assert_eq!(supported.range, "5% ≤ (cache) / gap to fast ≤ 10%");
    let together = decided(&quiet, share(&["page-faults", "system-calls"], 0.6, 0.7));
    assert_eq!(together.verdict, Verdict::Supported);
    assert!((together.value.unwrap().value - 0.65).abs() < 1e-9, "the parts are added");
    assert_eq!(decided(&quiet, share(&["cache"], 0.05, f64::INFINITY)).range, "(cache) / gap to fast ≥ 5%");
    let refuted = decided(&quiet, share(&["cache"], 0.2, 0.3));
    assert_eq!(refuted.verdict, Verdict::Refuted);
    assert_eq!(refuted.reason, "the whole interval lies below the claimed range");
    let above = decided(&quiet, share(&["page-faults"], 0.2, 0.3));
    assert_eq!(above.reason, "the whole interval lies above the claimed range");
}

#[test]
fn an_open_claim_says_how_many_blocks_would_do_and_they_do() {
    let noisy_study = numbers(120.0);
    let open = decided(&noisy_study, difference(0.0, f64::INFINITY));
    assert_eq!(open.verdict, Verdict::Inconclusive, "{open:?}");
    let estimate = open.value.unwrap();
    let (lo, _) = estimate.interval.unwrap();
    let needed = open.blocks_needed.unwrap();
    assert_eq!(needed, (20.0 * ((estimate.value - lo) / estimate.value).powi(2)).ceil() as usize);
    // Noise that is narrower by √(needed / 20) is what so many blocks would give.
    let narrower = numbers(120.0 / (needed as f64 / 20.0).sqrt() * 0.99);
    assert_eq!(decided(&narrower, difference(0.0, f64::INFINITY)).verdict, Verdict::Supported);
}

#[test]
fn a_value_at_an_end_of_the_range_is_decided_by_no_number_of_blocks() {
    let open = decided(&numbers(5.0), difference(30.0, 50.0));
    assert_eq!((open.verdict, open.blocks_needed), (Verdict::Inconclusive, None));
    assert_eq!(open.reason, "the value lies at an end of the range, where no number of blocks decides");
}

#[test]
fn a_share_of_no_gap_is_undecidable() {
    let mut study = numbers(5.0);
    study.gap = Some(noisy(0.5, 20.0, 1));
    let none = decided(&study, share(&["cache"], 0.05, 0.1));
    assert_eq!((none.verdict, none.value, none.blocks_needed), (Verdict::Undecidable, None, None));
    assert_eq!(none.reason, "the gap to fast is not told apart from 0");
    study.gap = Some(noisy(-1_000.0, 5.0, 1));
    let faster = decided(&study, share(&["cache"], 0.05, 0.1));
    assert_eq!(faster.reason, "the baseline is faster than fast, there is no gap to share");
    let missing = decided(&study, share(&["elo"], 0.05, 0.1));
    assert_eq!((missing.verdict, missing.reason.as_str()), (Verdict::Undecidable, "elo is not separated"));
}

#[test]
fn differences_and_orders_are_decided() {
    let quiet = numbers(5.0);
    let within = decided(&quiet, difference(20.0, 40.0));
    assert_eq!((within.verdict, within.range.as_str()), (Verdict::Supported, "20 ns ≤ a − b ≤ 40 ns"));
    assert_eq!(decided(&quiet, difference(f64::NEG_INFINITY, 10.0)).verdict, Verdict::Refuted);
    let order = decided(&quiet, ordering(&["c", "b", "a"]));
    assert_eq!((order.verdict, order.range.as_str()), (Verdict::Supported, "c < b < a"));
    assert!(order.reason.ends_with("a − b"), "{}", order.reason);
    let wrong = decided(&quiet, ordering(&["c", "a", "b"]));
    assert_eq!((wrong.verdict, wrong.reason.as_str()), (Verdict::Refuted, "b − a is below 0"));
    let open = decided(&numbers(120.0), ordering(&["c", "b", "a"]));
    assert!(open.verdict == Verdict::Inconclusive && open.blocks_needed.is_some_and(|n| n > 20), "{open:?}");
    let missing = decided(&quiet, ordering(&["c", "d"]));
    assert_eq!((missing.verdict, missing.reason.as_str()), (Verdict::Undecidable, "`d` has no proven run"));
}

#[test]
fn differences_in_percent_are_decided_as_ratios() {
    // 130 over 100, whatever their unit.
    let quiet = numbers(0.5);
    let within = decided(&quiet, relative(25.0, 35.0));
    assert_eq!((within.verdict, within.unit), (Verdict::Supported, ClaimUnit::Percent));
    assert_eq!(within.range, "25% ≤ a / b − 1 ≤ 35%");
    assert_eq!(decided(&quiet, relative(-7.5, f64::INFINITY)).range, "a / b − 1 ≥ −7.5%");
    assert!((within.value.unwrap().value - 30.0).abs() < 1e-9);
    assert_eq!(decided(&quiet, relative(f64::NEG_INFINITY, -5.0)).verdict, Verdict::Refuted);
    assert_eq!(decided(&quiet, relative(30.0, f64::INFINITY)).verdict, Verdict::Inconclusive, "at its end");
    let mut scaled = numbers(0.5);
    scaled.cells.values_mut().for_each(|cell| *cell = cell.map(|value| 1e9 * value));
    assert_eq!(decided(&scaled, relative(25.0, 35.0)).verdict, Verdict::Supported);
    // Noise that both share is no noise of the ratio.
    let mut common = numbers(0.5);
    let noise = noisy(1.0, 0.9, 7);
    common.cells = [("a", 1.3), ("b", 1.0)].map(|(name, size)| (name, noise.map(|n| size * n))).into();
    assert_eq!(decided(&common, relative(29.9, 30.1)).verdict, Verdict::Supported);
    let gone = numbers(0.5);
    let missing = HypothesisKind::Relative { plus: "a".into(), minus: "d".into(), low_percent: 0.0, high_percent: 1.0 };
    assert_eq!(decided(&gone, missing).reason, "`d` has no proven run");
}

#[test]
fn several_claims_need_more_confidence_than_one() {
    // Noise with which one claim alone is decided at an error of 5 %, but not of 3 %.
    let is_above = |noise: f64, error: f64| {
        let cells = numbers(noise).cells;
        cells["a"].combine(&cells["b"], |a, b| a - b).interval_at(1.0 - error).unwrap().0 > 0.0
    };
    let noise = (20..200).map(f64::from).find(|noise| is_above(*noise, 0.045) && !is_above(*noise, 0.03)).unwrap();
    let near = difference(0.0, f64::INFINITY);
    let study = || numbers(noise);
    assert_eq!(decided(&study(), near.clone()).verdict, Verdict::Supported);
    // Two such claims: each would need 2.5 %.
    let two = decide_all(&study(), &[near.clone(), near.clone()]);
    assert!(two.iter().all(|d| d.verdict == Verdict::Inconclusive && d.confidence == 0.975), "{two:?}");
    // Beside one that is clear, the other has the whole 5 % again: that is Holm's step beyond Bonferroni.
    let mut with_clear = study();
    with_clear.parts.insert("cache", exact(70.0));
    with_clear.gap = Some(exact(1_000.0));
    let clear = share(&["cache"], 0.05, 0.1);
    for kinds in [[near.clone(), clear.clone()], [clear, near.clone()]] {
        let both = decide_all(&with_clear, &kinds);
        assert!(both.iter().all(|d| d.verdict == Verdict::Supported), "in any order: {both:?}");
    }
    // A claim without an answer counts as well.
    let with_unknown = decide_all(&study(), &[near, ordering(&["a", "d"])]);
    assert_eq!(with_unknown[0].verdict, Verdict::Inconclusive);
}

#[test]
fn too_few_blocks_are_said() {
    let mut study = numbers(5.0);
    let few = |value: f64| Drawn::new(value, 3, vec![value; 2_000]);
    study.cells = BTreeMap::from([("a", few(130.0)), ("b", few(100.0))]);
    let open = decided(&study, difference(20.0, 40.0));
    assert_eq!((open.verdict, open.blocks_needed), (Verdict::Inconclusive, Some(MIN_BLOCKS)));
    assert_eq!(open.reason, "3 blocks give no interval, 6 are the fewest");
}

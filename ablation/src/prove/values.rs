//! Values of a result line that no correct program prints, whatever the plan says.

use ablate_format::Measured;

/// The reason when a value is impossible: a time that is negative or not a number, percentiles out of order, or nothing
/// measured.
pub(super) fn values(measured: &Measured) -> Option<String> {
    if measured.operations == 0 {
        return Some("0 operations were measured".to_owned());
    }
    let percentiles: Vec<f64> =
        [measured.latency_ns_p10, measured.latency_ns_p50, measured.latency_ns_p99].into_iter().flatten().collect();
    if percentiles.iter().any(|ns| !ns.is_finite() || *ns < 0.0) {
        return Some(format!("a latency is negative or not a number: p10, p50, p99 = {percentiles:?} ns"));
    }
    if let Some(over) =
        measured.latency_over.as_ref().filter(|over| !["operations", "batches"].contains(&over.as_str()))
    {
        return Some(format!("latency_over is `{over}`: it must be operations or batches"));
    }
    if measured.samples == Some(0) {
        return Some("samples is 0: it must be 1 or more".to_owned());
    }
    if let Some(reason) = batches(measured) {
        return Some(reason);
    }
    if let Some(mean) = measured.latency_ns_mean.filter(|mean| !mean.is_finite() || *mean < 0.0) {
        return Some(format!("the mean latency is negative or not a number: {mean} ns"));
    }
    if let Some((name, value)) = measured.values.iter().find(|(_, value)| !value.is_finite()) {
        return Some(format!("value `{name}` is not a number: {value}"));
    }
    (!percentiles.is_sorted()).then(|| format!("percentiles are out of order: p10, p50, p99 = {percentiles:?} ns"))
}

/// The reason when timed batches and contention probes do not belong together, or one of them is impossible.
fn batches(measured: &Measured) -> Option<String> {
    let (batches, probes) = (&measured.batches_ns, &measured.contention_probes_ns);
    // A harness takes no contention probes.
    if !probes.is_empty() && (batches.is_empty() || probes.len() != batches.len() + 1) {
        let (batches, probes) = (batches.len(), probes.len());
        return Some(format!(
            "batches_ns has {batches} values and contention_probes_ns has {probes}: there must be one contention probe \
             more than batches, or none"
        ));
    }
    if let Some(ns) = batches.iter().find(|ns| !ns.is_finite() || **ns < 0.0) {
        return Some(format!("a batch is negative or not a number: {ns} ns"));
    }
    let probe = probes.iter().find(|ns| !ns.is_finite() || **ns <= 0.0)?;
    Some(format!("a contention probe is not above 0: {probe} ns"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;

    /// The reason for a good line after a change; empty when there is none.
    fn reason(change: impl FnOnce(&mut Measured)) -> String {
        let study = Study::new(&["cache"], &["w"]);
        let mut measured = study.timing("w", "baseline", 0, 100.0).measured.expect("a line");
        change(&mut measured);
        values(&measured).unwrap_or_default()
    }

    #[test]
    fn batches_and_contention_probes_belong_together_and_are_times() {
        let batches = |batches: &[f32], probes: &[f32]| {
            reason(|line| (line.batches_ns, line.contention_probes_ns) = (batches.to_vec(), probes.to_vec()))
        };
        assert_eq!(batches(&[5.0, 6.0], &[1.0, 1.0, 1.0]), "");
        assert_eq!(batches(&[5.0, 6.0], &[]), "");
        for (given, probes, part) in [
            (&[5.0, 6.0][..], &[1.0, 1.0][..], "one contention probe more"),
            (&[], &[1.0], "than batches, or none"),
            (&[5.0, -6.0], &[1.0; 3], "-6 ns"),
            (&[5.0, f32::NAN], &[1.0; 3], "a batch is negative or not a number"),
            (&[5.0, 6.0], &[1.0, 0.0, 1.0], "a contention probe is not above 0: 0"),
        ] {
            let reason = batches(given, probes);
            assert!(reason.contains(part), "expected `{part}` in `{reason}`");
        }
    }

    #[test]
    fn percentiles_are_over_operations_or_batches_and_at_least_one() {
        let over = "latency_over is `bananas`: it must be operations or batches";
        assert_eq!(reason(|line| line.latency_over = Some("bananas".to_owned())), over);
        assert_eq!(reason(|line| line.samples = Some(0)), "samples is 0: it must be 1 or more");
        assert_eq!(reason(|line| (line.latency_over, line.samples) = (None, None)), "");
    }
}

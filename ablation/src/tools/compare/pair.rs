//! Two folders side by side: which rows belong together, and which of them are of the same work.

use super::differs::Both;
use crate::tools::results::{self, Key, Subject};
use ablate_format::effects::Estimate;
use ablate_stats::bootstrap::{DRAWS, Drawn};
use ablate_stats::sessions::from_interval;
use std::collections::BTreeMap;

/// Two folders' rows and manifests.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) both: Both<'a>,
    pub(super) old: &'a [results::Row],
    pub(super) new: &'a [results::Row],
    /// Whether both have records.
    pub(super) has_records: bool,
    /// Why the values of a workload are not of the same work, by workload.
    pub(super) refusals: &'a BTreeMap<String, String>,
}

/// Operations and checksum of each workload.
type Work<'a> = BTreeMap<&'a str, (u64, &'a str)>;

/// Workloads that are not the same work in both, with the reason. `old` and `new` are what runs told of their work.
pub(super) fn refusals(both: Both<'_>, old: &Work<'_>, new: &Work<'_>) -> BTreeMap<String, String> {
    let surroundings = both.changed_surroundings();
    let done = |name: &str| {
        let ((operations, checksum), (others, other)) = (old.get(name)?, new.get(name)?);
        let told = |operations: &u64, checksum: &str| format!("{operations} operations with checksum {checksum}");
        let is_other = (operations, checksum) != (others, other);
        let (old, new) = (told(operations, checksum), told(others, other));
        is_other.then(|| format!("the runs of workload `{name}` did other work: {old} → {new}"))
    };
    let why = |name: &str| surroundings.clone().or_else(|| both.changed_workload(name)).or_else(|| done(name));
    let workloads = both.old.plan.workloads.iter();
    workloads.filter_map(|workload| Some((workload.name.clone(), why(&workload.name)?))).collect()
}

/// Rows of both, in the order of the old folder, then what the new one has alone.
pub(super) fn joined<'a>(
    old: &'a [results::Row],
    new: &'a [results::Row],
) -> Vec<(&'a Key, Option<&'a results::Row>, Option<&'a results::Row>)> {
    let of = |rows: &'a [results::Row], key: &Key| rows.iter().find(|row| row.key == *key);
    let both = old.iter().map(|row| (&row.key, Some(row), of(new, &row.key)));
    let added = new.iter().filter(|row| of(old, &row.key).is_none()).map(|row| (&row.key, None, Some(row)));
    both.chain(added).collect()
}

/// Why two values are not of the same work.
pub(super) fn refusal(pair: Pair<'_>, row: &results::Row) -> Option<String> {
    let of_workload = pair.refusals.get(&row.key.workload).cloned();
    of_workload.or_else(|| row.cells.iter().find_map(|cell| pair.both.changed_cell(cell)))
}

/// Logarithms of a cell's values, where both are above 0.
pub(super) fn logs(pair: Pair<'_>, old: &results::Row, new: &results::Row) -> Option<(Drawn, Drawn)> {
    if !matches!(old.key.subject, Subject::Cell(_)) {
        return None;
    }
    if let Some((old, new)) = old.log.as_ref().zip(new.log.as_ref()).filter(|_| pair.has_records) {
        return Some((old.clone(), new.clone()));
    }
    let log = |row: &results::Row| {
        let value = row.value?;
        let (lo, hi) = value.interval?;
        let is_above = value.value > 0.0 && lo > 0.0 && hi > 0.0;
        let value = Estimate { value: value.value.ln(), interval: Some((lo.ln(), hi.ln())), ..value };
        if is_above { drawn(value, seed(&row.key)) } else { None }
    };
    log(old).zip(log(new))
}

/// The seed of a row, whichever of the folders is the base.
pub(super) fn seed(key: &Key) -> u64 {
    format!("{key:?}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Draws that a value's interval stands for. The sides of a row may have the same ones, because [`Pairing`] takes them in
/// different orders.
///
/// [`Pairing`]: ablate_stats::sessions::Pairing
pub(super) fn drawn(value: Estimate, seed: u64) -> Option<Drawn> {
    from_interval(value.value, value.interval?, value.blocks, DRAWS, seed)
}

//! Whether a trace holds what the format promises.

use crate::error::TraceError;
use crate::merged::{Moment, is_handover};
use crate::operation::Action;
use crate::read::Trace;

/// What a check counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Operations.
    pub operations: u64,
    /// Allocations.
    pub allocations: u64,
    /// Reallocations.
    pub reallocations: u64,
    /// Frees.
    pub frees: u64,
    /// Frees and reallocations by another thread than the one that had the object before.
    pub handovers: u64,
    /// Objects that are live at the end.
    pub live_objects: u64,
    /// Bytes that are live at the end.
    pub live_bytes: u64,
    /// The most bytes that were live at once.
    pub peak_bytes: u64,
}

/// Reads a whole trace and checks that every object is allocated before it is used, and used by one thread at a time.
///
/// # Errors
/// The first contradiction.
pub fn check(trace: &Trace) -> Result<Checked, TraceError> {
    let mut checked = Checked::default();
    let mut sizes: Vec<Option<u64>> = vec![None; trace.header().objects() as usize];
    let mut done = vec![0_u64; trace.header().threads.len()];
    for moment in trace.merged() {
        let Moment { thread, operation, .. } = moment?;
        let number = done[thread as usize];
        let damaged = |what: &str| TraceError::Damaged { thread, operation: number, what: what.to_owned() };
        done[thread as usize] += 1;
        checked.operations += 1;
        if (number == 0) != (operation.action == Action::Begin) {
            return Err(damaged("a thread begins once, with its first operation"));
        }
        checked.handovers += u64::from(is_handover(&operation.action));
        match operation.action {
            Action::Allocate { object, size, .. } => {
                checked.allocations += 1;
                if sizes[object.id as usize].replace(size).is_some() {
                    return Err(damaged("its object is live already"));
                }
                checked.live_objects += 1;
                checked.live_bytes = checked.live_bytes.saturating_add(size);
            }
            Action::Reallocate { object, size, .. } => {
                checked.reallocations += 1;
                let before =
                    sizes[object.id as usize].replace(size).ok_or_else(|| damaged("its object is not live"))?;
                checked.live_bytes = checked.live_bytes.saturating_sub(before).saturating_add(size);
            }
            Action::Free { object } => {
                checked.frees += 1;
                let before = sizes[object.id as usize].take().ok_or_else(|| damaged("its object is not live"))?;
                checked.live_objects -= 1;
                checked.live_bytes = checked.live_bytes.saturating_sub(before);
            }
            Action::Begin | Action::End | Action::Spawn { .. } | Action::Join { .. } => {}
        }
        checked.peak_bytes = checked.peak_bytes.max(checked.live_bytes);
    }
    Ok(checked)
}

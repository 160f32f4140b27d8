//! Which of the levels that were asked for take effect: some factors act only where objects have no headers.
//!
//! What has no effect is off from here on, so that the request path need not ask again, and the statistics say it.

use super::level::Level;
use super::registry::{FactorId, Levels};
use crate::factor::guard_pages;

/// The factors that act on objects without headers alone, and are off by default: a level other than off was asked for.
const WITHOUT_HEADER: [FactorId; 5] =
    [FactorId::Canary, FactorId::GuardPages, FactorId::Quarantine, FactorId::ZeroFree, FactorId::RandomSlots];

/// The factors that were asked for and have no effect, because objects have headers.
pub(crate) fn lost_to_headers(asked: &Levels) -> impl Iterator<Item = FactorId> {
    let has_headers = is_active(asked, FactorId::Header);
    WITHOUT_HEADER.into_iter().filter(move |id| has_headers && is_active(asked, *id))
}

/// The levels that take effect when these are asked for.
pub(super) fn in_effect(asked: Levels) -> Levels {
    let mut levels = asked;
    for id in lost_to_headers(&asked) {
        levels.set(id, Level::Off);
    }
    if !guard_pages::is_possible() {
        levels.set(FactorId::GuardPages, Level::Off);
    }
    // Headers verify what is freed, and so do canaries.
    if is_active(&levels, FactorId::Header) || is_active(&levels, FactorId::Canary) {
        levels.set(FactorId::FreeCheck, Level::Off);
    }
    levels
}

fn is_active(levels: &Levels, id: FactorId) -> bool {
    !matches!(levels.get(id as usize), Level::Absent | Level::Off)
}

//! How far a screening is: whether its values are the last ones.

use crate::support::count::counted;
use ablate_format::Screening;

/// Why the values of a screening are not the last ones; `None` when both stages are complete.
pub(super) fn preliminary(screening: &Screening) -> Option<String> {
    so_far(screening).map(|so_far| format!("{so_far}, so every interval is preliminary"))
}

/// How far a screening is that is not complete. Files that do not say it are of complete stages.
pub(super) fn so_far(screening: &Screening) -> Option<String> {
    let most = screening.asked.looks.last().copied().unwrap_or(0);
    let Some(screen) = &screening.screen else { return Some("the screen has no look so far".to_owned()) };
    if screen.complete == Some(false) {
        let most = counted(screen.planned_blocks.unwrap_or(most) as usize, "block");
        return Some(format!("the screen is not over: its last look is at {} of at most {most}", screen.blocks));
    }
    if !screen.factors.iter().any(|factor| factor.kept) {
        return None;
    }
    let Some(clean) = &screening.clean else {
        return Some("the clean stage has no complete block so far".to_owned());
    };
    let planned = clean.planned_blocks.filter(|planned| *planned > clean.blocks)?;
    let are = if clean.blocks == 1 { "is" } else { "are" };
    Some(format!("{} of {} of the clean stage {are} complete", clean.blocks, counted(planned as usize, "block")))
}

/// The beginning of an answer that may still change.
pub(super) fn lead(screening: &Screening) -> Option<String> {
    so_far(screening).map(|so_far| format!("Preliminary ({so_far}): "))
}

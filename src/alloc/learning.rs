//! Measures steps of the slow path, from which the factor `elo` learns.

use super::arena;
use crate::config::ActiveConfig;
use crate::factor::{self, elo, original};
use crate::os;

/// Runs a step of the slow path, and adds its cycles to the cost of the plan in force.
pub(super) fn of_plan<T>(active: ActiveConfig, counters: &factor::Counters, step: impl FnOnce() -> T) -> T {
    if !active.elo_plans() || !elo::is_learning() {
        return step();
    }
    let start = os::cycles();
    let done = step();
    elo::learn_plan(&counters.elo, os::cycles().saturating_sub(start), || arena::usage().1);
    done
}

/// Runs a free, and adds its cycles to the cost of the strategy that chose the object's memory.
pub(super) fn of_free<T>(active: ActiveConfig, strategy: u8, free: impl FnOnce() -> T) -> T {
    if active.elo().is_none() {
        return free();
    }
    let start = os::cycles();
    let done = free();
    original::elo::learn_free(strategy, os::cycles().saturating_sub(start));
    done
}

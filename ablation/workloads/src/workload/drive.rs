//! Picks the timed loop and the driver of a plan.

use crate::allocator::Allocator;
use crate::workload::lifetime::{Batch, Churn, Lifo, Lives, Ring, Shuffled};
use crate::workload::measurement::Measurement;
use crate::workload::plan::{Plan, Way};
use crate::workload::script::Script;
use crate::workload::touch::{EachPage, Touch, Untouched, Use, Whole};
use crate::workload::{handoff, memory_return, parallel, single};

/// Runs the plan on `A`.
pub(crate) fn drive<A: Allocator + Default>(plan: &Plan) -> Measurement {
    match plan.touch {
        Touch::None => with_touch::<A, Untouched>(plan),
        Touch::Page => with_touch::<A, EachPage>(plan),
        Touch::Full => with_touch::<A, Whole>(plan),
    }
}

fn with_touch<A: Allocator + Default, U: Use>(plan: &Plan) -> Measurement {
    let a = A::default();
    let group = plan.group() as usize;
    match plan.way {
        Way::Lifo => alone::<A, U>(a, plan, Lifo::default()),
        Way::Ring => alone::<A, U>(a, plan, Ring::default()),
        Way::Batch => alone::<A, U>(a, plan, Batch::new(group)),
        Way::Shuffled => {
            let script = Script::new(plan, 0);
            single::run::<A, U, _>(a, plan, &script, Shuffled::new(&script, group))
        }
        Way::Random => {
            let script = Script::new(plan, 0);
            single::run::<A, U, _>(a, plan, &script, Churn::new(&script))
        }
        Way::RandomInEach => parallel::run::<A, U>(a, plan),
        Way::OtherThread => handoff::run::<A, U>(a, plan),
        Way::HandBack | Way::HandBackShuffled => memory_return::run::<A, U>(a, plan),
    }
}

fn alone<A: Allocator, U: Use>(a: A, plan: &Plan, lives: impl Lives) -> Measurement {
    single::run::<A, U, _>(a, plan, &Script::new(plan, 0), lives)
}

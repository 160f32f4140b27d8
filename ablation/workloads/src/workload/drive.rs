//! Picks the timed loop and the driver of a plan.

use crate::allocator::Allocator;
use crate::workload::lifetime::{Churn, Group, Lifo, Ring, ShuffledGroup, TimedLoop};
use crate::workload::measurement::Measurement;
use crate::workload::plan::{LifetimePattern, RunPlan};
use crate::workload::script::Script;
use crate::workload::touch::{EachPage, Touch, Untouched, Use, Whole};
use crate::workload::{handoff, memory_return, parallel, shapes, single};

/// Runs the plan on `A`.
pub(crate) fn drive<A: Allocator + Default>(plan: &RunPlan) -> Measurement {
    match plan.touch {
        Touch::None => with_touch::<A, Untouched>(plan),
        Touch::Page => with_touch::<A, EachPage>(plan),
        Touch::Full => with_touch::<A, Whole>(plan),
    }
}

fn with_touch<A: Allocator + Default, U: Use>(plan: &RunPlan) -> Measurement {
    let a = A::default();
    let group = plan.group() as usize;
    match plan.pattern {
        LifetimePattern::Lifo => with_loop::<A, U>(a, plan, Lifo::default()),
        LifetimePattern::Ring => with_loop::<A, U>(a, plan, Ring::default()),
        LifetimePattern::Group => with_loop::<A, U>(a, plan, Group::new(group)),
        LifetimePattern::ShuffledGroup => {
            let script = Script::new(plan, 0);
            single::run::<A, U, _>(a, plan, &script, ShuffledGroup::new(&script, group))
        }
        LifetimePattern::Random => {
            let script = Script::new(plan, 0);
            single::run::<A, U, _>(a, plan, &script, Churn::new(&script))
        }
        LifetimePattern::RandomInEachThread => parallel::run::<A, U>(a, plan),
        LifetimePattern::OtherThread => handoff::run::<A, U>(a, plan),
        LifetimePattern::AllAtOnce | LifetimePattern::AllAtOnceShuffled => memory_return::run::<A, U>(a, plan),
        // A shape has no loop for each touch.
        LifetimePattern::Shape(shape) | LifetimePattern::ShapeShuffled(shape) => shapes::run(a, plan, shape),
    }
}

fn with_loop<A: Allocator, U: Use>(a: A, plan: &RunPlan, timed_loop: impl TimedLoop) -> Measurement {
    single::run::<A, U, _>(a, plan, &Script::new(plan, 0), timed_loop)
}

//! The planted costs: factors, what each plants, and which factors are on. Only names.

use super::operation::{On, SEGMENTS, Segment};

/// Variables that switch a factor off are this and the factor's name in capitals.
pub(super) const PREFIX: &str = "SYNTHETIC_DISABLE_";

/// One planted factor.
#[derive(Debug)]
pub(super) struct Factor {
    /// Name in the config and in the line that the program prints.
    pub(super) name: &'static str,
    /// Its purpose.
    pub(super) about: &'static str,
    /// Whether it belongs to the factorial.
    pub(super) crossed: bool,
    /// Its part of every operation.
    pub(super) segment: Option<Segment>,
}

/// Every factor, the crossed ones first.
pub(super) const FACTORS: [Factor; 13] = [
    crossed("half", "about half a nanosecond: the least that must be found", Segment::Half),
    crossed("two", "a small cost: additions", Segment::Two),
    crossed("ten", "a cost of one miss in the second cache: additions", Segment::Ten),
    crossed("fifty", "a large cost: additions", Segment::Fifty),
    crossed("left", "costs more while `right` is on", Segment::Left),
    crossed("right", "costs more while `left` is on", Segment::Right),
    alone("zero", "is active and costs nothing", None),
    alone("inert", "does its work whatever its level says", None),
    alone("faulty", "additions, and fresh pages of memory in every batch", Some(Segment::Faulty)),
    alone("calls", "calls of a function", Some(Segment::Calls)),
    alone("near", "loads from the first cache, each of the next address", Some(Segment::Near)),
    alone("far", "loads from the second cache, each of the next address", Some(Segment::Far)),
    alone("kernel", "system calls in every batch", None),
];

/// Indices into [`FACTORS`] that the program treats specially.
pub(super) const LEFT: usize = 4;
pub(super) const RIGHT: usize = 5;
pub(super) const ZERO: usize = 6;
pub(super) const INERT: usize = 7;
pub(super) const FAULTY: usize = 8;
pub(super) const KERNEL: usize = 12;

const fn crossed(name: &'static str, about: &'static str, segment: Segment) -> Factor {
    Factor { name, about, crossed: true, segment: Some(segment) }
}

const fn alone(name: &'static str, about: &'static str, segment: Option<Segment>) -> Factor {
    Factor { name, about, crossed: false, segment }
}

/// Which factors are on, in the order of [`FACTORS`].
pub(super) type Levels = [bool; FACTORS.len()];

/// The segments of an operation at these levels. `left` and `right` together have one of their own.
pub(super) fn segments(on: &Levels) -> On {
    let mut segments = [false; SEGMENTS];
    for (factor, on) in FACTORS.iter().zip(on) {
        if let Some(segment) = factor.segment {
            segments[segment as usize] = *on;
        }
    }
    segments[Segment::Together as usize] = on[LEFT] && on[RIGHT];
    segments
}

/// Name of the variable that switches a factor off.
pub(super) fn variable(factor: &Factor) -> String {
    PREFIX.to_owned() + &factor.name.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_indices_are_those_of_the_names() {
        let names = [LEFT, RIGHT, ZERO, INERT, FAULTY, KERNEL].map(|at| FACTORS[at].name);
        assert_eq!(names, ["left", "right", "zero", "inert", "faulty", "kernel"]);
        assert_eq!(variable(&FACTORS[0]), "SYNTHETIC_DISABLE_HALF");
    }

    #[test]
    fn an_operation_has_the_segments_of_what_is_on() {
        let with = |ats: &[usize]| {
            let mut levels = [false; FACTORS.len()];
            ats.iter().for_each(|at| levels[*at] = true);
            segments(&levels).iter().filter(|on| **on).count()
        };
        assert_eq!((with(&[]), with(&[0]), with(&[LEFT]), with(&[LEFT, RIGHT])), (0, 1, 1, 3));
        assert_eq!((with(&[ZERO]), with(&[INERT]), with(&[KERNEL]), with(&[FAULTY])), (0, 0, 0, 1));
        assert_eq!(segments(&[true; FACTORS.len()]), [true; SEGMENTS]);
    }
}

//! The injected costs: factors, the nanoseconds that each is to cost, and the links of a chain that cost them on this
//! machine. Only arithmetic.

use super::chain::LINKS_MAX;

/// Variables that switch a factor off are this and the factor's name in capitals.
pub(super) const PREFIX: &str = "SYNTHETIC_DISABLE_";

/// One injected factor.
#[derive(Debug)]
pub(super) struct Factor {
    /// Name in the config and in the line that the program prints.
    pub(super) name: &'static str,
    /// Its purpose.
    pub(super) about: &'static str,
    /// Cost when it is on, in nanoseconds per operation, before rounding to whole links.
    pub(super) target_ns: f64,
    /// Whether it belongs to the factorial.
    pub(super) crossed: bool,
}

/// Every factor, the crossed ones first.
pub(super) const FACTORS: [Factor; 9] = [
    crossed("half", "half a nanosecond: the least that must be found", 0.5),
    crossed("two", "a small cost", 2.0),
    crossed("ten", "a cost of one miss in the second cache", 10.0),
    crossed("fifty", "a large cost", 50.0),
    crossed("left", "costs more while `right` is on", 1.0),
    crossed("right", "costs more while `left` is on", 1.0),
    alone("zero", "is active and costs nothing", 0.0),
    alone("inert", "does its work whatever its level says", 3.0),
    alone("faulty", "costs time, and touches a fresh page in every batch", 5.0),
];

/// Joint cost of `left` and `right` beyond the sum of both, nanoseconds per operation.
pub(super) const TOGETHER_NS: f64 = 7.0;
/// Cost of an operation without any factor, besides its parallel work.
const BASE_NS: f64 = 10.0;

/// Indices into [`FACTORS`] that the program treats specially.
pub(super) const LEFT: usize = 4;
pub(super) const RIGHT: usize = 5;
pub(super) const INERT: usize = 7;
pub(super) const FAULTY: usize = 8;

const fn crossed(name: &'static str, about: &'static str, target_ns: f64) -> Factor {
    Factor { name, about, target_ns, crossed: true }
}

const fn alone(name: &'static str, about: &'static str, target_ns: f64) -> Factor {
    Factor { name, about, target_ns, crossed: false }
}

/// Which factors are on, in the order of [`FACTORS`].
pub(super) type Levels = [bool; FACTORS.len()];

/// Links of the chain for each cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Links {
    /// Of each factor, in the order of [`FACTORS`].
    pub(super) factor: [u32; FACTORS.len()],
    /// Of `left` and `right` together.
    pub(super) together: u32,
    base: u32,
}

impl Links {
    /// The numbers of links that come nearest to the targets, at least one for a cost that is not 0; `None` when a link
    /// of `link_ns` nanoseconds is so fast that the chain is too short for them, or no time at all.
    pub(super) fn of(link_ns: f64) -> Option<Links> {
        let links = |ns: f64| if ns > 0.0 { (ns / link_ns).round().max(1.0) as u32 } else { 0 };
        let all = Links {
            factor: FACTORS.each_ref().map(|factor| links(factor.target_ns)),
            together: links(TOGETHER_NS),
            base: links(BASE_NS),
        };
        let is_time = link_ns.is_finite() && link_ns > 0.0;
        (is_time && all.in_operation(&[true; FACTORS.len()]) <= LINKS_MAX).then_some(all)
    }

    /// Links of one operation at these levels. The factor `inert` works at any level.
    pub(super) fn in_operation(&self, on: &Levels) -> u32 {
        let of = |(at, links): (usize, &u32)| if on[at] || at == INERT { *links } else { 0 };
        let factors = self.factor.iter().enumerate().map(of).fold(0, u32::saturating_add);
        let together = if on[LEFT] && on[RIGHT] { self.together } else { 0 };
        self.base.saturating_add(factors).saturating_add(together)
    }
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
        let names = [LEFT, RIGHT, INERT, FAULTY].map(|at| FACTORS[at].name);
        assert_eq!(names, ["left", "right", "inert", "faulty"]);
        assert_eq!(variable(&FACTORS[0]), "SYNTHETIC_DISABLE_HALF");
    }

    #[test]
    fn links_come_near_to_the_targets() {
        let links = Links::of(0.27).expect("a link of 0.27 ns");
        assert_eq!(links.factor, [2, 7, 37, 185, 4, 4, 0, 11, 19]);
        assert_eq!((links.together, links.base), (26, 37));
        // A processor on which a link takes 1.5 ns still injects something for the smallest.
        assert_eq!(Links::of(1.5).map(|links| links.factor[0]), Some(1));
    }

    #[test]
    fn impossible_links_are_refused() {
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.01] {
            assert_eq!(Links::of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_operation_is_the_sum_of_what_is_on() {
        let links = Links::of(0.25).expect("a link of 0.25 ns");
        let (off, on) = ([false; FACTORS.len()], [true; FACTORS.len()]);
        let with = |ats: &[usize]| {
            let mut levels = off;
            ats.iter().for_each(|at| levels[*at] = true);
            links.in_operation(&levels) - links.in_operation(&off)
        };
        assert_eq!(links.in_operation(&off), 40 + 12);
        assert_eq!((with(&[0]), with(&[LEFT]), with(&[RIGHT]), with(&[LEFT, RIGHT])), (2, 4, 4, 4 + 4 + 28));
        assert_eq!((with(&[INERT]), with(&[FAULTY])), (0, 20));
        let sum: u32 = links.factor.iter().sum::<u32>() + links.together + links.base;
        assert_eq!(links.in_operation(&on), sum);
    }
}

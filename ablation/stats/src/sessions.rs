//! Two sessions of measuring: what a difference between them can be when nothing changed.
//!
//! Blocks of one session cancel what its cells have in common. Two sessions have no block in common, and a machine differs
//! between them by more than its blocks show: clock, memory, neighbours, heat. A [`Pairing`] takes the draws of both sessions
//! independently, and [`Sessions`] learns the rest from controls, programs that are the same in both: their true difference
//! is 0, so whatever they show beyond their blocks is of the sessions.

use super::bootstrap::Drawn;
use super::distribution::t_quantile;
use super::order::{MIN_BLOCKS, percentile, sorted};
use super::random::{chi_square, normal, seeded, uniform};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Draws of a difference for each draw of a session, without their mirror images.
const TIMES: usize = 2;
/// Fewest control programs from which anything is learnt.
pub const MIN_CONTROLS: usize = 2;
/// Largest standard deviation between sessions that is looked for, as a logarithm: a factor of 20,000.
const MOST: f64 = 10.0;
/// Steps of the search for a variance.
const STEPS: usize = 32;

/// How the draws of two sessions are put together: in another order for each, the same one for all rows, so that rows keep
/// what they have in common within a session. The second half of the draws is the first one with the sides exchanged, so
/// that `old − new` is the mirror image of `new − old`, draw by draw.
#[derive(Debug)]
pub struct Pairing {
    order: Vec<(usize, usize)>,
    seed: u64,
    /// What [`Pairing::scales`] gave, by blocks: rows of one study need the same.
    known: RefCell<Known>,
}

/// Factors of draws by blocks.
type Known = HashMap<usize, Rc<[f64]>>;

impl Pairing {
    /// For sessions with this number of draws each.
    pub fn new(draws: usize, seed: u64) -> Pairing {
        let mut random = seeded(seed);
        let mut order = Vec::with_capacity(2 * TIMES * draws);
        for _ in 0..TIMES {
            let mut new: Vec<usize> = (0..draws).collect();
            shuffle(&mut new, &mut random);
            order.extend(new.into_iter().enumerate());
        }
        order.extend_from_within(..);
        let half = order.len() / 2;
        order[half..].iter_mut().for_each(|(old, new)| std::mem::swap(old, new));
        Pairing { order, seed, known: RefCell::default() }
    }

    /// `new − old` of two sessions that know nothing of each other.
    ///
    /// Each side moves by (draw − value) · √(n/(n − 1)) · √((n − 1)/χ²(n − 1)) around its value: its blocks are too few to
    /// know their own variance, so that each side alone has Student's t with n − 1 degrees of freedom and their difference
    /// is that of Behrens and Fisher (Fisher, "The Fiducial Argument in Statistical Inference", Annals of Eugenics 6, 1935).
    ///
    /// # Panics
    /// When a side has fewer draws than the pairing.
    pub fn difference(&self, old: &Drawn, new: &Drawn) -> Difference {
        let [of_old, of_new] = [old, new].map(|side| self.scales(side.blocks));
        let moved = |side: &Drawn, draw: usize, scale: f64| (side.draws()[draw] - side.point) * scale;
        let point = new.point - old.point;
        // The new side has the factors of the other half, so that both sides have their own in a draw.
        let of_new = of_new.iter().cycle().skip(self.order.len() / 2);
        let pairs = self.order.iter().zip(of_old.iter().zip(of_new));
        let draws = pairs.map(|((a, b), (of_old, of_new))| point + (moved(new, *b, *of_new) - moved(old, *a, *of_old)));
        Difference { point, draws: draws.collect(), blocks: old.blocks.min(new.blocks) }
    }

    /// The factor of every draw of a side, the same one for all rows with this number of blocks.
    fn scales(&self, blocks: usize) -> Rc<[f64]> {
        if blocks < 2 {
            return vec![f64::NAN; self.order.len()].into();
        }
        if let Some(known) = self.known.borrow().get(&blocks) {
            return known.clone();
        }
        let degrees = blocks - 1;
        let widening = (blocks as f64 / degrees as f64).sqrt();
        let mut random = seeded(self.seed ^ (blocks as u64) << 32);
        let scale = |_| widening * (degrees as f64 / chi_square(&mut random, degrees)).sqrt();
        let scales: Rc<[f64]> = (0..self.order.len()).map(scale).collect();
        self.known.borrow_mut().insert(blocks, scales.clone());
        scales
    }
}

/// A value of which the interval alone is known, as one with draws: normal ones of the standard error that Student's
/// interval of 95 % with `blocks − 1` degrees of freedom has. `None` below [`MIN_BLOCKS`] blocks or without finite ends.
pub fn from_interval(value: f64, ends: (f64, f64), blocks: usize, draws: usize, seed: u64) -> Option<Drawn> {
    let half = (ends.1 - ends.0) / 2.0;
    if blocks < MIN_BLOCKS || !value.is_finite() || !half.is_finite() {
        return None;
    }
    let n = blocks as f64;
    let deviation = half / t_quantile(0.975, blocks - 1) / (n / (n - 1.0)).sqrt();
    let mut random = seeded(seed);
    Some(Drawn::new(value, blocks, (0..draws).map(|_| value + deviation * normal(&mut random)).collect()))
}

/// A difference of two sessions with its value in every draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The difference of the values.
    pub point: f64,
    /// The fewer blocks of both sides.
    pub blocks: usize,
    draws: Vec<f64>,
}

impl Difference {
    /// Lower and upper end of the 95 % interval: percentiles of the draws. `None` below [`MIN_BLOCKS`] blocks, and where
    /// the value or a twentieth of the draws is not finite.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let draws = sorted(&self.draws);
        let is_known = self.blocks >= MIN_BLOCKS && self.point.is_finite() && draws.len() * 20 >= self.draws.len() * 19;
        if !is_known || draws.is_empty() {
            return None;
        }
        percentile(&draws, 0.025).zip(percentile(&draws, 0.975))
    }

    /// The difference with what sessions differ by in its draws. `scale` is what a relative difference of 1 is in the unit
    /// of the difference: 1 for logarithms. `row` is another number for each row. A draw and its mirror image move in
    /// opposite directions.
    #[must_use]
    pub fn widened(mut self, spread: &Spread, scale: f64, row: u64) -> Difference {
        let mut random = seeded(row ^ 0x5e55_1015);
        let half = self.draws.len() / 2;
        let (draws, mirrored) = self.draws.split_at_mut(half);
        for ((draw, mirrored), deviation) in draws.iter_mut().zip(mirrored).zip(spread.draws.iter().cycle()) {
            let moved = scale * deviation * normal(&mut random);
            *draw += moved;
            *mirrored -= moved;
        }
        self
    }
}

/// Intervals of 95 % that hold for all rows together, in their order; `None` where [`Difference::interval`] is.
///
/// Every row has its own interval, stretched from its value by one factor for all rows: the 95th percentile over the draws
/// of how far the draw of the worst row lies out, in units of the row's own interval (single-step max-|t|: Westfall and
/// Young, "Resampling-Based Multiple Testing", 1993). The factor comes from draws, so that tails as heavy as those of few
/// controls, which all rows share, are in it. All rows must come from one [`Pairing`].
pub fn together(rows: &[Difference]) -> Vec<Option<(f64, f64)>> {
    let own: Vec<Option<(f64, f64)>> = rows.iter().map(Difference::interval).collect();
    let draws = rows.iter().map(|row| row.draws.len()).max().unwrap_or(0);
    let mut farthest = vec![0.0_f64; draws];
    for (row, ends) in rows.iter().zip(&own) {
        let Some((low, high)) = ends else { continue };
        for (farthest, draw) in farthest.iter_mut().zip(&row.draws) {
            let (way, room) = if *draw >= row.point {
                (draw - row.point, high - row.point)
            } else {
                (row.point - draw, row.point - low)
            };
            if room > 0.0 && way.is_finite() {
                *farthest = farthest.max(way / room);
            }
        }
    }
    let stretch = percentile(&sorted(&farthest), 0.95).unwrap_or(1.0).max(1.0);
    let stretched = |(row, ends): (&Difference, &Option<(f64, f64)>)| {
        ends.map(|(low, high)| (row.point + stretch * (low - row.point), row.point + stretch * (high - row.point)))
    };
    rows.iter().zip(&own).map(stretched).collect()
}

/// A program that is the same in both sessions, in one workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Control {
    /// Number of the program.
    pub program: usize,
    /// Number of the workload.
    pub workload: usize,
    /// Logarithm of new / old.
    pub shift: f64,
    /// Standard error of the shift by its blocks.
    pub error: f64,
}

/// What two sessions differ by where nothing changed, relative to the values.
#[derive(Debug, Clone, PartialEq)]
pub struct Sessions {
    /// Control programs.
    pub programs: usize,
    /// Mean shift of the controls.
    pub common: f64,
    /// Of a value: what all programs have in common is in it.
    pub of_values: Spread,
    /// Of a value beside another one of the same session: what all programs have in common cancels.
    pub of_contrasts: Spread,
}

/// A standard deviation between sessions that is known from few programs.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// The standard deviation that fits the controls best; 0 where they differ by no more than their blocks show.
    pub deviation: f64,
    /// Degrees of freedom.
    pub degrees: usize,
    draws: Vec<f64>,
}

/// Learns from controls what sessions differ by. `None` with fewer than [`MIN_CONTROLS`] programs.
///
/// A control's shift d has the variance T² + v, with v of its blocks and T between the sessions. With p programs,
/// Q(T²) = Σ over programs of the mean over workloads of d²/(T² + v) has χ² with p degrees of freedom where a program shifts
/// alike in all workloads, and less spread than that otherwise. Its solution for Q = p is the estimate (Paule and Mandel,
/// "Consensus Values and Weighting Factors", Journal of Research of the National Bureau of Standards 87, 1982; the mean is
/// known to be 0 here); its solutions for draws of χ²(p) are draws of T² (Iyer, Wang and Mathew, "Models and Confidence
/// Intervals for True Values in Interlaboratory Trials", Journal of the American Statistical Association 99, 2004). A value
/// moved by T · Z then has Student's t with p degrees of freedom as soon as v is small. What all programs shift by in
/// common is part of T, so that it never makes a difference of one row.
///
/// For contrasts within a session the shifts are taken around the mean of their workload, with p − 1 degrees of freedom. That
/// needs three programs in a workload; with two, the larger spread of values is taken.
pub fn sessions(controls: &[Control], draws: usize, seed: u64) -> Option<Sessions> {
    let known: Vec<Control> =
        controls.iter().copied().filter(|one| one.shift.is_finite() && one.error.is_finite()).collect();
    let mut programs: Vec<usize> = known.iter().map(|one| one.program).collect();
    programs.sort_unstable();
    programs.dedup();
    if programs.len() < MIN_CONTROLS {
        return None;
    }
    let common = known.iter().map(|one| one.shift).sum::<f64>() / known.len() as f64;
    let parts = known.iter().map(|one| {
        let of_program = known.iter().filter(|other| other.program == one.program).count();
        (1.0 / of_program as f64, one.shift.powi(2), one.error.powi(2))
    });
    let of_values = spread(&parts.collect::<Vec<_>>(), programs.len(), draws, seed);
    let of_contrasts = contrasts(&known, draws, seed).unwrap_or_else(|| of_values.clone());
    Some(Sessions { programs: programs.len(), common, of_values, of_contrasts })
}

/// Fewest programs of a workload that tell how programs differ.
const MIN_BESIDE: usize = 3;

fn contrasts(controls: &[Control], draws: usize, seed: u64) -> Option<Spread> {
    let mut workloads: Vec<usize> = controls.iter().map(|one| one.workload).collect();
    workloads.sort_unstable();
    workloads.dedup();
    let of = |workload: usize| controls.iter().filter(move |one| one.workload == workload);
    workloads.retain(|workload| of(*workload).count() >= MIN_BESIDE);
    let degrees = workloads.iter().map(|workload| of(*workload).count() - 1).min()?;
    let mut parts = Vec::new();
    for workload in &workloads {
        let count = of(*workload).count() as f64;
        let mean = of(*workload).map(|one| one.shift).sum::<f64>() / count;
        let weight = degrees as f64 / (count - 1.0) / workloads.len() as f64;
        parts.extend(of(*workload).map(|one| (weight, (one.shift - mean).powi(2), one.error.powi(2))));
    }
    Some(spread(&parts, degrees, draws, seed ^ 1))
}

/// The spread for which Σ weight · square / (T² + v) is χ² with these degrees of freedom.
fn spread(parts: &[(f64, f64, f64)], degrees: usize, draws: usize, seed: u64) -> Spread {
    let mut random = seeded(seed);
    let draws = (0..TIMES * draws).map(|_| solved(parts, chi_square(&mut random, degrees)).sqrt()).collect();
    Spread { deviation: solved(parts, degrees as f64).sqrt(), degrees, draws }
}

/// The T² at which the sum is `wanted`; 0 where it is less at any.
fn solved(parts: &[(f64, f64, f64)], wanted: f64) -> f64 {
    let sum = |square: f64| {
        let part = |(weight, shift, error): &(f64, f64, f64)| {
            if *shift > 0.0 { weight * shift / (square + error) } else { 0.0 }
        };
        parts.iter().map(part).sum::<f64>()
    };
    if sum(0.0) <= wanted {
        return 0.0;
    }
    // By its logarithm, because it spans many powers of ten.
    let (mut low, mut high) = (-60.0_f64, 2.0 * MOST);
    for _ in 0..STEPS {
        let middle = (low + high) / 2.0;
        if sum(middle.exp()) > wanted { low = middle } else { high = middle }
    }
    ((low + high) / 2.0).exp()
}

fn shuffle(values: &mut [usize], random: &mut super::random::Pcg64) {
    for at in (1..values.len()).rev() {
        values.swap(at, (uniform(random) * (at + 1) as f64) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::DRAWS;
    use crate::distribution::normal_quantile;
    use crate::random::Pcg64;

    /// A side whose draws are normal around a value.
    fn side(value: f64, error: f64, blocks: usize, seed: u64) -> Drawn {
        let mut random = seeded(seed);
        let scale = error * ((blocks - 1) as f64 / blocks as f64).sqrt();
        Drawn::new(value, blocks, (0..DRAWS).map(|_| value + scale * normal(&mut random)).collect())
    }

    fn half(ends: Option<(f64, f64)>) -> f64 {
        let (low, high) = ends.expect("has an interval");
        (high - low) / 2.0
    }

    #[test]
    fn sessions_do_not_cancel_each_other() {
        let pairing = Pairing::new(DRAWS, 3);
        // Both sessions have the same seed and so the same draws of blocks; their difference is not 0 all the same.
        let one = side(10.0, 1.0, 200, 1);
        let difference = pairing.difference(&one, &one);
        assert_eq!(difference.point, 0.0);
        assert!(
            (half(difference.interval()) / (1.96 * 2.0_f64.sqrt()) - 1.0).abs() < 0.08,
            "{:?}",
            difference.interval()
        );
        // One side with 6 blocks that is known far worse than the other: Student's t with 5 degrees of freedom.
        let rough = pairing.difference(&side(0.0, 1e-6, 40, 2), &side(7.0, 1.0, 6, 5));
        assert!((half(rough.interval()) / 2.571 - 1.0).abs() < 0.08, "{:?}", rough.interval());
        assert_eq!(pairing.difference(&one, &side(7.0, 1.0, 5, 5)).interval(), None, "five blocks have none");
    }

    #[test]
    fn a_kept_interval_has_draws_that_give_it_again() {
        let drawn = from_interval(20.0, (18.0, 22.0), 12, DRAWS, 4).expect("has one");
        assert!((half(drawn.interval()) / 2.0 - 1.0).abs() < 0.06, "{:?}", drawn.interval());
        let difference = Pairing::new(DRAWS, 9).difference(&side(0.0, 1e-9, 12, 1), &drawn);
        assert!((half(difference.interval()) / 2.0 - 1.0).abs() < 0.08, "{:?}", difference.interval());
        assert!(from_interval(1.0, (0.0, 2.0), 5, 10, 1).is_none());
        assert!(from_interval(f64::NAN, (0.0, 2.0), 9, 10, 1).is_none());
    }

    #[test]
    fn exchanged_sessions_give_the_mirror_image() {
        let pairing = Pairing::new(DRAWS, 8);
        let control = |program, shift| Control { program, workload: 0, shift, error: 0.01 };
        let intervals = |sign: f64| {
            let controls = [control(0, sign * 0.03), control(1, sign * -0.04), control(2, sign * 0.01)];
            let learnt = sessions(&controls, DRAWS, 1).expect("controls");
            let rows = (0..3).map(|row| {
                let (old, new) = (side(1.0, 0.1, 12, row), side(2.0, 0.3, 7, 10 + row));
                let difference =
                    if sign > 0.0 { pairing.difference(&old, &new) } else { pairing.difference(&new, &old) };
                difference.widened(&learnt.of_values, 1.0, row)
            });
            together(&rows.collect::<Vec<_>>())
        };
        for (there, back) in intervals(1.0).into_iter().zip(intervals(-1.0)) {
            let ((low, high), (other_low, other_high)) = there.zip(back).expect("both have an interval");
            assert!((low + other_high).abs() < 1e-9 && (high + other_low).abs() < 1e-9, "{there:?} {back:?}");
        }
    }

    #[test]
    fn controls_tell_the_spread_by_the_formula() {
        let control = |program, shift| Control { program, workload: 0, shift, error: 0.0 };
        let learnt = sessions(&[control(0, 0.03), control(1, -0.04)], DRAWS, 1).expect("two controls");
        // Without an error of blocks: T² = Σ d² / p = 0.0025 / 2.
        assert!((learnt.of_values.deviation / 0.00125_f64.sqrt() - 1.0).abs() < 1e-6, "{learnt:?}");
        assert_eq!((learnt.of_values.degrees, learnt.programs), (2, 2));
        assert!((learnt.common + 0.005).abs() < 1e-12);
        assert_eq!(learnt.of_contrasts, learnt.of_values, "two programs do not tell contrasts apart");
        // A value that is known exactly gets Student's t with 2 degrees of freedom: 4.303.
        let exact = |point: f64| side(point, 1e-9, 100, 1);
        let row = Pairing::new(DRAWS, 2).difference(&exact(0.0), &exact(0.0)).widened(&learnt.of_values, 1.0, 5);
        assert!(
            (half(row.interval()) / (4.303 * learnt.of_values.deviation) - 1.0).abs() < 0.15,
            "{:?}",
            row.interval()
        );
        // Shifts no larger than their errors are no spread.
        let noise = |program| Control { error: 0.05, ..control(program, 0.03) };
        assert_eq!(sessions(&[noise(0), noise(1)], DRAWS, 1).expect("two").of_values.deviation, 0.0);
        assert!(sessions(&[control(0, 0.1), control(0, 0.1)], DRAWS, 1).is_none(), "one program in two workloads");
        assert!(sessions(&[control(0, 0.1), control(1, f64::NAN)], DRAWS, 1).is_none());
    }

    #[test]
    fn what_all_programs_shift_by_cancels_in_contrasts() {
        let control = |program, shift| Control { program, workload: 0, shift, error: 0.0 };
        let all = sessions(&[control(0, 0.10), control(1, 0.101), control(2, 0.099)], DRAWS, 1).expect("three");
        assert!((all.of_values.deviation - 0.1).abs() < 1e-3 && (all.common - 0.1).abs() < 1e-12, "{all:?}");
        assert!((all.of_contrasts.deviation - 0.001).abs() < 1e-6 && all.of_contrasts.degrees == 2, "{all:?}");
    }

    #[test]
    fn intervals_together_are_those_of_the_largest_of_all() {
        let pairing = Pairing::new(DRAWS, 8);
        let rows: Vec<Difference> =
            (0..20).map(|row| pairing.difference(&side(0.0, 1e-9, 150, 1), &side(0.0, 1.0, 150, 10 + row))).collect();
        // Φ((1 + 0.95^(1/20)) / 2) for twenty independent rows, 3.02; a little more with 149 degrees of freedom.
        let expected = normal_quantile((1.0 + 0.95_f64.powf(1.0 / 20.0)) / 2.0);
        for ends in together(&rows) {
            assert!((half(ends) / expected - 1.0).abs() < 0.12, "{ends:?} and {expected}");
        }
        let one = together(&rows[..1])[0];
        assert!((half(one) / half(rows[0].interval()) - 1.0).abs() < 0.02, "{one:?}");
        assert!(together(&[]).is_empty());
    }

    /// How sessions of a machine differ: standard deviations of what all programs have in common, those of a workload, those
    /// of a program in all workloads, and each by itself.
    #[derive(Debug, Clone, Copy)]
    struct Machine {
        common: f64,
        workload: f64,
        program: f64,
        own: f64,
    }

    /// Percent of comparisons of the same program in which a value, a contrast within sessions, or any row of all is outside
    /// of its interval.
    fn missed(machine: Machine, programs: usize, workloads: usize, studies: u64) -> [f64; 3] {
        const BLOCKS: usize = 12;
        const FEW: usize = 200;
        let mut random = seeded(programs as u64 * 100 + workloads as u64);
        let mut missed = [0_u64; 3];
        let error = 0.004;
        for study in 0..studies {
            let draw = |deviation: f64, random: &mut Pcg64| deviation * normal(random);
            let common = draw(machine.common, &mut random);
            let of_program: Vec<f64> = (0..programs + 1).map(|_| draw(machine.program, &mut random)).collect();
            let (mut controls, mut rows, mut scales) = (Vec::new(), Vec::new(), Vec::new());
            let pairing = Pairing::new(FEW, study);
            // A session's value is off by the error of its blocks, and its draws tell the size of that.
            let measured = |value: f64, random: &mut Pcg64| {
                let off = error * (chi_square(random, BLOCKS - 1) / (BLOCKS - 1) as f64).sqrt();
                let at = value + error * normal(random);
                let scale = off * ((BLOCKS - 1) as f64 / BLOCKS as f64).sqrt();
                Drawn::new(at, BLOCKS, (0..FEW).map(|_| at + scale * normal(random)).collect())
            };
            for workload in 0..workloads {
                let of_workload = draw(machine.workload, &mut random);
                for (program, of_program) in of_program[..programs].iter().enumerate() {
                    let shift = common + of_workload + of_program + draw(machine.own, &mut random);
                    let (old, new) = (measured(0.0, &mut random), measured(shift, &mut random));
                    let error = (old.standard_error().unwrap().powi(2) + new.standard_error().unwrap().powi(2)).sqrt();
                    controls.push(Control { program, workload, shift: new.point - old.point, error });
                }
                let subject = common + of_workload + of_program[programs];
                let cells = [0, 1].map(|_| subject + draw(machine.own, &mut random));
                rows.push((measured(0.0, &mut random), measured(cells[0], &mut random)));
                scales.push(false);
                rows.push((measured(0.0, &mut random), measured(cells[1] - cells[0], &mut random)));
                scales.push(true);
            }
            let learnt = sessions(&controls, FEW, study).expect("controls");
            let rows: Vec<Difference> = rows
                .iter()
                .zip(&scales)
                .enumerate()
                .map(|(at, ((old, new), is_contrast))| {
                    let difference = pairing.difference(old, new);
                    match is_contrast {
                        false => difference.widened(&learnt.of_values, 1.0, at as u64),
                        true => difference.widened(&learnt.of_contrasts, 2.0_f64.sqrt(), at as u64),
                    }
                })
                .collect();
            let is_outside = |ends: Option<(f64, f64)>| ends.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
            missed[0] += u64::from(is_outside(rows[0].interval()));
            missed[1] += u64::from(is_outside(rows[1].interval()));
            missed[2] += u64::from(together(&rows).into_iter().any(is_outside));
        }
        missed.map(|count| 100.0 * count as f64 / studies as f64)
    }

    fn check(studies: u64, shapes: &[(usize, usize)], most: f64) {
        let machine = |common, workload, program, own| Machine { common, workload, program, own };
        let machines = [
            machine(0.0, 0.0, 0.0, 0.0),
            machine(0.03, 0.0, 0.0, 0.0),
            machine(0.0, 0.0, 0.0, 0.02),
            machine(0.0, 0.0, 0.02, 0.0),
            machine(0.0, 0.02, 0.0, 0.0),
            machine(0.01, 0.01, 0.01, 0.01),
        ];
        for machine in machines {
            for (programs, workloads) in shapes {
                let missed = missed(machine, *programs, *workloads, studies);
                println!("{machine:?}, {programs} programs, {workloads} workloads: {missed:?} % outside");
                assert!(missed.iter().all(|share| *share <= most), "{machine:?} {programs} {workloads}: {missed:?}");
            }
        }
    }

    #[test]
    fn the_same_program_is_seldom_called_different() {
        // 5 % of 40 with an error of three standard deviations, 3.4 points each.
        check(40, &[(2, 1), (3, 2)], 15.3);
    }

    #[test]
    #[ignore = "simulates 48,000 comparisons; `just coverage` runs it"]
    fn coverage_of_differences_between_sessions() {
        check(2_000, &[(2, 1), (2, 4), (3, 1), (5, 4)], 6.5);
    }
}

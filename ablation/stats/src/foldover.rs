//! A folded-over screening design: every run beside its mirror, in which each factor has its other level.
//!
//! The half-difference of a run and its mirror has every effect of one factor (and of three, five, …) and none of two, so
//! that main effects are clear of two-factor interactions (Box and Wilson, "On the Experimental Attainment of Optimum
//! Conditions", Journal of the Royal Statistical Society B 13, 1951). The half-sum has the mean and the interactions of
//! two factors (and of four, …) and no main effect. So it tells whether there are interactions at all, also between
//! factors that have no main effect.

use super::gamma::f_above;
use super::moderated::moderated;
use super::table::Tables;

/// The blocks of a study with such a design.
#[derive(Debug, Clone)]
pub struct Folded<'a> {
    /// For each row of the design, the level of each factor in the run: +1 at work, −1 away. The mirror has the opposite.
    /// The columns are orthogonal.
    pub signs: &'a [Vec<i8>],
    /// For each block, the values of each row: of the run and of its mirror.
    pub blocks: &'a [Vec<[f64; 2]>],
}

/// Fewest blocks for which values far out are limited. With fewer, the middle of a cell is not known well enough: an
/// outlier would move it, and seem to be no outlier.
const LIMITED_FROM: usize = 4;

/// The values of cells by block, `[block][cell]`, from the (block index, value) pairs of each cell; `None` when a cell has
/// no finite value.
///
/// From four blocks on, the effects of blocks are taken off and values far from their cell are limited, as
/// [`Tables::with_rests`] has it; with fewer blocks an outlier stays, and widens all intervals. A value that is missing is
/// taken to be its cell's mean on a block like this one.
///
/// # Panics
/// When a cell has a block index of `blocks` or more.
pub fn by_block(cells: &[Vec<(usize, f64)>], blocks: usize) -> Option<Vec<Vec<f64>>> {
    let limited = (blocks >= LIMITED_FROM).then(|| Tables::new(blocks, 1, 0).with_rests(cells).1);
    let cells = limited.as_deref().unwrap_or(cells);
    let mut out = vec![vec![f64::NAN; cells.len()]; blocks];
    let mut means = Vec::with_capacity(cells.len());
    for (at, cell) in cells.iter().enumerate() {
        let finite = || cell.iter().filter(|(_, value)| value.is_finite());
        finite().for_each(|(block, value)| out[*block][at] = *value);
        let count = finite().count();
        if count == 0 {
            return None;
        }
        means.push(finite().map(|(_, value)| value).sum::<f64>() / count as f64);
    }
    for block in &mut out {
        let rests = block.iter().zip(&means).map(|(value, mean)| value - mean).filter(|rest| rest.is_finite());
        let (sum, count) = rests.fold((0.0, 0), |(sum, count), rest| (sum + rest, count + 1));
        let common = sum / f64::from(count.max(1));
        for (value, mean) in block.iter_mut().zip(&means).filter(|(value, _)| value.is_nan()) {
            *value = mean + common;
        }
    }
    Some(out)
}

/// Main effects at a look.
#[derive(Debug, Clone, PartialEq)]
pub struct MainEffects {
    /// For each factor the mean of the runs with it minus the mean of those without, in the unit of the values.
    pub effects: Vec<f64>,
    /// Their standard errors.
    pub errors: Vec<f64>,
    /// Degrees of freedom of each; infinite without any noise.
    pub degrees: f64,
}

/// What the half-sums say about interactions of two factors.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    /// Probability of half-sums that differ this much without interactions other than those of the known pairs.
    pub p: f64,
    /// Pairs that would explain the half-sums, the one that explains most first. Empty when `p` is 5 % or more.
    pub suspects: Vec<Suspect>,
    /// The p value when the suspects are known too.
    pub rest_p: f64,
}

/// A pair of factors whose interaction would explain the half-sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// The two factors.
    pub pair: (usize, usize),
    /// Its interaction, v(both) − v(one) − v(other) + v(neither), if it is this pair alone.
    pub size: f64,
    /// How many other pairs explain the half-sums just as well: those with the same column of the design.
    pub alike: usize,
}

/// Most pairs that are suspected.
const MOST_SUSPECTS: usize = 3;

/// p value from which on the half-sums differ by chance.
const CHANCE: f64 = 0.05;

impl Folded<'_> {
    /// The main effects. Each is the mean over the blocks of its contrast in a block, and its error comes from how the
    /// contrast differs between blocks, moderated by all orthogonal contrasts of the design ([`moderated`]): those of the
    /// factors, and those between half-sums.
    ///
    /// `None` below two blocks or two rows.
    pub fn main_effects(&self) -> Option<MainEffects> {
        let (blocks, rows) = (self.blocks.len(), self.signs.len());
        if blocks < 2 || rows < 2 {
            return None;
        }
        let factors = self.signs[0].len();
        let mut seen: Vec<Vec<f64>> = vec![Vec::with_capacity(blocks); factors + rows - 1];
        for block in self.blocks {
            for (factor, seen) in seen.iter_mut().take(factors).enumerate() {
                let half = |(row, values): (&Vec<i8>, &[f64; 2])| f64::from(row[factor]) * (values[0] - values[1]);
                seen.push(self.signs.iter().zip(block).map(half).sum::<f64>() / rows as f64);
            }
            for (contrast, seen) in between_rows(block).into_iter().zip(&mut seen[factors..]) {
                seen.push(contrast);
            }
        }
        let moments: Vec<(f64, f64)> = seen.iter().map(|values| moments(values)).collect();
        let variances: Vec<f64> = moments.iter().map(|(_, variance)| *variance).collect();
        // Without noise everything is known exactly.
        let (variances, degrees) = match moderated(&variances, blocks - 1) {
            Some(found) => (found.variances, found.degrees),
            None => (variances, f64::INFINITY),
        };
        let errors = variances.iter().take(factors).map(|variance| (variance / blocks as f64).sqrt()).collect();
        let effects = moments.iter().take(factors).map(|(mean, _)| *mean).collect();
        Some(MainEffects { effects, errors, degrees })
    }

    /// Tests whether the half-sums differ by more than noise and the interactions of `known` pairs of factors, and looks
    /// for pairs that would explain it.
    ///
    /// The test is that of lack of fit against the noise between blocks (an F test; Box, Hunter and Hunter, "Statistics
    /// for Experimenters", 2nd edition, 2005, chapter 10). Suspects are found by forward selection, so they are
    /// candidates and no findings.
    ///
    /// `None` below two blocks, and when more pairs are known than half of the rows can tell apart.
    pub fn interactions(&self, known: &[(usize, usize)]) -> Option<Interactions> {
        let (blocks, rows) = (self.blocks.len(), self.signs.len());
        if blocks < 2 || known.len() > rows / 2 {
            return None;
        }
        let half_sum = |row: usize| self.blocks.iter().map(move |block| (block[row][0] + block[row][1]) / 2.0);
        let means: Vec<f64> = (0..rows).map(|row| half_sum(row).sum::<f64>() / blocks as f64).collect();
        let all = means.iter().sum::<f64>() / rows as f64;
        let mut noise = 0.0;
        for (at, block) in self.blocks.iter().enumerate() {
            let own = block.iter().map(|pair| (pair[0] + pair[1]) / 2.0).sum::<f64>() / rows as f64;
            noise += (0..rows)
                .map(|row| (half_sum(row).nth(at).unwrap_or(all) - means[row] - own + all).powi(2))
                .sum::<f64>();
        }
        let noise_degrees = ((rows - 1) * (blocks - 1)) as f64;
        let mut fit = Fit { rest: means.iter().map(|mean| mean - all).collect(), basis: Vec::new() };
        fit.add(vec![1.0; rows]);
        known.iter().for_each(|pair| fit.add(self.column(*pair)));
        // Differences that rounding makes are none.
        let scale = all.abs() * 1e-9;
        let test = |fit: &Fit| {
            let left = (rows - fit.basis.len()) as f64;
            let rest: f64 = fit.rest.iter().map(|rest| rest * rest).sum();
            let per = noise / noise_degrees / blocks as f64;
            match () {
                () if left < 1.0 || rest <= rows as f64 * scale * scale => 1.0,
                () if per <= scale * scale => 0.0,
                () => f_above(rest / left / per, left, noise_degrees),
            }
        };
        let p = test(&fit);
        let (mut rest_p, mut suspects) = (p, Vec::new());
        while rest_p < CHANCE && suspects.len() < MOST_SUSPECTS {
            let Some(suspect) = self.strongest(&fit) else { break };
            fit.add(self.column(suspect.pair));
            suspects.push(suspect);
            rest_p = test(&fit);
        }
        Some(Interactions { p, suspects, rest_p })
    }

    /// The interaction of a pair in every row.
    fn column(&self, (one, other): (usize, usize)) -> Vec<f64> {
        self.signs.iter().map(|row| f64::from(row[one] * row[other])).collect()
    }

    /// The pair that explains most of the rest of a fit.
    fn strongest(&self, fit: &Fit) -> Option<Suspect> {
        let factors = self.signs.first()?.len();
        let mut best: Option<(f64, Suspect)> = None;
        for one in 0..factors {
            for other in one + 1..factors {
                let column = fit.without(self.column((one, other)));
                let length: f64 = column.iter().map(|v| v * v).sum();
                if length < 1e-6 * column.len() as f64 {
                    continue;
                }
                let along: f64 = column.iter().zip(&fit.rest).map(|(v, rest)| v * rest).sum();
                let gain = along * along / length;
                match &mut best {
                    Some((most, suspect)) if (gain - *most).abs() <= 1e-9 * *most => suspect.alike += 1,
                    Some((most, _)) if gain < *most => {}
                    _ => best = Some((gain, Suspect { pair: (one, other), size: 4.0 * along / length, alike: 0 })),
                }
            }
        }
        best.map(|(_, suspect)| suspect)
    }
}

/// A least-squares fit by orthogonal columns.
struct Fit {
    rest: Vec<f64>,
    /// Columns of length 1, each orthogonal to the others.
    basis: Vec<Vec<f64>>,
}

impl Fit {
    fn add(&mut self, column: Vec<f64>) {
        let scale = (column.len() as f64).sqrt();
        let mut column = self.without(column);
        let length = column.iter().map(|v| v * v).sum::<f64>().sqrt();
        if length < 1e-6 * scale {
            return;
        }
        column.iter_mut().for_each(|v| *v /= length);
        let along: f64 = column.iter().zip(&self.rest).map(|(v, rest)| v * rest).sum();
        self.rest.iter_mut().zip(&column).for_each(|(rest, v)| *rest -= along * v);
        self.basis.push(column);
    }

    /// The part of a column that the fit does not have.
    fn without(&self, mut column: Vec<f64>) -> Vec<f64> {
        for own in &self.basis {
            let along: f64 = column.iter().zip(own).map(|(v, own)| v * own).sum();
            column.iter_mut().zip(own).for_each(|(v, own)| *v -= along * own);
        }
        column
    }
}

/// The contrasts between the half-sums of a block: each row with the mean of the rows before it (Helmert's), scaled so
/// that their variance is that of a main effect.
fn between_rows(block: &[[f64; 2]]) -> Vec<f64> {
    let scale = 2.0 / (block.len() as f64).sqrt();
    let mut sum = 0.0;
    let mut out = Vec::with_capacity(block.len() - 1);
    for (before, pair) in block.iter().enumerate() {
        let value = (pair[0] + pair[1]) / 2.0;
        if before > 0 {
            let count = before as f64;
            out.push(scale * (value - sum / count) * (count / (count + 1.0)).sqrt());
        }
        sum += value;
    }
    out
}

/// Mean and sample variance of two values or more.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage_screening::{Truth, paley};
    use crate::random::seeded;

    #[test]
    fn main_effects_are_clear_of_pairs_and_half_sums_of_main_effects() {
        let signs = paley(11, 11);
        let truth =
            Truth { mains: vec![(2, 5.0), (7, -3.0)], pairs: vec![((1, 4), 8.0)], noise: 0.0, shake: 1.0, slow: 0.0 };
        let blocks = truth.folded(&signs, 3, &mut seeded(1));
        let folded = Folded { signs: &signs, blocks: &blocks };
        let found = folded.main_effects().expect("enough blocks");
        for (factor, effect) in found.effects.iter().enumerate() {
            let expected = truth.main(factor);
            assert!((effect - expected).abs() < 1e-9, "factor {factor}: {effect} is not {expected}");
        }
        let pairs = folded.interactions(&[]).expect("enough blocks");
        assert!(pairs.p < 1e-9 && pairs.rest_p > 0.99, "{pairs:?}");
        assert_eq!((pairs.suspects.len(), pairs.suspects[0].pair, pairs.suspects[0].alike), (1, (1, 4), 0));
        assert!((pairs.suspects[0].size - 8.0).abs() < 1e-9, "{pairs:?}");
        let known = folded.interactions(&[(1, 4)]).expect("enough blocks");
        assert!(known.p > 0.99 && known.suspects.is_empty(), "{known:?}");
    }

    #[test]
    fn errors_are_those_of_the_noise() {
        // 44 rows, so 88 runs a block: the variance of an effect is 4 / 88 / 4 blocks.
        let signs = paley(43, 40);
        let truth = Truth { mains: Vec::new(), pairs: Vec::new(), noise: 1.0, shake: 5.0, slow: 0.0 };
        let (mut squares, mut errors, mut alarms) = (0.0, 0.0, 0);
        for seed in 0..60 {
            let blocks = truth.folded(&signs, 4, &mut seeded(seed));
            let folded = Folded { signs: &signs, blocks: &blocks };
            let found = folded.main_effects().expect("enough blocks");
            squares += found.effects.iter().map(|effect| effect * effect).sum::<f64>() / 40.0;
            errors += found.errors.iter().map(|error| error * error).sum::<f64>() / 40.0;
            alarms += usize::from(folded.interactions(&[]).expect("enough blocks").p < 0.05);
        }
        let expected = 4.0 / 88.0 / 4.0;
        assert!((squares / 60.0 / expected - 1.0).abs() < 0.1, "{}", squares / 60.0);
        assert!((errors / 60.0 / expected - 1.0).abs() < 0.1, "{}", errors / 60.0);
        assert!(alarms <= 9, "{alarms} of 60 where 3 are expected");
    }

    #[test]
    fn missing_values_are_their_cells_on_a_block_like_this_one() {
        let cells = vec![vec![(0, 10.0), (1, 12.0)], vec![(0, 20.0)], vec![(0, 30.0), (1, 32.0)]];
        let found = by_block(&cells, 2).expect("every cell has a value");
        // The second block is one above the means of two blocks, and its missing cell has the mean of one.
        assert_eq!(found, [vec![10.0, 20.0, 30.0], vec![12.0, 21.0, 32.0]]);
        assert_eq!(by_block(&[vec![(0, 1.0)], Vec::new()], 2), None);
        // From four blocks on an outlier is limited.
        let quiet = |cell: usize| (0..6).map(|block| (block, 100.0 + ((block * 7 + cell * 5) as f64).sin())).collect();
        let mut cells: Vec<Vec<(usize, f64)>> = (0..8).map(quiet).collect();
        cells[3][2].1 = 500.0;
        let found = by_block(&cells, 6).expect("every cell has a value");
        assert!(found[2][3] < 120.0, "{}", found[2][3]);
    }

    #[test]
    fn too_few_blocks_say_nothing() {
        let signs = paley(11, 5);
        let truth = Truth { mains: Vec::new(), pairs: Vec::new(), noise: 1.0, shake: 0.0, slow: 0.0 };
        let blocks = truth.folded(&signs, 1, &mut seeded(1));
        let folded = Folded { signs: &signs, blocks: &blocks };
        assert_eq!((folded.main_effects(), folded.interactions(&[])), (None, None));
        let blocks = truth.folded(&signs, 2, &mut seeded(1));
        let many: Vec<(usize, usize)> = (0..4).flat_map(|i| (i + 1..5).map(move |j| (i, j))).collect();
        assert_eq!(Folded { signs: &signs, blocks: &blocks }.interactions(&many), None);
    }
}

//! Least squares: lines and regressions whose coefficients carry the draws of the responses.

use super::bootstrap::Drawn;

/// Largest condition number of a regression that is returned.
const MAX_CONDITION: f64 = 1e4;

/// A line through points: y = intercept + slope · x.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Line {
    /// Value at x = 0, in the unit of y.
    pub intercept: Drawn,
    /// Change of y per unit of x.
    pub slope: Drawn,
    /// Share of the variance of y that the line explains, R².
    pub r2: f64,
}

/// Line of least squares through the points (`x[i]`, `y[i]`).
///
/// `None` with fewer than two points, with values of x that differ by less than 1e-9 of their mean, or with another
/// number of values of x than of y.
pub fn line(x: &[f64], y: &[Drawn]) -> Option<Line> {
    // With x − mean the two columns are orthogonal, even when all of x is far from 0.
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let spread = x.iter().map(|x| (x - mean).abs()).fold(0.0, f64::max);
    if spread <= 1e-9 * mean.abs() {
        return None;
    }
    let columns = [vec![1.0; x.len()], x.iter().map(|x| x - mean).collect()];
    let regression = regress(&columns, y)?;
    let [middle, slope] = regression.coefficients.try_into().ok()?;
    let intercept = middle.combine(&slope, |middle, slope| middle - slope * mean);
    Some(Line { intercept, slope, r2: regression.r2 })
}

/// Coefficients of a linear model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Regression {
    /// One for each column.
    pub coefficients: Vec<Drawn>,
    /// Condition number of the columns scaled to the same length: the largest growth of a relative error.
    pub condition: f64,
    /// Share of the variance of y around its mean that the columns explain, R²; 1 when y does not vary. It can be below
    /// 0 without a column of ones.
    pub r2: f64,
}

/// Least squares of y on columns, `columns[column][row]` for `y[row]`, by QR. A constant needs a column of ones.
///
/// Modified Gram–Schmidt with one reorthogonalisation on columns of length 1 (Björck, "Numerical Methods for Least
/// Squares Problems", 1996, section 2.4). Each coefficient is a linear combination of the y, so it has the draws of the
/// y and their interval.
///
/// `None` when the coefficients are not identified: no columns, fewer rows than columns, columns of another length than
/// y, columns that depend on each other, a condition number above 10⁴, or numbers that are not finite.
pub fn regress(columns: &[Vec<f64>], y: &[Drawn]) -> Option<Regression> {
    let rows = y.len();
    let fits = |column: &Vec<f64>| column.len() == rows && column.iter().all(|v| v.is_finite());
    if columns.is_empty() || rows < columns.len() || !columns.iter().all(fits) {
        return None;
    }
    let lengths: Vec<f64> = columns.iter().map(|c| c.iter().map(|v| v * v).sum::<f64>().sqrt()).collect();
    if lengths.contains(&0.0) {
        return None;
    }
    let scaled: Vec<Vec<f64>> =
        columns.iter().zip(&lengths).map(|(c, length)| c.iter().map(|v| v / length).collect()).collect();
    let (q, r) = gram_schmidt(&scaled);
    let condition = condition(&r);
    if condition.is_nan() || condition > MAX_CONDITION {
        return None;
    }
    // Row k of R⁻¹ Qᵀ, from the last coefficient up: each one is a fixed combination of the responses.
    let k = columns.len();
    let mut weights: Vec<Vec<f64>> = vec![vec![0.0; rows]; k];
    for i in (0..k).rev() {
        let mut row = q[i].clone();
        for j in i + 1..k {
            row.iter_mut().zip(&weights[j]).for_each(|(value, below)| *value -= r[j][i] * below);
        }
        weights[i] = row.into_iter().map(|value| value / r[i][i]).collect();
    }
    let coefficients = weights.iter().zip(&lengths);
    let coefficients: Vec<Drawn> = coefficients
        .map(|(weights, length)| Drawn::linear(weights.iter().map(|w| w / length).zip(y)))
        .collect::<Option<_>>()?;
    let fitted = |row: usize| columns.iter().zip(&coefficients).map(|(c, b)| c[row] * b.point).sum::<f64>();
    let mean = y.iter().map(|y| y.point).sum::<f64>() / rows as f64;
    let left: f64 = (0..rows).map(|row| (y[row].point - fitted(row)).powi(2)).sum();
    let total: f64 = y.iter().map(|y| (y.point - mean).powi(2)).sum();
    Some(Regression { coefficients, condition, r2: if total == 0.0 { 1.0 } else { 1.0 - left / total } })
}

/// Modified Gram–Schmidt, twice: orthonormal columns Q and the triangle R as `r[column][row]`.
fn gram_schmidt(columns: &[Vec<f64>]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let mut q: Vec<Vec<f64>> = Vec::new();
    let mut r = Vec::new();
    for column in columns {
        let mut rest = column.clone();
        let mut entries = vec![0.0; columns.len()];
        for _ in 0..2 {
            for (entry, unit) in entries.iter_mut().zip(&q) {
                let along: f64 = unit.iter().zip(&rest).map(|(a, b)| a * b).sum();
                *entry += along;
                rest.iter_mut().zip(unit).for_each(|(value, unit)| *value -= along * unit);
            }
        }
        let length = rest.iter().map(|v| v * v).sum::<f64>().sqrt();
        entries[q.len()] = length;
        rest.iter_mut().for_each(|value| *value /= length);
        q.push(rest);
        r.push(entries);
    }
    (q, r)
}

/// Largest over smallest singular value, by one-sided Jacobi rotations (Hestenes, "Inversion of Matrices by
/// Biorthogonalization", 1958). Columns come as vectors.
fn condition(columns: &[Vec<f64>]) -> f64 {
    let mut columns = columns.to_vec();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for _ in 0..60 {
        let mut turned = false;
        for i in 0..columns.len() {
            for j in i + 1..columns.len() {
                let (a, b) = (dot(&columns[i], &columns[i]), dot(&columns[j], &columns[j]));
                let c = dot(&columns[i], &columns[j]);
                if c.abs() <= 1e-14 * (a * b).sqrt() {
                    continue;
                }
                turned = true;
                let zeta = (b - a) / (2.0 * c);
                let tangent = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let cos = 1.0 / (1.0 + tangent * tangent).sqrt();
                let sin = cos * tangent;
                for row in 0..columns[i].len() {
                    let (x, y) = (columns[i][row], columns[j][row]);
                    columns[i][row] = cos * x - sin * y;
                    columns[j][row] = sin * x + cos * y;
                }
            }
        }
        if !turned {
            break;
        }
    }
    let lengths: Vec<f64> = columns.iter().map(|c| dot(c, c).sqrt()).collect();
    let longest = lengths.iter().copied().fold(0.0, f64::max);
    let shortest = lengths.iter().copied().fold(f64::INFINITY, f64::min);
    longest / shortest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{normal, seeded, uniform};
    use crate::table::table;

    fn exact(values: &[f64]) -> Vec<Drawn> {
        values.iter().map(|value| Drawn::new(*value, 12, vec![*value; 3])).collect()
    }

    #[test]
    fn line_matches_r() {
        // R: lm(c(2, 4, 5, 4, 5) ~ c(1, 2, 3, 4, 5)): 2.2 + 0.6 x, R² = 0.6.
        let line = line(&[1.0, 2.0, 3.0, 4.0, 5.0], &exact(&[2.0, 4.0, 5.0, 4.0, 5.0])).unwrap();
        assert!((line.intercept.point - 2.2).abs() < 1e-12 && (line.slope.point - 0.6).abs() < 1e-12);
        assert!((line.r2 - 0.6).abs() < 1e-12);
        assert_eq!((line.slope.draws().len(), line.slope.blocks), (3, 12));
    }

    #[test]
    fn line_needs_two_places() {
        assert!(line(&[3.0, 3.0], &exact(&[1.0, 2.0])).is_none());
        assert!(line(&[3.0], &exact(&[1.0])).is_none());
        assert!(line(&[1.0, 2.0, 3.0], &exact(&[1.0, 2.0])).is_none());
        let far = line(&[1e6, 1e6 + 1.0, 1e6 + 2.0], &exact(&[1.0, 3.0, 5.0])).unwrap();
        assert!((far.slope.point - 2.0).abs() < 1e-6 && far.r2 > 0.999_999);
        assert_eq!(line(&[1.0, 2.0], &exact(&[4.0, 4.0])).unwrap().r2, 1.0);
    }

    #[test]
    fn regression_recovers_its_coefficients() {
        let mut random = seeded(2);
        let mut column = |scale: f64| -> Vec<f64> { (0..20).map(|_| scale * uniform(&mut random)).collect() };
        let columns = [vec![1.0; 20], column(1.0), column(1e6), column(1e-3)];
        let truth = [5.0, -2.0, 3e-4, 700.0];
        let y = |row: usize| columns.iter().zip(truth).map(|(c, b)| c[row] * b).sum::<f64>();
        let regression = regress(&columns, &exact(&(0..20).map(y).collect::<Vec<_>>())).unwrap();
        for (coefficient, truth) in regression.coefficients.iter().zip(truth) {
            assert!((coefficient.point / truth - 1.0).abs() < 1e-9, "{} {truth}", coefficient.point);
        }
        assert!(regression.r2 > 1.0 - 1e-12 && regression.condition > 1.0 && regression.condition < 30.0);
    }

    #[test]
    fn condition_is_the_ratio_of_singular_values() {
        // Unit columns with an angle whose cosine is c have condition √((1 + c) / (1 − c)).
        let c = 0.96f64;
        let columns = [vec![1.0, 0.0, 0.0], vec![c, (1.0 - c * c).sqrt(), 0.0]];
        let regression = regress(&columns, &exact(&[1.0, 2.0, 3.0])).unwrap();
        assert!((regression.condition - (1.96f64 / 0.04).sqrt()).abs() < 1e-9, "{}", regression.condition);
    }

    #[test]
    fn what_is_not_identified_is_refused() {
        let y = exact(&[1.0, 2.0, 3.0, 5.0]);
        let (ones, ramp) = (vec![1.0; 4], vec![1.0, 2.0, 3.0, 4.0]);
        let sum: Vec<f64> = ramp.iter().map(|r| 3.0 * r + 1.0).collect();
        let nearly: Vec<f64> = ramp.iter().enumerate().map(|(i, r)| r + 1e-5 * (i % 2) as f64).collect();
        assert!(regress(&[ones.clone(), ramp.clone(), sum], &y).is_none());
        assert!(regress(&[ramp.clone(), nearly], &y).is_none());
        assert!(regress(&[ones.clone(), vec![0.0; 4]], &y).is_none());
        assert!(regress(&[ones.clone(), vec![1.0, f64::NAN, 2.0, 3.0]], &y).is_none());
        assert!(regress(&[ones.clone(), ramp.clone()], &y[..1]).is_none());
        assert!(regress(&[ones[..2].to_vec(), ramp[..3].to_vec()], &y[..2]).is_none());
        assert!(regress(&[], &y).is_none());
        assert!(regress(&[ones, ramp], &y).is_some());
    }

    #[test]
    fn the_interval_of_a_slope_covers() {
        let (x, blocks, studies) = ([0.0, 50.0, 100.0, 200.0, 400.0], 12, 400);
        let mut random = seeded(8);
        let mut covered = 0;
        for study in 0..studies {
            let mut cell = |x: f64| (0..blocks).map(|b| (b, 1000.0 + 1.5 * x + 20.0 * normal(&mut random))).collect();
            let cells: Vec<Vec<(usize, f64)>> = x.iter().map(|x| cell(*x)).collect();
            let (lo, hi) = line(&x, &table(&cells, blocks, 400, study)).unwrap().slope.interval().unwrap();
            covered += u32::from(lo <= 1.5 && 1.5 <= hi);
        }
        assert!((368..=395).contains(&covered), "{covered} of {studies}");
    }
}

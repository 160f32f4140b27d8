//! Least squares: lines and regressions whose coefficients carry the draws of the responses.

use super::bootstrap::Drawn;

/// Largest condition number with which a regression is given.
const MAX_CONDITION: f64 = 1e4;

/// A line through points: y = intercept + slope · x.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Value at x = 0.
    pub intercept: Drawn,
    /// Change of y for a change of x by 1.
    pub slope: Drawn,
    /// Share of the variance of y that the line explains.
    pub r2: f64,
}

/// Line of least squares; `None` with fewer than two different values of x.
pub fn line(x: &[f64], y: &[Drawn]) -> Option<Line> {
    let columns = [vec![1.0; x.len()], x.to_vec()];
    let regression = regress(&columns, y)?;
    let [intercept, slope] = regression.coefficients.try_into().ok()?;
    Some(Line { intercept, slope, r2: regression.r2 })
}

/// Coefficients of a linear model.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// One for each column.
    pub coefficients: Vec<Drawn>,
    /// Condition number of the columns scaled to the same length: how much errors of y can grow.
    pub condition: f64,
    /// Share of the variance of y that the columns explain.
    pub r2: f64,
}

/// Least squares of y on columns (`columns[column][row]`), by QR; a constant needs a column of ones.
///
/// `None` when the coefficients are not identified: fewer rows than columns, columns that depend on each other, or a
/// condition number above 10⁴.
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

//! The normal distribution and Student's t, as far as intervals need them.

use std::cell::RefCell;
use std::collections::HashMap;

/// Most degrees of freedom. More are read as this many, which makes the 97.5 % point 0.6 % too wide at most.
const MAX_DEGREES: usize = 200;

/// Probability that a standard normal value is below `z`.
///
/// Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.17; absolute error below 7.5e-8.
pub fn normal_cdf(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let polynomial =
        t * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let upper = density * polynomial;
    if z >= 0.0 { 1.0 - upper } else { upper }
}

/// Probability that |T| is below `t` for Student's t with `degrees` ≥ 1 degrees of freedom.
///
/// Abramowitz and Stegun 26.7.3 (odd) and 26.7.4 (even): finite sums, exact.
fn t_two_sided(t: f64, degrees: usize) -> f64 {
    let theta = (t / (degrees as f64).sqrt()).atan();
    let (sin, cos) = theta.sin_cos();
    let odd = degrees % 2 == 1;
    let mut term = if odd { cos } else { 1.0 };
    let mut sum = if degrees == 1 { 0.0 } else { term };
    // Term i follows from term i − 2 by cos² · (i − 1) / i, up to the power degrees − 2.
    let mut power = if odd { 3 } else { 2 };
    while power + 2 <= degrees {
        term *= cos * cos * (power - 1) as f64 / power as f64;
        sum += term;
        power += 2;
    }
    if odd { 2.0 / std::f64::consts::PI * (theta + sin * sum) } else { sin * sum }
}

/// Quantile of Student's t: the value that T is below with probability `p`, 0.5 to 0.9999995. A `p` outside of these is
/// read as the nearer end.
///
/// `degrees` of 0 are read as 1 and more than 200 as 200.
///
/// Each quantile is computed once per thread and then remembered: intervals need the same few, and one takes as long as
/// sorting the draws.
pub fn t_quantile(p: f64, degrees: usize) -> f64 {
    thread_local! {
        static KNOWN: RefCell<HashMap<(u64, usize), f64>> = RefCell::new(HashMap::new());
    }
    let degrees = degrees.clamp(1, MAX_DEGREES);
    KNOWN.with_borrow_mut(|known| *known.entry((p.to_bits(), degrees)).or_insert_with(|| find_t_quantile(p, degrees)))
}

fn find_t_quantile(p: f64, degrees: usize) -> f64 {
    let inside = (2.0 * p - 1.0).clamp(0.0, 0.999_999);
    let (mut low, mut high) = (0.0, 1e7);
    for _ in 0..90 {
        let middle = (low + high) / 2.0;
        if t_two_sided(middle, degrees) < inside {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// Probability that Student's t with `degrees` degrees of freedom is above `t`.
///
/// `degrees` of 0 are read as 1 and more than 200 as 200. A tail below 1e-15 is returned as 1e-15, the limit of
/// rounding.
pub fn t_above(t: f64, degrees: usize) -> f64 {
    let tail = ((1.0 - t_two_sided(t.abs(), degrees.clamp(1, MAX_DEGREES))) / 2.0).max(1e-15);
    if t >= 0.0 { tail } else { 1.0 - tail }
}

/// Quantile of the standard normal distribution for `p` in 0 to 1, limited to −8 to 8. The precision is that of
/// [`normal_cdf`].
pub fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if normal_cdf(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_cdf_matches_tables() {
        for (z, expected) in [(0.0, 0.5), (1.96, 0.975_002), (-1.96, 0.024_998), (-2.816, 0.002_431)] {
            assert!((normal_cdf(z) - expected).abs() < 2e-6, "{z}: {}", normal_cdf(z));
        }
    }

    #[test]
    fn t_quantile_matches_tables() {
        let table = [(0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 3, 3.182), (0.975, 5, 2.571), (0.975, 11, 2.201)];
        let more = [(0.975, 30, 2.042), (0.8, 5, 0.920), (0.8, 11, 0.876), (0.975, 1_000_000, 1.972)];
        for (p, degrees, expected) in table.into_iter().chain(more) {
            let t = t_quantile(p, degrees);
            assert!((t - expected).abs() < 6e-4, "p {p} with {degrees} degrees: {t}");
        }
    }

    #[test]
    fn t_tails_match_tables() {
        // R: pt(-2.201, 11) = 0.02500, pt(-10, 5) = 8.5477e-05, pt(-1, 1) = 0.25.
        for (t, degrees, expected) in [(2.201, 11, 0.025), (10.0, 5, 8.5477e-5), (1.0, 1, 0.25), (0.0, 7, 0.5)] {
            let tail = t_above(t, degrees);
            assert!((tail / expected - 1.0).abs() < 1e-3, "{t} with {degrees} degrees: {tail}");
            assert!((t_above(-t, degrees) + tail - 1.0).abs() < 1e-12);
        }
        assert!(t_above(1e6, 200) > 0.0 && t_above(1e6, 200) < 1e-12);
    }

    #[test]
    fn normal_quantile_inverts_the_distribution() {
        for (p, expected) in [(0.5, 0.0), (0.975, 1.959_964), (0.025, -1.959_964), (0.001, -3.090_232)] {
            assert!((normal_quantile(p) - expected).abs() < 3e-5, "{p}: {}", normal_quantile(p));
        }
    }
}

//! The gamma function's relatives, and the distribution that needs them: Fisher's F.

/// ln Γ(x) for x > 0 (Stirling's series, Abramowitz and Stegun, "Handbook of Mathematical Functions", 6.1.41, after the
/// recurrence 6.1.15 has moved x above 7); relative error below 1e-11.
pub(super) fn ln_gamma(x: f64) -> f64 {
    let (moved, x) = above_seven(x, |x| x.ln());
    let square = x * x;
    let series = (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * square)) / square) / square) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - moved
}

/// ψ(x), the derivative of ln Γ, for x > 0 (Abramowitz and Stegun 6.3.18 and 6.3.5).
pub(super) fn digamma(x: f64) -> f64 {
    let (moved, x) = above_seven(x, |x| 1.0 / x);
    let square = x * x;
    x.ln() - 0.5 / x - (1.0 / 12.0 - (1.0 / 120.0 - 1.0 / (252.0 * square)) / square) / square - moved
}

/// ψ′(x), the derivative of ψ, for x > 0 (Abramowitz and Stegun 6.4.12 and 6.4.6).
pub(super) fn trigamma(x: f64) -> f64 {
    let (moved, x) = above_seven(x, |x| 1.0 / (x * x));
    let square = x * x;
    (1.0 + 0.5 / x + (1.0 / 6.0 - (1.0 / 30.0 - 1.0 / (42.0 * square)) / square) / square) / x + moved
}

/// The x > 0 with ψ′(x) = `y`, for `y` > 0, by bisection of the logarithm. ψ′ falls from ∞ to 0.
pub(super) fn trigamma_inverse(y: f64) -> f64 {
    let (mut low, mut high) = (-20.0_f64, 20.0_f64);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if trigamma(middle.exp()) > y { low = middle } else { high = middle }
    }
    ((low + high) / 2.0).exp()
}

/// Moves x above 7 in steps of 1. Returns the sum of `of` over the values that were passed, and the new x.
fn above_seven(mut x: f64, of: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut sum = 0.0;
    while x < 7.0 {
        sum += of(x);
        x += 1.0;
    }
    (sum, x)
}

/// Probability that Fisher's F with `over` and `under` degrees of freedom, both above 0, is above `f`; 1 for `f` ≤ 0.
///
/// The incomplete beta function of Abramowitz and Stegun 26.6.2, by the continued fraction 26.5.8, which is evaluated
/// from the front (Lentz, Applied Optics 15, 1976).
pub fn f_above(f: f64, over: f64, under: f64) -> f64 {
    if f.is_nan() {
        return f64::NAN;
    }
    if f <= 0.0 {
        return 1.0;
    }
    let x = under / (under + over * f);
    beta_share(x, under / 2.0, over / 2.0)
}

/// I_x(a, b), the regularised incomplete beta function.
fn beta_share(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges quickly below the mean only.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_share(1.0 - x, b, a);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    let tiny = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut fraction, mut c, mut d) = (1.0, 1.0, 0.0);
    for step in 0..400 {
        let m = f64::from(step / 2);
        let factor = match step {
            0 => 1.0,
            even if even % 2 == 0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = 1.0 / tiny(1.0 + factor * d);
        c = tiny(1.0 + factor / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-14 && step > 0 {
            break;
        }
    }
    (front * (fraction - 1.0)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_tables() {
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        // Γ(5) = 24, Γ(1/2) = √π; ψ(1) = −γ, ψ′(1) = π²/6, ψ′(1/2) = π²/2.
        close(ln_gamma(5.0), 24_f64.ln());
        close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln());
        close(digamma(1.0), -0.577_215_664_901_532_9);
        close(trigamma(1.0), std::f64::consts::PI.powi(2) / 6.0);
        close(trigamma(0.5), std::f64::consts::PI.powi(2) / 2.0);
        for x in [0.3, 1.0, 12.0, 400.0] {
            assert!((trigamma_inverse(trigamma(x)) / x - 1.0).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn tails_of_f_match_tables() {
        // Published 5 % and 1 % points of F.
        for (f, over, under, p) in [
            (161.448, 1.0, 1.0, 0.05),
            (5.1433, 2.0, 6.0, 0.05),
            (4.2565, 2.0, 9.0, 0.05),
            (4.9646, 1.0, 10.0, 0.05),
            (3.3258, 5.0, 10.0, 0.05),
            (2.7109, 5.0, 20.0, 0.05),
            (4.1027, 5.0, 20.0, 0.01),
            (1.6491, 30.0, 60.0, 0.05),
        ] {
            let tail = f_above(f, over, under);
            assert!((tail / p - 1.0).abs() < 3e-3, "F({over}, {under}) at {f}: {tail}");
        }
        assert_eq!((f_above(0.0, 3.0, 4.0), f_above(-1.0, 3.0, 4.0)), (1.0, 1.0));
        assert!(f_above(1e6, 39.0, 39.0) < 1e-12 && f_above(f64::MAX, 3.0, 3.0) < 1e-100);
        assert!(f_above(f64::NAN, 1.0, 1.0).is_nan());
    }

    /// t² is F with one degree of freedom above.
    #[test]
    fn the_tail_of_f_is_that_of_t_squared() {
        for (t, degrees) in [(2.0, 5), (1.0, 30), (4.5, 11)] {
            let two_sided = 2.0 * crate::distribution::t_above(t, degrees);
            assert!((f_above(t * t, 1.0, degrees as f64) / two_sided - 1.0).abs() < 1e-9, "{t} {degrees}");
        }
    }
}

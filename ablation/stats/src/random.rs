//! Random numbers from a seed: uniform, normal and χ².

use rand_core::{Rng, SeedableRng};
pub use rand_pcg::Pcg64;

/// The generator of all draws. The same seed gives the same numbers on every machine.
pub fn seeded(seed: u64) -> Pcg64 {
    Pcg64::seed_from_u64(seed)
}

/// A uniform value between 0 and 1, both ends excluded.
pub fn uniform(random: &mut Pcg64) -> f64 {
    ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A standard normal value (Box and Muller, "A Note on the Generation of Random Normal Deviates", Annals of
/// Mathematical Statistics 29, 1958).
pub fn normal(random: &mut Pcg64) -> f64 {
    (-2.0 * uniform(random).ln()).sqrt() * (std::f64::consts::TAU * uniform(random)).cos()
}

/// A value of the χ² distribution with these degrees of freedom, at least 1: a sum of squares, and from 31 degrees on the
/// cube of a normal value (Wilson and Hilferty, "The Distribution of Chi-Square", Proceedings of the National Academy of
/// Sciences 17, 1931), whose percentiles are then right to 0.1 %.
pub fn chi_square(random: &mut Pcg64, degrees: usize) -> f64 {
    if degrees <= 30 {
        return (0..degrees).map(|_| normal(random).powi(2)).sum();
    }
    let part = 2.0 / (9.0 * degrees as f64);
    degrees as f64 * (1.0 - part + normal(random) * part.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = seeded(1);
        let n = 20_000;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n as f64;
        let uniforms: Vec<f64> = (0..n).map(|_| uniform(&mut random)).collect();
        assert!(uniforms.iter().all(|v| (0.0..1.0).contains(v)) && (mean(&uniforms) - 0.5).abs() < 0.01);
        let normals: Vec<f64> = (0..n).map(|_| normal(&mut random)).collect();
        let fourth: Vec<f64> = normals.iter().map(|v| v.powi(4)).collect();
        let squares: Vec<f64> = normals.iter().map(|v| v * v).collect();
        assert!(
            mean(&normals).abs() < 0.03 && (mean(&squares) - 1.0).abs() < 0.04 && (mean(&fourth) - 3.0).abs() < 0.3
        );
    }

    #[test]
    fn sums_of_squares_have_the_moments_of_their_degrees() {
        // Mean n and variance 2 n.
        for degrees in [1, 3, 30, 31, 200] {
            let mut random = seeded(degrees as u64);
            let values: Vec<f64> = (0..20_000).map(|_| chi_square(&mut random, degrees)).collect();
            let mean = values.iter().sum::<f64>() / 20_000.0;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 20_000.0;
            let n = degrees as f64;
            assert!((mean / n - 1.0).abs() < 0.04 && (variance / n / 2.0 - 1.0).abs() < 0.1, "{n}: {mean} {variance}");
        }
    }
}

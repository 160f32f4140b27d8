//! Random numbers from a seed: uniform and normal.

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
}

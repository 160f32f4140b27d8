//! Code layouts: every build is one draw of where the linker put things.

use super::bootstrap::Drawn;
use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// Mean over several layouts of one build, with the variance between layouts in its draws.
pub fn over_layouts(layouts: &[Drawn], seed: u64) -> Option<Drawn> {
    let count = layouts.len();
    let mean = Drawn::linear(layouts.iter().map(|layout| (1.0 / count as f64, layout)))?;
    if count < 2 {
        return Some(mean);
    }
    let degrees = count - 1;
    let squares: f64 = layouts.iter().map(|layout| (layout.point - mean.point).powi(2)).sum();
    let mut within = 0.0;
    for layout in layouts {
        within += layout.standard_error()?.powi(2) / count as f64;
    }
    let mut random = Pcg64::seed_from_u64(seed);
    let draws = mean.draws().iter().map(|draw| {
        let chi: f64 = (0..degrees).map(|_| normal(&mut random).powi(2)).sum();
        let between = (squares / chi - within).max(0.0);
        draw + normal(&mut random) * (between / count as f64).sqrt()
    });
    Some(Drawn::new(mean.point, mean.blocks, draws.collect()))
}

/// A standard normal value (Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958).
fn normal(random: &mut Pcg64) -> f64 {
    let mut uniform = || ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}

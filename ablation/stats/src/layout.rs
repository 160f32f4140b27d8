//! Code layouts: the order in which the linker puts a build's sections is one of many.

use super::bootstrap::Drawn;
use super::random::{normal, seeded};

/// Mean over the layouts of one build, with the variance between layouts in its draws. A contrast of two builds then
/// has the variance of both; give each build its own `seed`.
///
/// With S² the variance of the L layouts' values and W the mean square of their standard errors, every draw is moved by
/// Z · √(max(0, S² (L − 1) / χ² − W) / L), where Z is normal and χ² has L − 1 degrees of freedom: the generalised
/// interval of a mean in the one-way random model (Weerahandi, "Generalized Confidence Intervals", Journal of the
/// American Statistical Association 88, 1993). Where layouts differ by far more than their errors this is Student's t
/// with L − 1 degrees of freedom; where they do not, the draws stay nearly as they are.
///
/// Each layout must have blocks of its own, as when block b runs layout b mod L: the blocks of the mean are those of
/// all layouts together. One layout alone is returned as it is, because its data have no variance between layouts.
/// `None` without layouts, when they have different numbers of draws, or when one of them has no standard error.
pub fn over_layouts(layouts: &[Drawn], seed: u64) -> Option<Drawn> {
    let count = layouts.len() as f64;
    let mean = Drawn::linear(layouts.iter().map(|layout| (1.0 / count, layout)))?;
    if layouts.len() < 2 {
        return Some(mean);
    }
    let squares: f64 = layouts.iter().map(|layout| (layout.point - mean.point).powi(2)).sum();
    let errors: Vec<f64> = layouts.iter().map(Drawn::standard_error).collect::<Option<_>>()?;
    let within = errors.iter().map(|error| error * error).sum::<f64>() / count;

    // Draws of a layout are too narrow by its own few blocks. The intervals of the mean correct for all blocks only.
    let blocks = layouts.iter().map(|layout| layout.blocks).sum();
    let whole = Drawn::new(mean.point, blocks, Vec::new()).widening();
    let widened: Vec<Drawn> =
        layouts.iter().map(|l| l.map(|draw| l.point + (draw - l.point) * l.widening() / whole)).collect();
    let mean = Drawn::linear(widened.iter().map(|layout| (1.0 / count, layout)))?;

    let mut random = seeded(seed);
    let draws = mean.draws().iter().map(|draw| {
        let chi: f64 = (1..layouts.len()).map(|_| normal(&mut random).powi(2)).sum();
        let between = (squares / chi - within).max(0.0);
        draw + normal(&mut random) * (between / count / whole / whole).sqrt()
    });
    Some(Drawn::new(mean.point, blocks, draws.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::t_quantile;
    use crate::table::table;

    fn around(center: f64, deviation: f64, blocks: usize, seed: u64) -> Drawn {
        let mut random = seeded(seed);
        Drawn::new(center, blocks, (0..4_000).map(|_| center + deviation * normal(&mut random)).collect())
    }

    #[test]
    fn far_layouts_give_the_interval_of_student() {
        // Values 10, 12, 14: standard deviation 2, standard error 2/√3, t(0.975, 2) = 4.303.
        let layouts: Vec<Drawn> = (0..3).map(|l| around(10.0 + 2.0 * l as f64, 1e-6, 100, l)).collect();
        let mean = over_layouts(&layouts, 5).unwrap();
        assert_eq!((mean.point, mean.blocks), (12.0, 300));
        let half = t_quantile(0.975, 2) * 2.0 / 3f64.sqrt();
        let (lo, hi) = mean.interval().unwrap();
        assert!(((hi - lo) / 2.0 / half - 1.0).abs() < 0.15, "{lo}..{hi}");
        assert!(mean.p_value().unwrap() < 0.05 && mean.p_value().unwrap() > 1e-3);
    }

    #[test]
    fn equal_layouts_stay_as_narrow_as_they_are() {
        let layouts: Vec<Drawn> = (0..4).map(|l| around(10.0, 1.0, 30, l)).collect();
        let mean = over_layouts(&layouts, 5).unwrap();
        assert!((mean.standard_error().unwrap() - 0.5).abs() < 0.05, "{:?}", mean.standard_error());
    }

    #[test]
    fn one_layout_is_itself_and_none_is_nothing() {
        let one = around(10.0, 1.0, 30, 1);
        assert_eq!(over_layouts(std::slice::from_ref(&one), 5), Some(one));
        assert_eq!(over_layouts(&[], 5), None);
    }

    #[test]
    fn contrasts_of_builds_cover_over_layouts() {
        // Two builds without a true difference, each with 3 layouts (σ = 2) and noise (σ = 1), 30 blocks.
        let (studies, blocks, count) = (400, 30, 3);
        let mut random = seeded(17);
        let (mut covered, mut naive) = (0, 0);
        for study in 0..studies {
            let layouts: Vec<f64> = (0..2 * count).map(|_| 2.0 * normal(&mut random)).collect();
            let mut cells = vec![Vec::new(); 2 * count];
            for block in 0..blocks {
                for build in 0..2 {
                    let at = build * count + block % count;
                    cells[at].push((block, 100.0 + layouts[at] + normal(&mut random)));
                }
            }
            let values = table(&cells, blocks, 400, study);
            let [a, b] = [0, 1].map(|build| over_layouts(&values[build * count..][..count], 2 * study + build as u64));
            let (lo, hi) = a.unwrap().combine(&b.unwrap(), |a, b| a - b).interval().unwrap();
            covered += u32::from(lo <= 0.0 && 0.0 <= hi);
            let single = values[count].combine(&values[0], |a, b| a - b).interval().unwrap();
            naive += u32::from(single.0 <= 0.0 && 0.0 <= single.1);
        }
        let share = |count: u32| f64::from(count) / studies as f64;
        eprintln!("over layouts {:.3}, one layout {:.3}", share(covered), share(naive));
        assert!(share(covered) >= 0.93, "{}", share(covered));
        assert!(share(naive) < 0.7, "{}", share(naive));
    }
}

//! The table v(S): one number for each cell of a workload, free of what whole blocks suffer.

use super::bootstrap::{Drawn, weights};
use super::order::{TRIM, median, trimmed_mean};
use std::num::NonZero;
use std::ops::Range;

/// Values of all cells of a workload with common draws of blocks, from the (block index, value) pairs of each cell.
/// `blocks` is one more than the highest block index.
pub fn table(cells: &[Vec<(usize, f64)>], blocks: usize, draws: usize, seed: u64) -> Vec<Drawn> {
    let mut rows = rows(cells, blocks);
    let with_values = cells.iter().filter(|c| c.iter().any(|(_, v)| v.is_finite())).count();
    rows.retain(|row| row.len() > usize::from(with_values > 1));
    let mut values: Vec<Vec<(usize, f64)>> = vec![Vec::new(); cells.len()];
    for (at, row) in rows.iter().enumerate() {
        for (cell, value) in row {
            values[*cell].push((at, *value));
        }
    }
    let middles: Vec<f64> =
        values.iter().map(|v| median(&v.iter().map(|(_, v)| *v).collect::<Vec<_>>()).unwrap_or(f64::NAN)).collect();
    let effects: Vec<f64> = rows
        .iter()
        .map(|row| median(&row.iter().map(|(cell, value)| value - middles[*cell]).collect::<Vec<_>>()).unwrap_or(0.0))
        .collect();
    for cell in &mut values {
        for (at, value) in cell.iter_mut() {
            *value -= effects[*at];
        }
    }
    let weights = weights(rows.len(), draws, seed);
    let location = Sorted::new(effects.into_iter().enumerate().collect());
    let location = location.draw(&weights, rows.len(), draws);
    let residuals: Vec<Sorted> = values.into_iter().map(Sorted::new).collect();
    in_parallel(&residuals, |cell| {
        cell.draw(&weights, rows.len(), draws).combine(&location, |residual, location| residual + location)
    })
}

/// The finite values of each block as (cell, value) pairs.
fn rows(cells: &[Vec<(usize, f64)>], blocks: usize) -> Vec<Vec<(usize, f64)>> {
    let mut rows = vec![Vec::new(); blocks];
    for (cell, values) in cells.iter().enumerate() {
        for (block, value) in values {
            if value.is_finite() && *block < blocks {
                rows[*block].push((cell, *value));
            }
        }
    }
    rows
}

/// Values sorted once, with the block of each.
struct Sorted {
    order: Vec<(f64, u32)>,
}

impl Sorted {
    fn new(values: Vec<(usize, f64)>) -> Sorted {
        let mut order: Vec<(f64, u32)> = values.into_iter().map(|(block, value)| (value, block as u32)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Sorted { order }
    }

    fn draw(&self, weights: &[u32], blocks: usize, draws: usize) -> Drawn {
        let values: Vec<f64> = self.order.iter().map(|(value, _)| *value).collect();
        let point = trimmed_mean(&values, TRIM).unwrap_or(f64::NAN);
        let drawn = (0..draws).map(|d| self.trimmed_mean(&weights[d * blocks..(d + 1) * blocks])).collect();
        Drawn::new(point, self.order.len(), drawn)
    }

    fn trimmed_mean(&self, weights: &[u32]) -> f64 {
        let total: u32 = self.order.iter().map(|(_, block)| weights[*block as usize]).sum();
        let cut = (TRIM * f64::from(total)).floor() as u32;
        let (from, to) = (cut, total - cut);
        let (mut seen, mut sum) = (0u32, 0.0);
        for (value, block) in &self.order {
            let next = seen + weights[*block as usize];
            sum += value * f64::from(next.min(to).saturating_sub(seen.max(from)));
            seen = next;
        }
        sum / f64::from(to - from)
    }
}

/// Applies `f` to all items on as many threads as the machine has, in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(items.len()).max(1);
    let share = |t: usize| -> Range<usize> { t * items.len() / threads..(t + 1) * items.len() / threads };
    std::thread::scope(|scope| {
        let f = &f;
        let workers: Vec<_> =
            (0..threads).map(|t| scope.spawn(move || items[share(t)].iter().map(f).collect::<Vec<R>>())).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

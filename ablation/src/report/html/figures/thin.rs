//! Fewer points for drawings of many runs: a page of a thousand blocks must open as fast as one of ten.

use ablate_stats::order;

/// Most points of a cell.
pub(super) const MOST: usize = 200;

/// The values at equal distances in their order, the lowest and the highest among them; all of them where they are few.
pub(super) fn by_rank(values: &[(u32, f64)]) -> Vec<(u32, f64)> {
    if values.len() <= MOST {
        return values.to_vec();
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
    (0..MOST).map(|at| sorted[at * (sorted.len() - 1) / (MOST - 1)]).collect()
}

/// How many blocks have one point together.
pub(super) fn width(blocks: usize) -> usize {
    blocks.div_ceil(MOST).max(1)
}

/// The median of each `width` blocks that follow each other, at the middle one of them.
pub(super) fn by_time(values: &[(u32, f64)], width: usize) -> Vec<(u32, f64)> {
    let middle = |chunk: &[(u32, f64)]| {
        let sorted = order::sorted(&chunk.iter().map(|(_, value)| *value).collect::<Vec<_>>());
        (chunk[chunk.len() / 2].0, order::median(&sorted).unwrap_or(f64::NAN))
    };
    values.chunks(width.max(1)).map(middle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_runs_are_all_there_and_many_keep_their_ends() {
        let values = |n: u32| (0..n).map(|block| (block, f64::from(block * 7 % n))).collect::<Vec<_>>();
        assert_eq!(by_rank(&values(200)), values(200));
        let thinned = by_rank(&values(1_003));
        assert_eq!(thinned.len(), MOST);
        assert_eq!((thinned[0].1, thinned[MOST - 1].1), (0.0, 1_002.0));
    }

    #[test]
    fn blocks_are_drawn_in_their_order() {
        assert_eq!((width(0), width(200), width(201), width(10_000)), (1, 1, 2, 50));
        let values: Vec<(u32, f64)> = (0..5).map(|block| (block, f64::from(block))).collect();
        assert_eq!(by_time(&values, 1), values);
        assert_eq!(by_time(&values, 2), [(1, 0.5), (3, 2.5), (4, 4.0)]);
    }
}

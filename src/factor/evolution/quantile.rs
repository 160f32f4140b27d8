//! P²: a quantile of a stream without keeping the stream.
//!
//! R. Jain, I. Chlamtac, CACM 28:10, 1985, pp. 1076–1085.

/// A quantile of a stream from five markers.
#[derive(Debug)]
pub(crate) struct P2 {
    quantile: f64,
    count: u32,
    heights: [f64; 5],
    positions: [f64; 5],
}

impl P2 {
    /// An estimator of a quantile between 0 and 1 that has seen nothing.
    pub(crate) const fn new(quantile: f64) -> P2 {
        P2 { quantile, count: 0, heights: [0.0; 5], positions: [1.0, 2.0, 3.0, 4.0, 5.0] }
    }

    /// Adds a value of the stream.
    pub(crate) fn add(&mut self, x: f64) {
        if self.count < 5 {
            self.heights[self.count as usize] = x;
            self.count += 1;
            self.heights[..self.count as usize].sort_unstable_by(f64::total_cmp);
            return;
        }
        self.count = self.count.saturating_add(1);
        self.heights[0] = self.heights[0].min(x);
        self.heights[4] = self.heights[4].max(x);
        // Markers above the new value move up by one rank.
        let cell = (1..4).find(|&marker| x < self.heights[marker]).unwrap_or(4);
        for position in &mut self.positions[cell..] {
            *position += 1.0;
        }
        let last = f64::from(self.count - 1);
        let q = self.quantile;
        let wanted = [0.0, q / 2.0, q, (1.0 + q) / 2.0, 1.0].map(|share| 1.0 + last * share);
        for (marker, wanted) in wanted.into_iter().enumerate().take(4).skip(1) {
            let off = wanted - self.positions[marker];
            let above_is_free = self.positions[marker + 1] - self.positions[marker] > 1.0;
            let below_is_free = self.positions[marker - 1] - self.positions[marker] < -1.0;
            if (off >= 1.0 && above_is_free) || (off <= -1.0 && below_is_free) {
                self.shift(marker, off.signum());
            }
        }
    }

    /// Moves a marker by one rank. Its height follows the parabola through its neighbours, or a line where the parabola
    /// leaves the interval between them.
    fn shift(&mut self, marker: usize, step: f64) {
        let [below, here, above] = [marker - 1, marker, marker + 1];
        let (n, h) = (&self.positions, &self.heights);
        let rise = (n[here] - n[below] + step) * (h[above] - h[here]) / (n[above] - n[here]);
        let fall = (n[above] - n[here] - step) * (h[here] - h[below]) / (n[here] - n[below]);
        let parabolic = h[here] + step / (n[above] - n[below]) * (rise + fall);
        let height = if h[below] < parabolic && parabolic < h[above] {
            parabolic
        } else {
            let other = if step > 0.0 { above } else { below };
            h[here] + step * (h[other] - h[here]) / (n[other] - n[here])
        };
        self.heights[marker] = height;
        self.positions[marker] += step;
    }

    /// The estimate; infinite before the first value, and the largest value for fewer than five.
    pub(crate) fn value(&self) -> f64 {
        match self.count {
            0 => f64::INFINITY,
            1..5 => self.heights[self.count as usize - 1],
            _ => self.heights[2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p2_comes_close_to_the_true_quantile() {
        let mut estimator = P2::new(0.99);
        let mut x = 1_u64;
        for _ in 0..20_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            estimator.add((x >> 33) as f64 / f64::from(1_u32 << 31));
        }
        assert!((estimator.value() - 0.99).abs() < 0.005, "{}", estimator.value());
    }

    #[test]
    fn p2_is_exact_for_few_values() {
        let mut estimator = P2::new(0.99);
        assert_eq!(estimator.value(), f64::INFINITY);
        for x in [3.0, 1.0, 2.0] {
            estimator.add(x);
        }
        assert_eq!(estimator.value(), 3.0);
    }
}

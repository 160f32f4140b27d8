//! How often each block is in each draw, with several draws side by side in memory.

use super::random::seeded;
use rand_core::Rng;

/// Draws side by side. A cache line of 64 bytes holds their weights of four blocks.
pub(super) const LANES: usize = 8;

/// Draws of blocks with replacement, in tiles of [`LANES`] draws.
pub(super) struct Resamples {
    blocks: usize,
    draws: usize,
    /// By tile, then by block: how often each draw of the tile has the block. 16 bits are enough for 65,535 blocks.
    weights: Vec<[u16; LANES]>,
}

impl Resamples {
    /// Draws `blocks` blocks with replacement, `draws` times. The same arguments give the same draws.
    pub(super) fn new(blocks: usize, draws: usize, seed: u64) -> Resamples {
        let mut weights = vec![[0; LANES]; draws.div_ceil(LANES) * blocks];
        let mut random = seeded(seed);
        for draw in 0..draws {
            let tile = &mut weights[draw / LANES * blocks..][..blocks];
            for _ in 0..blocks {
                // High half of the product: uniform up to an error of blocks / 2^64.
                let block = (u128::from(random.next_u64()) * blocks as u128) >> 64;
                tile[block as usize][draw % LANES] += 1;
            }
        }
        Resamples { blocks, draws, weights }
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Number of draws. Lanes of the last tile beyond it are 0.
    pub(super) fn draws(&self) -> usize {
        self.draws
    }

    /// Weights by block and lane, one item for each [`LANES`] draws.
    pub(super) fn tiles(&self) -> impl Iterator<Item = &[[u16; LANES]]> {
        let tiles = self.draws.div_ceil(LANES);
        (0..tiles).map(|tile| &self.weights[tile * self.blocks..][..self.blocks])
    }

    /// How often a block is in a draw.
    pub(super) fn weight(&self, draw: usize, block: usize) -> u32 {
        u32::from(self.weights[draw / LANES * self.blocks + block][draw % LANES])
    }
}

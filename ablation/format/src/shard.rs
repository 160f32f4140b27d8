//! A part of a study: whole timing blocks, run on one machine.

use serde::{Deserialize, Serialize};

/// One of several parts that a study was divided into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Number of the part, 1 to `of`.
    pub number: u32,
    /// Number of parts.
    pub of: u32,
    /// What tells its machine from those of the other shards of this study: a hash of facts of the machine and the
    /// study's seed. Two shards with the same value ran on one machine. Empty where these facts could not be read.
    pub machine: String,
}

impl Shard {
    /// Whether a timing block belongs to this part: those whose number, from 0, leaves `number − 1` when divided by
    /// `of`.
    pub fn has(&self, block: u32) -> bool {
        block % self.of.max(1) == self.first_block()
    }

    /// The first timing block of this part.
    pub fn first_block(&self) -> u32 {
        self.number.saturating_sub(1)
    }

    /// How many of the first `blocks` timing blocks belong to this part.
    pub fn blocks_of(&self, blocks: u32) -> u32 {
        blocks.saturating_sub(self.first_block()).div_ceil(self.of.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_in_one_shard() {
        for of in 1..=5_u32 {
            let shards: Vec<Shard> = (1..=of).map(|number| Shard { number, of, machine: String::new() }).collect();
            for block in 0..12 {
                assert_eq!(shards.iter().filter(|shard| shard.has(block)).count(), 1, "{block} of {of}");
            }
            for shard in &shards {
                let counted = (0..12).filter(|block| shard.has(*block)).count();
                assert_eq!(shard.blocks_of(12) as usize, counted, "{shard:?}");
            }
        }
        assert_eq!(Shard { number: 3, of: 3, machine: String::new() }.blocks_of(2), 0);
    }
}

//! Which blocks of a study a folder has, where the study was divided into shards.

use ablate_format::Manifest;

/// Most blocks that a message names.
const NAMED_BLOCKS: usize = 3;

/// How many timing blocks are planned in a folder: those of its shard, or of the shards that were joined in it.
pub(crate) fn blocks(manifest: &Manifest) -> u32 {
    match (&manifest.shard, manifest.shards.as_slice()) {
        (Some(shard), _) => shard.blocks_of(manifest.blocks),
        (None, []) => manifest.blocks,
        (None, shards) => shards.iter().map(|shard| shard.blocks_of(manifest.blocks)).sum(),
    }
}

/// Which shards and blocks a merged study lacks, in words; `None` when it has all.
pub(crate) fn missing(manifest: &Manifest) -> Option<String> {
    let of = manifest.shards.first()?.of;
    if manifest.shards.len() == of as usize {
        return None;
    }
    let blocks = (0..manifest.blocks).filter(|block| !manifest.shards.iter().any(|shard| shard.has(*block)));
    Some(format!("{} of {of} shards; {} missing", manifest.shards.len(), named(blocks)))
}

/// The blocks of the shard in a folder, in words: `shard 2 of 3, blocks 2, 5, 8 …`; `None` where it is no shard.
pub(crate) fn part(manifest: &Manifest) -> Option<String> {
    let shard = manifest.shard.as_ref()?;
    let blocks = named((0..manifest.blocks).filter(|block| shard.has(*block)));
    let blocks = blocks.trim_end_matches(" is").trim_end_matches(" are");
    Some(format!("shard {} of {}, {blocks}", shard.number, shard.of))
}

/// `blocks 2, 5, 8 … are`, counted from 1 as the progress of a run does.
fn named(blocks: impl Iterator<Item = u32>) -> String {
    let blocks: Vec<String> = blocks.take(NAMED_BLOCKS + 1).map(|block| (u64::from(block) + 1).to_string()).collect();
    let more = if blocks.len() > NAMED_BLOCKS { " …" } else { "" };
    let first = blocks.iter().take(NAMED_BLOCKS).cloned().collect::<Vec<_>>().join(", ");
    if blocks.len() == 1 { format!("block {first} is") } else { format!("blocks {first}{more} are") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::manifest as study;
    use ablate_format::Shard;

    fn merged(numbers: &[u32], of: u32, blocks: u32) -> Manifest {
        let shards = numbers.iter().map(|number| Shard { number: *number, of, machine: String::new() });
        Manifest { shards: shards.collect(), blocks, ..study() }
    }

    #[test]
    fn missing_blocks_are_named() {
        assert_eq!(missing(&study()), None);
        assert_eq!(missing(&merged(&[1, 2, 3], 3, 12)), None);
        let said = |numbers: &[u32], of, blocks| missing(&merged(numbers, of, blocks)).expect("some are missing");
        assert_eq!(said(&[1, 3], 3, 12), "2 of 3 shards; blocks 2, 5, 8 … are missing");
        assert_eq!(said(&[2], 2, 4), "1 of 2 shards; blocks 1, 3 are missing");
        assert_eq!(said(&[1], 2, 2), "1 of 2 shards; block 2 is missing");
        // A damaged manifest: the blocks are not all gone through.
        assert_eq!(said(&[1], 2, u32::MAX), "1 of 2 shards; blocks 2, 4, 6 … are missing");
    }

    #[test]
    fn the_blocks_of_a_folder_are_counted() {
        let shard =
            |number| Manifest { shard: Some(Shard { number, of: 3, machine: String::new() }), blocks: 7, ..study() };
        assert_eq!((blocks(&study()), blocks(&shard(1)), blocks(&shard(3))), (3, 3, 2));
        assert_eq!((blocks(&merged(&[1, 2, 3], 3, 7)), blocks(&merged(&[2, 3], 3, 7))), (7, 4));
        assert_eq!((part(&shard(2)).as_deref(), part(&study())), (Some("shard 2 of 3, blocks 2, 5"), None));
    }
}

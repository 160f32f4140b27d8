//! The proof which allocator served, sought after the measured part and in the same way for all allocators.
//!
//! A fixed number of blocks is requested through the call that was measured. The witness of every allocator in the build
//! says which of them it served. A run is proven when its own allocator claims all blocks and no other allocator claims
//! one. hakmem's request counter must also equal the number of requests that were made.

use crate::allocator::library::Library;
use crate::allocator::{Allocator, Witness, layout, out_of_memory};
use crate::workload::script::Op;

/// Most blocks that are requested, all live at once.
pub(crate) const BLOCKS: usize = 128;
/// Most bytes that they have together.
const BYTES: usize = 1 << 30;
/// The value of `served_by` without proof.
pub(crate) const UNPROVEN: &str = "unproven";

/// How many of the blocks an allocator claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The allocator.
    pub(crate) name: &'static str,
    /// Which call or record decides.
    pub(crate) by: &'static str,
    /// Blocks that were requested.
    pub(crate) asked: usize,
    /// Blocks that it claims.
    pub(crate) claimed: usize,
}

/// The verdict, as the line prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The allocator, or [`UNPROVEN`].
    pub(crate) served_by: String,
    /// The evidence in one sentence.
    pub(crate) sentence: String,
}

/// hakmem's count of requests, and the number that it must equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Requests by hakmem's own counter, before the verification.
    pub(crate) allocations: u64,
    /// Requests that the run made, warm-up included.
    pub(crate) requests: u64,
}

/// How many blocks the witnesses are asked about, for these operations' sizes. One more is requested before them.
pub(crate) fn blocks(ops: &[Op]) -> usize {
    let largest = ops.iter().map(|op| op.size as usize).max().unwrap_or(1);
    BLOCKS.min(BYTES / largest)
}

/// Requests blocks of the operations' sizes from `A`, and asks every witness about each block before the next request. The
/// first block does not count: a witness that is asked for the first time may request memory itself, which would show in
/// another witness's records.
pub(crate) fn verify<A: Allocator + Default>(ops: &[Op], witnesses: &[Witness]) -> Vec<Tally> {
    let a = A::default();
    let asked = blocks(ops);
    let mut tallies: Vec<Tally> =
        witnesses.iter().map(|w| Tally { name: w.name, by: w.by, asked, claimed: 0 }).collect();
    // The verification's own memory is all requested here, so that only `A` is called between a mark and its claim.
    let mut marks = vec![0; witnesses.len()];
    let mut live = Vec::with_capacity(asked + 1);
    for (i, op) in ops.iter().cycle().take(asked + 1).enumerate() {
        let size = op.size as usize;
        for (mark, witness) in marks.iter_mut().zip(witnesses) {
            *mark = (witness.mark)();
        }
        // SAFETY: sizes of the script are at least ALIGN.
        let ptr = unsafe { a.alloc(layout(size), op.site) };
        if ptr.is_null() {
            out_of_memory(size);
        }
        for ((witness, mark), tally) in witnesses.iter().zip(&marks).zip(&mut tallies) {
            let claims = (witness.claims)(*mark, ptr, size);
            tally.claimed += usize::from(claims && i > 0);
        }
        live.push((ptr, size));
    }
    for (ptr, size) in live {
        // SAFETY: requested above with this layout, freed once.
        unsafe { a.dealloc(ptr, layout(size)) };
    }
    tallies
}

/// Judges whether the allocator `name` served. `counted` is given when the allocator counts its requests.
pub(crate) fn judge(name: &str, tallies: &[Tally], counted: Option<Counted>) -> Proof {
    let unproven = |sentence: String| Proof { served_by: UNPROVEN.to_owned(), sentence };
    let Some(own) = tallies.iter().find(|t| t.name == name) else {
        return unproven(format!("no witness of {name} is in this build"));
    };
    let asked = own.asked;
    if own.claimed != asked {
        return unproven(format!("by {}, {name} claims {} of {asked} blocks", own.by, own.claimed));
    }
    if let Some(other) = tallies.iter().find(|t| t.name != name && t.claimed > 0) {
        return unproven(format!(
            "by {}, {} claims {} of {asked} blocks that {name} should have served",
            other.by, other.name, other.claimed
        ));
    }
    let mut sentence = format!("by {}, {name} claims all of {asked} blocks", own.by);
    let others: Vec<_> = tallies.iter().map(|t| t.name).filter(|n| *n != name).collect();
    if !others.is_empty() {
        sentence += &format!("; {} none", others.join(", "));
    }
    if let Some(Counted { allocations, requests }) = counted {
        if allocations != requests {
            return unproven(format!(
                "{name} counted {allocations} requests during {requests} that were made, warm-up included"
            ));
        }
        sentence += &format!("; it counted {allocations} requests, as many as were made");
    }
    Proof { served_by: name.to_owned(), sentence }
}

/// Replaces the name in a verdict by that of the library behind the symbol.
pub(crate) fn behind(proof: Proof, provider: Result<Library, String>) -> Proof {
    match provider {
        Err(why) => Proof { served_by: UNPROVEN.to_owned(), sentence: why },
        Ok(Library { name, file, .. }) => Proof {
            served_by: if proof.served_by == UNPROVEN { proof.served_by } else { name },
            sentence: format!("by dladdr, malloc comes from {file}; {}", proof.sentence),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claims: [usize; 2], counted: Option<(u64, u64)>, served_by: &str, part: &str) {
        let tallies = [
            Tally { name: "ours", by: "map", asked: BLOCKS, claimed: claims[0] },
            Tally { name: "theirs", by: "records", asked: BLOCKS, claimed: claims[1] },
        ];
        let counted = counted.map(|(allocations, requests)| Counted { allocations, requests });
        let proof = judge("ours", &tallies, counted);
        assert_eq!(proof.served_by, served_by, "{proof:?}");
        assert!(proof.sentence.contains(part), "{proof:?}");
    }

    #[test]
    fn all_of_ours_and_none_of_theirs_is_proof() {
        check([BLOCKS, 0], None, "ours", "theirs none");
        check([BLOCKS, 0], Some((30, 30)), "ours", "30 requests");
    }

    #[test]
    fn anything_else_is_not() {
        check([BLOCKS - 1, 0], None, UNPROVEN, "claims 127 of 128");
        check([BLOCKS, 1], None, UNPROVEN, "theirs claims 1");
        check([BLOCKS, 0], Some((29, 30)), UNPROVEN, "counted 29 requests during 30");
        assert_eq!(judge("absent", &[], None).served_by, UNPROVEN);
    }

    #[test]
    fn large_blocks_are_fewer() {
        let blocks = |size| super::blocks(&[Op { size, site: hakmem::site!(), frees: 0, slot: 0, byte: 1 }]);
        assert_eq!([blocks(16), blocks(4 << 20), blocks(64 << 20)], [128, 128, 16]);
    }

    #[test]
    fn without_a_known_library_nothing_is_proven() {
        let proven = Proof { served_by: "preloaded".to_owned(), sentence: "all of them".to_owned() };
        let proof = behind(proven, Err("two libraries".to_owned()));
        assert_eq!((proof.served_by.as_str(), proof.sentence.as_str()), (UNPROVEN, "two libraries"));
    }
}

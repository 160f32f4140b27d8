//! Which known name a misspelt one is most like.

/// The candidate nearest to `name`, when it is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(name.len()) / 4)
        // Of two that are equally near, the one that begins alike is more likely meant.
        .min_by_key(|(distance, candidate)| (*distance, std::cmp::Reverse(common_start(name, candidate))))
        .map(|(_, candidate)| candidate)
}

fn common_start(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("bloks", ["blocks", "seed"]), Some("blocks"));
        assert_eq!(nearest("of", ["on", "off"]), Some("off"));
        assert_eq!(nearest("zebra", ["blocks", "seed"]), None);
        assert_eq!(nearest("x", []), None);
    }
}

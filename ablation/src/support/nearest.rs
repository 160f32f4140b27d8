//! Suggestions for misspelt names.

/// The end of a message about an unknown name: `; did you mean …?` when a known name is near, else all known names. The
/// question ends the message, so nothing can follow it.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("; did you mean `{near}`?");
    }
    let known: Vec<String> = known.into_iter().map(|known| format!("`{known}`")).collect();
    if known.is_empty() { "; there is none".to_owned() } else { format!("; known: {}", known.join(", ")) }
}

/// The candidate nearest to `name`, when it is near enough to be a misspelling.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(name.len()) / 4)
        // Of two that are equally near, the one with the longer common start is more likely.
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

    #[test]
    fn a_suggestion_is_the_nearest_name_or_all() {
        assert_eq!(suggestion("bloks", ["blocks", "seed"]), "; did you mean `blocks`?");
        assert_eq!(suggestion("zebra", ["blocks", "seed"]), "; known: `blocks`, `seed`");
        assert_eq!(suggestion("zebra", []), "; there is none");
    }
}

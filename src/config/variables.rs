//! The names of the variables, and what a misspelt one stands for.

use super::lifecycle;
use super::registry::REGISTRY;

/// The prefix of every variable of the allocator.
pub(crate) const PREFIX: &str = "HAKMEM_";
/// The variable that chooses the preset.
pub(crate) const MODE: &str = "HAKMEM_MODE";

/// A process prints its statistics when it ends; a flag. Only the library for C programs acts on it.
pub(crate) const STATS: &str = "HAKMEM_STATS";
/// A file in which `hakmem run` wants to be told how a process began and ended. Only that library acts on it too.
pub(crate) const REPORT: &str = "HAKMEM_REPORT";

/// The names of all known variables.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let factors = REGISTRY
        .iter()
        .flat_map(|factor| [Some(factor.toggle), factor.choice.as_ref().map(|choice| choice.variable)])
        .flatten();
    [MODE, STATS, REPORT].into_iter().chain(factors).chain(lifecycle::VARIABLES.iter().map(|setting| setting.variable))
}

/// What a name that no variable has may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// This variable.
    Variable(&'static str),
    /// A factor that only its toggle switches, by index in the registry.
    Factor(usize),
    /// Nothing known is near.
    Nothing,
}

/// The known name that begins with the given one, or else the one with the fewest edits, unless these are many. A factor's
/// name stands for its variable.
pub(crate) fn meant(name: &str) -> Meant {
    let mut name = name;
    while let Some(rest) = name.strip_prefix(PREFIX) {
        name = rest;
    }
    let variables = names().map(|known| (&known[PREFIX.len()..], Meant::Variable(known)));
    let factors = REGISTRY.iter().enumerate().map(|(index, factor)| {
        let variable = factor.choice.as_ref().map(|choice| Meant::Variable(choice.variable));
        (factor.name, variable.unwrap_or(Meant::Factor(index)))
    });
    let distance = |known: &str| {
        let (name, known) = (name.as_bytes(), known.as_bytes());
        // A name that was cut short is a likelier mistake than another name with fewer edits.
        let is_cut = name.len() >= CUT_MIN && name.len() <= known.len() && edits(name, &known[..name.len()]) == 0;
        if is_cut { 0 } else { edits(name, known) }
    };
    let nearest =
        factors.chain(variables).map(|(known, meant)| (distance(known), meant)).min_by_key(|(edits, _)| *edits);
    match nearest {
        Some((edits, meant)) if edits <= name.len().div_ceil(3).min(EDITS_MAX) => meant,
        _ => Meant::Nothing,
    }
}

/// Shortest beginning of a name that stands for the whole.
const CUT_MIN: usize = 3;

/// Most edits between a name and what it stands for.
const EDITS_MAX: usize = 4;

/// Levenshtein distance of the first 63 bytes of each, without regard to case; `-` is `_`.
fn edits(a: &[u8], b: &[u8]) -> usize {
    const MOST: usize = 63;
    let (a, b) = (&a[..a.len().min(MOST)], &b[..b.len().min(MOST)]);
    let plain = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() };
    let mut row: [usize; MOST + 1] = core::array::from_fn(|column| column);
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(plain(*from) != plain(*to))).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = core::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        for (name, expected) in [
            ("HAKMEM_DISABLE_BIGCASH", "HAKMEM_DISABLE_BIGCACHE"),
            ("HAKMEM_DISABEL_TICK", "HAKMEM_DISABLE_TICK"),
            ("HAKMEM_EVO_POLICE", "HAKMEM_EVO_POLICY"),
            ("HAKMEM_MOOD", "HAKMEM_MODE"),
            ("HAKMEM_HAKMEM_mode", "HAKMEM_MODE"),
            ("HAKMEM_DISABLE_MADVISE", "HAKMEM_DISABLE_MADVISE_BATCH"),
            ("HAKMEM_EVOLUTION", "HAKMEM_EVO_POLICY"),
            ("HAKMEM_GUARDPAGES", "HAKMEM_GUARD_PAGES"),
        ] {
            assert_eq!(meant(name), Meant::Variable(expected), "{name}");
        }
    }

    #[test]
    fn a_factor_that_has_no_variable_is_known_by_its_name() {
        for (name, factor) in [
            ("HAKMEM_FREE_CHECK", "free-check"),
            ("HAKMEM_FREE_CHEK", "free-check"),
            ("HAKMEM_THREAD_CACHE", "thread-cache"),
            ("HAKMEM_THREAD-CACHE", "thread-cache"),
            ("HAKMEM_ARENA", "arena"),
            ("HAKMEM_MADVISE", "madvise-batch"),
        ] {
            let index = REGISTRY.iter().position(|known| known.name == factor).expect("a registered name");
            assert_eq!(meant(name), Meant::Factor(index), "{name}");
        }
    }

    #[test]
    fn what_is_far_from_all_names_stands_for_none() {
        for name in ["HAKMEM_", "HAKMEM_X", "HAKMEM_VERBOSE", "HAKMEM_TCACHE", "HAKMEM_DIRTY_DECAY_MS"] {
            assert_eq!(meant(name), Meant::Nothing, "{name}");
        }
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits(b"kitten", b"sitting"), 3);
        assert_eq!(edits(b"", b"abc"), 3);
        assert_eq!(edits(b"free-check", b"FREE_CHECK"), 0);
        assert_eq!(edits(&[b'x'; 200], b"x"), 62, "long names are cut, not overrun");
    }
}

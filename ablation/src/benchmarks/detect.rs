//! Which harness a benchmark of a Cargo package uses.

use crate::builds::cargo::{Package, Target};
use crate::harness::Harness;

/// What the text of a benchmark says that uses a harness, and the package that the harness is.
const SIGNS: [(Harness, &str, &[&str]); 6] = [
    (Harness::Gungraun, "gungraun", &["gungraun::", "use gungraun"]),
    (Harness::IaiCallgrind, "iai-callgrind", &["iai_callgrind::", "use iai_callgrind"]),
    (Harness::Divan, "divan", &["divan::main", "divan::bench", "use divan"]),
    (Harness::Criterion, "criterion", &["criterion_main!", "criterion_group!", "criterion::", "use criterion"]),
    (Harness::Iai, "iai", &["iai::main!", "iai::"]),
    (Harness::Libtest, "", &["#[bench]", "feature(test)", "extern crate test"]),
];

/// The harness of a benchmark, by the text of its first file and, where that is open, by the dependencies of its
/// package; `None` where neither tells.
pub(crate) fn harness_of(package: &Package, target: &Target) -> Option<Harness> {
    by_text(&text(target), &names(package))
}

/// Whether the text of a benchmark has a sign of a harness, perhaps beside those of others.
pub(super) fn uses(package: &Package, target: &Target, harness: Harness) -> bool {
    let (text, names) = (text(target), names(package));
    let own = SIGNS.iter().filter(|(known, ..)| *known == harness);
    own.into_iter().any(|sign| is_used(sign, &text, &names))
}

fn text(target: &Target) -> String {
    std::fs::read_to_string(&target.src_path).unwrap_or_default()
}

/// Names of the dependencies, as the code has them: one may be renamed.
fn names(package: &Package) -> Vec<&str> {
    package.dependencies.iter().map(|own| own.rename.as_deref().unwrap_or(&own.name)).collect()
}

/// Whether a text has a sign of a harness that the package depends on.
fn is_used((_, package, signs): &(Harness, &str, &[&str]), text: &str, dependencies: &[&str]) -> bool {
    let code = || text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    let is_there = package.is_empty() || dependencies.contains(package);
    is_there && signs.iter().any(|sign| code().any(|line| has_word(line, sign)))
}

/// By the text of a benchmark and the names of the dependencies.
fn by_text(text: &str, dependencies: &[&str]) -> Option<Harness> {
    if let Some((harness, ..)) = SIGNS.iter().find(|sign| is_used(sign, text, dependencies)) {
        return Some(*harness);
    }
    // Where everything is in other files: the only harness that the package depends on.
    let mut there = SIGNS.iter().filter(|(_, package, _)| !package.is_empty() && dependencies.contains(package));
    there.next().filter(|_| there.next().is_none()).map(|(harness, ..)| *harness)
}

/// Whether a line has a sign that is no end of a longer word, as `iai::` is of `my_iai::`.
fn has_word(line: &str, sign: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(sign).any(|(at, _)| !line[..at].ends_with(is_word) || !sign.starts_with(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harness_is_known_by_its_text_and_by_its_package() {
        let check = |text: &str, dependencies: &[&str], expected: Option<Harness>| {
            assert_eq!(by_text(text, dependencies), expected, "{text} {dependencies:?}");
        };
        check("use criterion::Criterion;\ncriterion_main!(b);", &["criterion", "divan"], Some(Harness::Criterion));
        check("fn main() { divan::main(); }", &["criterion", "divan"], Some(Harness::Divan));
        check("#![feature(test)]\nextern crate test;", &["criterion"], Some(Harness::Libtest));
        check("use gungraun::prelude::*;", &["gungraun"], Some(Harness::Gungraun));
        check("use iai_callgrind::{main};", &["iai-callgrind", "iai"], Some(Harness::IaiCallgrind));
        check("iai::main!(a);", &["iai-callgrind", "iai"], Some(Harness::Iai));
        check("// like divan::main\nmod all;", &["criterion", "serde"], Some(Harness::Criterion));
        check("mod all;", &["criterion", "divan"], None);
        check("fn main() {}", &["serde"], None);
        check("my_iai::main();", &["serde"], None);
    }
}

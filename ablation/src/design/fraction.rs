//! Two-level fractional factorials 2^(k − p): generators of the highest resolution and, among those, of the least
//! aberration (Fries and Hunter, "Minimum aberration 2^(k−p) designs", Technometrics 22, 1980).
//!
//! Levels are coded +1 (the baseline's) and −1 (away). The first m = k − p factors take all combinations; every other
//! factor is the product of some of them, which is its generator. A product of factors that is +1 in every run is a
//! word; the words are a group, their lengths tell what is aliased, and the shortest length is the resolution. The
//! baseline, where every factor is +1, is a run of every such fraction.

use std::cmp::Reverse;

/// Number of words by length. Patterns compare like aberration: fewer words of the shortest length come first.
type Pattern = [u32; 33];

/// A fraction of a two-level factorial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fraction {
    /// Factors, k.
    factors: usize,
    /// One for each factor after the first m: the set of the factors, among the first m, that it is the product of.
    generators: Vec<u32>,
}

impl Fraction {
    /// The fraction 2^(`factors` − `p`) of least aberration.
    ///
    /// # Panics
    /// Unless 2^(k − p) > k: the columns of fewer runs cannot all differ.
    pub(super) fn least_aberrant(factors: usize, p: usize) -> Fraction {
        let basic = factors - p;
        assert!(factors < 1 << basic, "2^({factors}-{p}) has fewer runs than columns");
        let mut candidates: Vec<u32> = (1_u32..1 << basic).filter(|word| word.count_ones() >= 2).collect();
        // Long words first, so that the first fraction found is a good one and cuts off most of the search.
        candidates.sort_by_key(|word| (Reverse(word.count_ones()), *word));
        let mut search = Search {
            basic,
            p,
            candidates,
            chosen: Vec::new(),
            words: vec![0],
            best: [u32::MAX; 33],
            found: Vec::new(),
        };
        search.extend(0, &[0; 33]);
        Fraction { factors, generators: search.found }
    }

    fn basic(&self) -> usize {
        self.factors - self.generators.len()
    }

    /// The words, each a set of factors, beside the empty one.
    fn words(&self) -> Vec<u32> {
        let mut words = vec![0];
        for (i, generator) in self.generators.iter().enumerate() {
            let own = generator | 1 << (self.basic() + i);
            words.extend(words.clone().into_iter().map(|word| word ^ own));
        }
        words.split_off(1)
    }

    /// Length of the shortest word.
    pub(super) fn resolution(&self) -> u32 {
        self.words().iter().map(|word| word.count_ones()).min().unwrap_or(0)
    }

    /// Every run, as one value for each factor: whether it is away. The baseline is the first run.
    pub(super) fn runs(&self) -> Vec<Vec<bool>> {
        let basic = self.basic();
        let away = |set: u32| {
            let generated = self.generators.iter().map(move |generator| (set & generator).count_ones() % 2 == 1);
            (0..basic).map(|i| set >> i & 1 == 1).chain(generated).collect()
        };
        (0..1_u32 << basic).map(away).collect()
    }

    /// The effects that cannot be told apart, for people: first what the fraction is, then one line for each set of
    /// main effects and two-factor interactions that share an estimate.
    pub(super) fn aliases(&self, names: &[&str]) -> Vec<String> {
        let join = |set: u32| -> String {
            let own = (0..self.factors).filter(|i| set >> i & 1 == 1);
            own.map(|i| names[i]).collect::<Vec<_>>().join("×")
        };
        let generators = self.generators.iter().enumerate();
        let defined = generators.map(|(i, generator)| format!("{} = {}", names[self.basic() + i], join(*generator)));
        let mut out = vec![format!(
            "fractional: 2^({}−{}), resolution {}, by {}",
            self.factors,
            self.generators.len(),
            roman(self.resolution()),
            defined.collect::<Vec<_>>().join(", ")
        )];
        let words = self.words();
        let pairs = (0..self.factors).flat_map(|i| (i + 1..self.factors).map(move |j| 1_u32 << i | 1 << j));
        let effects: Vec<u32> = (0..self.factors).map(|i| 1_u32 << i).chain(pairs).collect();
        let mut listed: Vec<u32> = Vec::new();
        for effect in &effects {
            if listed.contains(effect) {
                continue;
            }
            let same: Vec<u32> = effects.iter().copied().filter(|other| words.contains(&(effect ^ other))).collect();
            if !same.is_empty() {
                let names: Vec<String> = [*effect].into_iter().chain(same.iter().copied()).map(join).collect();
                out.push(names.join(" = "));
                listed.extend(same);
            }
        }
        if out.len() == 1 {
            out.push(
                "no main effect and no two-factor interaction shares its estimate with another of these".to_owned(),
            );
        }
        out
    }
}

/// A search through all sets of generators. It cuts off sets that cannot become better than the best one found.
struct Search {
    basic: usize,
    p: usize,
    candidates: Vec<u32>,
    chosen: Vec<u32>,
    /// The group of the words of the chosen generators, the empty one first.
    words: Vec<u32>,
    best: Pattern,
    found: Vec<u32>,
}

impl Search {
    /// Adds every candidate from `from` on; `pattern` is that of the words so far.
    fn extend(&mut self, from: usize, pattern: &Pattern) {
        if self.chosen.len() == self.p {
            self.best = *pattern;
            self.found.clone_from(&self.chosen);
            return;
        }
        for i in from..self.candidates.len() {
            let generator = self.candidates[i];
            // The basic factors can be renamed so that a longest generator is the product of the first of them.
            if self.chosen.is_empty() && generator != (1 << generator.count_ones()) - 1 {
                continue;
            }
            let own = generator | 1 << (self.basic + self.chosen.len());
            let mut longer = *pattern;
            for word in &self.words {
                longer[(word ^ own).count_ones() as usize] += 1;
            }
            // Counts only grow, so a set that is not better now cannot become better.
            if longer >= self.best {
                continue;
            }
            let group = self.words.len();
            self.words.extend_from_within(..);
            self.words[group..].iter_mut().for_each(|word| *word ^= own);
            self.chosen.push(generator);
            self.extend(i + 1, &longer);
            self.chosen.pop();
            self.words.truncate(group);
        }
    }
}

/// A resolution in Roman numerals.
fn roman(number: u32) -> String {
    let tens = "X".repeat((number / 10) as usize);
    let ones = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"][(number % 10) as usize];
    tens + ones
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Word lengths from 3 on, as tables of minimum aberration designs print them.
    fn pattern(fraction: &Fraction) -> Vec<usize> {
        let lengths: Vec<u32> = fraction.words().iter().map(|word| word.count_ones()).collect();
        (3..=6).map(|length| lengths.iter().filter(|own| **own == length).count()).collect()
    }

    /// Box, Hunter and Hunter, "Statistics for Experimenters", 2nd edition, table 6.22, for the resolutions; Chen, Sun
    /// and Wu, "A catalogue of two-level and three-level fractional factorial designs with small runs", International
    /// Statistical Review 61, 1993, for the word lengths.
    #[test]
    fn resolutions_and_word_lengths_are_those_of_the_tables() {
        let known: [(usize, usize, u32, [usize; 4]); 16] = [
            (3, 1, 3, [1, 0, 0, 0]),
            (4, 1, 4, [0, 1, 0, 0]),
            (5, 1, 5, [0, 0, 1, 0]),
            (5, 2, 3, [2, 1, 0, 0]),
            (6, 1, 6, [0, 0, 0, 1]),
            (6, 2, 4, [0, 3, 0, 0]),
            (6, 3, 3, [4, 3, 0, 0]),
            (7, 2, 4, [0, 1, 2, 0]),
            (7, 3, 4, [0, 7, 0, 0]),
            (7, 4, 3, [7, 7, 0, 0]),
            (8, 2, 5, [0, 0, 2, 1]),
            (8, 3, 4, [0, 3, 4, 0]),
            (8, 4, 4, [0, 14, 0, 0]),
            (9, 3, 4, [0, 1, 4, 2]),
            (9, 4, 4, [0, 6, 8, 0]),
            (10, 5, 4, [0, 10, 16, 0]),
        ];
        for (k, p, resolution, words) in known {
            let fraction = Fraction::least_aberrant(k, p);
            assert_eq!((fraction.resolution(), pattern(&fraction)), (resolution, words.to_vec()), "2^({k}-{p})");
        }
    }

    #[test]
    fn all_columns_of_every_fraction_are_balanced_and_orthogonal() {
        for k in 3..=12_usize {
            for p in (1..k).filter(|p| k - p <= 10 && k < 1 << (k - p)) {
                let runs = Fraction::least_aberrant(k, p).runs();
                assert_eq!(runs.len(), 1 << (k - p));
                assert!(runs[0].iter().all(|away| !away), "the first run is the baseline");
                let half = |differs: &dyn Fn(&Vec<bool>) -> bool| runs.iter().filter(|run| differs(run)).count();
                for i in 0..k {
                    assert_eq!(half(&|run| run[i]), runs.len() / 2, "column {i} of 2^({k}-{p})");
                    for j in 0..i {
                        assert_eq!(half(&|run| run[i] != run[j]), runs.len() / 2, "{i}, {j} of 2^({k}-{p})");
                    }
                }
            }
        }
    }

    #[test]
    fn aliases_are_named() {
        let lines = |k, p, names: &[&str]| Fraction::least_aberrant(k, p).aliases(names);
        assert_eq!(
            lines(3, 1, &["a", "b", "c"]),
            ["fractional: 2^(3−1), resolution III, by c = a×b", "a = b×c", "b = a×c", "c = a×b"]
        );
        assert_eq!(
            lines(4, 1, &["a", "b", "c", "d"]),
            ["fractional: 2^(4−1), resolution IV, by d = a×b×c", "a×b = c×d", "a×c = b×d", "a×d = b×c"]
        );
        let five = lines(5, 1, &["a", "b", "c", "d", "e"]);
        assert_eq!(five[0], "fractional: 2^(5−1), resolution V, by e = a×b×c×d");
        assert!(five.len() == 2 && five[1].starts_with("no main effect"), "{five:?}");
        // Seven factors in eight runs: every main effect shares its estimate with three interactions.
        let seven = lines(7, 4, &["a", "b", "c", "d", "e", "f", "g"]);
        assert!(seven[1..].iter().all(|line| line.matches(" = ").count() == 3) && seven.len() == 8, "{seven:?}");
    }

    /// The lines of [`Fraction::aliases`] against the columns themselves.
    #[test]
    fn aliased_effects_have_equal_columns_and_others_do_not() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let fraction = Fraction::least_aberrant(6, 2);
        let column = |effect: &str| -> Vec<bool> {
            let own: Vec<usize> = effect.split('×').filter_map(|f| names.iter().position(|n| *n == f)).collect();
            fraction.runs().iter().map(|run| own.iter().fold(false, |sign, i| sign ^ run[*i])).collect()
        };
        let mut aliased = 0;
        for line in &fraction.aliases(&names)[1..] {
            let columns: Vec<Vec<bool>> = line.split(" = ").map(column).collect();
            assert!(columns.iter().all(|own| *own == columns[0]), "{line}");
            aliased += columns.len() * (columns.len() - 1) / 2;
        }
        let pairs = (0..6).flat_map(|i| (i + 1..6).map(move |j| format!("{}×{}", names[i], names[j])));
        let effects: Vec<String> = names.map(str::to_owned).into_iter().chain(pairs).collect();
        let equal = (0..effects.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        assert_eq!(equal.filter(|(i, j)| column(&effects[*i]) == column(&effects[*j])).count(), aliased);
    }

    #[test]
    fn resolutions_are_roman() {
        assert_eq!([3, 4, 5, 9, 10, 12].map(roman), ["III", "IV", "V", "IX", "X", "XII"]);
    }
}

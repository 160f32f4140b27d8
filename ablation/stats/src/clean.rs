//! The clean stage after a screen: main effects and interactions of two factors, from data that had no part in choosing
//! the factors.
//!
//! A screen and a study of what it kept are two samples. Claims that use the second one only are not biased by the
//! choice, and their error is that of the second stage alone, whatever the first one did (Cox, "A Note on Data-Splitting
//! for the Evaluation of Significance Levels", Biometrika 62, 1975; screen and clean: Wasserman and Roeder,
//! "High-Dimensional Variable Selection", Annals of Statistics 37, 2009).

use super::bootstrap::Drawn;
use super::factorial::contrast_of_columns;
use super::many::holm;

/// Which effect of a design.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// The main effect of a factor.
    Main(usize),
    /// The interaction of two factors.
    Pair(usize, usize),
}

/// The effects of a two-level design: the main effect of every factor, v(with) − v(without) averaged over the cells, and
/// where `pairs` is set the interaction of every two, v(both) − v(one) − v(other) + v(neither).
///
/// `signs[row][factor]` (+1 at work, −1 away) belongs to `values[row]`. The design must not mix these effects: a full
/// factorial, a fraction of resolution V, or without pairs one of resolution IV. The result is empty when there are not as
/// many rows as values.
pub fn effects(signs: &[Vec<i8>], values: &[Drawn], pairs: bool) -> Vec<(Term, Drawn)> {
    let factors = signs.first().map_or(0, Vec::len);
    let mut terms: Vec<Term> = (0..factors).map(Term::Main).collect();
    if pairs {
        terms.extend((0..factors).flat_map(|i| (i + 1..factors).map(move |j| Term::Pair(i, j))));
    }
    let column = |row: &Vec<i8>| -> Vec<i8> {
        let of = |term: &Term| match *term {
            Term::Main(i) => row[i],
            Term::Pair(i, j) => row[i] * row[j],
        };
        terms.iter().map(of).collect()
    };
    let columns: Vec<Vec<i8>> = signs.iter().map(column).collect();
    let effect = |(term, drawn): (&Term, Drawn)| match term {
        Term::Main(_) => (*term, drawn),
        Term::Pair(..) => (*term, drawn.map(|half| 2.0 * half)),
    };
    terms.iter().zip(contrast_of_columns(&columns, values)).map(effect).collect()
}

/// The p values of effects against 0, adjusted so that any false claim among all of them has a probability of 5 % or less
/// where claims are those below 0.05 ([`holm`]). Give all effects that claims may be made of in one call.
///
/// An effect that is known exactly and is 0 up to rounding, a billionth of `scale`, is no finding. NaN without a p value.
pub fn adjusted<'a>(effects: impl IntoIterator<Item = (&'a Drawn, f64)>) -> Vec<f64> {
    let p = |(drawn, scale): (&Drawn, f64)| match drawn.point.abs() <= 1e-9 * scale.abs() {
        true => 1.0,
        false => drawn.p_value().unwrap_or(f64::NAN),
    };
    holm(&effects.into_iter().map(p).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(values: &[f64]) -> Vec<Drawn> {
        values.iter().map(|value| Drawn::new(*value, 12, vec![*value; 3])).collect()
    }

    #[test]
    fn effects_of_a_factorial_are_those_of_its_cells() {
        let signs: Vec<Vec<i8>> = vec![vec![1, 1], vec![1, -1], vec![-1, 1], vec![-1, -1]];
        // Neither 100; the first adds 5, the second 2, both together 4 more.
        let values = exact(&[111.0, 105.0, 102.0, 100.0]);
        let found = effects(&signs, &values, true);
        let points: Vec<(Term, f64)> = found.iter().map(|(term, drawn)| (*term, drawn.point)).collect();
        assert_eq!(points, [(Term::Main(0), 7.0), (Term::Main(1), 4.0), (Term::Pair(0, 1), 4.0)]);
        assert_eq!(effects(&signs, &values, false).len(), 2);
        assert!(effects(&signs, &values[1..], true).is_empty() && effects(&[], &[], true).is_empty());
    }

    #[test]
    fn what_is_zero_up_to_rounding_is_no_finding() {
        let values = exact(&[3.0, 1e-12, f64::NAN]);
        let p = adjusted(values.iter().map(|value| (value, 100.0)));
        assert_eq!((p[0], p[1]), (0.0, 1.0));
        assert!(p[2].is_nan());
    }
}

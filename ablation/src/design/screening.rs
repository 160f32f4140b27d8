//! Screening designs for main effects: up to n − 1 factors in n runs (Plackett and Burman, "The design of optimum
//! multifactorial experiments", Biometrika 33, 1946), from Hadamard matrices.
//!
//! The matrices come from quadratic residues (Paley, "On orthogonal matrices", Journal of Mathematics and Physics 12,
//! 1933) and by doubling (Sylvester), which reaches every multiple of 4 up to 48, and beyond it one that is a few larger
//! where one is missing (52, 92, 100, …).
//!
//! A folded-over design has every run and its mirror. Twice the runs, and main effects are clear of two-factor
//! interactions (Box and Wilson, Journal of the Royal Statistical Society B 13, 1951).

/// Rows of a matrix of +1 and −1.
type Matrix = Vec<Vec<i8>>;

/// Cells of a Plackett–Burman design of these factors.
pub(super) fn cells(factors: usize) -> usize {
    constructed_from(factors + 1)
}

/// Cells of a folded-over design of these factors.
pub(super) fn folded_cells(factors: usize) -> usize {
    2 * folded_order(factors)
}

/// Every run, as one value for each factor: whether it is away. The baseline is the first run.
///
/// # Panics
/// For far more factors than the config allows, when no matrix is constructed.
pub(super) fn runs(factors: usize) -> Vec<Vec<bool>> {
    // The first column is constant: it stands for the mean.
    away(factors + 1, constructed_from(factors + 1)).into_iter().map(|row| row[1..].to_vec()).collect()
}

/// Every run of a folded-over design: all runs of a Hadamard matrix and then their mirrors, in the same order. The
/// baseline is the first run.
///
/// The first column, constant in the matrix, is that of a factor too: in the first half it is at work and in the second
/// it is away. So n factors take 2 n runs, and fewer cannot clear main effects of two-factor interactions (Webb,
/// "Non-Orthogonal Designs of Even Resolution", Technometrics 10, 1968).
///
/// # Panics
/// For far more factors than the config allows, when no matrix is constructed.
pub(super) fn folded(factors: usize) -> Vec<Vec<bool>> {
    let half = away(factors, folded_order(factors));
    let mirrors: Vec<Vec<bool>> = half.iter().map(|row| row.iter().map(|away| !away).collect()).collect();
    half.into_iter().chain(mirrors).collect()
}

/// The first columns of the normalised matrix of an order: whether each is −1.
fn away(columns: usize, order: usize) -> Vec<Vec<bool>> {
    let matrix = hadamard(order).unwrap_or_else(|| panic!("no Hadamard matrix of order {order} is constructed here"));
    normalised(matrix).into_iter().map(|row| row[..columns].iter().map(|sign| *sign < 0).collect()).collect()
}

/// The order of a folded-over design. A matrix by doubling has sets of pairs of columns with the same product, whose
/// interactions nothing tells apart. One of Paley's has none, so it is taken where it is a tenth larger at most.
fn folded_order(factors: usize) -> usize {
    if factors <= 2 {
        return 2;
    }
    let least = constructed_from(factors);
    let is_near = |order: &usize| 10 * (order - factors) <= factors;
    (least..).step_by(4).take_while(is_near).find(|order| paley(*order).is_some()).unwrap_or(least)
}

/// The smallest multiple of 4 from here on whose matrix is constructed.
fn constructed_from(least: usize) -> usize {
    (least.next_multiple_of(4)..).step_by(4).find(|order| is_constructed(*order)).unwrap_or(least)
}

/// The effects that a Plackett–Burman design cannot tell apart, for people.
pub(super) fn aliases(factors: usize) -> String {
    format!(
        "plackett-burman: {} cells for {factors} factors, resolution III: every main effect shares its estimate, \
         wholly or in part, with interactions of two other factors",
        cells(factors)
    )
}

/// The effects that a folded-over design cannot tell apart, for people.
pub(super) fn folded_aliases(factors: usize) -> String {
    format!(
        "foldover: {} cells for {factors} factors, resolution IV: main effects are clear of interactions of two factors, \
         and interactions of two factors share their estimates with each other",
        folded_cells(factors)
    )
}

/// A matrix whose rows are orthogonal, when a construction is known here.
fn hadamard(order: usize) -> Option<Matrix> {
    match order {
        1 => Some(vec![vec![1]]),
        2 => Some(vec![vec![1, 1], vec![1, -1]]),
        _ if order.is_multiple_of(4) => paley(order).or_else(|| hadamard(order / 2).map(|half| doubled(&half))),
        _ => None,
    }
}

/// Whether [`hadamard`] knows this order, without the matrix.
fn is_constructed(order: usize) -> bool {
    match order {
        1 | 2 => true,
        _ if order.is_multiple_of(4) => of_paley(order).is_some() || is_constructed(order / 2),
        _ => false,
    }
}

/// The matrix of residues of a multiple of 4, where it has the size of one.
fn paley(order: usize) -> Option<Matrix> {
    of_paley(order).map(|(prime, is_first)| if is_first { paley_first(prime) } else { paley_second(prime) })
}

/// The prime of Paley's construction of this order, and whether it is his first one.
fn of_paley(order: usize) -> Option<(usize, bool)> {
    let (first, second) = (order.checked_sub(1)?, (order / 2).checked_sub(1)?);
    match () {
        () if first % 4 == 3 && is_prime(first) => Some((first, true)),
        () if second % 4 == 1 && is_prime(second) => Some((second, false)),
        () => None,
    }
}

fn is_prime(number: usize) -> bool {
    number >= 2 && (2..).take_while(|d| d * d <= number).all(|d| !number.is_multiple_of(d))
}

/// The Legendre symbol: 0 for multiples of the prime, +1 for other squares modulo the prime, −1 for other numbers.
fn residue(number: usize, prime: usize) -> i8 {
    match number % prime {
        0 => 0,
        rest if (1..prime).any(|root| root * root % prime == rest) => 1,
        _ => -1,
    }
}

/// The matrix of residues of differences with a border: first row +1, first column `corner`, 0 where they meet.
fn bordered(prime: usize, corner: i8) -> Matrix {
    let mut rows = vec![[0].into_iter().chain(std::iter::repeat_n(1, prime)).collect()];
    for i in 0..prime {
        rows.push([corner].into_iter().chain((0..prime).map(|j| residue(prime + j - i, prime))).collect());
    }
    rows
}

/// For primes that are 3 modulo 4: the bordered matrix is skew, and with the identity added it is a Hadamard matrix.
fn paley_first(prime: usize) -> Matrix {
    let mut matrix = bordered(prime, -1);
    for (i, row) in matrix.iter_mut().enumerate() {
        row[i] += 1;
    }
    matrix
}

/// For primes that are 1 modulo 4: the bordered matrix is symmetric; ±1 become ±[+ +; + −] and 0 becomes [+ −; − −].
fn paley_second(prime: usize) -> Matrix {
    let block = |sign: i8| if sign == 0 { [[1, -1], [-1, -1]] } else { [[sign, sign], [sign, -sign]] };
    let rows = bordered(prime, 1);
    let halves = rows.iter().flat_map(|row| [0, 1].map(|half| row.iter().flat_map(|s| block(*s)[half]).collect()));
    halves.collect()
}

/// Sylvester's construction: twice the order.
fn doubled(half: &Matrix) -> Matrix {
    let row = |row: &Vec<i8>, sign: i8| row.iter().copied().chain(row.iter().map(|s| s * sign)).collect();
    half.iter().map(|own| row(own, 1)).chain(half.iter().map(|own| row(own, -1))).collect()
}

/// Changes signs of columns and rows until the first row and the first column are all +1.
fn normalised(mut matrix: Matrix) -> Matrix {
    let first = matrix[0].clone();
    for row in &mut matrix {
        row.iter_mut().zip(&first).for_each(|(sign, of_column)| *sign *= of_column);
        let of_row = row[0];
        row.iter_mut().for_each(|sign| *sign *= of_row);
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MAX_SCREENED as MOST;

    #[test]
    fn every_multiple_of_four_up_to_48_has_a_hadamard_matrix() {
        for order in (4..=48).step_by(4) {
            let matrix = normalised(hadamard(order).expect("is constructed"));
            assert!(matrix.len() == order && matrix.iter().flatten().all(|sign| sign.abs() == 1), "{order}");
            assert!(matrix[0].iter().all(|sign| *sign == 1) && matrix.iter().all(|row| row[0] == 1), "{order}");
            for (i, row) in matrix.iter().enumerate() {
                for (j, other) in matrix.iter().enumerate() {
                    let product: i32 = row.iter().zip(other).map(|(a, b)| i32::from(a * b)).sum();
                    assert_eq!(product, if i == j { order as i32 } else { 0 }, "rows {i} and {j} of {order}");
                }
            }
        }
        assert_eq!((hadamard(52), hadamard(6)), (None, None));
    }

    #[test]
    fn large_designs_are_orthogonal_and_little_larger_than_their_factors() {
        for factors in (48..=MOST).step_by(19).chain([MOST]) {
            let runs = folded(factors);
            assert!(
                runs.len() == folded_cells(factors) && runs.len() <= 2 * (factors + 16),
                "{factors}: {}",
                runs.len()
            );
            let columns: Vec<Vec<i32>> =
                (0..factors).map(|i| runs.iter().map(|run| if run[i] { -1 } else { 1 }).collect()).collect();
            let product = |a: &[i32], b: &[i32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<i32>();
            for i in 0..factors {
                assert_eq!(columns[i].iter().sum::<i32>(), 0, "column {i} of {factors}");
                assert!((0..i).all(|j| product(&columns[i], &columns[j]) == 0), "column {i} of {factors}");
            }
            assert!(runs[0].iter().all(|away| !away) && cells(factors) <= factors + 16, "{factors}");
        }
    }

    #[test]
    fn folded_main_effects_are_clear_of_pairs() {
        for (factors, expected) in [(2, 4), (3, 8), (4, 8), (5, 16), (12, 24), (13, 32), (40, 88), (47, 96)] {
            let runs = folded(factors);
            assert_eq!((runs.len(), folded_cells(factors)), (expected, expected), "{factors} factors");
            let sign = |run: &Vec<bool>, i: usize| if run[i] { -1 } else { 1 };
            for i in 0..factors {
                for (j, k) in (0..factors).flat_map(|j| (0..j).map(move |k| (j, k))) {
                    let product: i32 = runs.iter().map(|run| sign(run, i) * sign(run, j) * sign(run, k)).sum();
                    assert_eq!(product, 0, "{i} with {j} and {k} of {factors}");
                }
            }
            let (half, mirrors) = runs.split_at(expected / 2);
            assert!(half.iter().zip(mirrors).all(|(run, mirror)| run.iter().zip(mirror).all(|(a, b)| a != b)));
            let distinct: std::collections::BTreeSet<_> = runs.iter().collect();
            assert_eq!(distinct.len(), expected, "no run of {factors} factors comes twice");
        }
    }

    #[test]
    fn all_columns_are_balanced_and_orthogonal() {
        for (factors, expected) in [(2, 4), (3, 4), (6, 8), (9, 12), (11, 12), (19, 20), (20, 24), (23, 24), (47, 48)] {
            let runs = runs(factors);
            assert_eq!(runs.len(), expected, "{factors} factors");
            assert!(runs[0].iter().all(|away| !away), "the first run is the baseline");
            let half = |differs: &dyn Fn(&Vec<bool>) -> bool| runs.iter().filter(|run| differs(run)).count();
            for i in 0..factors {
                assert_eq!(half(&|run| run[i]), expected / 2, "column {i} of {factors}");
                for j in 0..i {
                    assert_eq!(half(&|run| run[i] != run[j]), expected / 2, "columns {i} and {j} of {factors}");
                }
            }
            let distinct: std::collections::BTreeSet<_> = runs.iter().collect();
            assert_eq!(distinct.len(), expected, "no run of {factors} factors comes twice");
        }
    }
}

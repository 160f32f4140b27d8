//! Screening designs for main effects: up to n − 1 factors in n runs (Plackett and Burman, "The design of optimum
//! multifactorial experiments", Biometrika 33, 1946), from Hadamard matrices.
//!
//! The matrices come from quadratic residues (Paley, "On orthogonal matrices", Journal of Mathematics and Physics 12,
//! 1933) and by doubling (Sylvester), which reaches every multiple of 4 up to 48.

/// Rows of a matrix of +1 and −1.
type Matrix = Vec<Vec<i8>>;

/// Every run, as one value for each factor: whether it is away. The baseline is the first run.
///
/// # Panics
/// For more than 47 factors.
pub(super) fn runs(factors: usize) -> Vec<Vec<bool>> {
    let order = (factors + 1).next_multiple_of(4);
    let matrix = hadamard(order).unwrap_or_else(|| panic!("no Hadamard matrix of order {order} is constructed here"));
    // The first column is constant: it stands for the mean.
    normalised(matrix).into_iter().map(|row| row[1..=factors].iter().map(|sign| *sign < 0).collect()).collect()
}

/// The effects that the design cannot tell apart, for people.
pub(super) fn aliases(factors: usize) -> String {
    let runs = (factors + 1).next_multiple_of(4);
    format!(
        "plackett-burman: {runs} cells for {factors} factors, resolution III: every main effect shares its estimate, \
         wholly or in part, with interactions of two other factors"
    )
}

/// A matrix whose rows are orthogonal, when a construction is known here.
fn hadamard(order: usize) -> Option<Matrix> {
    match order {
        1 => Some(vec![vec![1]]),
        2 => Some(vec![vec![1, 1], vec![1, -1]]),
        _ if is_prime(order - 1) && order.is_multiple_of(4) => Some(paley_first(order - 1)),
        _ if order.is_multiple_of(4) && is_prime(order / 2 - 1) && (order / 2 - 1) % 4 == 1 => {
            Some(paley_second(order / 2 - 1))
        }
        _ if order.is_multiple_of(4) => hadamard(order / 2).map(|half| doubled(&half)),
        _ => None,
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

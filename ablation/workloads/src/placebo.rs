//! Dead code for the feature `placebo`: some KiB of functions that are linked in and never run. They move the code behind
//! them, so the build differs from another in its code layout alone.

/// A separate function for every `N`, a few hundred bytes long.
#[inline(never)]
fn filler<const N: u64>(mut x: u64) -> u64 {
    // Every step has another constant, so the compiler makes no loop of them.
    macro_rules! steps {
        ($($step:literal)*) => {
            $(x = (x ^ (N << 32 | $step)).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ N).rotate_left($step);)*
        };
    }
    steps!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    if x.is_multiple_of(N + 2) { x } else { !x }
}

/// The functions, whose addresses keep them in the program.
static KEPT: [fn(u64) -> u64; 12] = [
    filler::<1>,
    filler::<2>,
    filler::<3>,
    filler::<4>,
    filler::<5>,
    filler::<6>,
    filler::<7>,
    filler::<8>,
    filler::<9>,
    filler::<10>,
    filler::<11>,
    filler::<12>,
];

/// Keeps the functions in the program. Their addresses are taken, and none is called.
pub(crate) fn keep() {
    std::hint::black_box(&KEPT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filler_is_a_function_of_its_own() {
        keep();
        let values: std::collections::BTreeSet<u64> = KEPT.iter().map(|filler| filler(7)).collect();
        assert_eq!(values.len(), KEPT.len());
    }
}

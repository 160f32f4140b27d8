//! A function whose time is proportional to a number of rounds, for pull requests whose effect is known.

/// Rounds of [`mix`].
pub const ROUNDS: u32 = 5_000;

/// Mixes a number, each round after the one before it.
pub fn mix(mut x: u64) -> u64 {
    for round in 0..ROUNDS {
        x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ u64::from(round);
    }
    x
}

/// A text that the benchmark shows once; no measured code reads it.
pub fn describe(x: u64) -> String {
    format!("mixed: {x}")
}

//! The contention probe: the time of a fixed piece of work. It shows whether something else slows this processor down.
//!
//! A hyper-thread that works on the same core takes execution ports away, and the host of a virtual machine does not
//! report it. A loop that keeps every port busy then takes 1.5 to 2 times as long. A loop that waits for its own
//! results would not, because its ports are idle most of the time; so the probe has eight independent chains. Its code
//! has a fixed alignment: otherwise its speed would depend on where the linker puts it, and would differ between the
//! builds that it is to judge.

use std::time::Instant;

/// Turns of the loop: 5 to 10 µs on processors of 2 to 4 GHz, some hundred times the cost of reading the clock.
const STEPS: u32 = 5_000;

/// Takes the contention probe once and returns its nanoseconds per step. A call lasts 5 to 10 µs.
///
/// Only the ratio of two values of the same machine has a meaning. The first call of a process is slower, because its
/// code and the clock's are paged in; call it once before the measured part.
///
/// ```
/// let values: Vec<f64> = (0..100).map(|_| ablate_probe::contention_probe_ns()).collect();
/// assert!(values.iter().all(|value| *value > 0.0));
/// ```
#[inline(never)]
pub fn contention_probe_ns() -> f64 {
    let before = Instant::now();
    steps(STEPS);
    before.elapsed().as_nanos() as f64 / f64::from(STEPS)
}

/// Two operations on each of eight independent chains, then the loop's own count. These are more than a processor
/// finishes in a cycle, and no operation waits for one of another chain.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn steps(count: u32) {
    // SAFETY: registers only, all of them declared; `count` is not 0, so the loop ends.
    unsafe {
        std::arch::asm!(
            ".p2align 6",
            "2:",
            "add {a}, {k}",
            "add {b}, {k}",
            "add {c}, {k}",
            "add {d}, {k}",
            "add {e}, {k}",
            "add {f}, {k}",
            "add {g}, {k}",
            "add {h}, {k}",
            "xor {a}, {k}",
            "xor {b}, {k}",
            "xor {c}, {k}",
            "xor {d}, {k}",
            "xor {e}, {k}",
            "xor {f}, {k}",
            "xor {g}, {k}",
            "xor {h}, {k}",
            "dec {count:e}",
            "jnz 2b",
            a = inout(reg) 1u64 => _,
            b = inout(reg) 2u64 => _,
            c = inout(reg) 3u64 => _,
            d = inout(reg) 4u64 => _,
            e = inout(reg) 5u64 => _,
            f = inout(reg) 6u64 => _,
            g = inout(reg) 7u64 => _,
            h = inout(reg) 8u64 => _,
            k = in(reg) 0x9E37_79B9_7F4A_7C15u64,
            count = inout(reg) count => _,
            options(nomem, nostack),
        );
    }
}

/// The same chains as the compiler translates them, for other processors.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn steps(count: u32) {
    portable(count);
}

/// Eight chains of different operations, so that the compiler does not merge them into vectors.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
fn portable(count: u32) -> u64 {
    let k = std::hint::black_box(0x9E37_79B9_7F4A_7C15u64);
    let mut chains: [u64; 8] = std::hint::black_box([1, 2, 3, 4, 5, 6, 7, 8]);
    for _ in 0..count {
        let [a, b, c, d, e, f, g, h] = &mut chains;
        *a = a.wrapping_add(k).rotate_left(1);
        *b = (*b ^ k).wrapping_add(k);
        *c = c.wrapping_sub(k) ^ (k >> 1);
        *d = d.wrapping_add(k) ^ k;
        *e = (*e ^ k).rotate_left(3);
        *f = f.wrapping_sub(k).wrapping_add(k >> 3);
        *g = g.rotate_left(5).wrapping_add(k);
        *h = (!*h).wrapping_sub(k);
    }
    std::hint::black_box(chains).into_iter().fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discard(value: u64) {
        std::hint::black_box(value);
    }

    fn fastest(mut take: impl FnMut() -> f64) -> f64 {
        (0..200).map(|_| take()).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn a_step_takes_time() {
        let value = fastest(contention_probe_ns);
        assert!(value.is_finite() && value > 0.0, "{value}");
    }

    /// If the compiler removed the work, many steps would take as long as few.
    #[test]
    fn more_steps_take_longer() {
        let time = |work: &dyn Fn()| {
            fastest(|| {
                let before = Instant::now();
                work();
                before.elapsed().as_nanos() as f64
            })
        };
        let (few, many) = (time(&|| steps(100)), time(&|| steps(100_000)));
        assert!(many > 10.0 * few, "{many} ns for 1000 times the steps of {few} ns");
        let (few, many) = (time(&|| discard(portable(100))), time(&|| discard(portable(100_000))));
        assert!(many > 10.0 * few, "{many} ns for 1000 times the steps of {few} ns");
    }
}

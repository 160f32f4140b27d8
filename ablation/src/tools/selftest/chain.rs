//! The synthetic operation: a part that fills the processor, then a chain of links that wait for one another.
//!
//! A link is an addition that needs the result of the last one, so it takes one cycle (on most processors) whatever
//! else happens, and `n` more links cost `n` times as much. The first part has eight chains at once; it is what a busy
//! neighbour slows down, as it does real programs. Both need each other's result, so that their times add up.

/// Most links per operation.
pub(super) const LINKS_MAX: u32 = 1024;

/// An odd number with set bits all over.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Does operations with this many links each; the result depends on all of them.
///
/// # Panics
/// When there are more links than [`LINKS_MAX`].
#[inline(never)]
pub(super) fn operations(count: u64, links: u32, mut x: u64) -> u64 {
    assert!(links <= LINKS_MAX, "{links} links are more than the chain has");
    for _ in 0..count {
        x = chain(wide(x), links);
    }
    x
}

/// The part that fills the processor, some 5 to 10 ns: eight chains that start from `x` and end in one value.
#[inline(always)]
fn wide(x: u64) -> u64 {
    let mut lanes = [1u64, 2, 3, 4, 5, 6, 7, 8].map(|lane| x ^ lane);
    for round in 0..8 {
        let [a, b, c, d, e, f, g, h] = &mut lanes;
        *a = a.wrapping_add(STEP).rotate_left(1);
        *b = (*b ^ STEP).wrapping_add(round);
        *c = c.wrapping_sub(STEP) ^ round;
        *d = d.wrapping_add(STEP) ^ (round << 8);
        *e = (*e ^ STEP).rotate_left(3);
        *f = f.wrapping_sub(round).wrapping_add(STEP);
        *g = g.rotate_left(5).wrapping_add(STEP);
        *h = (!*h).wrapping_sub(STEP);
    }
    lanes.into_iter().fold(0, |all, lane| all ^ lane)
}

/// The links. All are written out one after the other, and a jump skips those that are not wanted. A loop would end
/// with a wrong prediction of the processor at times, which costs as much as fifty links. The fence keeps every
/// instruction of the next operation behind the last link. Without it the time of the next operation depended by ± 0.3
/// ns (Zen 4) on where in 64 bytes of code the chain was entered. With it, `n` links take `n` times one link to 0.1 ns.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn chain(mut x: u64, links: u32) -> u64 {
    // An addition of two 64-bit registers has three bytes, whichever they are.
    let bytes = 3 * u64::from(links);
    // SAFETY: `operations` has checked the number, so the jump goes to one of the additions or just behind the last;
    // registers only, all declared.
    unsafe {
        std::arch::asm!(
            "lea {target}, [rip + 3f]",
            "sub {target}, {bytes}",
            "jmp {target}",
            ".p2align 6",
            ".rept {max}",
            "add {x}, {step}",
            ".endr",
            "3:",
            "lfence",
            target = out(reg) _,
            bytes = in(reg) bytes,
            x = inout(reg) x,
            step = in(reg) STEP,
            max = const LINKS_MAX,
            options(nomem, nostack),
        );
    }
    x
}

/// The same for other processors, as a loop.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn chain(x: u64, links: u32) -> u64 {
    looped(x, links)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
fn looped(mut x: u64, links: u32) -> u64 {
    for _ in 0..links {
        x = x.wrapping_add(STEP);
        // SAFETY: an empty instruction; it hides the value, so that the additions do not become a multiplication.
        unsafe { std::arch::asm!("/* {0} */", inout(reg) x, options(nomem, nostack, preserves_flags)) };
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_is_one_addition() {
        for links in [0, 1, 2, 3, 85, LINKS_MAX - 1, LINKS_MAX] {
            let expected = 5u64.wrapping_add(STEP.wrapping_mul(u64::from(links)));
            assert_eq!((chain(5, links), looped(5, links)), (expected, expected), "{links} links");
        }
    }

    #[test]
    fn an_operation_is_its_wide_part_and_its_links() {
        assert_eq!(operations(0, 9, 7), 7);
        assert_eq!(operations(1, 9, 7), looped(wide(7), 9));
        assert_eq!(operations(2, 9, 7), operations(1, 9, operations(1, 9, 7)));
    }

    #[test]
    #[should_panic(expected = "more than the chain has")]
    fn too_many_links_are_refused() {
        operations(1, LINKS_MAX + 1, 0);
    }
}

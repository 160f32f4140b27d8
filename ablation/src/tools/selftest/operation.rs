//! The synthetic operation: a part that fills the processor, then segments of planted work, one after the other.
//!
//! A segment is straight code without a loop or a condition: additions, calls, or loads, each of which needs the result
//! of the one before. One jump leads to its beginning when it is on and to its last few instructions when it is off, so
//! that both levels execute the same instructions but for the planted ones. A fence before and after every segment keeps
//! the processor from working on two segments at once: what a segment costs does not depend on which others are on. The
//! few instructions that are always executed hide what goes on at the edges, the jump and the end of the fence, from both
//! levels alike: without them two additions cost nothing and ten a nanosecond too little (Zen 3), and with ten of them two
//! segments in a row cost 0.7 ns less together than apart (Zen 5). How much a segment costs, only a measurement tells: `n`
//! additions do not take `n` times one addition on every processor.

use std::hint::black_box;

/// Segments of an operation, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    Half,
    Two,
    Ten,
    Fifty,
    Left,
    Right,
    Together,
    Faulty,
    Calls,
    Near,
    Far,
}

/// Number of [`Segment`]s.
pub(super) const SEGMENTS: usize = 11;

/// Which segments are on.
pub(super) type On = [bool; SEGMENTS];

/// An odd number with set bits all over.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Links that every operation has: those of the factor that works at any level.
const ALWAYS: usize = 12;
/// Links of the segments that are additions.
const HALF: usize = 2;
const TWO: usize = 7;
const TEN: usize = 36;
const FIFTY: usize = 180;
const LEFT: usize = 4;
const RIGHT: usize = 4;
const TOGETHER: usize = 25;
const FAULTY: usize = 18;
/// Additions, calls and loads that such a segment executes at any level.
const EDGE: usize = 24;
const EDGE_CALLS: usize = 3;
const EDGE_LOADS: usize = 3;
/// Calls and loads of the others.
const CALLS: usize = 8;
const NEAR: usize = 8;
const FAR: usize = 3;

/// What operations work on.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// The value that every addition changes.
    x: u64,
    /// An index into a ring within one cache line.
    near: *const usize,
    /// An index into a ring that the first cache does not hold.
    far: *const usize,
}

/// Two rings of pointers, in memory that stays where it is.
#[derive(Debug)]
pub(super) struct Rings {
    near: Box<[Line]>,
    far: Box<[Line]>,
}

/// A cache line, which begins with the address of another.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([usize; 8]);

/// Lines of the far ring: 128 KiB, which first caches of up to 64 KiB do not hold and every second cache does.
const LINES: usize = 2_048;

impl Rings {
    /// Makes both rings. The far one visits its lines in an order that no prefetcher follows.
    pub(super) fn new() -> Rings {
        let mut near = vec![Line([0; 8]); 1].into_boxed_slice();
        let start = near[0].0.as_ptr() as usize;
        (0..8).for_each(|at| near[0].0[at] = start + (at + 3) % 8 * size_of::<usize>());
        let mut far = vec![Line([0; 8]); LINES].into_boxed_slice();
        // Sattolo's algorithm ("An Algorithm to Generate a Random Cyclic Permutation", 1986): one cycle over all lines.
        let mut next: Vec<usize> = (0..LINES).collect();
        let mut random = 0x2545_F491_4F6C_DD1D_u64;
        for at in (1..LINES).rev() {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            next.swap(at, random as usize % at);
        }
        let start = far.as_ptr() as usize;
        next.iter().enumerate().for_each(|(at, to)| far[at].0[0] = start + to * size_of::<Line>());
        Rings { near, far }
    }

    /// The state before the first operation.
    pub(super) fn state(&self) -> State {
        State { x: 1, near: self.near[0].0.as_ptr(), far: self.far[0].0.as_ptr() }
    }

    /// Reads all lines of the far ring, in two to four µs, so that the second cache holds them.
    pub(super) fn warm(&self) {
        black_box(self.far.iter().fold(0, |sum, line| sum ^ black_box(line.0[0])));
    }
}

/// Ticks of the processor's clock that each segment took, summed over operations. With fences around every reading, which
/// take time of their own at any level.
pub(super) type Stamps = [u64; SEGMENTS];

/// Does operations with these segments.
pub(super) fn operations(count: u64, on: &On, state: &mut State) {
    repeat::<false>(count, on, state, &mut [0; SEGMENTS]);
}

/// Does operations and reads the clock around every segment.
pub(super) fn stamped(count: u64, on: &On, state: &mut State) -> Stamps {
    let mut stamps = [0; SEGMENTS];
    repeat::<true>(count, on, state, &mut stamps);
    stamps
}

#[inline(never)]
fn repeat<const STAMPED: bool>(count: u64, on: &On, state: &mut State, stamps: &mut Stamps) {
    use Segment::*;
    let mut last = 0;
    let State { x, near, far } = state;
    for _ in 0..count {
        *x = wide(*x);
        links::<ALWAYS>(x, true);
        stamp::<STAMPED>(&mut last, None);
        links::<HALF>(x, on[Half as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Half as usize]));
        links::<TWO>(x, on[Two as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Two as usize]));
        links::<TEN>(x, on[Ten as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Ten as usize]));
        links::<FIFTY>(x, on[Fifty as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Fifty as usize]));
        links::<LEFT>(x, on[Left as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Left as usize]));
        links::<RIGHT>(x, on[Right as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Right as usize]));
        links::<TOGETHER>(x, on[Together as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Together as usize]));
        links::<FAULTY>(x, on[Faulty as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Faulty as usize]));
        calls::<CALLS>(x, on[Calls as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Calls as usize]));
        loads::<NEAR>(near, on[Near as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Near as usize]));
        loads::<FAR>(far, on[Far as usize]);
        stamp::<STAMPED>(&mut last, Some(&mut stamps[Far as usize]));
        fence();
    }
}

/// The part that fills the processor, some 5 to 10 ns: eight chains that start from `x` and end in one value. It is what a
/// busy neighbour slows down, as it does real programs.
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

/// Adds the ticks since the last reading to `sum`. The fences keep the work of a segment out of the reading and the
/// reading out of the segment.
#[inline(always)]
fn stamp<const STAMPED: bool>(last: &mut u64, sum: Option<&mut u64>) {
    if STAMPED {
        let now = fenced_ticks();
        if let Some(sum) = sum {
            *sum = sum.wrapping_add(now.wrapping_sub(*last));
        }
        *last = now;
    }
}

/// The processor's clock, after everything ahead of it.
#[inline(always)]
pub(super) fn fenced_ticks() -> u64 {
    fence();
    ticks()
}

/// The processor's clock.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and Linux lets programs use it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// A clock of other processors: nanoseconds since the first reading.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn ticks() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

/// Nothing behind it begins before everything ahead of it is done.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn fence() {
    // SAFETY: an instruction without operands. It may touch memory as far as the compiler knows, so that the compiler
    // moves no access across it either.
    unsafe { std::arch::asm!("lfence", options(nostack, preserves_flags)) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn fence() {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// A fence, and a jump to the first or to the last `edge` of the `edge` + `count` instructions of `bytes` each. All begins
/// at a cache line: otherwise twelve calls took 2 ns more in one place of the program than in another (Zen 3).
#[cfg(target_arch = "x86_64")]
macro_rules! segment {
    ($instruction:literal, $function:literal, $bytes:literal, $edge:ident, $count:ident, $on:ident, $($operand:tt)*) => {
        // SAFETY: the jump goes to one of the repeated instructions; registers are declared, and loads follow pointers of a ring that lives as long as the state.
        unsafe {
            std::arch::asm!(
                ".p2align 6",
                "lea {target}, [rip + 3f]",
                "sub {target}, {bytes}",
                "lfence",
                "jmp {target}",
                ".p2align 6",
                $function,
                ".p2align 6",
                ".rept {count}",
                $instruction,
                ".endr",
                "3:",
                target = out(reg) _,
                bytes = in(reg) $bytes * if $on { $edge + $count } else { $edge },
                count = const $edge + $count,
                $($operand)*
            )
        }
    };
}

/// Additions that need each other's result. One of two 64-bit registers has three bytes, whichever they are.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn links<const COUNT: usize>(x: &mut u64, on: bool) {
    segment!("add {x}, {step}", "", 3, EDGE, COUNT, on, x = inout(reg) *x, step = in(reg) STEP, options(nostack));
}

/// Calls of a function that adds four times, so that the additions decide how long they take and not how fast the
/// processor finds the code. A near call has five bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn calls<const COUNT: usize>(x: &mut u64, on: bool) {
    segment!("call 2b", "2: .rept 4\nadd {x}, {step}\n.endr\nret", 5, EDGE_CALLS, COUNT, on, x = inout(reg) *x, step = in(reg) STEP,);
}

/// Loads of the address of the next load. With this register one has three bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn loads<const COUNT: usize>(at: &mut *const usize, on: bool) {
    segment!("mov rdi, [rdi]", "", 3, EDGE_LOADS, COUNT, on, inout("rdi") * at, options(nostack));
}

/// The same for other processors, as loops.
#[cfg(not(target_arch = "x86_64"))]
pub(super) use looped::links;
#[cfg(not(target_arch = "x86_64"))]
use looped::{calls, loads};

#[cfg(any(test, not(target_arch = "x86_64")))]
mod looped {
    use super::{EDGE, EDGE_CALLS, EDGE_LOADS, STEP, fence};
    use std::hint::black_box;

    pub(in super::super) fn links<const COUNT: usize>(x: &mut u64, on: bool) {
        fence();
        (0..EDGE + if on { COUNT } else { 0 }).for_each(|_| *x = black_box(x.wrapping_add(STEP)));
    }

    #[inline(never)]
    fn add(x: u64) -> u64 {
        (0..4).fold(x, |x, _| black_box(x.wrapping_add(STEP)))
    }

    pub(super) fn calls<const COUNT: usize>(x: &mut u64, on: bool) {
        fence();
        (0..EDGE_CALLS + if on { COUNT } else { 0 }).for_each(|_| *x = add(*x));
    }

    pub(super) fn loads<const COUNT: usize>(at: &mut *const usize, on: bool) {
        fence();
        // SAFETY: every word of a ring is the address of a word of the ring, which lives as long as the state.
        (0..EDGE_LOADS + if on { COUNT } else { 0 }).for_each(|_| *at = black_box(unsafe { **at } as *const usize));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(segment: fn(&mut u64, bool), on: bool) -> u64 {
        let mut x = 5;
        segment(&mut x, on);
        x.wrapping_sub(5).wrapping_mul(STEP_INVERSE)
    }

    /// The inverse of [`STEP`] modulo 2⁶⁴ (Newton's iteration), so that a sum of steps gives their number.
    const STEP_INVERSE: u64 = {
        let (mut inverse, mut at) = (1u64, 0);
        while at < 6 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(STEP.wrapping_mul(inverse)));
            at += 1;
        }
        inverse
    };

    #[test]
    fn a_segment_does_all_of_its_work_or_none() {
        let edge = EDGE as u64;
        assert_eq!((after(links::<1>, true), after(links::<1>, false)), (edge + 1, edge));
        assert_eq!((after(links::<FIFTY>, true), after(links::<FIFTY>, false)), (edge + 180, edge));
        assert_eq!((after(calls::<CALLS>, true), after(calls::<CALLS>, false)), (44, 12));
        assert_eq!((after(looped::links::<TEN>, true), after(looped::links::<TEN>, false)), (edge + 36, edge));
        assert_eq!((after(looped::calls::<CALLS>, true), after(looped::calls::<CALLS>, false)), (44, 12));
    }

    #[test]
    fn rings_visit_every_line_before_they_return() {
        let rings = Rings::new();
        let start = rings.state();
        let (mut near, mut far) = (start.near, start.far);
        // Three loads at a time, and neither ring has a multiple of three places.
        let steps = |at: &mut *const usize, step: fn(&mut *const usize, bool)| {
            let start = *at;
            (1..).find(|_| {
                step(at, false);
                *at == start
            })
        };
        assert_eq!(steps(&mut near, loads::<1>), Some(8));
        assert_eq!(steps(&mut far, looped::loads::<1>), Some(LINES));
        let (mut one, mut two) = (start.far, start.far);
        (0..5).for_each(|_| loads::<FAR>(&mut one, true));
        (0..5).for_each(|_| looped::loads::<FAR>(&mut two, true));
        assert_eq!(one, two);
    }

    #[test]
    fn reading_the_clock_changes_no_result() {
        let rings = Rings::new();
        let (mut plain, mut read) = (rings.state(), rings.state());
        let on = [true; SEGMENTS];
        operations(10, &on, &mut plain);
        let stamps = stamped(10, &on, &mut read);
        assert_eq!((plain.x, plain.near, plain.far), (read.x, read.near, read.far));
        assert!(stamps.iter().all(|ticks| *ticks > 0), "{stamps:?}");
        let mut off = rings.state();
        operations(10, &[false; SEGMENTS], &mut off);
        assert_ne!((off.x, off.far), (plain.x, plain.far));
    }
}

//! Times between operations as one byte: three bits of mantissa, and the exponent. Long ones are escaped.

/// The byte that says that the value stands elsewhere in full.
pub(crate) const ESCAPE: u8 = u8::MAX;
/// Values below are exact.
const EXACT: u64 = 16;
/// From here on a gap is escaped, and exact. There are few, and their error would be that of a thousand short ones.
const LONG: u64 = 1 << 16;
/// How far the sum of gaps may be off before rounding works against it.
const DRIFT: i64 = 1000;

/// What a byte is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Down,
    Nearest,
    Up,
}

/// A clock that is set by bytes, and how far it is off.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Clock {
    last_ns: u64,
    /// Where the reader's clock is.
    read_ns: u64,
}

impl Clock {
    /// The byte for an operation at this time, and the gap that stands elsewhere if the byte is [`ESCAPE`]. Between long
    /// gaps each gap is rounded by itself, so that a short one after a longer one keeps its size.
    pub(crate) fn pack(&mut self, at_ns: u64) -> (u8, u64) {
        let at_ns = at_ns.max(self.last_ns);
        let gap = at_ns - self.last_ns;
        let ahead = self.read_ns as i64 - self.last_ns as i64;
        self.last_ns = at_ns;
        let round = match ahead {
            DRIFT.. => Round::Down,
            ahead if ahead <= -DRIFT => Round::Up,
            _ => Round::Nearest,
        };
        let packed = match pack(gap, round) {
            (ESCAPE, _) => (ESCAPE, at_ns.saturating_sub(self.read_ns)),
            packed => packed,
        };
        self.read_ns += packed.1;
        packed
    }
}

/// The byte for a gap where it stands alone, for counts of gaps.
pub(crate) fn nearest(gap: u64) -> u8 {
    pack(gap, Round::Nearest).0
}

/// The byte for a gap, and the gap that the byte stands for.
fn pack(gap: u64, round: Round) -> (u8, u64) {
    if gap < EXACT {
        return (gap as u8, gap);
    }
    if gap >= LONG {
        return (ESCAPE, gap);
    }
    // Four significant bits: the first is always 1.
    let shift = 60 - gap.leading_zeros();
    let more = match round {
        Round::Down => 0,
        Round::Nearest => 1 << (shift - 1),
        Round::Up => (1 << shift) - 1,
    };
    let (mantissa, shift) = match (gap + more) >> shift {
        16.. => (8, shift + 1),
        mantissa => (mantissa, shift),
    };
    let code = EXACT + 8 * u64::from(shift - 1) + (mantissa - 8);
    (code as u8, mantissa << shift)
}

/// The gap that a byte stands for, but for [`ESCAPE`].
pub(crate) fn unpack(code: u8) -> u64 {
    let code = u64::from(code);
    if code < EXACT {
        return code;
    }
    let above = code - EXACT;
    (8 + above % 8) << (above / 8 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_stands_for_its_gap() {
        for code in (0..ESCAPE).filter(|code| unpack(*code) < LONG) {
            assert_eq!(pack(unpack(code), Round::Nearest), (code, unpack(code)));
        }
        assert!((0..ESCAPE - 1).all(|code| unpack(code) < unpack(code + 1)), "they are in order");
    }

    #[test]
    fn a_gap_is_known_to_an_eighth() {
        for gap in (0..40).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + (1 << bit) / 3]) {
            for (round, part) in [(Round::Nearest, 16), (Round::Down, 8), (Round::Up, 8)] {
                let (code, stands_for) = pack(gap, round);
                assert!(stands_for.abs_diff(gap) * part <= gap, "{gap} as {stands_for}");
                assert!(code == ESCAPE || unpack(code) == stands_for);
                assert!(round != Round::Down || stands_for <= gap);
                assert!(round != Round::Up || stands_for >= gap);
            }
        }
        assert_eq!(pack(u64::MAX, Round::Up), (ESCAPE, u64::MAX));
    }

    #[test]
    fn errors_do_not_add_up() {
        let (mut clock, mut at) = (Clock::default(), 0);
        for number in 0..100_000_u64 {
            at += 17 + number % 3 * 1000;
            clock.pack(at);
            assert!(clock.read_ns.abs_diff(at) < 2000, "{} for {at}", clock.read_ns);
        }
    }
}

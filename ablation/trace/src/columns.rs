//! The payload of a block: operations as columns of bytes, each of which compresses by itself.

/// The bytes of operations, by what they are about.
#[derive(Debug, Default)]
pub(crate) struct Columns(pub(crate) [Vec<u8>; COLUMNS]);

/// How many columns there are.
pub(crate) const COLUMNS: usize = 8;

/// One byte for each operation: its kind in the low three bits, and flags.
pub(crate) const CODES: usize = 0;
/// One byte for each operation: [`crate::gap`].
pub(crate) const GAPS: usize = 1;
/// Gaps in full.
pub(crate) const LONG_GAPS: usize = 2;
/// Ids, as differences from the previous one.
pub(crate) const IDS: usize = 3;
/// Turns of shared ids.
pub(crate) const TURNS: usize = 4;
/// Sizes.
pub(crate) const SIZES: usize = 5;
/// Call sites.
pub(crate) const SITES: usize = 6;
/// Alignments and threads.
pub(crate) const OTHERS: usize = 7;

/// Kinds of operations.
pub(crate) const BEGIN: u8 = 0;
pub(crate) const END: u8 = 1;
pub(crate) const SPAWN: u8 = 2;
pub(crate) const JOIN: u8 = 3;
pub(crate) const ALLOCATE: u8 = 4;
pub(crate) const REALLOCATE: u8 = 5;
pub(crate) const FREE: u8 = 6;
/// The bits of the kind.
pub(crate) const KIND: u8 = 7;
/// The object passes between threads.
pub(crate) const SHARED: u8 = 1 << 3;
/// Another thread did the previous operation on the object.
pub(crate) const HANDED_OVER: u8 = 1 << 4;
/// Size, alignment and zeroes are those of the thread's last allocation at this site.
pub(crate) const AS_BEFORE: u8 = 1 << 5;
/// Zeroes were asked for.
pub(crate) const ZEROED: u8 = 1 << 6;
/// There is an alignment.
pub(crate) const ALIGNED: u8 = 1 << 7;

impl Columns {
    /// The payload: the length of each column, then the columns.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.len() + 5 * COLUMNS);
        for column in &self.0 {
            put(&mut payload, column.len() as u64);
        }
        for column in &mut self.0 {
            payload.append(column);
        }
        payload
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

/// A payload that is read, with a place in each column.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    payload: Vec<u8>,
    at: [std::ops::Range<usize>; COLUMNS],
}

impl Cursors {
    /// The columns of a payload; `None` where their lengths do not sum to it.
    pub(crate) fn new(payload: Vec<u8>) -> Option<Cursors> {
        let mut head = 0..payload.len();
        let mut lengths = [0; COLUMNS];
        for length in &mut lengths {
            *length = usize::try_from(get(&payload, &mut head)?).ok()?;
        }
        let mut at: [std::ops::Range<usize>; COLUMNS] = Default::default();
        let mut from = head.start;
        for (range, length) in at.iter_mut().zip(lengths) {
            let end = from.checked_add(length).filter(|end| *end <= payload.len())?;
            *range = from..end;
            from = end;
        }
        (from == payload.len()).then_some(Cursors { payload, at })
    }

    /// The next byte of a column.
    pub(crate) fn byte(&mut self, column: usize) -> Option<u8> {
        self.at[column].next().map(|at| self.payload[at])
    }

    /// The next number of a column.
    pub(crate) fn number(&mut self, column: usize) -> Option<u64> {
        get(&self.payload, &mut self.at[column])
    }

    /// Whether every byte was read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at.iter().all(std::ops::Range::is_empty)
    }
}

/// Appends a number: seven bits in each byte, the lowest first, and the eighth bit where more follow.
pub(crate) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads a number; `None` at the end, and for what is no number of 64 bits.
fn get(bytes: &[u8], at: &mut std::ops::Range<usize>) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes[at.next()?];
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// A difference as a number: small ones of both signs are small.
pub(crate) fn zigzag(from: u32, to: u32) -> u64 {
    let difference = i64::from(to) - i64::from(from);
    ((difference << 1) ^ (difference >> 63)) as u64
}

/// The number that a difference leads to.
pub(crate) fn unzigzag(from: u32, difference: u64) -> Option<u32> {
    let difference = (difference >> 1) as i64 ^ -((difference & 1) as i64);
    u32::try_from(i64::from(from).checked_add(difference)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_differences_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            let mut at = 0..bytes.len();
            assert_eq!((get(&bytes, &mut at), at.len()), (Some(number), 0));
            assert_eq!(get(&bytes[..bytes.len() - 1], &mut (0..bytes.len() - 1)), None, "a number without its end");
        }
        assert_eq!(get(&[0xff; 11], &mut (0..11)), None, "more than 64 bits");
        for (from, to) in [(0, 0), (5, 4), (4, 5), (0, u32::MAX), (u32::MAX, 0)] {
            assert_eq!(unzigzag(from, zigzag(from, to)), Some(to));
        }
        assert_eq!(unzigzag(0, 1), None, "below the first");
    }
}

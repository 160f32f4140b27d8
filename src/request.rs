//! A request, and the call site that it comes from, as the stations of the request path pass them on.

/// A call site: the place in a program that a request comes from. The factor `bigcache` in its form `ring` keeps freed
/// objects by call site.
///
/// [`site!`](crate::site!) makes one of the place where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site(usize);

impl Site {
    /// A site by a number of the caller's choice. Equal numbers are one site.
    pub const fn new(id: usize) -> Site {
        Site(id)
    }

    /// The site of a place in source text: a hash (FNV-1a) of file, line and column, computed at compile time.
    #[doc(hidden)]
    pub const fn of_place(file: &str, line: u32, column: u32) -> Site {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut at = 0;
        while at < file.len() {
            hash = (hash ^ file.as_bytes()[at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        hash = (hash ^ line as u64).wrapping_mul(0x0100_0000_01b3);
        hash = (hash ^ column as u64).wrapping_mul(0x0100_0000_01b3);
        Site(hash as usize)
    }

    /// The site of a request that names none, as all through `GlobalAlloc`: the number of bits of its size, so that
    /// objects of similar size share a row of BigCache's ring.
    pub(crate) fn of_size(size: usize) -> Site {
        Site(usize::BITS as usize - size.leading_zeros() as usize)
    }

    /// The site as a number.
    pub const fn id(self) -> usize {
        self.0
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// Bytes of the object; at least 1 for a station.
    pub(crate) size: usize,
    /// Alignment of the object in bytes, a power of two.
    pub(crate) align: usize,
    /// The call site.
    pub(crate) site: Site,
    /// Bytes to leave before the object, for its header; 0 without headers.
    pub(crate) prefix: usize,
    /// Whether the object replaces a shorter one, and so is likely to grow again.
    pub(crate) grows: bool,
    /// Whether the object is to be zero, so that memory which is zero already saves work.
    pub(crate) zeroed: bool,
}

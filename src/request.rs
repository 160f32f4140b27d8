//! What the stations of the request path pass on: a request, and where in the program it comes from.

/// Where in the program a request comes from. Objects of one site are taken to have one purpose: BigCache keeps freed
/// memory by site.
///
/// [`site!`](crate::site) makes one of the place where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site(usize);

impl Site {
    /// A site of the caller's own numbering; equal numbers are one site.
    pub const fn new(id: usize) -> Site {
        Site(id)
    }

    /// The site of a place in source text: FNV-1a over file, line and column, so that it is a constant.
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

    /// The stand-in for a request without a site (through `GlobalAlloc`): its size up to the next power of two, so that
    /// objects of like size share a row, and unlike ones do not.
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
    /// Bytes of the object, at least 1.
    pub(crate) size: usize,
    /// Alignment of the object in bytes, a power of two.
    pub(crate) align: usize,
    /// Where in the program it comes from.
    pub(crate) site: Site,
    /// Bytes to leave before the object, for its header; 0 without headers.
    pub(crate) prefix: usize,
}

//! The operations of one thread to columns.

use crate::columns::{
    ALIGNED, ALLOCATE, AS_BEFORE, BEGIN, CODES, Columns, END, FREE, GAPS, HANDED_OVER, IDS, JOIN, LONG_GAPS, OTHERS,
    REALLOCATE, SHARED, SITES, SIZES, SPAWN, TURNS, ZEROED, put, zigzag,
};
use crate::gap;
use crate::ids::OwnIds;

/// What the operations of a thread are written relative to; the reader keeps the same.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    pub(crate) columns: Columns,
    /// Operations in the columns.
    pub(crate) pending: u32,
    clock: gap::Clock,
    pub(crate) ids: OwnIds,
    last_own: u32,
    last_shared: u32,
    shapes: Vec<Shape>,
}

/// What an allocation asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) size: u64,
    pub(crate) align: Option<u64>,
    pub(crate) zeroed: bool,
}

/// An object as it is written: its id within the thread, or a shared one with its turn.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name {
    Own(u32),
    Shared { id: u32, turn: u32, handed_over: bool },
}

impl Encoder {
    /// Writes that the thread begins or ends.
    pub(crate) fn edge(&mut self, at_ns: u64, begins: bool) {
        self.code(at_ns, if begins { BEGIN } else { END });
    }

    /// Writes that another thread is started, or has ended.
    pub(crate) fn other(&mut self, at_ns: u64, thread: u32, starts: bool) {
        self.code(at_ns, if starts { SPAWN } else { JOIN });
        self.put(OTHERS, u64::from(thread));
    }

    /// Writes an allocation. The reader draws an own id as this thread did.
    pub(crate) fn allocate(&mut self, at_ns: u64, name: Name, shape: Shape, site: u32) {
        let before = shape_at(&mut self.shapes, site);
        let as_before = *before == shape;
        *before = shape;
        let mut code = ALLOCATE;
        if as_before {
            code |= AS_BEFORE;
        } else {
            code |= if shape.zeroed { ZEROED } else { 0 };
            self.put(SIZES, shape.size);
            if let Some(align) = shape.align {
                code |= ALIGNED;
                self.columns.0[OTHERS].push(align.trailing_zeros() as u8);
            }
        }
        match name {
            Name::Own(id) => self.last_own = id,
            Name::Shared { .. } => code |= self.name(name),
        }
        self.put(SITES, u64::from(site));
        self.code(at_ns, code);
    }

    /// Writes another size of an object.
    pub(crate) fn reallocate(&mut self, at_ns: u64, name: Name, size: u64, site: u32) {
        let code = REALLOCATE | self.name(name);
        self.put(SIZES, size);
        self.put(SITES, u64::from(site));
        self.code(at_ns, code);
    }

    /// Writes the end of an object.
    pub(crate) fn free(&mut self, at_ns: u64, name: Name) {
        let code = FREE | self.name(name);
        self.code(at_ns, code);
    }

    /// Writes which object it is about; gives the flags for the code.
    fn name(&mut self, name: Name) -> u8 {
        match name {
            Name::Own(id) => {
                self.put(IDS, zigzag(self.last_own, id));
                self.last_own = id;
                0
            }
            Name::Shared { id, turn, handed_over } => {
                self.put(IDS, zigzag(self.last_shared, id));
                self.put(TURNS, u64::from(turn));
                self.last_shared = id;
                if handed_over { SHARED | HANDED_OVER } else { SHARED }
            }
        }
    }

    fn put(&mut self, column: usize, number: u64) {
        put(&mut self.columns.0[column], number);
    }

    /// Writes the code and the gap.
    fn code(&mut self, at_ns: u64, code: u8) {
        self.columns.0[CODES].push(code);
        let (byte, gap) = self.clock.pack(at_ns);
        self.columns.0[GAPS].push(byte);
        if byte == gap::ESCAPE {
            self.put(LONG_GAPS, gap);
        }
        self.pending += 1;
    }
}

/// The last shape at a site.
pub(crate) fn shape_at(shapes: &mut Vec<Shape>, site: u32) -> &mut Shape {
    let at = site as usize;
    if shapes.len() <= at {
        shapes.resize(at + 1, Shape::default());
    }
    &mut shapes[at]
}

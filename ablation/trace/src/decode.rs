//! The columns of one thread to operations.

use crate::block;
use crate::columns::{
    ALIGNED, ALLOCATE, AS_BEFORE, BEGIN, CODES, Cursors, END, FREE, GAPS, HANDED_OVER, IDS, JOIN, KIND, LONG_GAPS,
    OTHERS, REALLOCATE, SHARED, SITES, SIZES, SPAWN, TURNS, ZEROED, unzigzag,
};
use crate::encode::{Shape, shape_at};
use crate::error::TraceError;
use crate::gap;
use crate::ids::OwnIds;
use crate::index::Index;
use crate::operation::{Action, Object, Operation};

/// The operations of one thread, in its order. After an error there are no more.
///
/// It reads a block at a time, and needs the memory of one, of the thread's ids and of the call sites.
#[derive(Debug)]
pub struct Operations<'a> {
    index: &'a Index,
    thread: u32,
    /// The next of the thread's blocks.
    next_block: usize,
    cursors: Cursors,
    /// Operations that the block still has.
    left: u32,
    done: u64,
    ids: OwnIds,
    first_own: u32,
    own_objects: u32,
    first_shared: u32,
    last_own: u32,
    last_shared: u32,
    shapes: Vec<Shape>,
    failed: bool,
}

impl<'a> Operations<'a> {
    pub(crate) fn new(index: &'a Index, thread: u32) -> Operations<'a> {
        let header = &index.header;
        Operations {
            index,
            thread,
            next_block: 0,
            cursors: Cursors::default(),
            left: 0,
            done: 0,
            ids: OwnIds::default(),
            first_own: header.first_of(thread),
            own_objects: header.threads[thread as usize].objects,
            first_shared: header.first_shared(),
            last_own: 0,
            last_shared: 0,
            shapes: Vec::new(),
            failed: false,
        }
    }

    fn damaged(&self, what: &str) -> TraceError {
        TraceError::Damaged { thread: self.thread, operation: self.done, what: what.to_owned() }
    }

    /// Reads the next block. `false` at the end.
    fn read_block(&mut self) -> Result<bool, TraceError> {
        let Some((head, payload)) = self.index.block(self.thread, self.next_block)? else { return Ok(false) };
        self.cursors =
            block::unpack(&head, &payload).ok_or_else(|| self.damaged("its block is not what was written"))?;
        self.left = head.operations;
        self.next_block += 1;
        Ok(true)
    }

    fn operation(&mut self) -> Result<Operation, TraceError> {
        let end = || "its block ends too early";
        let code = self.cursors.byte(CODES).ok_or_else(|| self.damaged(end()))?;
        let gap_ns = match self.cursors.byte(GAPS) {
            Some(gap::ESCAPE) => self.number(LONG_GAPS)?,
            Some(byte) => gap::unpack(byte),
            None => return Err(self.damaged(end())),
        };
        let action = match code & KIND {
            BEGIN => Action::Begin,
            END => Action::End,
            SPAWN => Action::Spawn { thread: self.other_thread()? },
            JOIN => Action::Join { thread: self.other_thread()? },
            ALLOCATE => self.allocate(code)?,
            REALLOCATE => {
                let object = self.object(code)?;
                Action::Reallocate { object, size: self.number(SIZES)?, site: self.site()? }
            }
            FREE => {
                let object = self.object(code)?;
                if object.turn.is_none() {
                    self.ids.give(object.id - self.first_own);
                }
                Action::Free { object }
            }
            _ => return Err(self.damaged("it is of no known kind")),
        };
        Ok(Operation { gap_ns, action })
    }

    fn allocate(&mut self, code: u8) -> Result<Action, TraceError> {
        let as_before = code & AS_BEFORE != 0;
        let size = if as_before { 0 } else { self.number(SIZES)? };
        let align = match code & ALIGNED != 0 {
            true => {
                let log = self.cursors.byte(OTHERS).filter(|log| *log < 64);
                Some(1 << log.ok_or_else(|| self.damaged("its alignment is no power of two"))?)
            }
            false => None,
        };
        let object = match code & SHARED != 0 {
            true => self.object(code)?,
            false => {
                let id = self.ids.take();
                if id >= self.own_objects {
                    return Err(self.damaged("it has more objects than the head tells"));
                }
                self.last_own = id;
                Object { id: self.first_own + id, turn: None, handed_over: false }
            }
        };
        let site = self.site()?;
        let shape = shape_at(&mut self.shapes, site);
        if !as_before {
            *shape = Shape { size, align, zeroed: code & ZEROED != 0 };
        }
        let Shape { size, align, zeroed } = *shape;
        Ok(Action::Allocate { object, size, align, zeroed, site })
    }

    /// The object that is named; an own one is live.
    fn object(&mut self, code: u8) -> Result<Object, TraceError> {
        let difference = self.number(IDS)?;
        let no_id = "its object has no valid id";
        if code & SHARED == 0 {
            let id = unzigzag(self.last_own, difference).filter(|id| self.ids.is_live(*id));
            let id = id.ok_or_else(|| self.damaged("its object is not live"))?;
            self.last_own = id;
            return Ok(Object { id: self.first_own + id, turn: None, handed_over: false });
        }
        let shared = self.index.header.shared_objects;
        let id = unzigzag(self.last_shared, difference).filter(|id| *id < shared);
        let id = id.ok_or_else(|| self.damaged(no_id))?;
        self.last_shared = id;
        let turn = u32::try_from(self.number(TURNS)?).map_err(|_| self.damaged("its turn is no number of 32 bits"))?;
        Ok(Object { id: self.first_shared + id, turn: Some(turn), handed_over: code & HANDED_OVER != 0 })
    }

    fn site(&mut self) -> Result<u32, TraceError> {
        let site = self.number(SITES)?;
        let known = self.index.header.sites.len() as u64;
        if site >= known {
            return Err(self.damaged("its call site is not in the head"));
        }
        Ok(site as u32)
    }

    fn other_thread(&mut self) -> Result<u32, TraceError> {
        let thread = self.number(OTHERS)?;
        if thread >= self.index.header.threads.len() as u64 {
            return Err(self.damaged("it names a thread that is not in the head"));
        }
        Ok(thread as u32)
    }

    fn number(&mut self, column: usize) -> Result<u64, TraceError> {
        self.cursors.number(column).ok_or_else(|| self.damaged("its block ends too early"))
    }
}

impl Iterator for Operations<'_> {
    type Item = Result<Operation, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        while self.left == 0 {
            if !self.cursors.is_at_end() {
                self.failed = true;
                return Some(Err(self.damaged("its block has more than its operations")));
            }
            match self.read_block() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        self.left -= 1;
        let operation = self.operation();
        self.failed = operation.is_err();
        self.done += 1;
        Some(operation)
    }
}

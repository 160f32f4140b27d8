//! All threads of a trace in one order.

use crate::decode::Operations;
use crate::error::TraceError;
use crate::index::Index;
use crate::operation::{Action, Operation};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// An operation of a thread, and when it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The thread.
    pub thread: u32,
    /// Nanoseconds since the beginning of the trace.
    pub at_ns: u64,
    /// The operation.
    pub operation: Operation,
}

/// The operations of all threads by their times. An object that passes between threads has its operations in the order in
/// which they happened; between different objects of different threads, times are as exact as gaps are.
///
/// It needs the memory of one block for each thread.
#[derive(Debug)]
pub struct Merged<'a> {
    threads: Vec<Operations<'a>>,
    /// The next operation of each thread, the earliest first.
    next: BinaryHeap<Reverse<Next>>,
    /// How far each shared id is.
    turns: Vec<u32>,
    first_shared: u32,
    /// Operations whose turn is not yet, by id and turn.
    waiting: HashMap<(u32, u32), Next>,
    error: Option<TraceError>,
}

/// The next operation of a thread. They are ordered by time, and by thread where times are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Next(Moment);

impl Ord for Next {
    fn cmp(&self, other: &Next) -> std::cmp::Ordering {
        (self.0.at_ns, self.0.thread).cmp(&(other.0.at_ns, other.0.thread))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Next) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> Merged<'a> {
    pub(crate) fn new(index: &'a Index) -> Merged<'a> {
        let header = &index.header;
        let mut merged = Merged {
            threads: (0..header.threads.len() as u32).map(|thread| Operations::new(index, thread)).collect(),
            next: BinaryHeap::new(),
            turns: vec![0; header.shared_objects as usize],
            first_shared: header.first_shared(),
            waiting: HashMap::new(),
            error: None,
        };
        (0..merged.threads.len() as u32).for_each(|thread| merged.read(thread, 0));
        merged
    }

    /// Reads the next operation of a thread, whose clock is here.
    fn read(&mut self, thread: u32, clock_ns: u64) {
        match self.threads[thread as usize].next() {
            Some(Ok(operation)) => {
                let at_ns = clock_ns.saturating_add(operation.gap_ns);
                self.next.push(Reverse(Next(Moment { thread, at_ns, operation })));
            }
            Some(Err(error)) => self.error = Some(error),
            None => {}
        }
    }

    /// Whether it is this operation's turn. If it is not, the operation waits for it.
    fn is_its_turn(&mut self, next: Next) -> Result<bool, TraceError> {
        let Some((object, turn)) = next.0.operation.action.object().and_then(|object| Some((object, object.turn?)))
        else {
            return Ok(true);
        };
        let is_at = &mut self.turns[(object.id - self.first_shared) as usize];
        if *is_at == turn {
            *is_at += 1;
            if let Some(now) = self.waiting.remove(&(object.id, turn + 1)) {
                self.next.push(Reverse(now));
            }
            return Ok(true);
        }
        if turn < *is_at || self.waiting.insert((object.id, turn), next).is_some() {
            return Err(damaged(next.0.thread, &format!("turn {turn} of object {} comes twice", object.id)));
        }
        Ok(false)
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<Moment, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.error.take() {
                self.next.clear();
                self.waiting.clear();
                return Some(Err(error));
            }
            let Some(Reverse(next)) = self.next.pop() else {
                let stuck = self.waiting.drain().next()?;
                let ((id, turn), next) = stuck;
                self.waiting.clear();
                return Some(Err(damaged(next.0.thread, &format!("turn {turn} of object {id} never comes"))));
            };
            match self.is_its_turn(next) {
                Ok(false) => {}
                Ok(true) => {
                    self.read(next.0.thread, next.0.at_ns);
                    return Some(Ok(next.0));
                }
                Err(error) => self.error = Some(error),
            }
        }
    }
}

fn damaged(thread: u32, what: &str) -> TraceError {
    TraceError::Damaged { thread, operation: 0, what: what.to_owned() }
}

/// Whether an action is of an object that another thread had.
pub(crate) fn is_handover(action: &Action) -> bool {
    action.object().is_some_and(|object| object.handed_over)
}

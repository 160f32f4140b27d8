//! Which ids are free. The writer and the reader draw the same, so that a file needs none for a thread's own objects.

/// A thread's own ids: the one that became free last is taken first, as by an allocator.
#[derive(Debug, Default)]
pub(crate) struct OwnIds {
    free: Vec<u32>,
    live: Vec<bool>,
}

impl OwnIds {
    /// An id that is free.
    pub(crate) fn take(&mut self) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.live.push(false);
            self.live.len() as u32 - 1
        });
        self.live[id as usize] = true;
        id
    }

    /// Whether an object has this id.
    pub(crate) fn is_live(&self, id: u32) -> bool {
        self.live.get(id as usize).is_some_and(|live| *live)
    }

    /// Makes the id of an object free.
    pub(crate) fn give(&mut self, id: u32) {
        self.live[id as usize] = false;
        self.free.push(id);
    }

    /// How many different ids there were.
    pub(crate) fn count(&self) -> u32 {
        self.live.len() as u32
    }
}

/// The ids of objects that pass between threads. The thread that takes an id again has to
/// wait for its free, so an id rests first.
#[derive(Debug, Default)]
pub(crate) struct SharedIds {
    free: std::collections::VecDeque<u32>,
    ids: Vec<Shared>,
}

/// What is known of one id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared {
    /// Operations so far.
    pub(crate) turn: u32,
    /// The thread that did the last one.
    pub(crate) by: u32,
}

/// How many ids rest after their free before they are taken again.
const RESTING: usize = 256;

impl SharedIds {
    /// An id that is free.
    pub(crate) fn take(&mut self) -> u32 {
        // A count of operations that is full is not taken again.
        while self.free.len() > RESTING {
            match self.free.pop_front() {
                Some(id) if self.ids[id as usize].turn < u32::MAX / 2 => return id,
                _ => {}
            }
        }
        self.ids.push(Shared { turn: 0, by: u32::MAX });
        self.ids.len() as u32 - 1
    }

    /// Counts an operation of a thread; gives what was known before.
    pub(crate) fn next(&mut self, id: u32, by: u32) -> Shared {
        let known = &mut self.ids[id as usize];
        let before = *known;
        *known = Shared { turn: before.turn + 1, by };
        before
    }

    /// Makes an id free.
    pub(crate) fn give(&mut self, id: u32) {
        self.free.push_back(id);
    }

    /// How many different ids there were.
    pub(crate) fn count(&self) -> u32 {
        self.ids.len() as u32
    }
}

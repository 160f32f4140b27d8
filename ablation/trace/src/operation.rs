//! What a thread asked of its allocator.

/// One operation of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Nanoseconds since the thread's previous operation; of its first one, since the trace began. It holds the time of the
    /// previous call and of its recording too ([`crate::Header::floor_ns`]). A gap is known to an eighth of itself, one above
    /// 65 µs exactly, and the sum of many to 10 µs.
    pub gap_ns: u64,
    /// What is done.
    pub action: Action,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The thread's first operation.
    Begin,
    /// The thread's last operation, where its end was seen.
    End,
    /// Starts another thread. The order of a thread's start and its first operation is known only by this.
    Spawn {
        /// The thread that is started.
        thread: u32,
    },
    /// Waits for the end of another thread, which is waited for once.
    Join {
        /// The thread that ended.
        thread: u32,
    },
    /// A new object.
    Allocate {
        /// The object, whose id is free.
        object: Object,
        /// Bytes that were asked for; may be 0.
        size: u64,
        /// The alignment that was asked for, in bytes; `None` where the call has none, as `malloc`.
        align: Option<u64>,
        /// Whether zeroes were asked for.
        zeroed: bool,
        /// Index of the call site in [`crate::Header::sites`].
        site: u32,
    },
    /// Another size for an object, which keeps its id and may move.
    Reallocate {
        /// The object.
        object: Object,
        /// Bytes that were asked for.
        size: u64,
        /// Index of the call site.
        site: u32,
    },
    /// The end of an object, whose id is free then.
    Free {
        /// The object.
        object: Object,
    },
}

impl Action {
    /// The object that the action is about.
    #[must_use]
    pub fn object(&self) -> Option<Object> {
        match *self {
            Action::Allocate { object, .. } | Action::Reallocate { object, .. } | Action::Free { object } => {
                Some(object)
            }
            Action::Begin | Action::End | Action::Spawn { .. } | Action::Join { .. } => None,
        }
    }
}

/// An object of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// Its place in a table of [`crate::Header::objects`] pointers.
    pub id: u32,
    /// How many operations on this id, by any thread and of any object, come before this one. `None` where the object, and
    /// its id, are this thread's alone.
    pub turn: Option<u32>,
    /// Whether another thread did the previous operation on this object. Never for an allocation.
    pub handed_over: bool,
}

//! Writes a trace: operations in the order in which they happened, of any thread.

use crate::block;
use crate::encode::{Encoder, Name, Shape};
use crate::error::TraceError;
use crate::gap;
use crate::header::{About, Header, MAGIC, Module, Site, ThreadHeader, TouchModel, VERSION};
use crate::ids::SharedIds;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Operations of all threads in a group of blocks. More compress better, and more are lost with the end of a file.
const GROUP_OPERATIONS: u64 = 1 << 18;

/// Writes a trace.
///
/// Operations are given in the order in which they happened. Blocks go to the spool, a file or memory that is read back by
/// [`Builder::finish`], because the head of a trace has what only its end tells. Memory is bounded by a group of blocks, the
/// ids and the tables.
#[derive(Debug)]
pub struct Builder<S> {
    spool: S,
    level: i32,
    about: About,
    threads: Vec<Thread>,
    sites: Vec<Site>,
    modules: Vec<Module>,
    touch: Option<TouchModel>,
    shared: SharedIds,
    group: u32,
    group_operations: u64,
    pending: u64,
    operations: u64,
    last_ns: u64,
    /// How many gaps there were of each byte.
    gaps: [u64; 256],
}

#[derive(Debug, Default)]
struct Thread {
    encoder: Encoder,
    head: ThreadHeader,
    last_ns: u64,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Declared,
    Runs,
    Ended,
}

/// What an allocation asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Request {
    /// Bytes.
    pub size: u64,
    /// The alignment in bytes, a power of two, where the call has one.
    pub align: Option<u64>,
    /// Whether zeroes are asked for.
    pub zeroed: bool,
    /// The call site that [`Builder::site`] gave.
    pub site: u32,
}

impl Request {
    /// As by `malloc`, at the first site.
    #[must_use]
    pub fn of(size: u64) -> Request {
        Request { size, ..Request::default() }
    }
}

/// An object between its allocation and its free.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an object that is not freed is live to the end of the trace"]
pub struct Live {
    id: u32,
    /// The thread whose own it is; [`SHARED`] for one that passes between threads.
    owner: u32,
}

const SHARED: u32 = u32::MAX;

impl<S: Read + Write + Seek> Builder<S> {
    /// Begins a trace. The spool is empty; the level is zstd's, of which 9 is good and 19 the smallest.
    pub fn new(spool: S, about: About, level: i32) -> Builder<S> {
        Builder {
            spool,
            level,
            about,
            threads: Vec::new(),
            sites: Vec::new(),
            modules: Vec::new(),
            touch: None,
            shared: SharedIds::default(),
            group: 0,
            group_operations: GROUP_OPERATIONS,
            pending: 0,
            operations: 0,
            last_ns: 0,
            gaps: [0; 256],
        }
    }

    /// Ends groups of blocks after so many operations.
    pub fn group_operations(&mut self, operations: u64) {
        self.group_operations = operations.max(1);
    }

    /// Adds a thread that begins now; gives its number.
    ///
    /// # Errors
    /// As every operation.
    pub fn thread(&mut self, name: &str, at_ns: u64) -> Result<u32, TraceError> {
        let thread = self.declare(name);
        self.begin(thread, at_ns)?;
        Ok(thread)
    }

    /// Adds a thread whose operations follow later, so that others can name it.
    pub fn declare(&mut self, name: &str) -> u32 {
        let head = ThreadHeader { name: name.to_owned(), ..ThreadHeader::default() };
        self.threads.push(Thread { head, ..Thread::default() });
        self.threads.len() as u32 - 1
    }

    /// The first operation of a thread.
    ///
    /// # Errors
    /// As every operation.
    pub fn begin(&mut self, thread: u32, at_ns: u64) -> Result<(), TraceError> {
        let of = self.threads.get_mut(thread as usize).filter(|of| of.state == State::Declared);
        let of =
            of.ok_or_else(|| contradiction(format!("thread {thread} begins, and was not declared, or has begun")))?;
        of.state = State::Runs;
        of.head.begin_ns = at_ns;
        of.last_ns = at_ns;
        self.with(thread, at_ns, |encoder| encoder.edge(at_ns, true))
    }

    /// The last operation of a thread.
    ///
    /// # Errors
    /// As every operation.
    pub fn end(&mut self, thread: u32, at_ns: u64) -> Result<(), TraceError> {
        self.with(thread, at_ns, |encoder| encoder.edge(at_ns, false))?;
        self.threads[thread as usize].state = State::Ended;
        Ok(())
    }

    /// A thread starts another.
    ///
    /// # Errors
    /// As every operation.
    pub fn spawn(&mut self, thread: u32, at_ns: u64, other: u32) -> Result<(), TraceError> {
        self.known_thread(other)?;
        self.with(thread, at_ns, |encoder| encoder.other(at_ns, other, true))
    }

    /// A thread waits for the end of another.
    ///
    /// # Errors
    /// As every operation.
    pub fn join(&mut self, thread: u32, at_ns: u64, other: u32) -> Result<(), TraceError> {
        self.known_thread(other)?;
        self.with(thread, at_ns, |encoder| encoder.other(at_ns, other, false))
    }

    /// A new object. `crosses` tells that another thread will reallocate or free it.
    ///
    /// # Errors
    /// As every operation; an alignment that is no power of two, and an unknown site.
    pub fn allocate(&mut self, thread: u32, at_ns: u64, request: Request, crosses: bool) -> Result<Live, TraceError> {
        let Request { size, align, zeroed, site } = request;
        self.known_site(site)?;
        if let Some(align) = align.filter(|align| !align.is_power_of_two()) {
            return Err(contradiction(format!("an alignment of {align}, which is no power of two")));
        }
        let shape = Shape { size, align, zeroed };
        if crosses {
            self.runs(thread)?;
            let id = self.shared.take();
            let name = Name::Shared { id, turn: self.shared.next(id, thread).turn, handed_over: false };
            self.with(thread, at_ns, |encoder| encoder.allocate(at_ns, name, shape, site))?;
            return Ok(Live { id, owner: SHARED });
        }
        let mut id = 0;
        self.with(thread, at_ns, |encoder| {
            id = encoder.ids.take();
            encoder.allocate(at_ns, Name::Own(id), shape, site);
        })?;
        Ok(Live { id, owner: thread })
    }

    /// Another size of an object.
    ///
    /// # Errors
    /// As every operation; an object of another thread that was allocated without `crosses`, and an unknown site.
    pub fn reallocate(&mut self, thread: u32, at_ns: u64, live: &Live, size: u64, site: u32) -> Result<(), TraceError> {
        self.known_site(site)?;
        let name = self.name(thread, live)?;
        self.with(thread, at_ns, |encoder| encoder.reallocate(at_ns, name, size, site))
    }

    /// The end of an object.
    ///
    /// # Errors
    /// As every operation; an object of another thread that was allocated without `crosses`.
    #[expect(clippy::needless_pass_by_value, reason = "an object that was freed is not freed again")]
    pub fn free(&mut self, thread: u32, at_ns: u64, live: Live) -> Result<(), TraceError> {
        let name = self.name(thread, &live)?;
        match name {
            Name::Shared { id, .. } => self.shared.give(id),
            Name::Own(id) => self.threads[thread as usize].encoder.ids.give(id),
        }
        self.with(thread, at_ns, |encoder| encoder.free(at_ns, name))
    }

    /// Marks what every thread did so far as the preamble of a cut.
    pub fn end_preamble(&mut self) {
        for thread in &mut self.threads {
            thread.head.preamble = thread.head.operations;
        }
    }

    /// Adds a call site; gives its index.
    pub fn site(&mut self, site: Site) -> u32 {
        self.sites.push(site);
        self.sites.len() as u32 - 1
    }

    /// The call sites so far, for names that are found later.
    pub fn sites_mut(&mut self) -> &mut Vec<Site> {
        &mut self.sites
    }

    /// The files that sites lie in.
    pub fn set_modules(&mut self, modules: Vec<Module>) {
        self.modules = modules;
    }

    /// How far objects were written.
    pub fn set_touch(&mut self, touch: Option<TouchModel>) {
        self.touch = touch;
    }

    /// How the trace was made, for what is known only at the end.
    pub fn about_mut(&mut self) -> &mut About {
        &mut self.about
    }

    /// Writes the trace; gives its head.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(mut self, out: &mut impl Write) -> Result<Header, TraceError> {
        if self.threads.is_empty() {
            return Err(contradiction("no thread".to_owned()));
        }
        if self.sites.is_empty() {
            self.sites.push(Site::default());
        }
        self.end_group()?;
        let floor_ns = self.floor_ns();
        let heads =
            self.threads.into_iter().map(|thread| ThreadHeader { objects: thread.encoder.ids.count(), ..thread.head });
        let header = Header {
            about: self.about,
            threads: heads.collect(),
            shared_objects: self.shared.count(),
            operations: self.operations,
            duration_ns: self.last_ns,
            floor_ns,
            sites: self.sites,
            modules: self.modules,
            touch: self.touch,
        };
        let text = serde_json::to_vec(&header).map_err(std::io::Error::other);
        let written = text.and_then(|text| {
            let packed = zstd::bulk::compress(&text, self.level)?;
            out.write_all(MAGIC)?;
            for number in [VERSION, packed.len() as u32, text.len() as u32, crc32fast::hash(&packed)] {
                out.write_all(&number.to_le_bytes())?;
            }
            out.write_all(&packed)?;
            self.spool.seek(SeekFrom::Start(0))?;
            std::io::copy(&mut self.spool, out)?;
            out.flush()
        });
        written.map_err(TraceError::system(Path::new("the trace"), "writing"))?;
        Ok(header)
    }

    /// A tenth of the gaps within threads is not above it. Fewer would not do: of two calls that follow each other at once, a
    /// processor may read both times together.
    fn floor_ns(&self) -> Option<u64> {
        let all: u64 = self.gaps.iter().sum();
        let mut below = 0;
        let code = self.gaps.iter().position(|count| {
            below += count;
            below * 10 >= all.max(1)
        })?;
        let code = code as u8;
        (all > 0 && code != gap::ESCAPE).then(|| gap::unpack(code))
    }

    /// The object as this thread writes it.
    fn name(&mut self, thread: u32, live: &Live) -> Result<Name, TraceError> {
        if live.owner == SHARED {
            self.runs(thread)?;
            let before = self.shared.next(live.id, thread);
            return Ok(Name::Shared { id: live.id, turn: before.turn, handed_over: before.by != thread });
        }
        if live.owner != thread {
            let owner = live.owner;
            return Err(contradiction(format!(
                "thread {thread} touches an object of thread {owner} that was allocated as its own"
            )));
        }
        Ok(Name::Own(live.id))
    }

    fn runs(&mut self, thread: u32) -> Result<&mut Thread, TraceError> {
        let of = self.threads.get_mut(thread as usize).filter(|of| of.state == State::Runs);
        of.ok_or_else(|| contradiction(format!("an operation of thread {thread}, which does not run")))
    }

    /// Writes an operation of a thread, and ends the group when it is full.
    fn with(&mut self, thread: u32, at_ns: u64, write: impl FnOnce(&mut Encoder)) -> Result<(), TraceError> {
        let of = self.runs(thread)?;
        let gap = at_ns.saturating_sub(of.last_ns);
        let is_first = of.head.operations == 0;
        of.last_ns = of.last_ns.max(at_ns);
        write(&mut of.encoder);
        of.head.operations += 1;
        if !is_first {
            self.gaps[usize::from(gap::nearest(gap))] += 1;
        }
        self.last_ns = self.last_ns.max(at_ns);
        self.operations += 1;
        self.pending += 1;
        if self.pending >= self.group_operations { self.end_group() } else { Ok(()) }
    }

    /// Writes a block of each thread that has operations.
    fn end_group(&mut self) -> Result<(), TraceError> {
        let with_some = |(_, thread): &(usize, &mut Thread)| thread.encoder.pending > 0;
        let mut left = self.threads.iter().filter(|thread| thread.encoder.pending > 0).count();
        for (number, thread) in self.threads.iter_mut().enumerate().filter(with_some) {
            left -= 1;
            let encoder = &mut thread.encoder;
            let about = (number as u32, self.group, left == 0, std::mem::take(&mut encoder.pending));
            let block = block::pack(&mut encoder.columns, about, self.level);
            let written = block.and_then(|block| self.spool.write_all(&block));
            written.map_err(TraceError::system(Path::new("the spool of the trace"), "writing"))?;
        }
        self.group += 1;
        self.pending = 0;
        Ok(())
    }

    fn known_site(&mut self, site: u32) -> Result<(), TraceError> {
        match site {
            // A trace without known sites has one that says so.
            0 if self.sites.is_empty() => self.sites.push(Site::default()),
            site if site as usize >= self.sites.len() => {
                return Err(contradiction(format!("the call site {site}, of {}", self.sites.len())));
            }
            _ => {}
        }
        Ok(())
    }

    fn known_thread(&self, thread: u32) -> Result<(), TraceError> {
        match self.threads.get(thread as usize) {
            Some(_) => Ok(()),
            None => Err(contradiction(format!("thread {thread}, which was not declared"))),
        }
    }
}

fn contradiction(what: String) -> TraceError {
    TraceError::Contradiction { what }
}

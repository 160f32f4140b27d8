//! A part of a trace as a trace of its own.

use super::convert::write_out;
use super::error::TraceToolError;
use ablate_trace::{Action, Builder, Header, Live, Moment, Object, Request, Trace};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// From a time to another, in nanoseconds since the beginning; `None` for the end.
    Time(u64, Option<u64>),
    /// From an operation to another, which is not part of it, in the order of time over all threads.
    Operations(u64, u64),
}

/// Writes a part of a trace to a path where nothing is. Objects that are live at its start are allocated at its beginning.
///
/// # Errors
/// The system's, those of the trace, and a part that it does not have.
pub(crate) fn cut(trace: &Trace, part: Part, out: &Path, level: i32) -> Result<Header, TraceToolError> {
    if out.exists() {
        return Err(TraceToolError::Exists { path: out.to_owned() });
    }
    let bounds = bounds(trace, part)?;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |source| TraceToolError::System { path: out.to_owned(), doing: "writing", source };
    let spool = tempfile::tempfile_in(folder).map_err(failed)?;
    let header = trace.header();
    let mut about = header.about.clone();
    about.made_by = format!("cargo ablate trace cut {}, of a trace by {}", env!("CARGO_PKG_VERSION"), about.made_by);
    about.notes.push(format!(
        "a cut: operations {} to {} of {}, {:.6} s to {:.6} s of {:.6} s",
        bounds.operations.start,
        bounds.operations.end,
        header.operations,
        bounds.from_ns as f64 / 1e9,
        bounds.to_ns as f64 / 1e9,
        header.duration_ns as f64 / 1e9,
    ));
    let mut builder = Builder::new(spool, about, level);
    for site in &header.sites {
        builder.site(site.clone());
    }
    builder.set_modules(header.modules.clone());
    builder.set_touch(header.touch.clone());
    let mut cutter = Cutter::new(&mut builder, &bounds);
    for (number, moment) in trace.merged().enumerate() {
        let number = number as u64;
        if number == bounds.operations.start {
            cutter.begin(header)?;
        }
        if number >= bounds.operations.end {
            break;
        }
        cutter.step(moment?, bounds.operations.contains(&number))?;
    }
    write_out(builder, out)
}

/// A part by its operations, and what is known of it before it is written.
#[derive(Debug)]
struct Bounds {
    operations: std::ops::Range<u64>,
    from_ns: u64,
    to_ns: u64,
    /// Threads with an operation in it.
    threads: BTreeSet<u32>,
}

fn bounds(trace: &Trace, part: Part) -> Result<Bounds, TraceToolError> {
    let header = trace.header();
    let no_part = |what: String| TraceToolError::NoSuchPart {
        what,
        operations: header.operations,
        seconds: header.duration_ns as f64 / 1e9,
    };
    let within = |number: u64, at_ns: u64| match part {
        Part::Time(from, to) => at_ns >= from && to.is_none_or(|to| at_ns < to),
        Part::Operations(from, to) => (from..to).contains(&number),
    };
    let mut found: Option<Bounds> = None;
    for (number, moment) in trace.merged().enumerate() {
        let (number, moment) = (number as u64, moment?);
        let is_over = match part {
            Part::Time(_, to) => to.is_some_and(|to| moment.at_ns > to.saturating_add(SETTLED)),
            Part::Operations(_, to) => number >= to,
        };
        if is_over {
            break;
        }
        if !within(number, moment.at_ns) {
            continue;
        }
        let bounds = found.get_or_insert_with(|| Bounds {
            operations: number..number,
            from_ns: if let Part::Time(from, _) = part { from } else { moment.at_ns },
            to_ns: moment.at_ns,
            threads: BTreeSet::new(),
        });
        bounds.operations.end = number + 1;
        bounds.to_ns = bounds.to_ns.max(moment.at_ns);
        bounds.threads.insert(moment.thread);
    }
    let part = match part {
        Part::Time(from, to) => {
            let to = to.map_or("the end".to_owned(), |to| format!("{:.6} s", to as f64 / 1e9));
            format!("no operation is between {:.6} s and {to}", from as f64 / 1e9)
        }
        Part::Operations(from, to) => format!("no operation is between numbers {from} and {to}"),
    };
    found.ok_or_else(|| no_part(part))
}

/// Times of operations that wait for another thread come a little out of order.
const SETTLED: u64 = 1_000_000_000;

/// What is known of an object before the part, or within it.
struct Known {
    /// In which order it was allocated.
    order: u64,
    thread: u32,
    request: Request,
    crosses: bool,
    live: Option<Live>,
}

struct Cutter<'a> {
    builder: &'a mut Builder<File>,
    bounds: &'a Bounds,
    live: BTreeMap<u32, Known>,
    /// Threads of the trace by their number in the cut.
    threads: BTreeMap<u32, u32>,
    begun: BTreeSet<u32>,
    ended: BTreeSet<u32>,
    order: u64,
}

impl<'a> Cutter<'a> {
    fn new(builder: &'a mut Builder<File>, bounds: &'a Bounds) -> Cutter<'a> {
        let (live, threads) = (BTreeMap::new(), BTreeMap::new());
        Cutter { builder, bounds, live, threads, begun: BTreeSet::new(), ended: BTreeSet::new(), order: 0 }
    }

    /// Allocates what is live, by the threads that had it. What a thread had that has ended goes to the first of the part.
    fn begin(&mut self, header: &Header) -> Result<(), TraceToolError> {
        let first = self.bounds.threads.first().copied().unwrap_or(0);
        for thread in &self.bounds.threads {
            let name = header.threads.get(*thread as usize).map_or("", |of| of.name.as_str());
            self.threads.insert(*thread, self.builder.declare(name));
        }
        let mut live = std::mem::take(&mut self.live);
        let mut order: Vec<&mut Known> = live.values_mut().collect();
        order.sort_by_key(|known| known.order);
        for known in order {
            if !self.bounds.threads.contains(&known.thread) {
                known.thread = first;
            }
            self.start(known.thread, 0)?;
            let thread = self.threads[&known.thread];
            known.live = Some(self.builder.allocate(thread, 0, known.request, known.crosses)?);
        }
        self.live = live;
        self.builder.end_preamble();
        Ok(())
    }

    /// Begins a thread in the cut trace, unless it has begun there.
    fn start(&mut self, thread: u32, at_ns: u64) -> Result<(), TraceToolError> {
        if self.begun.insert(thread) {
            self.builder.begin(self.threads[&thread], at_ns)?;
        }
        Ok(())
    }

    fn step(&mut self, moment: Moment, is_within: bool) -> Result<(), TraceToolError> {
        let Moment { thread, at_ns, operation } = moment;
        let at_ns = at_ns.saturating_sub(self.bounds.from_ns);
        if is_within {
            self.start(thread, at_ns)?;
        }
        let to = is_within.then(|| self.threads[&thread]);
        match operation.action {
            Action::Begin => {}
            Action::End => {
                self.ended.insert(thread);
                to.map_or(Ok(()), |to| self.builder.end(to, at_ns))?;
            }
            Action::Spawn { thread: other } | Action::Join { thread: other } => {
                if let (Some(to), Some(&other)) = (to, self.threads.get(&other)) {
                    match operation.action {
                        Action::Spawn { .. } => self.builder.spawn(to, at_ns, other)?,
                        _ => self.builder.join(to, at_ns, other)?,
                    }
                }
            }
            Action::Allocate { object: Object { id, turn, .. }, size, align, zeroed, site } => {
                let request = Request { size, align, zeroed, site };
                let crosses = turn.is_some();
                let live = to.map(|to| self.builder.allocate(to, at_ns, request, crosses)).transpose()?;
                self.live.insert(id, Known { order: self.order, thread, request, crosses, live });
                self.order += 1;
            }
            Action::Reallocate { object, size, site } => {
                if let Some(known) = self.live.get_mut(&object.id) {
                    (known.thread, known.request.size, known.request.site) = (thread, size, site);
                    // A larger object is not zeroed behind its old end.
                    known.request.zeroed = false;
                    if let (Some(to), Some(live)) = (to, &known.live) {
                        self.builder.reallocate(to, at_ns, live, size, site)?;
                    }
                }
            }
            Action::Free { object } => {
                if let Some((to, live)) = to.zip(self.live.remove(&object.id).and_then(|known| known.live)) {
                    self.builder.free(to, at_ns, live)?;
                }
            }
        }
        Ok(())
    }
}

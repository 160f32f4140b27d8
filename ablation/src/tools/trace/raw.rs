//! The raw file of a recorder, as it was left: which thread wrote where, and what is known besides its events.

use super::error::TraceToolError;
use ablate_trace::{TouchClass, TouchModel};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use trace_recorder::layout::{
    CHUNK_BYTES, CLOCK_COUNTER, CLOCK_TSC, Event, HEAD_BYTES, Head, MAGIC, Reader, STOPPED_LIMIT, STOPPED_SYSTEM, Sub,
    Timed,
};

/// A raw file that was looked through once.
#[derive(Debug)]
pub(super) struct Raw {
    file: File,
    pub(super) path: PathBuf,
    pub(super) about: About,
    /// What each thread wrote, by thread, and within it by time.
    pub(super) stretches: Vec<Stretch>,
    pub(super) threads: BTreeMap<u32, ThreadFacts>,
    /// Lines of `/proc/self/maps`, as they were noted one after the other.
    pub(super) maps: Vec<String>,
    pub(super) touch: Option<TouchModel>,
}

/// What the head says.
#[derive(Debug)]
pub(super) struct About {
    pub(super) command: Vec<String>,
    pub(super) allocator: String,
    pub(super) clock: &'static str,
    pub(super) start_unix: u64,
    pub(super) has_ended: bool,
    pub(super) stopped: Option<Stopped>,
    pub(super) lost: u64,
    /// Ticks in a nanosecond.
    ticks_per_ns: f64,
}

impl About {
    /// Nanoseconds of so many ticks.
    pub(super) fn ns(&self, ticks: u64) -> u64 {
        (ticks as f64 / self.ticks_per_ns) as u64
    }
}

/// Why recording ended before the program.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The file reached its limit.
    Limit,
    /// The system refused to make it larger.
    System(std::io::Error),
}

/// A row of events of one thread in one chunk. The times within it never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) thread: u32,
    pub(super) from: u64,
    pub(super) words: usize,
    pub(super) first: u64,
    /// Another with this number is the same.
    serial: u64,
}

/// What is known of a thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ThreadFacts {
    pub(super) name: String,
    /// The C library's handle.
    pub(super) handle: u64,
    /// Ticks of its first event.
    pub(super) first: u64,
}

/// Words of a chunk.
const CHUNK_WORDS: usize = CHUNK_BYTES as usize / 8;

impl Raw {
    /// Looks through a file.
    ///
    /// # Errors
    /// The system's, and a file that no recorder of this version wrote.
    pub(super) fn open(path: &Path) -> Result<Raw, TraceToolError> {
        let failed = |source| TraceToolError::System { path: path.to_owned(), doing: "reading", source };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut bytes = vec![0; HEAD_BYTES as usize];
        if size < HEAD_BYTES || file.read_exact_at(&mut bytes, 0).is_err() {
            return Err(TraceToolError::NotRaw { path: path.to_owned() });
        }
        let about = read_head(&bytes).ok_or_else(|| TraceToolError::NotRaw { path: path.to_owned() })?;
        let mut raw = Raw {
            file,
            path: path.to_owned(),
            about,
            stretches: Vec::new(),
            threads: BTreeMap::new(),
            maps: Vec::new(),
            touch: None,
        };
        let mut touch = Touch::default();
        let mut from = HEAD_BYTES;
        while from < size {
            let words = raw.words(from, CHUNK_WORDS)?;
            raw.look(from, &words, &mut touch);
            from += CHUNK_BYTES;
        }
        let one_in = head_u32(&bytes, std::mem::offset_of!(Head, one_in));
        raw.touch = touch.model(one_in);
        // The longer one of two comes first.
        raw.stretches.sort_by_key(|stretch| (stretch.serial, std::cmp::Reverse(stretch.words)));
        raw.stretches.dedup_by_key(|stretch| stretch.serial);
        Ok(raw)
    }

    /// Whether a file begins as a raw one does.
    pub(super) fn is_one(path: &Path) -> bool {
        let mut start = [0; 8];
        let read = File::open(path).and_then(|file| file.read_exact_at(&mut start, 0));
        read.is_ok() && u64::from_ne_bytes(start) == MAGIC
    }

    /// Words of the file from a place; fewer where the file ends.
    pub(super) fn words(&self, from: u64, count: usize) -> Result<Vec<u64>, TraceToolError> {
        let mut bytes = vec![0; count * 8];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], from + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(source) => {
                    return Err(TraceToolError::System { path: self.path.clone(), doing: "reading", source });
                }
            }
        }
        let whole = bytes[..filled].chunks_exact(8);
        Ok(whole.map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default())).collect())
    }

    /// Looks through a chunk.
    fn look(&mut self, from: u64, words: &[u64], touch: &mut Touch) {
        let mut at = 0;
        let mut open: Option<Stretch> = None;
        let mut reader = Reader::default();
        while let Some(Timed { event, ticks, words: count, .. }) = words.get(at..).and_then(|words| reader.read(words))
        {
            let place = from + 8 * at as u64;
            at += count;
            if let Event::Other { sub, value, second } = event {
                if sub == Sub::Maps as u8 {
                    let length = usize::try_from(second).unwrap_or(usize::MAX).min((words.len() - at) * 8);
                    let bytes: Vec<u8> =
                        words[at..at + length.div_ceil(8)].iter().flat_map(|word| word.to_ne_bytes()).collect();
                    self.maps.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
                    at += length.div_ceil(8);
                    continue;
                }
                if sub == Sub::Thread as u8 {
                    self.stretches.extend(open.take());
                    open = Some(Stretch { thread: value as u32, from: place, words: 0, first: ticks, serial: second });
                }
                touch.add(sub, value, second);
                if let Some(open) = open {
                    self.learn(open.thread, ticks, sub, second);
                }
            }
            let Some(stretch) = &mut open else { continue };
            stretch.words += count;
            let thread = self.threads.entry(stretch.thread);
            thread.or_insert_with(|| ThreadFacts { first: ticks, ..ThreadFacts::default() });
        }
        self.stretches.extend(open);
    }

    fn learn(&mut self, thread: u32, ticks: u64, sub: u8, second: u64) {
        let facts =
            self.threads.entry(thread).or_insert_with(|| ThreadFacts { first: ticks, ..ThreadFacts::default() });
        facts.first = facts.first.min(ticks);
        let text = || String::from_utf8_lossy(&second.to_ne_bytes()).trim_end_matches('\0').to_owned();
        match sub {
            _ if sub == Sub::Handle as u8 => facts.handle = second,
            _ if sub == Sub::NameFirst as u8 => facts.name = text(),
            _ if sub == Sub::NameRest as u8 => facts.name.push_str(&text()),
            _ => {}
        }
    }
}

fn head_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap_or_default())
}

fn head_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
}

/// The head; `None` where the file is another one, or ended before it was filled.
fn read_head(bytes: &[u8]) -> Option<About> {
    macro_rules! field {
        ($read:ident, $name:ident) => {
            $read(bytes, std::mem::offset_of!(Head, $name))
        };
    }
    if field!(head_u64, magic) != MAGIC {
        return None;
    }
    let text = |from: usize, length: usize| bytes.get(from..(from + length).min(bytes.len())).unwrap_or_default();
    let at = std::mem::offset_of!(Head, command);
    let command = text(at, usize::try_from(field!(head_u64, command_bytes)).ok()?);
    let command = command.strip_suffix(b"\0").unwrap_or(command);
    let at = std::mem::offset_of!(Head, allocator);
    let allocator = text(at, trace_recorder::layout::ALLOCATOR_MAX).split(|byte| *byte == 0).next().unwrap_or_default();
    let (ticks, ns) = (field!(head_u64, last_ticks), field!(head_u64, last_ns));
    let is_counter = [CLOCK_TSC, CLOCK_COUNTER].contains(&field!(head_u32, clock));
    let ticks_per_ns = if is_counter && ns > 0 && ticks > 0 { ticks as f64 / ns as f64 } else { 1.0 };
    Some(About {
        command: command.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect(),
        allocator: String::from_utf8_lossy(allocator).into_owned(),
        clock: match field!(head_u32, clock) {
            CLOCK_TSC => "tsc",
            CLOCK_COUNTER => "cntvct",
            _ => "monotonic",
        },
        start_unix: field!(head_u64, start_unix),
        has_ended: field!(head_u32, ended) == 1,
        stopped: match field!(head_u32, stopped) {
            STOPPED_LIMIT => Some(Stopped::Limit),
            STOPPED_SYSTEM => {
                let errno = field!(head_u32, stopped_errno) as i32;
                Some(Stopped::System(std::io::Error::from_raw_os_error(errno)))
            }
            _ => None,
        },
        lost: field!(head_u64, lost),
        ticks_per_ns,
    })
}

/// What was seen of watched objects, by the class of their size.
#[derive(Debug, Default)]
struct Touch(BTreeMap<u32, TouchClass>);

impl Touch {
    fn add(&mut self, sub: u8, written: u64, size: u64) {
        if sub != Sub::Touched as u8 && sub != Sub::Resident as u8 {
            return;
        }
        let class = self.0.entry(TouchClass::of(size)).or_default();
        class.objects += 1;
        class.bytes += size;
        class.written += written.min(size);
    }

    fn model(self, one_in: u32) -> Option<TouchModel> {
        let classes = self.0.into_iter().map(|(class, seen)| TouchClass { size_max: 1 << class.min(63), ..seen });
        (one_in > 0).then(|| TouchModel { one_in: one_in.into(), classes: classes.collect() })
    }
}

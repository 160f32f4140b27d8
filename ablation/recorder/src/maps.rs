//! Which files the process's code lies in, so that call sites can be named later. Lines of `/proc/self/maps` go into chunks
//! of their own: at the start, when a new chunk finds that libraries were loaded or unloaded, before one is unloaded, and at
//! the end.

use crate::chunks::{self, Chunk};
use crate::layout::{Sub, other};
use crate::{switch, sys};
use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The chunk for lines, of the one who has set the flag.
struct Lines {
    chunk: UnsafeCell<(u64, Chunk)>,
    is_taken: AtomicBool,
}

// SAFETY: the chunk is used by the one who has set the flag.
unsafe impl Sync for Lines {}

static LINES: Lines =
    Lines { chunk: UnsafeCell::new((switch::UNKNOWN, Chunk::NONE)), is_taken: AtomicBool::new(false) };

/// How many libraries were loaded and unloaded when the lines were written last.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Whether the loader may be asked. In the child of a fork, its lock may be that of a thread that is not there.
static MAY_ASK: AtomicBool = AtomicBool::new(false);

/// Sets whether the loader may be asked.
pub(crate) fn ask_loader(may: bool) {
    MAY_ASK.store(may, Ordering::Relaxed);
}

/// Writes the lines if libraries came or went since the last time.
pub(crate) fn note_changes() {
    if !MAY_ASK.load(Ordering::Relaxed) {
        return;
    }
    let mut changes = 0_u64;
    // SAFETY: the function is called at once, with this number's place.
    unsafe { libc::dl_iterate_phdr(Some(count), (&raw mut changes).cast()) };
    if CHANGES.swap(changes, Ordering::Relaxed) != changes {
        note();
    }
}

/// Counts loads and unloads; needs one library only.
unsafe extern "C" fn count(about: *mut libc::dl_phdr_info, _: usize, to: *mut c_void) -> c_int {
    // SAFETY: the loader's own record.
    let changes = unsafe { (*about).dlpi_adds + (*about).dlpi_subs };
    // SAFETY: the place that `note_changes` passes.
    unsafe { *to.cast::<u64>() = changes };
    1
}

/// Writes the lines of code. While another thread does, this one leaves it to it.
pub(crate) fn note() {
    if LINES.is_taken.swap(true, Ordering::Acquire) {
        return;
    }
    // SAFETY: this thread has set the flag.
    let (generation, chunk) = unsafe { &mut *LINES.chunk.get() };
    if *generation != switch::generation() {
        // The child of a fork begins anew.
        chunk.close();
        *generation = switch::generation();
    }
    write(chunk);
    LINES.is_taken.store(false, Ordering::Release);
}

/// The longest line that is kept whole, and how much is read at once.
const BUFFER: usize = 8192;
/// Words of a chunk that one row of lines must find free: enough for a hundred libraries.
const ROOM: usize = 4096;

fn write(chunk: &mut Chunk) {
    if chunk.room() < ROOM {
        chunk.close();
        let Some(claimed) = chunks::claim(false) else { return };
        *chunk = claimed;
    }
    let Some(file) = sys::File::open(c"/proc/self/maps", libc::O_RDONLY) else { return };
    let mut buffer = [0_u8; BUFFER];
    let mut filled = 0;
    let start = chunk.at.wrapping_add(3).cast::<u8>();
    let room = (chunk.room() - 3) * 8;
    let mut written = 0;
    loop {
        let read = file.read(&mut buffer[filled..]);
        if read == 0 {
            break;
        }
        filled += read;
        let mut from = 0;
        while let Some(length) = buffer[from..filled].iter().position(|byte| *byte == b'\n') {
            let line = &buffer[from..=from + length];
            from += length + 1;
            if is_code(line) && written + line.len() <= room {
                // SAFETY: there is room.
                unsafe { start.add(written).copy_from_nonoverlapping(line.as_ptr(), line.len()) };
                written += line.len();
            }
        }
        buffer.copy_within(from..filled, 0);
        filled -= from;
        if filled == BUFFER {
            // A line that is longer than any path.
            filled = 0;
        }
    }
    let [first, second, third] = other(Sub::Maps, 0, switch::ticks(), written as u64);
    let at = chunk.at;
    // SAFETY: there is room for three words and the text.
    unsafe { at.add(1).write_volatile(second) };
    // SAFETY: as above.
    unsafe { at.add(2).write_volatile(third) };
    // SAFETY: as above. The first word comes last.
    unsafe { at.write_volatile(first) };
    chunk.at = at.wrapping_add(3 + written.div_ceil(8));
}

/// Whether a line is of code: `from-to r-xp offset device inode path`.
fn is_code(line: &[u8]) -> bool {
    line.iter().position(|byte| *byte == b' ').and_then(|blank| line.get(blank + 3)) == Some(&b'x')
}

//! The busy neighbour: a thread on another processor that works in bursts.
//!
//! Work without a pause would slow down all batches alike. Other programs work in bursts and pauses of half a
//! millisecond to twenty, which hit some timed batches and some processes and not others.

use crate::run::Cpus;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Shortest burst or pause.
const SHORTEST: Duration = Duration::from_micros(500);
/// Doublings from the shortest to the longest.
const DOUBLINGS: f64 = 5.3;

/// A thread that is busy about half of the time, until it is dropped.
pub(super) struct Neighbour {
    // Relaxed on both sides: the flag carries no other data.
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbour {
    /// Starts the thread on a processor that measured processes do not use. `None` when there is no other processor.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn start(cpus: &Cpus) -> io::Result<Option<Neighbour>> {
        let Some(cpu) = cpus.neighbour() else { return Ok(None) };
        let end = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&end);
        let (answer, answered) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("neighbour".to_owned()).spawn(move || {
            let settled = settle(&cpu);
            let goes_on = settled.is_ok();
            // The receiver waits for it.
            let _ = answer.send(settled);
            if goes_on {
                work(&seen);
            }
        })?;
        let neighbour = Neighbour { end, thread: Some(thread) };
        answered.recv().map_err(io::Error::other)??;
        Ok(Some(neighbour))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // An error means that the thread has panicked, and it has ended then too.
            let _ = thread.join();
        }
    }
}

/// Moves to the processor, and gives the runner on it precedence.
fn settle(cpu: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: the set and its size belong together; 0 is the calling thread.
    if unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), cpu) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: numbers only; on Linux 0 is the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn work(end: &AtomicBool) {
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    while !end.load(Ordering::Relaxed) {
        let until = Instant::now() + length(&mut random);
        while Instant::now() < until && !end.load(Ordering::Relaxed) {
            std::hint::black_box(ablate_probe::contention_probe_ns());
        }
        std::thread::sleep(length(&mut random));
    }
}

/// A length between the shortest and the longest, even in its logarithm (xorshift64 of Marsaglia, 2003).
fn length(random: &mut u64) -> Duration {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    SHORTEST.mul_f64((DOUBLINGS * (*random >> 11) as f64 / (1u64 << 53) as f64).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_lie_between_half_a_millisecond_and_twenty() {
        let mut random = 1;
        let lengths: Vec<Duration> = (0..1000).map(|_| length(&mut random)).collect();
        assert!(lengths.iter().all(|l| (SHORTEST..Duration::from_millis(20)).contains(l)), "{lengths:?}");
        let short = lengths.iter().filter(|length| **length < Duration::from_millis(3)).count();
        assert!((300..700).contains(&short), "{short} of 1000 below the middle");
    }

    #[test]
    fn it_works_while_it_is_there_and_ends_with_its_value() {
        let cpus = Cpus::read().expect("reads the processors");
        let Some(neighbour) = Neighbour::start(&cpus).expect("starts") else {
            return assert!(cpus.neighbour().is_none());
        };
        let end = Arc::clone(&neighbour.end);
        assert!(!end.load(Ordering::Relaxed));
        drop(neighbour);
        // The thread has given its half of the flag back, so it is gone.
        assert_eq!(Arc::strong_count(&end), 1);
    }
}

//! Shows whether two processors of this machine share a core. It takes the contention probe in alternating phases of
//! 50 ms: another thread sleeps, or takes the probe as well. A ratio near 1 means that they share no core at the moment;
//! the host can move a virtual machine later.
//!
//! `cargo run --release -p ablate-probe --example contention`

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PHASES: u32 = 40;
const PHASE: Duration = Duration::from_millis(50);

fn main() {
    let (busy, end) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut values: [Vec<f64>; 2] = Default::default();
    let mut durations: Vec<u128> = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                if !busy.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                std::hint::black_box(ablate_probe::contention_probe_ns());
            }
        });
        for phase in 0..PHASES {
            let is_busy = phase % 2 == 1;
            busy.store(is_busy, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
            let started = Instant::now();
            while started.elapsed() < PHASE {
                let before = Instant::now();
                values[usize::from(is_busy)].push(ablate_probe::contention_probe_ns());
                durations.push(before.elapsed().as_nanos());
            }
        }
        end.store(true, Ordering::Relaxed);
    });
    durations.sort_unstable();
    println!("one contention probe takes {:.1} µs (median)", durations[durations.len() / 2] as f64 / 1e3);
    let reference = {
        let mut all: Vec<f64> = values.iter().flatten().copied().collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 50]
    };
    let mut medians = Vec::new();
    for (name, values) in ["idle", "busy"].into_iter().zip(&mut values) {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
        let [low, middle, high] = [0.02, 0.5, 0.98].map(at);
        let disturbed = values.iter().filter(|value| **value > 1.08 * reference).count() as f64 / values.len() as f64;
        println!(
            "neighbour {name}: p2 {low:.3}  p50 {middle:.3}  p98 {high:.3} ns per step, {:.1} % disturbed, {} values",
            100.0 * disturbed,
            values.len()
        );
        medians.push(middle);
    }
    println!("busy / idle: {:.2}", medians[1] / medians[0]);
}

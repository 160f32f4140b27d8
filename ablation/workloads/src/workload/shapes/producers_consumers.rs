//! Some threads request what others free, not as many of one kind as of the other. Objects travel in parcels, through one
//! queue for each consumer.

use super::tools::{Meter, Object, Outcome, Turns, Worker, in_threads, passes};
use crate::allocator::Allocator;
use crate::workload::plan::RunPlan;
use std::sync::{Condvar, Mutex};

/// Objects of a parcel, and parcels that a queue has room for.
const PARCEL: usize = 64;
const ROOM: usize = 64;

/// Objects that change threads together, and how many there are.
type Parcel = ([Object; PARCEL], usize);

/// The parcels on their way to one consumer.
struct Queue {
    waiting: Mutex<Waiting>,
    came: Condvar,
    left: Condvar,
}

struct Waiting {
    parcels: Box<[Parcel; ROOM]>,
    first: usize,
    len: usize,
}

const NOTHING: Parcel = ([Object { ptr: std::ptr::null_mut(), size: 0 }; PARCEL], 0);

impl Queue {
    fn new() -> Queue {
        let waiting = Waiting { parcels: Box::new([NOTHING; ROOM]), first: 0, len: 0 };
        Queue { waiting: Mutex::new(waiting), came: Condvar::new(), left: Condvar::new() }
    }

    fn push(&self, parcel: &Parcel) {
        let waiting = self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let full = |waiting: &mut Waiting| waiting.len == ROOM;
        let mut waiting = self.left.wait_while(waiting, full).unwrap_or_else(|poisoned| poisoned.into_inner());
        let at = (waiting.first + waiting.len) % ROOM;
        waiting.parcels[at] = *parcel;
        waiting.len += 1;
        drop(waiting);
        self.came.notify_one();
    }

    fn pop(&self) -> Parcel {
        let waiting = self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let empty = |waiting: &mut Waiting| waiting.len == 0;
        let mut waiting = self.came.wait_while(waiting, empty).unwrap_or_else(|poisoned| poisoned.into_inner());
        let parcel = waiting.parcels[waiting.first];
        waiting.first = (waiting.first + 1) % ROOM;
        waiting.len -= 1;
        drop(waiting);
        self.left.notify_one();
        parcel
    }
}

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let (producers, consumers) = (plan.shape.threads(), plan.shape.consumers());
    let (sizes, count) = (plan.shape.sizes(), plan.shape.count() as usize);
    let parcels = count.div_ceil(PARCEL);
    let queues: Vec<Queue> = (0..consumers).map(|_| Queue::new()).collect();
    // Producer p sends its parcel n to this consumer.
    let consumer_of = |producer: u32, parcel: usize| (producer as usize + parcel) % consumers as usize;
    let turns = Turns::new(producers + consumers);
    let mut meter = Meter::default();
    let mut main = Worker::new(a, plan);
    let mut pass_ns = passes(plan);
    let outcomes = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            in_threads(producers + consumers, |thread| {
                let mut worker = Worker::new(a, plan);
                turns.done.wait();
                for _ in 0..plan.iterations {
                    turns.start.wait();
                    if thread < producers {
                        let mut sizes = sizes.iter().cycle();
                        for parcel in 0..parcels {
                            let mut objects = NOTHING;
                            objects.1 = PARCEL.min(count - parcel * PARCEL);
                            for (place, size) in objects.0[..objects.1].iter_mut().zip(&mut sizes) {
                                *place = worker.request(*size);
                            }
                            queues[consumer_of(thread, parcel)].push(&objects);
                        }
                    } else {
                        let own = (thread - producers) as usize;
                        let coming = (0..producers).flat_map(|producer| (0..parcels).map(move |n| (producer, n)));
                        for _ in coming.filter(|(producer, parcel)| consumer_of(*producer, *parcel) == own) {
                            let (objects, len) = queues[own].pop();
                            for object in &objects[..len] {
                                // SAFETY: its producer requested it with the same plan and does not use it any more.
                                unsafe { worker.free(*object) };
                            }
                        }
                    }
                    turns.done.wait();
                }
                turns.end.wait();
                worker.done()
            })
        });
        turns.time(&mut meter, plan, &mut pass_ns);
        meter.read("resident_freed_bytes");
        turns.end.wait();
        others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    meter.read_peak();
    outcomes.into_iter().for_each(|done| main.join(done));
    Outcome::of(pass_ns, &main, meter.values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parcels_come_in_their_order_and_wait_for_room() {
        let queue = Queue::new();
        let total = 5 * ROOM;
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..total {
                    let mut parcel = NOTHING;
                    parcel.0[0].size = number as u32;
                    parcel.1 = 1;
                    queue.push(&parcel);
                }
            });
            (0..total).map(|_| queue.pop()).map(|(objects, len)| (objects[0].size as usize, len)).collect::<Vec<_>>()
        });
        assert!(seen.into_iter().eq((0..total).map(|number| (number, 1))));
    }
}

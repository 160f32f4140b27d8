//! The memory shapes: ways to hold and to give back memory that programs have, each with its own parameters.
//!
//! The file has the names, the parameters with their defaults, and how many operations a pass has. What a shape does is in
//! its own file below `shapes/`.

use serde::{Serialize, Serializer};
use std::ops::RangeInclusive;
use std::str::FromStr;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Smallest and largest object of a shape, bytes.
pub(crate) const SHAPE_BYTES: RangeInclusive<u64> = 16..=2048 * MIB;
/// Most threads of a shape.
pub(crate) const SHAPE_THREADS: u32 = 4096;
/// Most objects of a table: 2 GiB of places.
const OBJECTS_MAX: u64 = 1 << 27;
/// Longest wait, seconds.
const SECONDS_MAX: f64 = 3600.0;
/// Largest alignment, bytes.
const ALIGN_MAX: u64 = 1 << 30;
/// Writes of each thread in a pass of [`Shape::Neighbours`].
pub(crate) const NEIGHBOUR_WRITES: u64 = 1 << 24;

/// What is done with memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Threads use all sizes of a range, free everything, and sleep.
    IdleThreads,
    /// Phases of one size each; everything is freed between them.
    Phases,
    /// Many objects of which one byte each is written.
    Sparse,
    /// All but a part of the objects is freed, in one or two steps.
    Survivors,
    /// Aligned objects.
    Aligned,
    /// Zeroed objects that are hardly written.
    Calloc,
    /// Buffers grow step by step, and are then halved.
    Resize,
    /// Large objects in a ring.
    LargeReuse,
    /// Threads that start, use memory and end.
    ThreadChurn,
    /// Some threads request what others free.
    ProducersConsumers,
    /// Threads that free every second object of another, request again, and write.
    Neighbours,
    /// Everything is requested and freed once per period.
    Bursts,
    /// A cache whose objects get other sizes over time.
    Drift,
    /// The process forks while threads request and free.
    Fork,
}

impl Shape {
    /// Whether `--lifetime` may choose the order in which it frees what it frees together.
    pub(crate) fn has_orders(self) -> bool {
        matches!(self, Shape::Phases | Shape::Sparse | Shape::Survivors | Shape::Aligned | Shape::Bursts)
    }

    /// Whether it says itself what is written.
    pub(crate) fn has_own_touch(self) -> bool {
        matches!(self, Shape::Sparse | Shape::Calloc | Shape::Neighbours)
    }
}

/// What the options of the command line say about a shape. As defaults of a scenario, `None` is an option that it does not
/// have.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(crate) struct Parameters {
    /// Size of the objects, or the smallest.
    #[serde(skip)]
    pub(crate) bytes: Option<u64>,
    /// Size of the largest objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_max: Option<u64>,
    /// Bytes that are live at once.
    #[serde(rename = "live_bytes", skip_serializing_if = "Option::is_none")]
    pub(crate) live: Option<u64>,
    /// A number of objects, buffers, phases or steps, see the scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    /// Alignment, bytes.
    #[serde(rename = "align_bytes", skip_serializing_if = "Option::is_none")]
    pub(crate) align: Option<u64>,
    /// Bytes that a buffer grows by.
    #[serde(rename = "step_bytes", skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<u64>,
    /// Which part is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep: Option<Keep>,
    /// Threads, or producers.
    #[serde(skip)]
    pub(crate) threads: Option<u32>,
    /// Threads that free what the producers request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) consumers: Option<u32>,
    /// How long the shape waits; of bursts the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
}

impl Parameters {
    /// These as defaults, with what was given in their place.
    ///
    /// # Errors
    /// The option that was given and that the defaults do not have.
    pub(crate) fn with(self, given: Parameters) -> Result<Parameters, &'static str> {
        fn one<T>(name: &'static str, default: Option<T>, given: Option<T>) -> Result<Option<T>, &'static str> {
            match (default, given) {
                (None, Some(_)) => Err(name),
                (default, given) => Ok(given.or(default)),
            }
        }
        Ok(Parameters {
            bytes: one("--bytes", self.bytes, given.bytes)?,
            bytes_max: one("--bytes-max", self.bytes_max, given.bytes_max)?,
            live: one("--live", self.live, given.live)?,
            count: one("--count", self.count, given.count)?,
            align: one("--align", self.align, given.align)?,
            step: one("--step", self.step, given.step)?,
            keep: one("--keep", self.keep, given.keep)?,
            threads: one("--threads", self.threads, given.threads)?,
            consumers: one("--consumers", self.consumers, given.consumers)?,
            seconds: one("--seconds", self.seconds, given.seconds)?,
        })
    }

    /// Checks that the numbers are in range and agree.
    ///
    /// # Errors
    /// A sentence that says what to give instead.
    pub(crate) fn check(&self, shape: Shape) -> Result<(), &'static str> {
        let in_range = |bytes: Option<u64>| bytes.is_none_or(|bytes| SHAPE_BYTES.contains(&bytes));
        let threads = |threads: Option<u32>| threads.is_none_or(|threads| (1..=SHAPE_THREADS).contains(&threads));
        let right = [
            (in_range(self.bytes) && in_range(self.bytes_max), "give objects of 16 to 2GiB"),
            (
                self.bytes_max.is_none_or(|max| max >= self.bytes()),
                "--bytes-max is less than --bytes: give as many or more",
            ),
            (self.live.is_none_or(|live| live >= self.bytes()), "--live is less than one object: give more"),
            (self.count != Some(0) || shape == Shape::IdleThreads, "give a --count of 1 or more"),
            (self.count() <= OBJECTS_MAX, "give a --count of at most 134,217,728"),
            (
                self.align.is_none_or(|align| align.is_power_of_two() && (16..=ALIGN_MAX).contains(&align)),
                "give an --align that is a power of two, 16 to 1GiB",
            ),
            (
                self.step.is_none_or(|step| (16..=self.bytes()).contains(&step)),
                "give a --step of 16 or more that is not above --bytes",
            ),
            (threads(self.threads) && threads(self.consumers), "give 1 to 4096 threads"),
            (
                shape != Shape::Neighbours || self.threads() >= 2 && self.count() >= 2,
                "give two or more threads with two or more objects each",
            ),
            (self.seconds.is_none_or(|s| (0.0..=SECONDS_MAX).contains(&s)), "give 0 to 3600 seconds"),
            (self.objects(shape).is_some_and(|all| all <= OBJECTS_MAX), "give at most 134,217,728 objects"),
        ];
        right.into_iter().find(|(is_right, _)| !is_right).map_or(Ok(()), |(_, sentence)| Err(sentence))
    }

    /// Bytes of an object, or of the smallest.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.unwrap_or(*SHAPE_BYTES.start())
    }

    /// Bytes of the largest object.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max.unwrap_or(self.bytes())
    }

    /// Bytes that are live at once.
    pub(crate) fn live(&self) -> u64 {
        self.live.unwrap_or_default()
    }

    /// The number that the scenario counts.
    pub(crate) fn count(&self) -> u64 {
        self.count.unwrap_or_default()
    }

    /// Threads, or producers.
    pub(crate) fn threads(&self) -> u32 {
        self.threads.unwrap_or(1)
    }

    /// Consumers.
    pub(crate) fn consumers(&self) -> u32 {
        self.consumers.unwrap_or(1)
    }

    /// Nanoseconds of the wait.
    pub(crate) fn wait_ns(&self) -> u64 {
        (self.seconds.unwrap_or_default() * 1e9) as u64
    }

    /// The sizes of the range, smallest first: each about 15 % more than the one before and a multiple of 16, so that every
    /// usual size class has one and few have one that fits exactly.
    pub(crate) fn sizes(&self) -> Vec<u32> {
        let next = |size: &u64| Some((size * 23 / 20).next_multiple_of(16));
        let sizes = std::iter::successors(Some(self.bytes()), next);
        sizes.take_while(|size| *size <= self.bytes_max()).map(|size| size as u32).collect()
    }

    /// `steps` sizes of the range, from the smallest to the largest of [`Parameters::sizes`].
    pub(crate) fn spread(&self, steps: u64) -> Vec<u32> {
        let sizes = self.sizes();
        let last = sizes.len() as u64 - 1;
        (0..steps).map(|step| sizes[(step * last / steps.saturating_sub(1).max(1)) as usize]).collect()
    }

    /// The sizes of the phases: rising, and at the end the two smallest again.
    pub(crate) fn phases(&self) -> Vec<u32> {
        if self.count() < 4 {
            return self.spread(self.count());
        }
        let mut phases = self.spread(self.count() - 2);
        phases.extend([phases[1], phases[0]]);
        phases
    }

    /// Objects of `size` that [`Parameters::live`] has room for, at least one.
    pub(crate) fn objects_of(&self, size: u32) -> u64 {
        (self.live() / u64::from(size)).max(1)
    }

    /// Objects that a thread of [`Shape::IdleThreads`] has at once where all sizes live together: as many as fit, the sizes
    /// in turn.
    pub(crate) fn working_set(&self) -> u64 {
        let sizes = self.sizes();
        let all: u64 = sizes.iter().copied().map(u64::from).sum();
        let rounds = self.live() / all;
        let mut left = self.live() % all;
        let more = sizes.iter().take_while(|size| match left.checked_sub(u64::from(**size)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        });
        (rounds * sizes.len() as u64 + more.count() as u64).max(1)
    }

    /// Objects that a table must have room for; `None` when they do not fit 64 bits.
    pub(crate) fn objects(&self, shape: Shape) -> Option<u64> {
        let threads = u64::from(self.threads());
        match shape {
            Shape::IdleThreads if self.count() > 0 => threads.checked_mul(self.count()),
            Shape::IdleThreads => threads.checked_mul(self.working_set()),
            Shape::Phases | Shape::Sparse | Shape::Survivors | Shape::Bursts | Shape::Drift => {
                Some(self.objects_of(u32::try_from(self.bytes()).ok()?))
            }
            Shape::Aligned | Shape::Resize | Shape::LargeReuse => Some(self.count()),
            Shape::ThreadChurn | Shape::ProducersConsumers | Shape::Neighbours => threads.checked_mul(self.count()),
            Shape::Calloc | Shape::Fork => Some(threads),
        }
    }

    /// Operations of a pass: what a timed value is divided by.
    pub(crate) fn operations(&self, shape: Shape) -> u64 {
        let threads = u64::from(self.threads());
        match shape {
            Shape::IdleThreads if self.count() > 0 => threads * self.count() * self.sizes().len() as u64,
            Shape::IdleThreads => threads * self.working_set(),
            Shape::Phases => self.phases().into_iter().map(|size| self.objects_of(size)).sum(),
            Shape::Sparse | Shape::Survivors | Shape::Bursts => self.objects_of(self.bytes() as u32),
            Shape::Drift => self.spread(self.count()).into_iter().map(|size| self.objects_of(size)).sum(),
            Shape::Aligned => self.count(),
            Shape::Resize => self.count() * self.bytes().div_ceil(self.step.unwrap_or(self.bytes())),
            Shape::ThreadChurn | Shape::ProducersConsumers => threads * self.count(),
            Shape::Neighbours => threads * NEIGHBOUR_WRITES,
            Shape::Calloc | Shape::LargeReuse | Shape::Fork => 1,
        }
    }
}

/// Which objects stay: a part of all, and perhaps a smaller part later. Written as `1/64` or `10/32,1/512`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keep {
    /// What stays of all in the first step.
    pub(crate) first: Part,
    /// What stays of all in a second step.
    pub(crate) second: Option<Part>,
}

/// The first `of` of every `out_of` objects: what lies between them may fill whole OS pages, which can be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    of: u32,
    out_of: u32,
}

impl Part {
    /// The first `of` of every `out_of`.
    pub(crate) const fn new(of: u32, out_of: u32) -> Part {
        Part { of, out_of }
    }

    /// Whether the object with this number, counted from 0, is one of the part.
    pub(crate) fn has(self, number: usize) -> bool {
        number % (self.out_of as usize) < self.of as usize
    }
}

impl FromStr for Keep {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Keep, &'static str> {
        let part = |text: &str| {
            let (of, out_of) = text.split_once('/')?;
            let part = Part { of: of.parse().ok()?, out_of: out_of.parse().ok()? };
            (1..=part.out_of).contains(&part.of).then_some(part)
        };
        let usage = "give a part, 1/64, or two steps, 10/32,1/512";
        match text.split_once(',') {
            None => Ok(Keep { first: part(text).ok_or(usage)?, second: None }),
            Some((first, second)) => {
                Ok(Keep { first: part(first).ok_or(usage)?, second: Some(part(second).ok_or(usage)?) })
            }
        }
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |part: Part| format!("{}/{}", part.of, part.out_of);
        let second = self.second.map_or_else(String::new, |part| format!(",{}", text(part)));
        serializer.serialize_str(&(text(self.first) + &second))
    }
}

/// Parses a number of bytes, with or without a unit.
///
/// # Errors
/// A sentence that says what to give.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let units = [("KiB", KIB), ("MiB", MIB), ("GiB", KIB * MIB)];
    let (digits, unit) = units
        .into_iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|digits| (digits, unit)))
        .unwrap_or((text, 1));
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| "give a number of bytes: 4096, 4KiB, 2MiB, 1GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(bytes: u64, bytes_max: u64) -> Parameters {
        Parameters { bytes: Some(bytes), bytes_max: Some(bytes_max), ..Parameters::default() }
    }

    #[test]
    fn the_sizes_of_a_range_rise_by_about_a_seventh() {
        let sizes = range(16, 1 << 20).sizes();
        assert!(sizes[0] == 16 && sizes.iter().all(|size| size % 16 == 0 && *size <= 1 << 20), "{sizes:?}");
        assert!(sizes.windows(2).all(|two| two[0] < two[1] && (two[0] < 512 || two[1] * 5 < two[0] * 6)), "{sizes:?}");
        assert!(*sizes.last().expect("one") > 900_000, "{sizes:?}");
        assert_eq!(range(64, 64).sizes(), [64]);
        assert_eq!(range(64, 64).spread(3), [64, 64, 64]);
    }

    #[test]
    fn phases_rise_and_end_with_the_two_smallest() {
        let phases = Parameters { count: Some(10), ..range(64, 9 << 20) }.phases();
        assert!(phases.len() == 10 && phases[..8].is_sorted(), "{phases:?}");
        assert_eq!((phases[8], phases[9]), (phases[1], phases[0]));
        for count in 1..5 {
            assert_eq!(Parameters { count: Some(count), ..range(64, 4096) }.phases().len() as u64, count);
        }
    }

    #[test]
    fn a_part_is_the_first_of_every_so_many_and_a_second_is_within_it() {
        let keep: Keep = "10/32,1/512".parse().expect("two parts");
        let (first, second) = (keep.first, keep.second.expect("the second"));
        let count = |part: Part| (0..1024).filter(|number| part.has(*number)).count();
        assert_eq!((count(first), count(second)), (320, 2));
        assert!((0..10).all(|number| first.has(number)) && !(10..32).any(|number| first.has(number)));
        assert!((0..1024).all(|number| first.has(number) || !second.has(number)));
        assert_eq!(serde_json::to_string(&keep).expect("text"), "\"10/32,1/512\"");
        for bad in ["", "1", "0/4", "5/4", "1/64,", "1/0", "-1/4"] {
            assert!(bad.parse::<Keep>().is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_have_units() {
        for (text, bytes) in [("16", 16), ("4KiB", 4096), ("2MiB", 2 << 20), ("3GiB", 3 << 30)] {
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
        for text in ["4kb", "", "MiB", "-1", "99999999999GiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_told() {
        let good = Parameters { live: Some(1 << 20), count: Some(4), threads: Some(2), ..range(16, 4096) };
        assert_eq!(good.check(Shape::IdleThreads), Ok(()));
        for (wrong, part) in [
            (Parameters { bytes: Some(15), ..good }, "16 to 2GiB"),
            (Parameters { bytes: Some(8192), ..good }, "--bytes-max"),
            (Parameters { live: Some(8), ..good }, "--live"),
            (Parameters { align: Some(24), ..good }, "power of two"),
            (Parameters { step: Some(17), ..good }, "--step"),
            (Parameters { threads: Some(0), ..good }, "4096 threads"),
            (Parameters { seconds: Some(-1.0), ..good }, "seconds"),
            (Parameters { seconds: Some(f64::NAN), ..good }, "seconds"),
            (Parameters { count: Some(u64::MAX), ..good }, "--count"),
            (Parameters { count: Some(1 << 27), ..good }, "objects"),
        ] {
            assert!(wrong.check(Shape::IdleThreads).is_err_and(|sentence| sentence.contains(part)), "{part}");
        }
        assert!(Parameters { count: Some(0), ..good }.check(Shape::Aligned).is_err());
        assert!(Parameters { threads: Some(1), ..good }.check(Shape::Neighbours).is_err());
    }

    #[test]
    fn a_working_set_fits_and_has_all_sizes_in_turn() {
        let set = Parameters { live: Some(1000), ..range(16, 64) };
        // 16, 32, 48, 64 of 160 bytes: six rounds, and 16 of the remaining 40.
        assert_eq!((set.sizes(), set.working_set()), (vec![16, 32, 48, 64], 25));
        assert_eq!(Parameters { live: Some(16), ..range(16, 64) }.working_set(), 1);
    }

    #[test]
    fn an_option_that_a_shape_does_not_have_is_named() {
        let defaults = Parameters { live: Some(1), ..Parameters::default() };
        let given = Parameters { live: Some(2), ..Parameters::default() };
        assert_eq!(defaults.with(given).map(|all| all.live), Ok(Some(2)));
        assert_eq!(Parameters { live: Some(2), step: Some(3), ..given }.with(given).map(|all| all.step), Ok(Some(3)));
        assert_eq!(defaults.with(Parameters { step: Some(3), ..given }), Err("--step"));
    }
}

//! The files of a study and their reader: the part of ablate that stays stable.
//!
//! A study is a folder. `manifest.json` ([`Manifest`]) has what was planned, built and found on the machine;
//! `records.jsonl` has one [`Record`] for each process, with the line that the measured program printed ([`Measured`]);
//! `effects.json` ([`EffectsFile`]) has the results for programs. [`read_manifest`], [`read_records`] and
//! [`read_effects`] read them. docs/format.md has every key, and the rules for what a later version may change.
//!
//! ```no_run
//! let folder = std::path::Path::new("target/ablate/demo");
//! let manifest = ablate_format::read_manifest(folder)?;
//! let mut records = Vec::new();
//! let bad_lines = ablate_format::read_records(folder, |record| records.push(record))?;
//! println!("{}: {} runs, {} damaged lines", manifest.study, records.len(), bad_lines.len());
//! # Ok::<(), ablate_format::ReadError>(())
//! ```
//!
//! The package `ablation` runs studies, checks the records and computes the effects. It builds most structs of this
//! crate and matches most enums, so these are not `#[non_exhaustive]`. A minor version may still add fields and
//! variants: read fields by name, and give a `match` an arm for the rest.

#![warn(missing_docs)]

pub mod effects;
mod folder;
mod line;
mod manifest;
mod measured;
mod os_text;
mod path;
mod plan;
mod read;
mod record;
mod response;
mod screening;
mod shard;
mod target;
mod version;

pub use effects::EffectsFile;
pub use folder::{ABOUT, EFFECTS, FIGURES, LOGS, MANIFEST, PAGE, PROFILE, RECORDS, REPORT, SCREENING};
pub use line::{LineError, read_line};
pub use manifest::{
    BuildFailure, BuildRecord, BuiltBinary, InstrumentStatus, Library, Machine, Manifest, StudyMachine,
};
pub use measured::Measured;
pub use os_text::{bytes_of_text, os_to_text, path_of_text, path_to_text};
pub use path::{BASELINE, Goal, Path};
pub use plan::{
    AbsentPeer, Arm, CellKind, CellPlan, Contrast, Crossed, Curve, FactorPlan, Hypothesis, HypothesisKind, Impossible,
    OutputRule, StudyPlan, WorkloadPlan,
};
pub use read::{
    BadLine, ReadError, RecordReader, mean_record_bytes, mean_wall_ns, read_effects, read_manifest, read_records,
    read_screening,
};
pub use record::{Pass, Record, Status};
pub use response::{MainResponse, Quantity, ValueName, is_value_name};
pub use screening::{
    Asked, CleanEffect, CleanResult, OneAtATime, ScreenResult, ScreenedFactor, ScreenedInteractions, Screening,
    SuspectedPair, ToProve,
};
pub use shard::Shard;
pub use target::{Against, Bar, Target, TargetKind, TargetResponse};
pub use version::{FORMAT, OLDEST_FORMAT};

//! The results of a folder as rows: from its records, or from `effects.json` where records were left behind.

mod folder;
pub(crate) mod form;
mod machine;
mod rows;

#[cfg(test)]
pub(crate) use folder::Measured;
pub(crate) use folder::{Results, read};
pub(crate) use machine::{SETTINGS, machine_key};
pub(crate) use rows::{Key, Row, Subject, rows};

//! The version of the format: which one is written, and which are read.

/// Version of `manifest.json`, `records.jsonl`, `effects.json` and the measured program's line that is written.
///
/// The readers of this crate read all versions from [`OLDEST_FORMAT`] to this one.
pub const FORMAT: u32 = 2;

/// The oldest version that is read. It stays 2: a later version of this crate reads what this one wrote.
pub const OLDEST_FORMAT: u32 = 2;

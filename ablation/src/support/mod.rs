//! What every stage and tool may use: files, the command line's words, exit codes, the
//! environment, progress, misspelt names, facts of the machine.
//! Nothing here knows a study.

pub(crate) mod call;
pub(crate) mod exit;
pub(crate) mod files;
pub(crate) mod interrupt;
pub(crate) mod machine;
pub(crate) mod nearest;
pub(crate) mod progress;
pub(crate) mod settings;
pub(crate) mod studies;

//! Modules that every stage and tool may use: files, the words of the command line, exit codes, the environment,
//! progress, counts in messages, misspelt names, facts of the machine, text that is safe to print. They know no study.

pub(crate) mod call;
pub(crate) mod count;
pub(crate) mod dates;
pub(crate) mod exit;
pub(crate) mod files;
pub(crate) mod interrupt;
pub(crate) mod machine;
pub(crate) mod nearest;
pub(crate) mod progress;
pub(crate) mod settings;
pub(crate) mod steal;
pub(crate) mod studies;
pub(crate) mod suspend;
pub(crate) mod text;

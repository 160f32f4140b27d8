//! The forms that an answer about several results is written in: tables, JSON, Markdown, and a page of HTML.

use crate::report::document::Document;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::files;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// What can be written in every form.
pub(crate) trait InForms {
    /// The command that made it, for the first line of Markdown.
    const COMMAND: &'static str;

    /// Its tables; `all` shows rows in which nothing was found, too.
    fn document(&self, all: bool) -> Document;

    /// Everything, in one object.
    fn json(&self) -> Value;

    /// One page, with figures.
    fn html(&self) -> String;
}

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Tables for a terminal of so many columns.
    Terminal {
        /// Columns.
        columns: usize,
        /// Whether rows are shown in which nothing was found.
        all: bool,
    },
    /// Everything, in one object.
    Json,
    /// Tables.
    Markdown {
        /// As for the terminal.
        all: bool,
    },
    /// One page.
    Html,
}

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: writing failed: {source}; make room, or name another file")]
pub(crate) struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl ExitStatus for WriteError {
    fn exit(&self) -> ShellCode {
        ShellCode::BadRuns
    }
}

/// The text in a form.
pub(crate) fn to_text<T: InForms>(of: &T, form: Form) -> String {
    match form {
        Form::Terminal { columns, all } => of.document(all).terminal(columns),
        Form::Json => format!("{:#}\n", of.json()),
        Form::Markdown { all } => format!("<!-- {} -->\n{}", T::COMMAND, of.document(all).markdown()),
        Form::Html => of.html(),
    }
}

/// Writes it to a file, as a whole.
///
/// # Errors
/// The system's error.
pub(crate) fn write<T: InForms>(of: &T, form: Form, path: &Path) -> Result<(), WriteError> {
    let written = files::replace(path, to_text(of, form).as_bytes());
    written.map_err(|source| WriteError { path: path.to_owned(), source })
}

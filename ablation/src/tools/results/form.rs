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
pub(crate) enum WriteError {
    /// The folder that it is to be in does not exist.
    #[error("{path}: its folder {folder} does not exist; create it, or name a file in another folder")]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// The system refused.
    #[error("{path}: writing failed: {source}; permit it, make room, or name another file")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl ExitStatus for WriteError {
    fn exit(&self) -> ShellCode {
        match self {
            WriteError::NoFolder { .. } => ShellCode::WrongCall,
            WriteError::Io { .. } => ShellCode::BadRuns,
        }
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
/// As [`write_text`].
pub(crate) fn write<T: InForms>(of: &T, form: Form, path: &Path) -> Result<(), WriteError> {
    write_text(path, &to_text(of, form))
}

/// Writes a text to a file, as a whole.
///
/// # Errors
/// [`WriteError`]; what was there stays then.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), WriteError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    if let Some(folder) = folder {
        return Err(WriteError::NoFolder { path: path.to_owned(), folder: folder.to_owned() });
    }
    files::replace(path, text.as_bytes()).map_err(|source| {
        // The name of the file that was to take the path's place is nothing to its reader.
        let source = if source.get_ref().is_some() { source.kind().into() } else { source };
        WriteError::Io { path: path.to_owned(), source }
    })
}

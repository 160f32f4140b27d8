//! The options of subcommands that print an answer about several results, and write it to files.

use super::output::{out_file, print};
use crate::support::exit::ExitStatus;
use crate::support::settings::Settings;
use crate::tools::results::form::{self, Form, InForms};
use std::path::{Path, PathBuf};

/// In which forms the answer is wanted.
#[derive(Debug, clap::Args)]
pub(super) struct Forms {
    /// Show every row, also those in which nothing was found.
    #[arg(long)]
    all: bool,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Write the tables as Markdown to this file.
    #[arg(long, value_name = "FILE", value_parser = out_file())]
    markdown: Option<PathBuf>,
    /// Write one page of HTML with figures to this file. It needs no network.
    #[arg(long, value_name = "FILE", value_parser = out_file())]
    html: Option<PathBuf>,
}

impl Forms {
    /// Whether a file that is written is this one, under whatever name.
    pub(super) fn writes_to(&self, file: &Path) -> bool {
        // One that is still to be made is told by its folder.
        let to_make = |path: &Path| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(folder.canonicalize().ok()?.join(path.file_name()?))
        };
        let real = |path: &Path| path.canonicalize().ok().or_else(|| to_make(path)).unwrap_or_else(|| path.to_owned());
        [&self.markdown, &self.html].into_iter().flatten().any(|written| real(written) == real(file))
    }

    /// Writes the files and prints the answer.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn show(&self, of: &impl InForms, settings: &Settings) -> Result<(), Box<dyn ExitStatus>> {
        let all = self.all;
        for (path, form) in [(&self.markdown, Form::Markdown { all }), (&self.html, Form::Html)] {
            if let Some(path) = path {
                form::write(of, form, path)?;
            }
        }
        let form = if self.json { Form::Json } else { Form::Terminal { columns: settings.columns, all } };
        Ok(print(&form::to_text(of, form))?)
    }
}

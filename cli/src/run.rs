//! `hakmem run`: a program with hakmem, and what happened.

use crate::args::Options;
use crate::error::Error;
use crate::report::Report;
use crate::summary::Run;
use crate::{library, process, program, variables};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::{env, fs};

/// The exit code of `--require` where hakmem did not serve.
const NOT_SERVED: i32 = 3;

/// Runs the program and ends as it does.
///
/// # Errors
/// It could not be started.
pub(crate) fn run(options: &Options, called: &[OsString]) -> Result<i32, Error> {
    variables::set(&options.variables)?;
    let library = library::find(options.library.as_deref())?;
    let (name, arguments) = (&called[0], &called[1..]);
    let path = program::find(name)?;
    let preload = library::in_front(&library, env::var_os("LD_PRELOAD"));
    // SAFETY: this process has one thread.
    unsafe { env::set_var("LD_PRELOAD", preload) };
    if options.is_replaced {
        return Err(process::replace(&path, arguments, name));
    }
    let refuse = |file: &OsString, error| Error::Output(file.to_string_lossy().into_owned(), error);
    let output = options.output.as_ref().map(|file| match File::create(file) {
        Ok(open) => Ok((file, open)),
        Err(error) => Err(refuse(file, error)),
    });
    let output = output.transpose()?;
    let folder = process::report_file().ok();
    if let Some((_, file)) = &folder {
        // SAFETY: as above.
        unsafe { env::set_var(variables::REPORT, file) };
    }
    let ended = process::run(&path, arguments, name)?;
    let report = folder.as_ref().and_then(|(_, file)| fs::read(file).ok());
    let report = report.map(|bytes| Report::parse(&String::from_utf8_lossy(&bytes)));
    drop(folder);
    let obstacle = program::obstacle(&path);
    let name = name.to_string_lossy();
    let run = Run { name: &name, library: &library, ended: &ended, report: report.as_ref(), obstacle };
    if !(options.is_quiet && run.is_served()) {
        let text = run.to_string();
        // The program has run: what it ended with counts, whatever becomes of the summary.
        match output {
            None => eprint!("{text}"),
            Some((file, mut open)) => {
                if let Err(error) = open.write_all(text.as_bytes()) {
                    eprintln!("hakmem: {}", refuse(file, error));
                }
            }
        }
    }
    if options.is_required && !run.is_served() {
        return Ok(NOT_SERVED);
    }
    process::end_as(ended.status)
}

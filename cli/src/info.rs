//! `hakmem info`: the library, and its factors as it has them when it serves.

use crate::args::{NOTHING, Options};
use crate::error::Error;
use crate::report::Report;
use crate::{library, process, variables};
use hakmem::factors::{FactorId, registry};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::{env, fs};

/// The text of the library that is found, as this program has it when the library serves it.
///
/// # Errors
/// There is no library, or a variable is not understood.
pub(crate) fn info(options: &Options) -> Result<String, Error> {
    variables::set(&options.variables)?;
    let library = library::find(options.library.as_deref())?;
    let shown = library.display().to_string();
    let refuse = |reason: &str| Error::Library(shown.clone(), reason.to_owned());
    let own = env::current_exe().map_err(|error| refuse(&error.to_string()))?;
    let (_folder, file) = process::report_file().map_err(|error| refuse(&error.to_string()))?;
    // SAFETY: this process has one thread.
    unsafe {
        env::set_var("LD_PRELOAD", library::in_front(&library, env::var_os("LD_PRELOAD")));
        env::set_var(variables::REPORT, &file);
        env::remove_var(variables::STATS);
    }
    let ended = process::run(&own, &[NOTHING.into()], &own.clone().into_os_string())?;
    let report = Report::parse(&fs::read_to_string(&file).unwrap_or_default());
    let told = report.of(ended.process).ok_or_else(|| {
        refuse("a program with it does not say that it serves: it is another library, or of an older version")
    })?;
    if let Some(other) = &told.other {
        return Err(refuse(&format!("malloc is that of {other}; take it out of LD_PRELOAD or /etc/ld.so.preload")));
    }
    let levels = told.end.as_ref().map(|end| end.levels.iter().cloned().collect()).unwrap_or_default();
    let mut text = String::new();
    // Writing to a string does not fail.
    _ = write(&mut text, &shown, &told.version, &levels);
    Ok(text)
}

fn write(text: &mut String, library: &str, version: &str, levels: &BTreeMap<String, String>) -> fmt::Result {
    writeln!(text, "hakmem {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(text, "library {library}, version {version}: it serves")?;
    let set: Vec<String> = variables::all().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    writeln!(text, "variables {}", if set.is_empty() { "none".to_owned() } else { set.join(" ") })?;
    writeln!(text, "\n  {:<14} {:<15} set by", "factor", "level")?;
    for id in FactorId::ALL {
        let factor = &registry()[id as usize];
        let level = levels.get(factor.name).map_or("n/a", String::as_str);
        let mark = if [factor.default.as_str(), "n/a"].contains(&level) { ' ' } else { '*' };
        write!(text, "{mark} {:<14} {level:<15} {}=1", factor.name, factor.toggle)?;
        if let Some(choice) = &factor.choice {
            let values: Vec<&str> = choice.values.iter().map(|(value, _)| *value).collect();
            write!(text, ", {}={}", choice.variable, values.join("|"))?;
        }
        writeln!(text)?;
    }
    writeln!(
        text,
        "\n* other than by default. absent: not compiled into the library. docs/factors.md says what each does."
    )
}

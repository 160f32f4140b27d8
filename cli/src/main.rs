//! The program `hakmem`: runs others with the allocator, and says what happened.

mod args;
mod error;
mod help;
mod info;
mod library;
mod man;
mod process;
mod program;
mod report;
mod run;
mod summary;
mod variables;

use args::Call;
use std::io::Write;

fn main() {
    let done = args::parse(std::env::args_os().skip(1)).and_then(|call| match call {
        Call::Say(text) => Ok(say(&text)),
        Call::Man => Ok(say(&man::page())),
        Call::Run(options, program) => run::run(&options, &program),
        Call::Info(options) => info::info(&options).map(|text| say(&text)),
        Call::Nothing => Ok(0),
    });
    let code = done.unwrap_or_else(|error| {
        eprintln!("hakmem: {error}");
        error.code()
    });
    std::process::exit(code);
}

/// Writes to standard output; a reader that has gone away is no error of the call.
fn say(text: &str) -> i32 {
    _ = std::io::stdout().write_all(text.as_bytes());
    0
}

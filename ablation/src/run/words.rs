//! How a process ended and what it complained of, in one line.

use super::process::Exit;

/// How a process ended, in words.
pub(super) fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("ended by {}", signal_name(signal)),
        Exit::Timeout => "still running at the time limit".to_owned(),
        Exit::Interrupted => "interrupted".to_owned(),
    }
}

/// The first line of standard error that is not empty, at most 160 characters. A panic of Rust has its message on the
/// line after the place.
pub(super) fn first_line(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next()?;
    let is_panic = first.starts_with("thread '") && first.contains("panicked at ") && first.ends_with(':');
    let message = if is_panic { lines.next().map(|message| format!("{first} {message}")) } else { None };
    Some(shortened(&message.unwrap_or_else(|| first.to_owned())))
}

/// The last line of standard error that is not empty, at most 160 characters. A server says much before it fails.
pub(super) fn last_line(stderr: &str) -> Option<String> {
    stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(shortened)
}

fn shortened(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect()
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT, the program aborted itself",
        libc::SIGSEGV => "SIGSEGV, a bad memory access",
        libc::SIGBUS => "SIGBUS, a bad memory access",
        libc::SIGILL => "SIGILL, a bad instruction",
        libc::SIGTRAP => "SIGTRAP, a breakpoint or trap instruction",
        libc::SIGFPE => "SIGFPE, a division by 0 or an overflow",
        libc::SIGKILL => "SIGKILL, which the kernel sends when it is out of memory: see dmesg",
        libc::SIGTERM => "SIGTERM, which the runner did not send",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_message() {
        let panic =
            "\nthread 'main' (17) panicked at src/main.rs:7:46:\nno file `x`\nnote: run with RUST_BACKTRACE=1\n";
        assert_eq!(first_line(panic).as_deref(), Some("thread 'main' (17) panicked at src/main.rs:7:46: no file `x`"));
        assert_eq!(first_line("first:\nsecond").as_deref(), Some("first:"));
        assert_eq!(first_line(" \n"), None);
        assert_eq!(last_line("started\nfailed\tto bind\n \n").as_deref(), Some("failed to bind"));
        assert_eq!(last_line("\n"), None);
    }
}

//! The texts of `--help`, of which the man page is made too.

/// An option: how it is written, and what it does.
pub(crate) type Choice = (&'static str, &'static str);

/// What the program is for.
pub(crate) const ABOUT: &str = "runs programs with the allocator hakmem";

/// The subcommands.
pub(crate) const COMMANDS: &[Choice] = &[
    ("run [OPTIONS] [--] PROGRAM [ARGUMENTS]", "runs a program with hakmem, and says at its end what happened"),
    ("info [OPTIONS]", "shows the library that is found, and every factor with its level"),
    ("man", "prints the man page: hakmem man | man -l -"),
];

/// The options of `hakmem run`.
pub(crate) const RUN: &[Choice] = &[
    (
        "--set NAME=VALUE",
        "set a variable of hakmem, with or without its prefix: HAKMEM_THP=on, thp=on; may be repeated",
    ),
    ("--stats", "let each process print the allocator's statistics when it ends"),
    ("--library FILE", "take this libhakmem.so instead of the one that is found"),
    ("--output FILE", "write the summary to a file instead of standard error"),
    ("--quiet", "write no summary where hakmem served"),
    ("--require", "end with exit code 3 where hakmem did not serve"),
    (
        "--exec",
        "become the program, as a service or the first process of a container should: no summary, no second process",
    ),
];

/// The options of `hakmem info`.
pub(crate) const INFO: &[Choice] = &[
    ("--set NAME=VALUE", "show the levels as this variable of hakmem sets them; may be repeated"),
    ("--library FILE", "ask this libhakmem.so instead of the one that is found"),
];

/// Examples, each a command and what it is for.
pub(crate) const EXAMPLES: &[Choice] = &[
    ("hakmem run -- sort numbers.txt", "run sort with hakmem, and read the summary below its output"),
    ("hakmem run --set mode=hardened -- ./server", "find overflows and uses of freed memory"),
    ("hakmem run --stats --set purge=immediate -- ./batch", "print all statistics at the end"),
    ("hakmem run --require --quiet -- make test", "fail where hakmem does not serve"),
    ("hakmem info --set mode=original", "which factors a preset switches"),
];

/// What `hakmem run` does, in paragraphs.
pub(crate) const RUN_ABOUT: &[&str] = &[
    "The program gets libhakmem.so by LD_PRELOAD, in front of what is there. The library is looked for beside this program, in \
     ../lib, in ../lib/ARCH-linux-gnu and in ../preload. A variable HAKMEM_… that hakmem does not know, or a value that it does \
     not take, is an error.",
    "Signals that other processes send to hakmem are passed on, and hakmem ends as the program does: with its exit code, or by its \
     signal. Each process tells by itself which malloc it has and what it allocated, so that the summary says what was, not what \
     was tried. A process that a signal ends, or that ends by a bare system call, tells that hakmem serves it but no numbers.",
];

/// Exit codes beside the program's own.
pub(crate) const CODES: &[Choice] = &[
    ("2", "the call or a variable is wrong, or there is no library; the program was not started"),
    ("3", "hakmem did not serve, with --require"),
    ("126", "the program cannot be started"),
    ("127", "there is no such program"),
];

/// The text of `hakmem --help`.
pub(crate) fn whole() -> String {
    let usage = "Usage: hakmem COMMAND\n";
    let end = "\n`hakmem run --help` and `hakmem info --help` say more.\n";
    format!("hakmem {ABOUT}\n\n{usage}\nCommands:\n{}\nExamples:\n{}{end}", table(COMMANDS), table(EXAMPLES))
}

/// The text of `hakmem run --help`.
pub(crate) fn run() -> String {
    let about: String = RUN_ABOUT.iter().map(|text| wrapped(text, 0) + "\n").collect();
    let (command, does) = COMMANDS[0];
    format!(
        "hakmem run {does}\n\nUsage: hakmem {command}\n\nOptions:\n{}\n{about}Exit codes, beside the program's own:\n{}",
        table(RUN),
        table(CODES)
    )
}

/// The text of `hakmem info --help`.
pub(crate) fn info() -> String {
    let (command, does) = COMMANDS[1];
    format!("hakmem info {does}\n\nUsage: hakmem {command}\n\nOptions:\n{}", table(INFO))
}

/// Two lines for each: what is written, and below it what it does.
fn table(rows: &[Choice]) -> String {
    rows.iter().map(|(written, does)| format!("  {written}\n{}", wrapped(does, 6))).collect()
}

/// Lines of at most 90 characters.
fn wrapped(text: &str, indent: usize) -> String {
    const WIDTH: usize = 90;
    let mut lines = String::new();
    let mut line = " ".repeat(indent);
    for word in text.split_whitespace() {
        if line.len() + word.len() >= WIDTH {
            lines += line.trim_end();
            lines.push('\n');
            line = " ".repeat(indent);
        }
        line += word;
        line.push(' ');
    }
    lines + line.trim_end() + "\n"
}

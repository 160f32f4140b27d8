//! Instruments that run the measured program: callgrind and strace. They are started in its place and leave their
//! counts in a folder.

use super::instruments::EventSource;
use super::{callgrind, strace};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that runs and counts another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `valgrind --tool=callgrind`.
    Callgrind,
    /// `strace -f -c`.
    Strace,
}

/// A tool that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrapper {
    /// The tool.
    pub(crate) tool: Tool,
    /// Path of its program.
    pub(crate) path: PathBuf,
    /// First line that it prints for `--version`.
    pub(crate) version: String,
}

/// The tool that a source needs, as [`Wrapper::find`] finds it.
pub(super) fn wrapper(source: &EventSource) -> Result<Wrapper, String> {
    let tool = if matches!(source, EventSource::Strace) { Tool::Strace } else { Tool::Callgrind };
    Wrapper::find(tool)
}

/// Path of a program on the `PATH`.
pub(crate) fn find_tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

impl Wrapper {
    /// Finds the tool on the `PATH` and runs it once on a program that does nothing.
    ///
    /// # Errors
    /// The reason why it does not work here, and what would allow it, in one line.
    pub(crate) fn find(tool: Tool) -> Result<Wrapper, String> {
        let name = tool.program();
        let path = find_tool(name).ok_or_else(|| format!("{name} is not on the PATH; install the package {name}"))?;
        let said = Command::new(&path).arg("--version").stdin(Stdio::null()).output();
        let said = said.map_err(|e| format!("{} cannot be run: {e}; install it again", path.display()))?;
        let version = String::from_utf8_lossy(&said.stdout).lines().next().unwrap_or_default().trim().to_owned();
        let wrapper = Wrapper { tool, path, version };
        wrapper.try_out()?;
        Ok(wrapper)
    }

    /// Runs a program that does nothing. Only a trial shows that a container forbids ptrace, or that valgrind does not
    /// know the instructions of a new processor.
    fn try_out(&self) -> Result<(), String> {
        let options: &[&str] = match self.tool {
            Tool::Callgrind => &["--tool=callgrind", "--callgrind-out-file=/dev/null", "true"],
            Tool::Strace => &["-c", "-o", "/dev/null", "true"],
        };
        let name = self.tool.program();
        let out = Command::new(&self.path).args(options).stdin(Stdio::null()).output();
        let out = out.map_err(|e| format!("{name} cannot be run: {e}; install it again"))?;
        if out.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&out.stderr).lines().last().unwrap_or_default().trim().to_owned();
        let way_out = match self.tool {
            Tool::Callgrind => "install it again, or a newer one for this processor",
            Tool::Strace => "allow ptrace: CAP_SYS_PTRACE, or kernel.yama.ptrace_scope 0",
        };
        Err(format!("{name} does not work here ({said}); {way_out}"))
    }

    /// Program and arguments to start instead of `program` with `argv` (its own name first), so that the counts end up
    /// in the empty folder `scratch`.
    ///
    /// # Errors
    /// When a path contains NUL, which no process can receive.
    pub(crate) fn wrap(&self, program: &CStr, argv: &[CString], scratch: &Path) -> io::Result<(CString, Vec<CString>)> {
        let file = |name: &str| scratch.join(name).as_os_str().as_bytes().to_vec();
        let mut words: Vec<Vec<u8>> = vec![self.tool.program().into()];
        match self.tool {
            Tool::Callgrind => {
                // %p is the process number: one file per process.
                words.extend(
                    ["--tool=callgrind", "--trace-children=yes", "--log-file=/dev/null"].map(|word| word.into()),
                );
                words.extend(["--cache-sim=yes", "--branch-sim=yes"].map(|word| word.into()));
                words.push([b"--callgrind-out-file=".to_vec(), file("callgrind.%p")].concat());
                words.push(b"--".to_vec());
            }
            Tool::Strace => {
                words.extend(["-f", "-c", "-o"].map(|word| word.into()));
                words.push(file("strace"));
                words.push(b"--".to_vec());
            }
        }
        words.push(program.to_bytes().to_vec());
        words.extend(argv.iter().skip(1).map(|arg| arg.as_bytes().to_vec()));
        let program = CString::new(self.path.as_os_str().as_bytes())?;
        let argv: Result<Vec<CString>, _> = words.into_iter().map(CString::new).collect();
        Ok((program, argv?))
    }

    /// Counts of a wrapped process that has ended, by instrument name. Removes the files that it reads from `scratch`.
    ///
    /// # Errors
    /// The reason why there are no counts, in one line.
    pub(crate) fn read(&self, scratch: &Path) -> Result<BTreeMap<String, u64>, String> {
        let mut counts = BTreeMap::new();
        let trouble =
            |e: io::Error| format!("{}: cannot read what {} wrote: {e}", scratch.display(), self.tool.program());
        let mut files = 0;
        for entry in std::fs::read_dir(scratch).map_err(trouble)? {
            let path = entry.map_err(trouble)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let own = match self.tool {
                Tool::Callgrind => "callgrind.",
                Tool::Strace => "strace",
            };
            if !name.starts_with(own) {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(trouble)?;
            std::fs::remove_file(&path).map_err(trouble)?;
            files += 1;
            match self.tool {
                Tool::Callgrind => callgrind::add_totals(&text, &mut counts)?,
                Tool::Strace => counts = strace::counts(&strace::calls(&text)?),
            }
        }
        if files == 0 {
            return Err(format!("{} wrote nothing; try it by hand on the program", self.tool.program()));
        }
        Ok(counts)
    }

    /// Factor on the time limit of a process under the tool. It is far above the slowdown of the tool, because only
    /// programs that hang are to be ended.
    pub(crate) fn timeout_factor(&self) -> u32 {
        match self.tool {
            Tool::Callgrind => 200,
            Tool::Strace => 50,
        }
    }
}

impl Tool {
    /// Name of its program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Tool::Callgrind => "valgrind",
            Tool::Strace => "strace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> CString {
        CString::new(text).expect("no NUL")
    }

    /// Runs `/bin/sh -c script` under a tool; `None` when the tool is missing.
    fn counted(tool: Tool, script: &str) -> Option<BTreeMap<String, u64>> {
        let wrapper = match Wrapper::find(tool) {
            Ok(wrapper) => wrapper,
            Err(why) => {
                println!("skipped: {why}");
                return None;
            }
        };
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let own = [text("sh"), text("-c"), text(script)];
        let (program, argv) = wrapper.wrap(&text("/bin/sh"), &own, scratch.path()).expect("no NUL");
        let args = argv[1..].iter().map(|arg| arg.to_str().expect("text"));
        let status = Command::new(program.to_str().expect("text")).args(args).env_clear().status();
        assert!(status.expect("starts").success());
        let counts = wrapper.read(scratch.path()).expect("counts");
        assert_eq!(std::fs::read_dir(scratch.path()).expect("reads").count(), 0, "everything is removed");
        Some(counts)
    }

    #[test]
    fn strace_counts_the_calls_of_a_process_and_its_children() {
        let Some(one) = counted(Tool::Strace, "echo x >/dev/null") else { return };
        let two = counted(Tool::Strace, "echo x >/dev/null; (echo x; echo x) >/dev/null & wait").expect("as before");
        assert!(one["strace-write"] >= 1 && two["strace-write"] >= one["strace-write"] + 2, "{one:?} {two:?}");
        assert!(one["strace-syscalls"] > one["strace-mmap"]);
    }

    #[test]
    fn callgrind_counts_more_where_there_is_more_to_do() {
        let Some(few) = counted(Tool::Callgrind, "exit 0") else { return };
        let script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); done";
        let many = counted(Tool::Callgrind, script).expect("as before");
        assert!(many["callgrind-instructions"] > few["callgrind-instructions"] + 200, "{few:?} {many:?}");
        assert_eq!(few.len(), callgrind::COUNTS.len());
    }

    #[test]
    fn a_tool_that_wrote_nothing_is_an_error() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        for tool in [Tool::Callgrind, Tool::Strace] {
            let wrapper = Wrapper { tool, path: "/x".into(), version: String::new() };
            assert!(wrapper.read(scratch.path()).expect_err("empty").contains("wrote nothing"));
            assert!(wrapper.read(Path::new("/no/such")).expect_err("missing").contains("/no/such"));
        }
    }
}

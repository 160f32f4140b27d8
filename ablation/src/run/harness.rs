//! The process of a harness: what it is started with besides its cell, and what it measured.

use super::process::Finished;
use crate::harness::{Call, Harness, Output};
use ablate_format::Measured;
use std::collections::BTreeMap;
use std::ffi::{CString, NulError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Variables by name.
pub(crate) type Variables = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a harness asks for.
pub(crate) struct Asked<'a> {
    /// The harness.
    pub(crate) harness: Harness,
    /// Arguments, variables and files.
    pub(crate) call: &'a Call,
    /// The folder of its output.
    pub(crate) scratch: &'a Path,
    /// Folder of the package that cargo built.
    pub(crate) package: Option<&'a Path>,
}

impl Asked<'_> {
    /// Adds it to the words and variables of a process, and writes its files.
    ///
    /// # Errors
    /// The system's error for a file.
    pub(crate) fn add(&self, words: &mut Vec<Vec<u8>>, env: &mut Variables) -> io::Result<()> {
        for name in self.harness.passes() {
            if let Some(value) = std::env::var_os(name) {
                env.entry(name.as_bytes().to_vec()).or_insert_with(|| value.as_bytes().to_vec());
            }
        }
        if let Some(package) = self.package {
            // As `cargo bench` sets it. Benchmarks find their data by it.
            env.insert(b"CARGO_MANIFEST_DIR".to_vec(), package.as_os_str().as_bytes().to_vec());
        }
        for (name, value) in &self.call.env {
            let mut value = value.clone().into_bytes();
            if let (true, Some(others)) = (*name == "PYTHONPATH", env.get(name.as_bytes())) {
                value.push(b':');
                value.extend(others);
            }
            env.insert(name.as_bytes().to_vec(), value);
        }
        for (name, text) in &self.call.files {
            std::fs::write(self.scratch.join(name), text)?;
        }
        words.extend(self.call.args.iter().map(|arg| arg.clone().into_bytes()));
        Ok(())
    }
}

/// Variables as a process receives them.
pub(crate) fn envp(env: Variables) -> Result<Vec<CString>, NulError> {
    let join = |(name, value): (Vec<u8>, Vec<u8>)| CString::new([name, value].join(&b'='));
    env.into_iter().map(join).collect()
}

/// What a process measured that ran one benchmark.
///
/// # Errors
/// What is missing in its output, in one sentence.
pub(super) fn measured(harness: Harness, benchmark: &str, of: &Finished, scratch: &Path) -> Result<Measured, String> {
    if of.stdout_cut {
        return Err(format!("{} printed more than 1 MiB", harness.as_str()));
    }
    let stdout = String::from_utf8_lossy(&of.stdout);
    let output = Output { benchmark, stdout: &stdout, scratch };
    harness.read(&output).map_err(|why| format!("{}: {why}", harness.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_gets_what_its_harness_asks_for() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let call = Call {
            args: vec!["--more".to_owned()],
            env: vec![("PYTHONPATH", "/new".to_owned()), ("OTHER", "1".to_owned())],
            files: vec![("a.py", "text")],
        };
        let package = Some(Path::new("/package"));
        let asked = Asked { harness: Harness::Criterion, call: &call, scratch: dir.path(), package };
        let mut words = vec![b"program".to_vec()];
        let mut env: Variables = [(b"PYTHONPATH".to_vec(), b"/old".to_vec())].into();
        asked.add(&mut words, &mut env).expect("writes");
        assert_eq!(words, [&b"program"[..], b"--more"]);
        assert_eq!(std::fs::read(dir.path().join("a.py")).expect("reads"), b"text");
        let env = envp(env).expect("no NUL");
        let env: Vec<&str> = env.iter().map(|text| text.to_str().expect("is text")).collect();
        assert_eq!(env, ["CARGO_MANIFEST_DIR=/package", "OTHER=1", "PYTHONPATH=/new:/old"]);
    }
}

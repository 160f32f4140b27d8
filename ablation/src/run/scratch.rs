//! The folders of a run and of its block, the port of its server, and the words that stand for them in a config.

use crate::config::Surroundings;
use crate::support::files;
use crate::support::settings::{BLOCK_VARIABLE, PORT_VARIABLE, SCRATCH_VARIABLE};
use ablate_format::bytes_of_text;
use std::io;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Stands for the folder of a run.
const SCRATCH: &str = "{scratch}";
/// Stands for the folder of a block.
const BLOCK: &str = "{block_scratch}";
/// Stands for the config's folder.
const CONFIG: &str = "{config}";
/// Stands for a free port of this machine.
const PORT: &str = "{port}";

/// Where one run has its files and its port. The folder of the run is removed with it.
#[derive(Debug, Default)]
pub(super) struct Place {
    scratch: Option<TempDir>,
    block: Option<PathBuf>,
    config: PathBuf,
    port: Option<u16>,
}

impl Place {
    /// A place for a run of a block whose folder is `block`; `config` is the folder of the config.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn new(surroundings: &Surroundings, config: PathBuf, block: Option<&Path>) -> io::Result<Place> {
        let scratch = match surroundings.needs_scratch() {
            true => Some(folder(surroundings)?),
            false => None,
        };
        let port = surroundings.server.as_ref().map(|_| free_port()).transpose()?;
        Ok(Place { scratch, block: block.map(Path::to_owned), config, port })
    }

    /// A place for the commands of a block.
    pub(super) fn of_block(block: &Path, config: PathBuf) -> Place {
        Place { scratch: None, block: Some(block.to_owned()), config, port: None }
    }

    /// The folder of the run; that of the block for what runs before it.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.scratch.as_ref().map(TempDir::path).or(self.block.as_deref())
    }

    /// A text of the config with what its words stand for.
    pub(super) fn fill(&self, text: &str) -> Vec<u8> {
        let mut out = bytes_of_text(text);
        for (word, value) in self.words() {
            out = replaced(&out, word.as_bytes(), &value);
        }
        out
    }

    /// What a command printed, with the words again, so that two runs can be compared.
    pub(super) fn unfill(&self, said: &[u8]) -> String {
        let mut out = said.to_vec();
        // A config at the root of all folders has a path that is a part of every other.
        for (word, value) in self.words().into_iter().filter(|(_, value)| value != b"/") {
            out = replaced(&out, &value, word.as_bytes());
        }
        String::from_utf8_lossy(&out).trim().to_owned()
    }

    /// The variables that tell a process of its place.
    pub(super) fn variables(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let name = |word: &str| match word {
            SCRATCH => Some(SCRATCH_VARIABLE),
            BLOCK => Some(BLOCK_VARIABLE),
            PORT => Some(PORT_VARIABLE),
            _ => None,
        };
        self.words().into_iter().filter_map(|(word, value)| Some((name(word)?.into(), value))).collect()
    }

    /// The words that have a value here. Folders that may lie in another one come before it.
    fn words(&self) -> Vec<(&'static str, Vec<u8>)> {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let scratch = self.folder().map(|path| (SCRATCH, bytes(path)));
        let block = self.block.as_deref().map(|path| (BLOCK, bytes(path)));
        let port = self.port.map(|port| (PORT, port.to_string().into_bytes()));
        let config = Some((CONFIG, bytes(&self.config))).filter(|(_, path)| !path.is_empty());
        [scratch, block, config, port].into_iter().flatten().collect()
    }
}

/// The current block: its folder, and how the commands before it ended.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// Whether it is one of timing, and its number; `None` before the first one.
    pub(super) key: Option<(bool, u32)>,
    /// Its folder, removed with it.
    pub(super) folder: Option<TempDir>,
    /// Why no run of the block counts.
    pub(super) failed: Option<String>,
}

impl Block {
    /// Its folder, while there is one.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(TempDir::path)
    }
}

/// A new folder for a run or a block, removed with the result.
pub(super) fn folder(surroundings: &Surroundings) -> io::Result<TempDir> {
    let parent = surroundings.scratch_in.as_deref().map(std::path::absolute).transpose()?;
    files::scratch(parent.as_deref())
}

/// A port that is free now. Another process could take it before the server does, which then says so.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn replaced(text: &[u8], word: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(word.len().max(1)).position(|part| part == word) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(value);
        rest = &rest[at + word.len()..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_and_found_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().display().to_string();
        let place =
            Place { block: Some(dir.path().to_owned()), config: "/conf".into(), port: Some(6379), ..Place::default() };
        let filled = place.fill("a {port}{port} {block_scratch}/x {other} {config}/y");
        assert_eq!(String::from_utf8_lossy(&filled), format!("a 63796379 {path}/x {{other}} /conf/y"));
        assert_eq!(place.unfill(format!("{path}/c /conf/x").as_bytes()), "{scratch}/c {config}/x");
        assert_eq!(place.unfill(b" port 6379\n"), "port {port}");
        // Before a block there is no run yet, and its folder stands in.
        assert_eq!(place.fill("{scratch}"), path.as_bytes());
        let nothing = Place::default();
        assert_eq!((nothing.fill("{scratch} {port}"), nothing.variables().len()), (b"{scratch} {port}".to_vec(), 0));
        assert_eq!(replaced(b"", b"x", b"y"), b"");
    }

    #[test]
    fn a_run_has_a_folder_only_where_something_asks_for_it() {
        let mut surroundings = Surroundings::default();
        assert!(Place::new(&surroundings, PathBuf::new(), None).expect("nothing to make").folder().is_none());
        surroundings.in_scratch = true;
        let place = Place::new(&surroundings, PathBuf::new(), None).expect("makes a folder");
        let folder = place.folder().expect("has one").to_owned();
        std::fs::write(folder.join("left"), "x").expect("writes");
        drop(place);
        assert!(!folder.exists(), "it is removed with what is in it");
    }
}

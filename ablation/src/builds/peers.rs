//! Finds the programs of peers and the preloaded libraries of a study on this machine, before anything is planned.
//!
//! An optional peer that is missing is removed from the study here, together with the claims about it.

use super::error::BuildError;
use super::pointed::pointed;
use super::program;
use crate::config::{Absent, PRELOAD, Peer, Study, libraries};
use crate::support::machine::sha256_of;
use ablate_format::{HypothesisKind, Library, path_to_text};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Stands for the subject where a library belongs to no peer.
pub(crate) const SUBJECT: &str = "subject";

/// Folders of libraries, for a library that is not in the loader's cache. `@` stands for the architecture's folder.
const FOLDERS: [&str; 7] = ["/usr/local/lib", "/usr/lib/@", "/lib/@", "/usr/lib64", "/lib64", "/usr/lib", "/lib"];

/// Finds the libraries that the subject and peers preload and writes their absolute paths into their variables. Removes the
/// optional peers that are missing. Returns the libraries.
///
/// # Errors
/// [`BuildError::Config`] for a missing library of the subject, for a missing program or library of a peer that is not
/// optional, and for a path that the
/// loader would split. [`BuildError::Io`] for a library that cannot be read.
pub(crate) fn find_peers(study: &mut Study) -> Result<Vec<Library>, BuildError> {
    let mut all = of_subject(study)?;
    let mut there = Vec::new();
    for mut peer in std::mem::take(&mut study.peers) {
        match found(study, &mut peer) {
            Ok(own) => {
                all.extend(own);
                there.push(peer);
            }
            Err(_) if peer.optional && is_absent(study, &peer) => {
                let why = missing(study, &peer).unwrap_or_else(|| "it cannot be read".to_owned());
                study.absent.push(Absent { peer: peer.name, why, hint: peer.hint });
            }
            Err(error) => return Err(error),
        }
    }
    study.peers = there;
    forget_absent(study);
    Ok(all)
}

/// The libraries that every cell of the subject preloads, by their absolute paths, which its variable has afterwards.
fn of_subject(study: &mut Study) -> Result<Vec<Library>, BuildError> {
    let Some(mut preload) = study.subject.env.get(PRELOAD).cloned() else { return Ok(Vec::new()) };
    if let Some(gone) = libraries(&preload).find(|name| locate(study.folder(), name).is_none()) {
        let message = format!("the subject preloads `{gone}`, and there is no such library; install or build it");
        return Err(pointed(study, &[PRELOAD], &preload, message));
    }
    let found = resolve(study, SUBJECT, &mut preload)?;
    study.subject.env.insert(PRELOAD.to_owned(), preload);
    Ok(found)
}

/// Removes the claims about peers that are missing.
pub(crate) fn forget_absent(study: &mut Study) {
    for gone in study.absent.clone() {
        let id = format!("peer-{}", gone.peer);
        study.reference_peer = study.reference_peer.take().filter(|reference| *reference != gone.peer);
        study.paths.retain(|path| path.peer != gone.peer);
        study.hypotheses.retain(|hypothesis| match &hypothesis.kind {
            HypothesisKind::Share { peer, .. } => *peer != gone.peer,
            HypothesisKind::Difference { plus, minus, .. } | HypothesisKind::Relative { plus, minus, .. } => {
                ![plus, minus].contains(&&id)
            }
            HypothesisKind::Ordering { cells } => !cells.contains(&id),
        });
    }
}

/// Whether the error of a peer is that its program or library is missing.
fn is_absent(study: &Study, peer: &Peer) -> bool {
    missing(study, peer).is_some()
}

/// The part of a peer that is missing, in words; `None` when all parts exist.
fn missing(study: &Study, peer: &Peer) -> Option<String> {
    if let Some(program) = peer.command.as_ref().and_then(|command| command.first())
        && !program::exists(study.folder(), program)
    {
        return Some(format!("there is no program `{program}`"));
    }
    let preload = peer.env.get(PRELOAD)?;
    let gone = libraries(preload).find(|name| locate(study.folder(), name).is_none())?;
    Some(format!("there is no library `{gone}`"))
}

/// The libraries of a peer, by their absolute paths, which its variable has afterwards.
fn found(study: &Study, peer: &mut Peer) -> Result<Vec<Library>, BuildError> {
    if let Some(why) = missing(study, peer) {
        let value = match &peer.command {
            Some(command) if why.contains("program") => command.first().map_or("", String::as_str),
            _ => peer.env.get(PRELOAD).map_or("", String::as_str),
        };
        let hint = if peer.hint.is_empty() { String::new() } else { format!(": {}", peer.hint) };
        let message = format!("peer `{}`: {why}; install it{hint}, or write optional = true", peer.name);
        return Err(pointed(study, &["command", PRELOAD], value, message));
    }
    let name = peer.name.clone();
    peer.env.get_mut(PRELOAD).map_or_else(|| Ok(Vec::new()), |preload| resolve(study, &name, preload))
}

/// Writes the absolute paths of the libraries into a variable, and returns them. All of them are there.
fn resolve(study: &Study, owner: &str, preload: &mut String) -> Result<Vec<Library>, BuildError> {
    let paths: Vec<PathBuf> = libraries(preload).filter_map(|name| locate(study.folder(), name)).collect();
    let shown: Vec<String> = paths.iter().map(path_to_text).collect();
    if let Some(split) = shown.iter().find(|path| path.contains([' ', ':'])) {
        let message = format!(
            "{owner}: the loader would read `{split}` as several libraries, because it contains a blank or a colon; move \
             the library"
        );
        let value = preload.clone();
        return Err(pointed(study, &[PRELOAD], &value, message));
    }
    *preload = shown.join(":");
    let library = |path: PathBuf| {
        let sha256 = sha256_of(&path).map_err(BuildError::io(&path, "reading the library"))?;
        Ok(Library { peer: owner.to_owned(), path: path_to_text(&path), sha256 })
    };
    paths.into_iter().map(library).collect()
}

/// Absolute path of a library. A name with a slash is relative to the config's folder; any other is looked for in the
/// loader's cache and folders.
fn locate(folder: &Path, name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        let path = std::path::absolute(folder.join(name)).ok()?;
        // Without `..` and links, as far as the system can resolve them.
        return Some(path.canonicalize().unwrap_or(path)).filter(|path| path.is_file());
    }
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let folders = FOLDERS.iter().map(|folder| Path::new(&folder.replace('@', &triple)).join(name));
    cached(name).into_iter().chain(folders).find(|path| path.is_file())
}

/// Path of a library of this architecture in the loader's cache.
fn cached(name: &str) -> Option<PathBuf> {
    let listed = ["ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig"].into_iter().find_map(|program| {
        let mut command = Command::new(program);
        let output = command.arg("-p").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    })?;
    in_cache(&listed, name)
}

/// Path of a library in the output of `ldconfig -p`: `NAME (KIND,ARCHITECTURE) => PATH`.
fn in_cache(listed: &str, name: &str) -> Option<PathBuf> {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "AArch64",
        _ => "x86-64",
    };
    let of_name = |line: &str| {
        let (own, rest) = line.trim().split_once(" (")?;
        let (kind, path) = rest.split_once(") => ")?;
        (own == name && kind.contains(architecture)).then(|| PathBuf::from(path))
    };
    listed.lines().find_map(of_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{GOOD, parsed};

    /// The good config with one more peer.
    fn with_peer(keys: &str) -> Study {
        parsed(&format!("{GOOD}[[peer]]\nname = \"extra\"\nserved_by = \"extra\"\n{keys}\n")).expect("good")
    }

    #[test]
    fn a_library_is_found_hashed_and_named_by_its_path() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("libextra.so");
        std::fs::write(&path, "x").expect("writes");
        let mut study = with_peer(&format!("env = {{ LD_PRELOAD = \"{}\" }}", path.display()));
        let libraries = find_peers(&mut study).expect("is there");
        assert_eq!((libraries.len(), libraries[0].peer.as_str()), (1, "extra"));
        assert_eq!((libraries[0].sha256.len(), &study.peers[1].env[PRELOAD]), (64, &libraries[0].path));
        // Relative to the config, which stands beside this package's manifest.
        let mut study = with_peer("env = { LD_PRELOAD = \"src/../Cargo.toml\" }");
        let found = find_peers(&mut study).expect("is there").remove(0).path;
        assert!(found.ends_with("/ablation/Cargo.toml") && found.starts_with('/'), "{found}");
        // The C library is where the loader looks, on every machine.
        let mut study = with_peer("env = { LD_PRELOAD = \"libc.so.6\" }");
        let found = find_peers(&mut study).expect("is there").remove(0).path;
        assert!(found.starts_with('/') && found.ends_with("/libc.so.6"), "{found}");
    }

    #[test]
    fn an_optional_peer_that_is_missing_is_left_out_with_its_claims() {
        for keys in ["env = { LD_PRELOAD = \"libnone.so.9\" }", "command = [\"no-such-program\"]"] {
            let text = format!("{keys}\noptional = true\nhint = \"apt-get install extra\"");
            let claim = "\n[[hypothesis]]\nname = \"h\"\nclaim = \"c\"\nworkload = \"small\"\nkind = \"ordering\"\n\
                cells = [\"baseline\", \"peer-extra\"]";
            let mut study = with_peer(&format!("{text}{claim}"));
            assert!(find_peers(&mut study).expect("may be missing").is_empty());
            assert_eq!((study.peers.len(), study.hypotheses.len()), (1, 0));
            let absent = &study.absent[0];
            assert_eq!((absent.peer.as_str(), absent.hint.as_str()), ("extra", "apt-get install extra"));
            assert!(absent.why.starts_with("there is no "), "{}", absent.why);
            let plan = crate::design::resolve(&study).expect("the design is good").plan;
            assert_eq!((plan.absent[0].peer.as_str(), plan.absent[0].why.as_str()), ("extra", absent.why.as_str()));

            let mut study = with_peer(&format!("{keys}\nhint = \"apt-get install extra\""));
            let error = find_peers(&mut study).expect_err("must be there").to_string();
            for part in ["study.toml:", "peer `extra`", "there is no ", "apt-get install extra", "optional = true"] {
                assert!(error.contains(part), "expected `{part}` in {error}");
            }
        }
        let mut study = with_peer("command = [\"no-such-program\"]\noptional = true");
        study.reference_peer = Some("extra".to_owned());
        find_peers(&mut study).expect("may be missing");
        assert_eq!(study.reference_peer, None);
    }

    #[test]
    fn a_library_that_the_loader_would_split_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in ["a b", "a:b"] {
            let folder = dir.path().join(name);
            std::fs::create_dir(&folder).expect("creates");
            std::fs::write(folder.join("libextra.so"), "x").expect("writes");
            let mut study = with_peer("env = { LD_PRELOAD = \"./libextra.so\" }");
            study.path = folder.join("study.toml");
            let error = find_peers(&mut study).expect_err("is two names").to_string();
            assert!(error.contains("as several libraries") && error.contains("move the library"), "{error}");
        }
    }

    #[test]
    fn the_cache_of_the_loader_is_read_by_name_and_architecture() {
        let own = if std::env::consts::ARCH == "aarch64" { "AArch64" } else { "x86-64" };
        let listed = format!(
            "3 libs found in cache `/etc/ld.so.cache'\n\tliba.so.1 (libc6) => /lib32/liba.so.1\n\
             \tliba.so.10 (libc6,{own}) => /lib/liba.so.10\n\tliba.so.1 (libc6,{own}) => /lib/liba.so.1\n"
        );
        assert_eq!(in_cache(&listed, "liba.so.1"), Some(PathBuf::from("/lib/liba.so.1")));
        assert_eq!(in_cache(&listed, "libb.so.1"), None);
    }
}

//! Removes the paths of a machine from texts.

use ablate_format::Manifest;
use std::path::{Path, PathBuf};

/// First parts of paths that are the same on every system.
const SYSTEM: [&str; 11] = ["usr", "lib", "lib64", "bin", "sbin", "etc", "opt", "proc", "sys", "dev", "run"];

/// Replaces the parts of a path before its last one.
const CUT: &str = "…/";

/// The paths to replace.
pub(super) struct Redaction {
    /// Folders that paths are relative to, the longest first.
    roots: Vec<String>,
    /// The home folder of the user.
    home: Option<String>,
}

impl Redaction {
    /// Paths below the repositories of study, config and copy become relative; all others are cut.
    pub(super) fn of(manifest: &Manifest, dir: &Path, to: &Path) -> Redaction {
        let mut roots: Vec<String> = Vec::new();
        for place in [to, dir, Path::new(&manifest.config_path), Path::new(".")] {
            let absolute = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
            for root in [root(&absolute), absolute.canonicalize().ok().and_then(|path| root(&path))] {
                roots.extend(root.map(|root| root.display().to_string()).filter(|root| root.len() > 1));
            }
        }
        roots.sort_by_key(|root| std::cmp::Reverse(root.len()));
        let home = std::env::var("HOME").ok().filter(|home| home.len() > 1);
        Redaction { roots, home: home.map(|home| home.trim_end_matches('/').to_owned()) }
    }

    /// The text without the paths of the machine.
    pub(super) fn applied(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('/') {
            let (before, path) = rest.split_at(at);
            out.push_str(before);
            let length = path.find(ends).unwrap_or(path.len());
            let (path, after) = path.split_at(length);
            out.push_str(&match begins(&out) {
                true => self.shown(path),
                false => path.to_owned(),
            });
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// The replacement of an absolute path.
    fn shown(&self, path: &str) -> String {
        for root in &self.roots {
            match below(path, root) {
                Some("") => return ".".to_owned(),
                Some(rest) => return rest.to_owned(),
                None => {}
            }
        }
        if self.home.as_ref().is_some_and(|home| below(path, home).is_some()) {
            return format!("{CUT}{}", last(path));
        }
        let mut parts = path.split('/').skip(1);
        let first = parts.next().unwrap_or_default();
        // `/op` is a unit and `//` is in addresses of the web.
        if first.is_empty() || parts.next().is_none() || SYSTEM.contains(&first) {
            return path.to_owned();
        }
        format!("{CUT}{}", last(path))
    }
}

/// The part of a path below a folder; empty for the folder itself.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

/// The last part of a path that is not empty.
fn last(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("")
}

/// The nearest folder at or above a path that is a repository or a workspace.
fn root(path: &Path) -> Option<PathBuf> {
    let is_root = |folder: &&Path| folder.join(".git").exists() || folder.join("Cargo.lock").is_file();
    path.ancestors().find(is_root).map(Path::to_owned)
}

/// Whether a character ends a path in the output of programs.
fn ends(c: char) -> bool {
    c.is_whitespace() || "\"'`()[]{}<>,;:|\\".contains(c)
}

/// Whether a slash after this text begins a path, and is not inside one.
fn begins(before: &str) -> bool {
    let Some(last) = before.chars().next_back() else { return true };
    // `\n` of a JSON text ends a line.
    let is_escape = before.ends_with("\\n") || before.ends_with("\\t");
    is_escape || ends(last) || last == '='
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_cut_or_left_where_they_say_nothing() {
        let redaction =
            Redaction { roots: vec!["/people/me/repo".to_owned()], home: Some("/opt/people/me".to_owned()) };
        for (text, expected) in [
            ("/people/me/repo/target/x", "target/x"),
            ("\"/people/me/repo\"", "\".\""),
            ("A=/people/me/repo/a:/people/me/b/c", "A=a:…/c"),
            ("/people/me/repository/a", "…/a"),
            ("/opt/people/me/a/b and /opt/people/meg", "…/b and /opt/people/meg"),
            ("see /tmp/x/y.log; /usr/lib/z.so", "see …/y.log; /usr/lib/z.so"),
            ("a\\n/people/you/b", "a\\n…/b"),
            ("12 ns/op, /s and /op, p99/p50, subject / peer", "12 ns/op, /s and /op, p99/p50, subject / peer"),
            ("https://example.org/a/b ../target/x", "https://example.org/a/b ../target/x"),
            ("`/pile/x/`", "`…/x`"),
        ] {
            assert_eq!(redaction.applied(text), expected);
        }
    }
}

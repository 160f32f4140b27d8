//! Every relative link of every Markdown file leads to a file that is there, and every anchor to a heading. Nothing is
//! fetched: links to other hosts are not followed.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

#[test]
fn every_relative_link_leads_somewhere() {
    let files = markdown_files();
    let mut broken = String::new();
    for (file, text) in &files {
        for link in links(text) {
            if let Err(why) = follow(file, &link, &files) {
                let _ = write!(broken, "\n  {}: `{link}`: {why}", file.display());
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:{broken}");
}

#[test]
fn the_book_has_every_page() {
    let files = markdown_files();
    let summary = Path::new("docs/SUMMARY.md");
    let pages: Vec<PathBuf> = links(&files[summary])
        .iter()
        .map(|link| resolved(Path::new("docs"), link.split('#').next().unwrap_or(link)))
        .collect();
    let missing: Vec<&PathBuf> =
        files.keys().filter(|file| file.starts_with("docs") && *file != summary && !pages.contains(file)).collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
}

#[test]
fn the_annotated_config_is_the_one_in_the_reference() {
    let files = markdown_files();
    let config = std::fs::read_to_string(crate::root().join("configs/annotated.toml")).expect("the config is there");
    assert!(files[Path::new("configs/README.md")].contains(&config), "configs/README.md shows another annotated.toml");
}

#[test]
fn links_are_found_outside_code() {
    let text =
        "[a](b.md) `[c](d.md)` ![e](f.svg) [g](h.md#i)\n```\n[j](k.md)\n```\n[l]: m.md\n[n](https://o.example) <p>\n";
    assert_eq!(links(text), ["b.md", "f.svg", "h.md#i", "m.md", "https://o.example"]);
}

#[test]
fn links_that_lead_nowhere_are_told() {
    let page = "# One two\n## `Code`, and *more*\n## One two\n";
    let files =
        BTreeMap::from([(PathBuf::from("docs/a.md"), page.to_owned()), (PathBuf::from("README.md"), page.to_owned())]);
    let from = Path::new("docs/a.md");
    for good in [
        "#one-two",
        "#one-two-1",
        "#code-and-more",
        "../README.md",
        "../README.md#one-two",
        "../src",
        "https://x.example/#y",
    ] {
        assert_eq!(follow(from, good, &files), Ok(()), "{good}");
    }
    for bad in ["#two", "b.md", "../README.md#three", "README.md", "../../README.md", "/README.md", "a.md#one-two-2"] {
        assert!(follow(from, bad, &files).is_err(), "{bad}");
    }
}

/// Path from the root → text, of all Markdown files but those that a build or a run makes.
fn markdown_files() -> BTreeMap<PathBuf, String> {
    let files = crate::words::texts().into_iter().filter(|(name, _)| name.ends_with(".md"));
    let found: BTreeMap<PathBuf, String> = files.map(|(name, text)| (PathBuf::from(name), text)).collect();
    assert!(found.len() > 15, "{:?}", found.keys());
    found
}

/// The targets of links, images and reference definitions, in their order; code is no link.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in lines_outside_fences(text) {
        // Every second part stands between backticks.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for (at, _) in prose.match_indices("](") {
            if let Some((target, _)) = prose[at + 2..].split_once(')') {
                found.push(target.split(' ').next().unwrap_or(target).to_owned());
            }
        }
        if let Some((_, target)) = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push(target.trim().to_owned());
        }
    }
    found
}

fn lines_outside_fences(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        !inside && !is_fence
    })
}

/// Whether a link of a file leads to a file or folder that is there, and to a heading of it.
fn follow(from: &Path, link: &str, files: &BTreeMap<PathBuf, String>) -> Result<(), String> {
    if ["https://", "http://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
        return Ok(());
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    if path.starts_with('/') {
        return Err("is absolute".to_owned());
    }
    let to = if path.is_empty() { from.to_owned() } else { resolved(from.parent().unwrap_or(Path::new("")), path) };
    if to.starts_with("..") {
        return Err("leaves the repository".to_owned());
    }
    match (files.get(&to), anchor) {
        (Some(text), Some(anchor)) if !anchors(text).contains(&anchor.to_owned()) => {
            Err(format!("{} has no such heading; it has {:?}", to.display(), anchors(text)))
        }
        (None, _) if !crate::root().join(&to).exists() => Err(format!("{} is not there", to.display())),
        (None, Some(_)) => Err(format!("{} is no Markdown file of the repository", to.display())),
        _ => Ok(()),
    }
}

/// `folder/path` without `.` and `..`, which stay in front where they lead out.
fn resolved(folder: &Path, path: &str) -> PathBuf {
    let mut result = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::ParentDir if result.file_name().is_some() => {
                result.pop();
            }
            Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}

/// What the headings of a text can be linked by: as GitHub and mdbook make it, repeated ones with a number.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = lines_outside_fences(text).filter_map(|line| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len() && title.starts_with(' ')).then(|| title.trim())
    });
    headings
        .map(|title| {
            let keeps = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
            let anchor = title.to_lowercase().chars().filter(keeps).collect::<String>().replace(' ', "-");
            let times = seen.entry(anchor.clone()).or_default();
            *times += 1;
            if *times == 1 { anchor } else { format!("{anchor}-{}", *times - 1) }
        })
        .collect()
}

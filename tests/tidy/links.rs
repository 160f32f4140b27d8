//! Every relative link of a Markdown file leads to a file or folder of the repository, and to a heading that it has.

use std::path::Path;

/// The targets of the links in a Markdown text, with their lines; code is left out.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            // Every other piece between backticks is code.
            let plain: String = line.split('`').step_by(2).collect();
            let ends = plain.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            found.extend(ends.map(|target| (at + 1, target.to_owned())));
        }
    }
    found
}

/// The anchors of a Markdown text's headings, as GitHub and mdbook make them.
fn anchors(text: &str) -> Vec<String> {
    let mut in_code = false;
    let headings = text.lines().filter(move |line| {
        in_code ^= line.starts_with("```");
        !in_code && line.starts_with('#')
    });
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// What is wrong with the links of the file of this path.
fn broken(name: &str, text: &str, read: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    let own = targets(text).into_iter().filter(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"));
    own.filter_map(|(line, target)| {
        let (file, anchor) = target.split_once('#').map_or((&*target, None), |(file, anchor)| (file, Some(anchor)));
        let there = if file.is_empty() { Some(text.to_owned()) } else { read(&folder.join(file)) };
        let why = match (there, anchor) {
            (None, _) => "there is no such file",
            (Some(text), Some(anchor)) if file.ends_with(".md") | file.is_empty() => {
                if anchors(&text).iter().any(|known| known == anchor) {
                    return None;
                }
                "the file has no such heading"
            }
            _ => return None,
        };
        Some(format!("{name}:{line}: `{target}`: {why}"))
    })
    .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let read = |path: &Path| {
        let path = crate::root().join(path);
        if path.is_dir() {
            Some(String::new())
        } else {
            std::fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
    };
    let texts = crate::words::texts();
    let documents = texts.iter().filter(|(name, _)| name.ends_with(".md"));
    crate::assert_none("broken links", documents.flat_map(|(name, text)| broken(name, text, &read)));
}

#[test]
fn a_planted_broken_link_is_found() {
    let read = |path: &Path| (path == Path::new("docs/a.md")).then(|| "# One two\n```\n# no\n```\n".to_owned());
    let check = |text: &str| broken("docs/b.md", text, &read);
    assert!(check("[a](a.md), [a](a.md#one-two), [me](#here)\n## Here\n`[x](y)` [u](https://x.y)").is_empty());
    assert!(check("```\n[a](gone.md)\n```").is_empty());
    assert_eq!(check("\n[a](gone.md)"), ["docs/b.md:2: `gone.md`: there is no such file"]);
    assert_eq!(check("[a](a.md#no)"), ["docs/b.md:1: `a.md#no`: the file has no such heading"]);
    assert_eq!(check("[a](#no)").len(), 1);
}

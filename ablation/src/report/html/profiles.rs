//! Flame graphs of the cells that `cargo ablate profile` was asked about, side by side.

use super::tables;
use ablate_format::{ABOUT, PROFILE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use std::path::{Path, PathBuf};

/// The graphs of one profile.
pub(super) struct Profile {
    /// Name of its folder.
    folder: String,
    /// What was profiled, in a line; empty where it is not known.
    about: String,
    /// Each graph: the file's name without its end, and the drawing.
    graphs: Vec<(String, Vec<u8>)>,
}

/// What the file names of differences have between both cells.
const AGAINST: &str = "-against-";

/// Letters of a file name that mean nothing else in a link.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Every profile in a folder of results. A file that cannot be read is left out.
pub(super) fn read(dir: &Path) -> Vec<Profile> {
    let is_own = |name: &str| name.starts_with(PROFILE) && name.chars().all(is_plain);
    let folders = below(dir).into_iter().filter(|path| path.is_dir() && is_own(&name(path)));
    let profiles = folders.map(|folder| {
        let files = below(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "svg"));
        let files = files.filter(|path| name(path).chars().all(is_plain));
        let graphs = files.filter_map(|path| {
            let drawing = std::fs::read(&path).ok().filter(|drawing| !drawing.is_empty())?;
            Some((path.file_stem()?.to_string_lossy().into_owned(), drawing))
        });
        let mut graphs: Vec<(String, Vec<u8>)> = graphs.collect();
        // What is compared with, what is compared, and their difference.
        let difference = graphs.iter().find_map(|(name, _)| Some(name.split_once(AGAINST)?.1.to_owned()));
        graphs.sort_by_key(|(name, _)| (name.contains(AGAINST), Some(name) != difference.as_ref()));
        let about = std::fs::read_to_string(folder.join(ABOUT)).unwrap_or_default();
        Profile { folder: name(&folder), about: about.trim().to_owned(), graphs }
    });
    profiles.filter(|profile| !profile.graphs.is_empty()).collect()
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// As images, so that what is inside them runs nothing; a graph that answers to the mouse is a click away.
pub(super) fn markup(profiles: &[Profile]) -> Markup {
    html! {
        @for profile in profiles {
            h3 { (tables::clean(if profile.about.is_empty() { &profile.folder } else { &profile.about })) }
            div.graphs {
                @for (name, drawing) in &profile.graphs {
                    figure class=[name.contains(AGAINST).then_some("whole")] {
                        figcaption { h4 { (title(name)) } }
                        a href={ (tables::clean(&profile.folder)) "/" (tables::clean(name)) ".svg" } {
                            img src={ "data:image/svg+xml;base64," (STANDARD.encode(drawing)) }
                                alt={ (title(name)) ", by how often each function was found running" };
                        }
                    }
                }
            }
        }
        p.source { "Behind each image is a graph whose frames can be opened, in the folder of this study." }
    }
}

fn title(name: &str) -> String {
    let name = tables::clean(name);
    match name.split_once(AGAINST) {
        Some((cell, against)) => format!("{cell} against {against}: red is wider in {cell}, blue is narrower"),
        None => format!("Flame graph of {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_of_a_study_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("makes a folder");
            std::fs::write(path, text).expect("writes");
        };
        file("profile-no-cache/baseline.svg", "<svg/>");
        file("profile-no-cache/no-cache-env-against-baseline.svg", "<svg/>");
        file("profile-no-cache/baseline.folded", "main 1");
        file("profile-no-cache/about.txt", "small: no-cache@env against baseline\n");
        file("profile-no-cache/a#b.svg", "<svg/>");
        file("profile-empty/baseline.svg", "");
        file("figures/claims.svg", "<svg/>");
        let profiles = read(dir.path());
        let names: Vec<&str> = profiles.iter().flat_map(|p| &p.graphs).map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["baseline", "no-cache-env-against-baseline"]);
        let page = markup(&profiles).into_string();
        assert!(page.contains("src=\"data:image/svg+xml;base64,PHN2Zy8+\""), "{page}");
        assert!(page.contains("no-cache-env against baseline: red is wider in no-cache-env"), "{page}");
        assert!(page.contains("<h3>small: no-cache@env against baseline</h3>"), "{page}");
        assert!(page.contains("href=\"profile-no-cache/baseline.svg\""), "{page}");
        assert!(read(&dir.path().join("figures")).is_empty());
    }
}

//! Flame graphs of the cells that `cargo ablate profile` was asked about, side by side.

use super::tables;
use ablate_format::PROFILE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use std::path::{Path, PathBuf};

/// The graphs of one profile.
pub(super) struct Profile {
    /// Name of its folder.
    folder: String,
    /// Each graph: the file's name without its end, and the drawing.
    graphs: Vec<(String, Vec<u8>)>,
}

/// Every profile in a folder of results. A file that cannot be read is left out.
pub(super) fn read(dir: &Path) -> Vec<Profile> {
    let folders = below(dir).into_iter().filter(|path| path.is_dir() && name(path).starts_with(PROFILE));
    let profiles = folders.map(|folder| {
        let files = below(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "svg"));
        let graphs = files.filter_map(|path| {
            let drawing = std::fs::read(&path).ok().filter(|drawing| !drawing.is_empty())?;
            Some((name(&path).trim_end_matches(".svg").to_owned(), drawing))
        });
        Profile { folder: name(&folder), graphs: graphs.collect() }
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
            div.graphs {
                @for (name, drawing) in &profile.graphs {
                    figure {
                        figcaption { h3 { (title(name)) } }
                        a href={ (tables::clean(&profile.folder)) "/" (tables::clean(name)) ".svg" } {
                            img src={ "data:image/svg+xml;base64," (STANDARD.encode(drawing)) }
                                alt={ (title(name)) ", by how often each function was found running" };
                        }
                    }
                }
            }
        }
        p.source { "A graph whose frames can be opened is behind each image. Stacks for other tools lie beside it." }
    }
}

fn title(name: &str) -> String {
    let name = tables::clean(name);
    match name.split_once("-against-") {
        Some((cell, against)) => format!("{cell} against {against}: red is wider in {cell}"),
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
        file("profile-empty/baseline.svg", "");
        file("figures/claims.svg", "<svg/>");
        let profiles = read(dir.path());
        let names: Vec<&str> = profiles.iter().flat_map(|p| &p.graphs).map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["baseline", "no-cache-env-against-baseline"]);
        let page = markup(&profiles).into_string();
        assert!(page.contains("src=\"data:image/svg+xml;base64,PHN2Zy8+\""), "{page}");
        assert!(page.contains("no-cache-env against baseline: red is wider in no-cache-env"), "{page}");
        assert!(page.contains("href=\"profile-no-cache/baseline.svg\""), "{page}");
        assert!(read(&dir.path().join("figures")).is_empty());
    }
}

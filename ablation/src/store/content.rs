//! What a study is made of, without the places of its files: what two folders must have in common to be one study.

use ablate_format::{BuildRecord, Manifest, StudyPlan};

/// The plan, with the contents of libraries in place of their paths.
pub(crate) fn plan(manifest: &Manifest) -> StudyPlan {
    let mut plan = manifest.plan.clone();
    for value in plan.cells.iter_mut().flat_map(|cell| cell.env.values_mut()) {
        for library in manifest.libraries.iter().filter(|library| !library.path.is_empty()) {
            if value.contains(&library.path) {
                *value = value.replace(&library.path, &library.sha256);
            }
        }
    }
    plan
}

/// Peers with the contents of the libraries that they preload.
pub(crate) fn libraries(manifest: &Manifest) -> Vec<(&str, &str)> {
    manifest.libraries.iter().map(|library| (library.peer.as_str(), library.sha256.as_str())).collect()
}

/// Contents of the binaries of a build, code layout 0 first; `None` for one that failed.
pub(crate) fn binaries(build: &BuildRecord) -> Option<Vec<&str>> {
    let first = build.result.as_ref().ok()?;
    Some([first].into_iter().chain(&build.layouts).map(|built| built.sha256.as_str()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::manifest;
    use ablate_format::Library;

    #[test]
    fn the_place_of_a_library_is_no_part_of_a_study() {
        let at = |path: &str, sha256: &str| {
            let library = Library { peer: "x".into(), path: path.into(), sha256: sha256.into() };
            let mut manifest = Manifest { libraries: vec![library], ..manifest() };
            manifest.plan.cells[0].env.insert("LD_PRELOAD".into(), path.into());
            manifest
        };
        let (here, there, other) = (at("/a/libx.so", "00"), at("/b/c/libx.so", "00"), at("/a/libx.so", "11"));
        assert_ne!(here.plan, there.plan);
        assert_eq!((plan(&here), libraries(&here)), (plan(&there), libraries(&there)));
        assert_ne!(plan(&here), plan(&other));
        assert_ne!(libraries(&here), libraries(&other));
    }
}

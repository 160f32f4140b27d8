//! The config of a program that a command builds: the optimiser's levels are the factor.

use super::sources::Build;
use super::text::{ENVIRONMENT, Head, OUTSIDE, list, quoted};
use std::fmt::Write as _;

/// A config for a program that a command builds in `folder`, as seen from the config; `None`: the config's own folder.
pub(super) fn text(name: &str, build: &Build, folder: Option<&str>, arguments: Option<&[String]>) -> String {
    let mut out = Head {
        question: &format!("What does -O3 instead of -O2 do to {name}?"),
        study: name,
        about: &format!("what the optimiser's level does to {name}"),
        blocks: 20,
        levels: "by building with other settings (`build`); add \"env\" for variables or arguments.",
        arm: "build",
        layouts: "",
    }
    .text();
    out.push_str("[subject]\n");
    out.push_str(ENVIRONMENT);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "[subject.build]\n\
         # Run in a fresh copy of the sources, once for each distinct build.\n\
         {}command = {}\n\
         # The program that it makes, as a path below the sources.\n\
         artefact = {}\n",
        build.about,
        list(&build.command),
        quoted(&build.artefact)
    );
    if let Some(folder) = folder {
        let _ = writeln!(out, "folder = {}", quoted(folder));
    }
    let mut levels = build.levels.iter();
    out.push_str(
        "\n[[factor]]\n\
         name = \"optimiser\"\n\
         about = \"-O3 instead of -O2\"\n\
         baseline = \"o2\"\n\
         [factor.levels]\n",
    );
    for (level, sets) in levels.by_ref().take(2) {
        let _ = writeln!(out, "{level} = {{ {sets} }}");
    }
    for (level, sets) in levels {
        let _ = writeln!(out, "# {level} = {{ {sets} }}");
    }
    let _ = write!(
        out,
        "\n[[workload]]\n\
         name = \"first\"\n\
         # Arguments as the program takes them; processes start in the folder of this file, so paths are relative to it.\n\
         # From 20 ms to some seconds a process is best. The program must do the same work every time.\n\
         args = {}\n{OUTSIDE}",
        list(arguments.unwrap_or_default())
    );
    out
}

#[cfg(test)]
mod tests {
    use super::super::sources;
    use super::*;
    use crate::config;
    use std::path::Path;

    #[test]
    fn a_config_of_a_build_is_strict_and_its_comments_are_good_too() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let words = ["sh", "build.sh"].map(str::to_owned);
        let builds = [
            sources::of_source(dir.path(), Path::new("a b.c")),
            sources::of_command(dir.path(), &words, Some("out/x")).expect("a build"),
        ];
        for build in builds {
            let text = text("x", &build, dir.path().to_str(), Some(&["in put".to_owned()]));
            let all: String = text
                .lines()
                .map(|line| {
                    let is_level = line.starts_with("# o0 =") || line.starts_with("# native =");
                    format!("{}\n", if is_level { &line[2..] } else { line })
                })
                .collect();
            for (text, levels) in [(&text, 2), (&all, 4)] {
                let study = config::parse(Path::new("x.toml"), text.as_bytes());
                let study = study.unwrap_or_else(|error| panic!("{error}\n{text}"));
                assert_eq!((study.factors[0].levels.len(), study.factors[0].baseline.as_str()), (levels, "o2"));
                assert_eq!(study.workloads[0].args, ["in put"]);
            }
        }
    }
}

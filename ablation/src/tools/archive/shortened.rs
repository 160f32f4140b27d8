//! Whether a run was shorter than its config says.

use crate::store::shards;
use ablate_format::Manifest;

/// Options of `cargo ablate run` that leave a part of the study out.
const FILTERS: [&str; 4] = ["--workload", "--factor", "--cell", "--quick"];

/// In which respect a run was shorter than its config: `--workload, 2 of 6 blocks`; `None` for a whole one.
pub(super) fn shortened(manifest: &Manifest) -> Option<String> {
    let is_given = |option: &str| manifest.command.iter().any(|word| word.split('=').next() == Some(option));
    let mut why: Vec<String> = FILTERS.into_iter().filter(|option| is_given(option)).map(str::to_owned).collect();
    let config: Option<toml::Table> = manifest.config_text.parse().ok();
    let planned = config.and_then(|config| config.get("blocks")?.as_integer()).unwrap_or_default();
    if i64::from(manifest.blocks) < planned {
        why.push(format!("{} of {planned} blocks", manifest.blocks));
    }
    why.extend(shards::part(manifest));
    why.extend(shards::missing(manifest));
    (!why.is_empty()).then(|| why.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::manifest;

    #[track_caller]
    fn check(options: &[&str], blocks: u32, expected: Option<&str>) {
        let mut manifest = manifest();
        manifest.config_text = "blocks = 6\n".to_owned();
        manifest.blocks = blocks;
        manifest.command =
            ["cargo", "ablate", "run", "x.toml"].iter().chain(options).map(|w| (*w).to_owned()).collect();
        assert_eq!(shortened(&manifest).as_deref(), expected, "{options:?}");
    }

    #[test]
    fn what_is_left_out_is_named() {
        check(&[], 6, None);
        check(&["--blocks", "8", "--seed", "3"], 8, None);
        check(&["--blocks", "2"], 2, Some("2 of 6 blocks"));
        check(&["--workload=w", "--blocks", "2"], 2, Some("--workload, 2 of 6 blocks"));
        check(&["--factor", "f"], 6, Some("--factor"));
    }
}

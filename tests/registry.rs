//! One name a factor: registry, file, Cargo feature and environment variable agree.

use std::collections::BTreeSet;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn manifest() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).expect("the package has a manifest")
}

/// The text between a table's heading and the next one.
fn table<'a>(manifest: &'a str, name: &str) -> &'a str {
    let (_, rest) = manifest.split_once(&format!("\n[{name}]\n")).expect("the table is there");
    rest.split("\n[").next().unwrap_or(rest)
}

#[test]
fn names_are_plain_and_unique() {
    let mut seen = BTreeSet::new();
    for factor in hakmem::factors::registry() {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(!factor.name.is_empty() && factor.name.bytes().all(plain), "{}", factor.name);
        assert!(seen.insert(factor.name), "{} is there twice", factor.name);
        assert!(
            factor.default == hakmem::factors::Level::On || factor.choice.is_some(),
            "{} cannot be on",
            factor.name
        );
        assert!(!factor.about.is_empty() && !factor.about.contains('\n'), "{}", factor.name);
    }
}

/// Names of the modules in a folder, as factors are named: of files, and of folders but that of the research original.
fn factors_with_a_file(folder: &str) -> BTreeSet<String> {
    std::fs::read_dir(Path::new(ROOT).join(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs") || path.join("mod.rs").is_file())
        .map(|path| path.file_stem().and_then(|stem| stem.to_str()).expect("text").replace('_', "-"))
        .filter(|name| name != "mod" && name != "original")
        .collect()
}

#[test]
fn each_factor_has_a_file_of_its_name_and_no_file_is_left_over() {
    let default = factors_with_a_file("src/factor");
    let original = factors_with_a_file("src/factor/original");
    let names: BTreeSet<String> = hakmem::factors::registry().iter().map(|factor| factor.name.to_owned()).collect();
    assert_eq!(&default | &original, names);
    for factor in hakmem::factors::registry().iter().filter(|factor| factor.default != hakmem::factors::Level::Off) {
        assert!(default.contains(factor.name), "{} is on by default, and only src/factor/original has it", factor.name);
    }
}

#[test]
fn each_factor_is_a_feature_that_is_on_by_default() {
    let manifest = manifest();
    let features = table(&manifest, "features");
    let default = features.lines().find_map(|line| line.strip_prefix("default = ")).expect("a default");
    let default: Vec<&str> = default.trim_matches(['[', ']']).split(", ").map(|name| name.trim_matches('"')).collect();
    let names: Vec<&str> = hakmem::factors::registry().iter().map(|factor| factor.name).collect();
    assert_eq!(default, names);
    for name in names {
        assert!(features.lines().any(|line| line == format!("{name} = []")), "no feature {name}");
    }
}

#[test]
fn presence_is_what_cargo_says() {
    // Cargo sets the same features for this test as for the library.
    let features = [
        ("bigcache", cfg!(feature = "bigcache")),
        ("elo", cfg!(feature = "elo")),
        ("header", cfg!(feature = "header")),
        ("tick", cfg!(feature = "tick")),
        ("evolution", cfg!(feature = "evolution")),
        ("madvise-batch", cfg!(feature = "madvise-batch")),
        ("align", cfg!(feature = "align")),
        ("thp", cfg!(feature = "thp")),
        ("arena", cfg!(feature = "arena")),
        ("thread-cache", cfg!(feature = "thread-cache")),
        ("purge", cfg!(feature = "purge")),
        ("free-check", cfg!(feature = "free-check")),
        ("owned-pages", cfg!(feature = "owned-pages")),
        ("canary", cfg!(feature = "canary")),
        ("guard-pages", cfg!(feature = "guard-pages")),
        ("quarantine", cfg!(feature = "quarantine")),
        ("zero-free", cfg!(feature = "zero-free")),
        ("random-slots", cfg!(feature = "random-slots")),
    ];
    let present: Vec<_> = hakmem::factors::registry().iter().map(|factor| (factor.name, factor.present)).collect();
    assert_eq!(present, features);
    for (factor, stats) in hakmem::factors::registry().iter().zip(hakmem::stats().factors()) {
        assert_eq!(factor.name, stats.name(), "the statistics are in the registry's order");
        assert_eq!(factor.present, stats.level != hakmem::factors::Level::Absent, "{}", factor.name);
    }
}

#[test]
fn toggles_and_choices_are_named_after_the_rule() {
    let mut variables = BTreeSet::new();
    for factor in hakmem::factors::registry() {
        let expected = format!("HAKMEM_DISABLE_{}", factor.name.to_uppercase().replace('-', "_"));
        assert_eq!(factor.toggle, expected);
        assert!(variables.insert(factor.toggle));
        if let Some(choice) = &factor.choice {
            assert!(choice.variable.starts_with("HAKMEM_") && variables.insert(choice.variable), "{}", choice.variable);
            assert_eq!(
                choice.values.first().map(|(_, level)| *level),
                Some(hakmem::factors::Level::On),
                "{}",
                factor.name
            );
            assert!(choice.values.iter().any(|(_, level)| *level == factor.default), "{}", factor.name);
            for (value, level) in choice.values {
                let variant_is_named =
                    !matches!(level, hakmem::factors::Level::Variant(variant) if variant.as_str() != *value);
                assert!(variant_is_named, "{value} of {}", factor.name);
            }
        }
    }
}

#[test]
fn each_factor_has_counters_and_the_statistics_show_them() {
    let stats = hakmem::stats();
    for factor in hakmem::factors::registry() {
        assert!(!factor.counters.is_empty(), "{} cannot be proven", factor.name);
        let shown: Vec<&str> = stats
            .factors()
            .iter()
            .find(|f| f.name() == factor.name)
            .expect("an entry")
            .counters()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(shown, factor.counters, "the snapshot has room for fewer");
        assert_eq!(factor.counters.iter().collect::<BTreeSet<_>>().len(), factor.counters.len(), "{}", factor.name);
    }
}

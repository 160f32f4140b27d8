//! docs/factors.md says what the registry says. `BLESS=1 cargo test --test docs` writes it.

use hakmem::Preset;
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn factors_md_is_what_the_registry_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/factors.md");
    let expected = factors_md();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &expected).expect("docs/ can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/factors.md is out of date; run: BLESS=1 cargo test --test docs");
}

fn factors_md() -> String {
    let mut text = String::from(
        "<!-- Generated from the registry in src/config/registry.rs by tests/docs.rs. Do not edit. -->\n\n\
         # Factors\n\n\
         Each factor is a Cargo feature of its name (all are in `default`), one file in `src/factor/` that says what it\n\
         does and costs, and a toggle. A form that only the older research allocator had is in `src/factor/original/`.\n\n\
         The level of a factor is `absent` (not compiled in), `off`, `on`, or a named variant. It is read once, before the\n\
         first request, and `hakmem::stats()` returns the level in effect: a factor that has none beside `header` is off\n\
         there, as is `free-check` beside `canary`. A toggle takes 1, 0, true, false, on and off; `=0` does not\n\
         disable. The allocator ignores a name or value that it does not know, with one line on standard error. A setuid\n\
         program reads no variable.\n\n\
         The default is the level when no variable is set. A factor that is `off` by default is switched on by its variable\n\
         below. A factor of the older research allocator has that allocator's form at the level `on`:\n\
         `HAKMEM_MODE=original` sets all six to it, and switches off what the table of presets says. All others keep their\n\
         defaults: `thread-cache` stands for the C library's caches, from which that allocator took small objects, and\n\
         `free-check` has no work, because the headers verify every free.\n\n\
         | factor | default | toggle | what it does | what it costs |\n|---|---|---|---|---|\n",
    );
    for factor in hakmem::factors::registry() {
        let (name, level) = (factor.name, factor.default.as_str());
        let _ = writeln!(text, "| `{name}` | {level} | `{}=1` | {} | {} |", factor.toggle, factor.about, factor.costs);
    }
    text += "\n## Activity counters\n\nNumbers of events since the process began, summed over its threads.\n\n\
             | factor | counters |\n|---|---|\n";
    for factor in hakmem::factors::registry() {
        let counters: Vec<String> = factor.counters.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "| `{}` | {} |", factor.name, counters.join(", "));
    }
    text += "\n## Variants\n\nThe first value is the level `on`. Where `on` or `off` is a value, 1 and true, or 0 and false, mean the same. A toggle\n\
             overrides a variant, and a variant overrides the preset.\n\n\
             | variable | value → level |\n|---|---|\n";
    for (factor, choice) in
        hakmem::factors::registry().iter().filter_map(|f| f.choice.as_ref().map(|choice| (f, choice)))
    {
        let values: Vec<String> =
            choice.values.iter().map(|(value, level)| format!("`{value}` → {}", level.as_str())).collect();
        let _ = writeln!(text, "| `{}` (`{}`) | {} |", choice.variable, factor.name, values.join(", "));
    }
    text += "\n## Presets\n\n`HAKMEM_MODE` sets all levels at once; a factor that is not listed is at its default.\n\
             `hardened` is the default with every factor against misuse ([hardening.md](hardening.md)). All others are presets of\n\
             the older research allocator, and set its forms. `fast` and `balanced` have the same levels there, and so here; its\n\
             `auto` and `on` for huge pages are both `thp` on.\n\n| preset | levels |\n|---|---|\n";
    for (name, preset) in Preset::NAMED {
        let levels: Vec<String> = hakmem::factors::registry()
            .iter()
            .zip(preset.levels())
            .filter(|(factor, level)| *level != factor.default)
            .map(|(factor, level)| format!("`{}` {}", factor.name, level.as_str()))
            .collect();
        let _ = writeln!(
            text,
            "| `{name}` | {} |",
            if levels.is_empty() { "the defaults".to_string() } else { levels.join(", ") }
        );
    }
    text += "\n## Numbers of the lifecycle\n\nThey belong to `evolution`; the defaults are the original's.\n\n\
             | variable | what it sets | default | takes |\n|---|---|---|---|\n";
    for setting in hakmem::factors::lifecycle_settings() {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {}{} to {} |",
            setting.variable,
            setting.about,
            setting.default_value(),
            if setting.whole { "whole numbers, " } else { "" },
            setting.least,
            setting.most,
        );
    }
    text += "\n## At the end of a process\n\nThe library for programs in C ([preload.md](preload.md)) acts on two more. `HAKMEM_STATS=1` prints the statistics when a\n\
             process ends. `HAKMEM_REPORT` names a file to which each process tells its beginning and its end;\n\
             [`hakmem run`](use/run.md) sets and reads it.\n";
    text
}

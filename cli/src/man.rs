//! The man page, made of the texts of `--help` and of the registry.

use crate::help::{ABOUT, CODES, COMMANDS, Choice, EXAMPLES, INFO, RUN, RUN_ABOUT};
use hakmem::factors::{lifecycle_settings, registry};
use std::fmt::Write;

/// The page hakmem(1), in the man macros of roff.
pub(crate) fn page() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(".TH HAKMEM 1 \"\" \"hakmem {version}\"\n.SH NAME\nhakmem \\- {ABOUT}\n.SH SYNOPSIS\n");
    for (written, _) in COMMANDS {
        line(&mut text, &format!(".B hakmem {}\n.br", escaped(written)));
    }
    line(&mut text, ".SH DESCRIPTION");
    for about in RUN_ABOUT {
        line(&mut text, &format!("{}\n.PP", escaped(about)));
    }
    for (title, rows) in [
        ("COMMANDS", COMMANDS),
        ("OPTIONS OF RUN", RUN),
        ("OPTIONS OF INFO", INFO),
        ("EXIT STATUS", CODES),
        ("EXAMPLES", EXAMPLES),
    ] {
        line(&mut text, &format!(".SH {title}"));
        rows.iter().for_each(|row| tagged(&mut text, row));
    }
    line(&mut text, ".SH ENVIRONMENT");
    tagged(&mut text, &("HAKMEM_MODE", "a preset: levels for all factors at once"));
    tagged(
        &mut text,
        &("HAKMEM_STATS=1", "each process prints the allocator's statistics when it ends (libhakmem.so)"),
    );
    for factor in registry() {
        let choice = factor.choice.as_ref().map(|choice| {
            let values: Vec<&str> = choice.values.iter().map(|(value, _)| *value).collect();
            format!(", {}={}", choice.variable, values.join("|"))
        });
        let written = format!("{}=1{}", factor.toggle, choice.unwrap_or_default());
        line(&mut text, &format!(".TP\n.B {}\n{}: {}", escaped(&written), escaped(factor.name), escaped(factor.about)));
    }
    for setting in lifecycle_settings() {
        line(&mut text, &format!(".TP\n.B {}\n{}", escaped(setting.variable), escaped(setting.about)));
    }
    line(&mut text, ".SH SEE ALSO\n.BR ld.so (8),\n.BR malloc (3)");
    text
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    _ = writeln!(text, "{line}");
}

fn tagged(text: &mut String, (written, does): &Choice) {
    line(text, &format!(".TP\n.B {}\n{}", escaped(written), escaped(does)));
}

/// Text in which roff finds no command, and hyphens that can be copied.
fn escaped(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_option_and_variable() {
        let page = page().replace("\\-", "-");
        for (written, _) in RUN.iter().chain(INFO) {
            assert!(page.contains(written), "{written}");
        }
        for factor in registry() {
            assert!(page.contains(factor.toggle), "{}", factor.toggle);
        }
        for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
            let command = line.split(' ').next().unwrap_or_default();
            assert!([".TH", ".SH", ".TP", ".PP", ".B", ".BR", ".br"].contains(&command), "{line}");
        }
    }
}

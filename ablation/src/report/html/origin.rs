//! What a study was run with: its command, builds, config and machine.

use super::tables;
use crate::report::content::Study;
use crate::report::document::{Document, Table};
use crate::report::number::MISSING;
use crate::support::call::quoted;
use maud::{Markup, html};
use std::path::Path;

/// Digits of a hash that are shown.
const HASH: usize = 16;

pub(super) fn origin(study: Study<'_>) -> Markup {
    let manifest = study.manifest;
    let command: Vec<String> = manifest.command.iter().map(|word| quoted(Path::new(word))).collect();
    html! {
        p { "Run by " code { (tables::clean(&command.join(" "))) } ", seed " (manifest.seed) "." }
        details {
            summary { "Machine" }
            dl {
                @for (key, value) in &manifest.machine.facts {
                    dt { (tables::clean(key)) }
                    dd { (tables::clean(value.as_deref().unwrap_or(MISSING))) }
                }
            }
        }
        details {
            summary { "Builds" }
            (tables::document(&builds(study)))
        }
        details {
            summary { "Config, as it was run" }
            pre tabindex="0" { code { (crate::support::text::printable_lines(&manifest.config_text)) } }
        }
    }
}

fn builds(study: Study<'_>) -> Document {
    let mut table = Table::new(["<build", "=features", "=settings", "=layouts", "=SHA-256 begins with"]);
    for build in &study.manifest.builds {
        let settings: Vec<String> = build.settings.iter().map(|(key, value)| format!("{key} {value}")).collect();
        let hash = match &build.result {
            Ok(binary) => binary.sha256.chars().take(HASH).collect(),
            Err(failure) => format!("not built: {}", failure.message),
        };
        let layouts = (build.layouts.len() + 1).to_string();
        table.row([build.id.clone(), build.features.join(" "), settings.join("; "), layouts, hash]);
    }
    let mut document = Document::default();
    document.table(table);
    for library in &study.manifest.libraries {
        let hash: String = library.sha256.chars().take(HASH).collect();
        document.item(format!("{}: a preloaded library, SHA-256 {hash}…", library.peer));
    }
    document
}

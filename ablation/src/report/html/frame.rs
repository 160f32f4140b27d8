//! What every page has: its head, and how sections and drawings stand in it.

use super::tables;
use crate::report::figure::ink;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const RULES: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing may be loaded, whatever a name in the study contains.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// A whole page.
pub(super) fn page(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content={ "cargo ablate " (env!("CARGO_PKG_VERSION")) };
                title { (tables::clean(title)) }
                style { (PreEscaped(RULES)) (PreEscaped(colours())) }
            }
            body {
                (body)
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// The colours of figures in the dark: rules for the values that the drawings have.
fn colours() -> String {
    let rule = |(name, colour): (&str, _)| {
        let hex = ink::hex(colour);
        format!("svg [fill=\"{hex}\"]{{fill:var(--{name})}}svg [stroke=\"{hex}\"]{{stroke:var(--{name})}}")
    };
    ink::ROLES.into_iter().map(rule).collect()
}

/// A section with its heading.
pub(super) fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (tables::clean(title)) }
            (content)
        }
    }
}

/// A drawing with its title, how it is read, and its values in words; `below` stands under it.
pub(super) fn figure(id: &str, [title, legend, words]: [&str; 3], svg: &str, below: &Markup) -> Markup {
    html! {
        figure id=(id) {
            figcaption {
                h3 { (tables::clean(title)) }
                p { (tables::clean(legend)) }
            }
            div.drawing role="img" aria-label=(tables::clean(words)) tabindex="0" { (PreEscaped(svg)) }
            // What a narrow screen shows in part, in words below it.
            p.words aria-hidden="true" { (tables::clean(words)) }
            (below)
        }
    }
}

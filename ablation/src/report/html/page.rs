//! The page: its frame, its sections, and what stands around a figure.

use super::figures::{Figure, Figures};
use super::{Sections, Study, tables};
use crate::report::document::Part;
use crate::report::figure::ink;
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(super) const RULES: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");

/// Nothing may be loaded, whatever a name in the study contains.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

pub(super) fn render(study: Study<'_>, sections: &Sections, figures: &Figures) -> Markup {
    let name = tables::clean(&study.manifest.study);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content={ "cargo ablate " (env!("CARGO_PKG_VERSION")) };
                title { (name) ": what each part costs" }
                style { (PreEscaped(RULES)) (PreEscaped(colours())) }
            }
            body {
                a.skip href="#answer" { "To the answer" }
                (head(study, sections))
                (contents(study, figures))
                main {
                    (answer(sections, figures))
                    @for (at, workload) in study.analysis.workloads.iter().enumerate() {
                        (self::workload(study, at, &workload.name, sections, figures))
                    }
                    (section("gaps", "Where the gaps come from", &tables::document(&sections.gaps)))
                    (section("switches", "Switches, and runs that failed", &tables::document(&sections.closing)))
                    (section("study", "The study and its machine", &self::study(study, sections)))
                    (section("limits", "What these numbers cannot show", &limits(study)))
                }
                footer {
                    p {
                        "Made by " code { "cargo ablate report --html" } " from "
                        a href="manifest.json" { "manifest.json" } " and " a href="records.jsonl" { "records.jsonl" }
                        ", which lie beside this page. The same records give the same page."
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// The colours of figures in the dark: rules for the values that the drawings have.
pub(super) fn colours() -> String {
    let rule = |(name, colour): (&str, _)| {
        let hex = ink::hex(colour);
        format!("svg [fill=\"{hex}\"]{{fill:var(--{name})}}svg [stroke=\"{hex}\"]{{stroke:var(--{name})}}")
    };
    ink::ROLES.into_iter().map(rule).collect()
}

fn head(study: Study<'_>, sections: &Sections) -> Markup {
    let parts = sections.answer.parts();
    let title = parts.iter().find_map(|part| if let Part::Title(text) = part { Some(text.as_str()) } else { None });
    let text = parts.iter().find_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
    html! {
        header {
            p.kicker { "What does each part of " strong { (tables::clean(&study.manifest.study)) } " cost?" }
            h1 { (tables::clean(text.unwrap_or("Nothing is known yet."))) }
            p.size { (tables::clean(title.unwrap_or_default())) }
        }
    }
}

fn contents(study: Study<'_>, figures: &Figures) -> Markup {
    html! {
        nav aria-label="Contents" {
            details open {
                summary { "Contents" }
                ul {
                    li { a href="#answer" { "The answer" } }
                    @for (at, (workload, of)) in study.analysis.workloads.iter().zip(&figures.workloads).enumerate() {
                        li {
                            a href={ "#workload-" (at + 1) } { (tables::clean(&workload.name)) }
                            @if study.analysis.workloads.len() == 1 {
                                ul { @for figure in &of.figures { li { a href={ "#" (figure.id) } { (figure.title) } } } }
                            }
                        }
                    }
                    li { a href="#gaps" { "Where the gaps come from" } }
                    li { a href="#switches" { "Switches, and runs that failed" } }
                    li { a href="#study" { "The study and its machine" } }
                    li { a href="#limits" { "What these numbers cannot show" } }
                }
            }
        }
    }
}

fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            (content)
        }
    }
}

fn answer(sections: &Sections, figures: &Figures) -> Markup {
    let content = html! {
        (tables::document(&sections.answer.without_first_text()))
        @if let Some(claims) = &figures.claims { (figure(claims, "records.jsonl")) }
        (tables::document(&sections.claims))
    };
    section("answer", "The answer", &content)
}

fn workload(study: Study<'_>, at: usize, name: &str, sections: &Sections, figures: &Figures) -> Markup {
    let of = &study.analysis.workloads[at];
    let content = html! {
        @if !of.about.is_empty() { p.about { (tables::clean(&of.about)) } }
        @for each in &figures.workloads[at].figures { (figure(each, "records.jsonl")) }
        details {
            summary { "All tables of " (tables::clean(name)) }
            (tables::document(&sections.workloads[at]))
        }
    };
    section(&format!("workload-{}", at + 1), &tables::clean(name), &content)
}

/// A figure with its title, how it is read, its values in words, and where they come from.
fn figure(figure: &Figure, records: &str) -> Markup {
    html! {
        figure id=(figure.id) {
            figcaption {
                h3 { (figure.title) }
                p { (figure.legend) }
            }
            div.drawing role="img" aria-label=(tables::clean(&figure.words)) tabindex="0" { (PreEscaped(&figure.svg)) }
            p.source {
                a href={ "figures/" (figure.id) ".svg" } { "as an SVG file" } " · "
                a href=(records) { "its records" }
            }
        }
    }
}

fn study(study: Study<'_>, sections: &Sections) -> Markup {
    let manifest = study.manifest;
    html! {
        (tables::document(&sections.study))
        details {
            summary { "Machine, as the manifest has it" }
            dl { @for (key, value) in &manifest.machine.facts { dt { (tables::clean(key)) } dd { (tables::clean(value.as_deref().unwrap_or("unknown"))) } } }
        }
    }
}

fn limits(study: Study<'_>) -> Markup {
    let own = study.analysis.remarks.iter();
    html! {
        ul {
            @for remark in own { li { (tables::clean(remark)) } }
            li { "An interval holds for this machine, these builds and this time; another machine may differ." }
            li { "A difference that was not detected is not 0: it is probably smaller than what the study finds four times in five." }
            @if study.manifest.machine.facts.get("virtual").is_some_and(|value| value.as_deref() == Some("yes")) {
                li { "The machine is virtual: its host may have taken the processors away in ways that are not seen here." }
            }
        }
    }
}

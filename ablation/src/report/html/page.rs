//! The page: its frame, its sections, and what stands around a figure.

use super::figures::{Figure, Figures};
use super::profiles::Profile;
use super::sections::Sections;
use super::{origin, profiles, tables};
use crate::report::content::{Study, has_factors};
use crate::report::document::{Document, Part};
use crate::report::figure::ink;
use crate::support::call::PROGRAM;
use ablate_format::{EFFECTS, RECORDS};
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(super) const RULES: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");

/// Studies with up to so many workloads show everything of each at once.
const FEW: usize = 3;
/// From more workloads on, the list of contents is folded.
const LISTED: usize = 12;

/// Nothing may be loaded, whatever a name in the study contains.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

pub(super) fn render(study: Study<'_>, sections: &Sections, figures: &Figures, graphs: &[Profile]) -> Markup {
    let parts = Parts { study, sections, figures };
    let closing = closing(study, sections, graphs);
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
                (contents(study, &closing))
                main {
                    (answer(&parts))
                    @for at in 0..study.analysis.workloads.len() { (workload(&parts, at)) }
                    @for part in &closing { (section(part.id, part.title, &part.content)) }
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
    let name = tables::clean(&study.manifest.study);
    let title = parts.iter().find_map(|part| if let Part::Title(text) = part { Some(text.as_str()) } else { None });
    let text = parts.iter().find_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
    html! {
        header {
            p.kicker {
                @if has_factors(study.manifest) {
                    "What does each part of " strong { (name) } " cost?"
                } @else {
                    "How does the subject of " strong { (name) } " stand beside its peers?"
                }
            }
            h1 { (tables::clean(text.unwrap_or("Nothing is known yet."))) }
            p.size { (tables::clean(title.unwrap_or_default())) }
        }
    }
}

/// What the sections of a page are made from.
struct Parts<'a> {
    study: Study<'a>,
    sections: &'a Sections,
    figures: &'a Figures,
}

/// A section at the end.
struct Closing {
    id: &'static str,
    title: &'static str,
    content: Markup,
}

/// The sections after those of the workloads, without those that have nothing to say.
fn closing(study: Study<'_>, sections: &Sections, graphs: &[Profile]) -> Vec<Closing> {
    let tables = |id, title, document: &Document| {
        (!document.parts().is_empty()).then(|| Closing { id, title, content: tables::document(document) })
    };
    let graphs = (!graphs.is_empty()).then(|| profiles::markup(graphs));
    let about = html! {
        (tables::document(&sections.study))
        (origin::origin(study))
    };
    [
        tables("gaps", "Where the gaps come from", &sections.gaps),
        graphs.map(|content| Closing { id: "graphs", title: "Where the time is spent", content }),
        tables("proof", "How each toggle was proven", &sections.proof),
        tables("switches", "Switches, and runs that failed", &sections.closing),
        Some(Closing { id: "study", title: "The study and its machine", content: about }),
        Some(Closing { id: "limits", title: "What these numbers cannot show", content: limits(study) }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn contents(study: Study<'_>, closing: &[Closing]) -> Markup {
    let workloads = &study.analysis.workloads;
    html! {
        nav aria-label="Contents" {
            // A long list would stand before the answer.
            details open[workloads.len() <= LISTED] {
                summary { "Contents" }
                ul {
                    li { a href="#answer" { "The answer" } }
                    @for (at, workload) in workloads.iter().enumerate() {
                        li { a href={ "#workload-" (at + 1) } { (tables::clean(&workload.name)) } }
                    }
                    @for part in closing { li { a href={ "#" (part.id) } { (part.title) } } }
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

fn answer(parts: &Parts<'_>) -> Markup {
    let content = html! {
        (tables::document(&parts.sections.answer.without_first_text()))
        @for each in &parts.figures.answer { (figure(each)) }
        (tables::document(&parts.sections.claims))
    };
    section("answer", "The answer", &content)
}

/// The figures of a workload and its tables. In a long page only what is asked first is open.
fn workload(parts: &Parts<'_>, at: usize) -> Markup {
    let of = &parts.study.analysis.workloads[at];
    let is_open = parts.study.analysis.workloads.len() <= FEW;
    let (first, others) = parts.figures.workloads[at].split_at(parts.figures.workloads[at].len().min(1));
    let name = tables::clean(&of.name);
    let content = html! {
        @if !of.about.is_empty() { p.about { (tables::clean(&of.about)) } }
        @for each in first { (figure(each)) }
        @if is_open {
            @for each in others { (figure(each)) }
        } @else if !others.is_empty() {
            details {
                summary { "Every figure of " (name) }
                @for each in others { (figure(each)) }
            }
        }
        details open[is_open] {
            summary { "Every table of " (name) }
            (tables::document(&parts.sections.workloads[at]))
        }
    };
    section(&format!("workload-{}", at + 1), &name, &content)
}

/// A figure with its title, how it is read, its values in words, and where they come from.
fn figure(figure: &Figure) -> Markup {
    html! {
        figure id=(figure.id) {
            figcaption {
                h3 { (tables::clean(&figure.title)) }
                p { (tables::clean(&figure.legend)) }
            }
            div.drawing role="img" aria-label=(tables::clean(&figure.words)) tabindex="0" { (PreEscaped(&figure.svg)) }
            // What a narrow screen shows in part, in words below it.
            p.words aria-hidden="true" { (tables::clean(&figure.words)) }
            details.source {
                summary { "Where this comes from: " (figure.origin.count) }
                p {
                    "In " a href=(RECORDS) { (RECORDS) } ", selected by "
                    code { "jq " (tables::clean(&shell_words::quote(&figure.origin.filter))) " " (RECORDS) }
                    "; what they come to is in " a href=(EFFECTS) { (EFFECTS) }
                    ". As a drawing of its own: " code { "figures/" (figure.id) ".svg" } " by "
                    code { (PROGRAM) " report --html" } "."
                }
            }
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

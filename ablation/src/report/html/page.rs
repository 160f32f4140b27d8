//! The page: its frame, its sections, and what stands around a figure.

use super::figures::{Figure, Figures};
use super::profiles::Profile;
use super::sections::Sections;
use super::{frame, origin, profiles, tables};
use crate::report::content::{Study, has_factors};
use crate::report::document::{Document, Part};
use crate::support::call::PROGRAM;
use ablate_format::{EFFECTS, MANIFEST, RECORDS};
use maud::{Markup, html};

/// Studies with up to so many workloads show everything of each at once.
const FEW: usize = 3;
/// From more workloads on, the list of contents is folded.
const LISTED: usize = 12;

pub(super) fn render(study: Study<'_>, sections: &Sections, figures: &Figures, graphs: &[Profile]) -> Markup {
    let parts = Parts { study, sections, figures };
    let closing = closing(study, sections, graphs);
    let name = tables::clean(&study.manifest.study);
    let body = html! {
        a.skip href="#answer" { "To the answer" }
        (head(study, sections))
        (contents(study, &closing))
        main {
            (answer(&parts))
            @for at in 0..study.analysis.workloads.len() { (workload(&parts, at)) }
            @for part in &closing { (frame::section(part.id, part.title, &part.content)) }
        }
        footer {
            p {
                "Made by " code { (PROGRAM) " report --html" } " from " a href=(MANIFEST) { (MANIFEST) } " and "
                a href=(RECORDS) { (RECORDS) } ", which lie beside this page. The same records give the same page."
            }
        }
    };
    frame::page(&format!("{name}: what each part costs"), &body)
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

fn answer(parts: &Parts<'_>) -> Markup {
    let content = html! {
        @for each in &parts.figures.answer { (figure(each)) }
        (tables::document(&parts.sections.answer.without_first_text()))
        (tables::document(&parts.sections.claims))
    };
    frame::section("answer", "The answer", &content)
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
    frame::section(&format!("workload-{}", at + 1), &name, &content)
}

/// A figure, and where its values come from.
fn figure(figure: &Figure) -> Markup {
    let origin = html! {
        details.source {
            summary { "Where this comes from: " (tables::clean(&figure.origin.count)) }
            p {
                "In " a href=(RECORDS) { (RECORDS) } ", selected by "
                code { "jq " (tables::clean(&shell_words::quote(&figure.origin.filter))) " " (RECORDS) }
                "; what they come to is in " a href=(EFFECTS) { (EFFECTS) }
                ". As a drawing of its own: " code { "figures/" (figure.id) ".svg" } " by "
                code { (PROGRAM) " report --html" } "."
            }
        }
    };
    frame::figure(&figure.id, [&figure.title, &figure.legend, &figure.words], &figure.svg, &origin)
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

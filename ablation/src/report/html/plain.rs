//! A page of sections with figures and tables, for results that are not one study. It looks as the report does.

use super::{frame, tables};
use crate::report::document::Document;
use maud::{Markup, html};

/// A page.
pub(crate) struct Page {
    /// What stands in the window's title.
    pub(crate) title: String,
    /// What it answers.
    pub(crate) question: String,
    /// The answer.
    pub(crate) answer: String,
    /// What it is of.
    pub(crate) size: String,
    /// Its sections.
    pub(crate) sections: Vec<Section>,
    /// How it was made, after everything else; empty where that is not told.
    pub(crate) method: String,
    /// The command.
    pub(crate) made_by: &'static str,
}

/// A section.
pub(crate) struct Section {
    /// Its name in links: `a`–`z`, digits and `-`.
    pub(crate) id: String,
    /// Its heading.
    pub(crate) title: String,
    /// What it shows.
    pub(crate) figures: Vec<Figure>,
    /// What it says.
    pub(crate) content: Document,
}

/// A figure.
pub(crate) struct Figure {
    /// Its name in links.
    pub(crate) id: String,
    /// Its heading.
    pub(crate) title: String,
    /// How it is read.
    pub(crate) legend: String,
    /// The same in words.
    pub(crate) words: String,
    /// The drawing.
    pub(crate) svg: String,
}

/// The page as one file, which loads nothing. The same page gives the same bytes.
pub(crate) fn render(page: &Page) -> String {
    let body = html! {
        @if let Some(first) = page.sections.first() {
            a.skip href={ "#" (first.id) } { "To the answer" }
        }
        header {
            p.kicker { (tables::clean(&page.question)) }
            h1 { (tables::clean(&page.answer)) }
            p.size { (tables::clean(&page.size)) }
        }
        @if page.sections.len() > 1 { (contents(page)) }
        main { @for section in &page.sections { (self::section(section)) } }
        footer {
            @if !page.method.is_empty() { p { (tables::clean(&page.method)) } }
            p { "Made by " code { (page.made_by) } ". The same results give the same page." }
        }
    };
    frame::page(&page.title, &body).into_string()
}

fn contents(page: &Page) -> Markup {
    html! {
        nav aria-label="Contents" {
            details open {
                summary { "Contents" }
                ul { @for section in &page.sections { li { a href={ "#" (section.id) } { (tables::clean(&section.title)) } } } }
            }
        }
    }
}

fn section(section: &Section) -> Markup {
    let content = html! {
        @for figure in &section.figures {
            (frame::figure(&figure.id, [&figure.title, &figure.legend, &figure.words], &figure.svg, &html! {}))
        }
        (tables::document(&section.content))
    };
    frame::section(&section.id, &section.title, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_nothing_is_loaded() {
        let mut content = Document::default();
        content.text("<script>alert(1)</script>");
        let figure = Figure {
            id: "f".to_owned(),
            title: "a & b".to_owned(),
            legend: String::new(),
            words: "\"quoted\"".to_owned(),
            svg: "<svg></svg>".to_owned(),
        };
        let section = Section { id: "s".to_owned(), title: "<b>".to_owned(), figures: vec![figure], content };
        let page = Page {
            title: "t".to_owned(),
            question: "q".to_owned(),
            answer: "a".to_owned(),
            size: String::new(),
            sections: vec![section],
            method: String::new(),
            made_by: "cargo ablate",
        };
        let text = render(&page);
        assert!(!text.contains("<script>alert") && !text.contains("<b>") && text.contains("<svg></svg>"), "{text}");
        assert!(text.contains("a &amp; b") && text.contains("&quot;quoted&quot;"), "{text}");
        for address in ["http://", "https://", "src="] {
            assert!(!text.contains(address), "{address}");
        }
    }
}

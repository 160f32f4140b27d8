//! Headings, sentences and tables of a document as HTML.

use crate::report::document::{Column, Document, Part, Table};
use crate::support::text::printable_lines;
use maud::{Markup, html};

/// From this many rows on, a table has a field that filters them.
const FILTERED_ROWS: usize = 12;

/// Everything in a document, below the level of a page's sections. A title stands elsewhere.
pub(super) fn document(document: &Document) -> Markup {
    html! {
        @for run in runs(document.parts()) {
            @match run {
                Run::Items(items) => ul { @for item in items { li { (clean(item)) } } },
                Run::One(Part::Heading(text)) => h3 { (clean(text)) },
                Run::One(Part::Text(text)) => p { (clean(text)) },
                Run::One(Part::Table(table)) => (self::table(table)),
                Run::One(Part::Title(_) | Part::Item(_)) => {},
            }
        }
    }
}

/// Items that follow each other, or one other part.
enum Run<'a> {
    Items(Vec<&'a str>),
    One(&'a Part),
}

fn runs(parts: &[Part]) -> Vec<Run<'_>> {
    let mut out: Vec<Run<'_>> = Vec::new();
    for part in parts {
        match (part, out.last_mut()) {
            (Part::Item(text), Some(Run::Items(items))) => items.push(text),
            (Part::Item(text), _) => out.push(Run::Items(vec![text])),
            (part, _) => out.push(Run::One(part)),
        }
    }
    out
}

/// A table that scrolls by itself where it is wider than the page, and that the script sorts.
pub(super) fn table(table: &Table) -> Markup {
    let name = table.header().first().map_or_else(String::new, |text| clean(text));
    html! {
        div.table tabindex="0" role="region" aria-label={ "Table: " (name) } {
            @if table.rows().len() >= FILTERED_ROWS {
                label.filter { "Rows with " input type="search" placeholder="any text" autocomplete="off"; }
            }
            table {
                thead { tr {
                    @for (text, column) in table.header().iter().zip(table.columns()) {
                        th scope="col" class=[is_number(*column).then_some("number")] { (clean(text)) }
                    }
                } }
                tbody {
                    @for row in table.rows() {
                        tr {
                            @for (at, (text, column)) in row.iter().zip(table.columns()).enumerate() {
                                @if at == 0 {
                                    th scope="row" { (clean(text)) }
                                } @else {
                                    td class=[is_number(*column).then_some("number")] { (clean(text)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn is_number(column: Column) -> bool {
    column == Column::Numbers
}

/// A text of the program's on one line, without what a terminal would obey.
pub(super) fn clean(text: &str) -> String {
    printable_lines(text).replace(['\n', '\t'], " ")
}

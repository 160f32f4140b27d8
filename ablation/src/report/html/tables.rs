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

/// A table that scrolls by itself where it is wider than the page, and that the script sorts. Columns of bars are left to
/// the figures.
pub(super) fn table(table: &Table) -> Markup {
    let columns = || table.header().iter().zip(table.columns()).enumerate().filter(|(_, (text, _))| !text.is_empty());
    let name = table.header().first().map_or_else(String::new, |text| clean(text));
    html! {
        // A part that scrolls needs a place in the order of the keyboard.
        div.table tabindex="0" role="group" aria-label={ "Table by " (name) } {
            @if table.rows().len() >= FILTERED_ROWS {
                label.filter { "Rows with " input type="search" placeholder="any text" autocomplete="off"; }
            }
            table {
                thead { tr {
                    @for (_, (text, column)) in columns() {
                        th scope="col" class=[is_number(*column).then_some("number")] { (clean(text)) }
                    }
                } }
                tbody {
                    @for row in whole(table.rows()) {
                        tr {
                            @for (at, (_, column)) in columns() {
                                @if at == 0 {
                                    th scope="row" { (clean(row[at])) }
                                } @else {
                                    td class=[is_number(*column).then_some("number")] { (clean(row[at])) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Rows that can stand in any order: what begins a row and is left out because the row above has it is there again.
fn whole(rows: &[Vec<String>]) -> Vec<Vec<&str>> {
    let mut whole: Vec<Vec<&str>> = Vec::new();
    for row in rows {
        let begins = row.iter().position(|text| !text.is_empty()).unwrap_or(0);
        let above = whole.last().map(|above| &above[..begins]).unwrap_or_default();
        let own = row[above.len()..].iter().map(String::as_str);
        whole.push(above.iter().copied().chain(own).collect());
    }
    whole
}

fn is_number(column: Column) -> bool {
    column == Column::Numbers
}

/// A text of the program's on one line, without what a terminal would obey.
pub(super) fn clean(text: &str) -> String {
    printable_lines(text).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stands_by_itself() {
        let row = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let rows = [row(&["a", "x", "1"]), row(&["", "", "2"]), row(&["", "y", ""]), row(&["b", "", "3"])];
        assert_eq!(whole(&rows), [["a", "x", "1"], ["a", "x", "2"], ["a", "y", ""], ["b", "", "3"]]);
        assert_eq!(whole(&[row(&["", "1"])]), [["", "1"]]);
    }

    #[test]
    fn a_column_without_a_name_is_left_out() {
        let mut bars = Table::new(["<part", "=", "ns"]);
        bars.row(["faults", "███", "12"]);
        let page = table(&bars).into_string();
        assert!(page.contains("12") && !page.contains('█'), "{page}");
    }
}

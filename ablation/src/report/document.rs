//! A document of headings, sentences and tables, for the terminal and for Markdown.

use crate::support::text::printable_lines;
use tabled::builder::Builder;
use tabled::settings::formatting::AlignmentStrategy;
use tabled::settings::object::Columns;
use tabled::settings::peaker::Priority;
use tabled::settings::style::HorizontalLine;
use tabled::settings::{Alignment, Padding, Style, Width};
use unicode_width::UnicodeWidthStr;

/// Blank columns between two columns of a table.
const GAP: usize = 2;

/// Parts from top to bottom.
#[derive(Debug, Default)]
pub(crate) struct Document {
    parts: Vec<Part>,
}

/// One part.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Title(String),
    Heading(String),
    Text(String),
    Item(String),
    Table(Table),
}

/// What a column holds: numbers stand right, the others left, and only names are broken at their hyphens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Column {
    Numbers,
    Names,
    Words,
}

/// Rows of text under a header.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    header: Vec<String>,
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A header with `<` in front is for a column of names, with `=` for one of words, without for one of numbers.
    pub(crate) fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Table {
        let mut table = Table { header: Vec::new(), columns: Vec::new(), rows: Vec::new() };
        for name in header {
            let name: String = name.into();
            table.columns.push(match name.chars().next() {
                Some('<') => Column::Names,
                Some('=') => Column::Words,
                _ => Column::Numbers,
            });
            table.header.push(name.trim_start_matches(['<', '=']).to_owned());
        }
        table
    }

    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Its header, what each column holds, and its rows.
    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Columns that it takes on a terminal without any cell on two lines.
    pub(crate) fn width(&self) -> usize {
        let widths = (0..self.header.len()).map(|at| self.longest_line(at));
        widths.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
    }

    fn longest_line(&self, column: usize) -> usize {
        let cells = std::iter::once(&self.header).chain(&self.rows).filter_map(|row| row.get(column));
        cells.flat_map(|text| text.lines()).map(UnicodeWidthStr::width).max().unwrap_or(0)
    }

    /// Names of the columns that this table has and a narrower one has not.
    pub(crate) fn lost_in(&self, narrower: &Table) -> Vec<String> {
        let name = |text: &String| text.replace('\n', " ");
        let there: Vec<String> = narrower.header.iter().map(name).collect();
        self.header.iter().map(name).filter(|own| !there.contains(own)).collect()
    }

    /// The first table that fits, else the last one, which should be the narrowest.
    pub(crate) fn first_that_fits(columns: usize, tables: impl IntoIterator<Item = Table>) -> Option<Table> {
        let mut last = None;
        for table in tables {
            if table.width() <= columns {
                return Some(table);
            }
            last = Some(table);
        }
        last
    }

    /// Whether a cell is this text, or begins with it where it ends with a space; header apart.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.rows.iter().flatten().any(|cell| cell == text || (text.ends_with(' ') && cell.starts_with(text)))
    }

    /// Whether a row is about one level of a factor, `factor: level`.
    pub(crate) fn has_levels(&self) -> bool {
        self.rows.iter().filter_map(|row| row.first()).any(|name| name.contains(": "))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn built(&self, clean: impl Fn(&str) -> String) -> tabled::Table {
        let mut builder = Builder::default();
        builder.push_record(self.header.iter().map(|text| clean(text)));
        for row in &self.rows {
            builder.push_record(row.iter().map(|text| clean(text)));
        }
        let mut table = builder.build();
        for (at, column) in self.columns.iter().enumerate() {
            let numbers = *column == Column::Numbers;
            table.modify(Columns::one(at), if numbers { Alignment::right() } else { Alignment::left() });
        }
        table
    }

    fn terminal(&self, columns: usize) -> String {
        let folded = self.folded(columns);
        let mut table = folded.built(printable_lines);
        let line = HorizontalLine::new('─');
        table.with(Style::empty().horizontals([(1, line)])).with(Padding::new(0, GAP, 0, 0));
        table.modify(Columns::last(), Padding::zero());
        table.with(AlignmentStrategy::PerLine);
        if table.total_width() > columns {
            // Only when the longest words alone are too much: then words and numbers are cut.
            table.with(Width::wrap(columns).keep_words(true).priority(Priority::max(true)));
        }
        // Trailing blanks only make lines wrap on terminals that are as wide as the table.
        table.to_string().lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    /// The table with long cells on several lines, broken where people would, so that it fits if it can.
    fn folded(&self, columns: usize) -> Table {
        let count = self.header.len();
        let mut widths: Vec<usize> = (0..count).map(|at| self.longest_line(at)).collect();
        let least: Vec<usize> = (0..count)
            .map(|at| {
                let cells = self.rows.iter().filter_map(|row| row.get(at));
                let cells = cells.flat_map(|text| pieces(text, self.columns[at]));
                cells
                    .chain(pieces(&self.header[at], Column::Names))
                    .map(|piece| piece.trim_end().width())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        while widths.iter().map(|width| width + GAP).sum::<usize>() > columns + GAP {
            let slack = |at: &usize| widths[*at].saturating_sub(least[*at]);
            let next = (0..count).filter(|at| slack(at) > 0).max_by_key(|at| widths[*at]);
            let Some(at) = next else { break };
            widths[at] -= 1;
        }
        let fold_row = |row: &Vec<String>| -> Vec<String> {
            let cells = row.iter().zip(&widths).zip(&self.columns);
            cells.map(|((text, width), column)| fold(text, *width, *column)).collect()
        };
        let header = self.header.iter().zip(&widths).map(|(text, width)| fold(text, *width, Column::Names));
        Table {
            header: header.collect(),
            columns: self.columns.clone(),
            rows: self.rows.iter().map(fold_row).collect(),
        }
    }

    fn markdown(&self) -> String {
        let mut table = self.built(|text| without_tags(&printable_lines(text).replace('\n', " ").replace('|', "\\|")));
        table.with(Style::markdown()).to_string() + "\n"
    }
}

impl Document {
    pub(crate) fn title(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Title(text.into()));
    }

    pub(crate) fn heading(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Heading(text.into()));
    }

    pub(crate) fn text(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Text(text.into()));
    }

    pub(crate) fn item(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Item(text.into()));
    }

    pub(crate) fn table(&mut self, table: Table) {
        self.parts.push(Part::Table(table));
    }

    /// All parts from top to bottom.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The document without its first paragraph.
    pub(crate) fn without_first_text(&self) -> Document {
        let first = self.parts.iter().position(|part| matches!(part, Part::Text(_)));
        let kept = self.parts.iter().enumerate().filter(|(at, _)| Some(*at) != first);
        Document { parts: kept.map(|(_, part)| part.clone()).collect() }
    }

    /// Adds the parts of another document below.
    pub(crate) fn append(&mut self, other: Document) {
        self.parts.extend(other.parts);
    }

    /// Text for a terminal that is `columns` wide.
    pub(crate) fn terminal(&self, columns: usize) -> String {
        let mut out = String::new();
        let mut in_list = false;
        for part in &self.parts {
            let item = matches!(part, Part::Item(_));
            let gap = !(item && in_list);
            if gap && !out.is_empty() {
                out.push('\n');
            }
            in_list = item;
            match part {
                Part::Title(text) => {
                    let text = printable_lines(text);
                    out += &format!("{text}\n{}\n", "═".repeat(text.width().min(columns)));
                }
                Part::Heading(text) => {
                    let text = wrapped(&printable_lines(text), columns, "");
                    let width = text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
                    out += &format!("{text}{}\n", "─".repeat(width));
                }
                Part::Text(text) => out += &wrapped(&printable_lines(text), columns, ""),
                Part::Item(text) => out += &wrapped(&format!("- {}", printable_lines(text)), columns, "  "),
                Part::Table(table) => out += &table.terminal(columns),
            }
        }
        out
    }

    /// The same as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        let mut in_list = false;
        for part in &self.parts {
            let item = matches!(part, Part::Item(_));
            if !(item && in_list) {
                out.push('\n');
            }
            in_list = item;
            match part {
                Part::Title(text) => out += &format!("# {}\n", one_line(text)),
                Part::Heading(text) => out += &format!("## {}\n", one_line(text)),
                Part::Text(text) => out += &format!("{}\n", one_line(text)),
                Part::Item(text) => out += &format!("- {}\n", one_line(text)),
                Part::Table(table) => out += &table.markdown(),
            }
        }
        out
    }
}

/// A paragraph of Markdown on one line: a line break in a text of the config is not one of the page.
fn one_line(text: &str) -> String {
    without_tags(&printable_lines(text).replace(['\n', '\t'], " "))
}

/// A text of Markdown in which nothing begins a tag of HTML: outside of code, `<` before what may be a name is escaped.
fn without_tags(text: &str) -> String {
    let spans: Vec<&str> = text.split('`').collect();
    // A backtick without its pair opens no code.
    let is_code = |at: usize| at % 2 == 1 && at + 1 < spans.len();
    let escaped = |span: &str| {
        let mut rest = span.chars().peekable();
        let mut out = String::with_capacity(span.len());
        while let Some(c) = rest.next() {
            let may_begin = |next: &char| next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?');
            if c == '<' && rest.peek().is_none_or(may_begin) {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    let all = spans.iter().enumerate().map(|(at, span)| if is_code(at) { (*span).to_owned() } else { escaped(span) });
    all.collect::<Vec<_>>().join("`")
}

/// What must not be torn: numbers with their intervals, words, and in names what stands between hyphens, slashes or at
/// signs.
fn pieces(text: &str, column: Column) -> impl Iterator<Item = &str> {
    text.split_inclusive(move |c: char| match column {
        Column::Numbers => c == '\n',
        Column::Words => c.is_whitespace(),
        Column::Names => c.is_whitespace() || matches!(c, '-' | '/' | '@'),
    })
}

/// Text on lines of `width`, as far as its pieces allow; its own line breaks stay.
fn fold(text: &str, width: usize, column: Column) -> String {
    let mut lines: Vec<String> = Vec::new();
    for own in text.lines() {
        let mut line = String::new();
        for piece in pieces(own, column) {
            let needed = line.width() + piece.trim_end().width();
            if needed > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
            }
            line += piece;
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// Lines of at most `columns`, all but the first behind `indent`. A word that is wider than the page is cut, as paths and
/// hashes are; a hyphen is no place to break, since names have them.
fn wrapped(text: &str, columns: usize, indent: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let options = textwrap::Options::new(columns)
        .subsequent_indent(indent)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    textwrap::fill(&words.join(" "), options) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_wider_than_asked() {
        let mut document = Document::default();
        document.title("t");
        document.heading("a heading that goes on and on ".repeat(10));
        document.text(format!("words {} words", "x".repeat(300)));
        document.item("many words in one item ".repeat(20));
        let mut table = Table::new(["<name", "value", "<reason"]);
        table.row(["n".repeat(90), "1,234".to_owned(), "because of this and that ".repeat(9)]);
        document.table(table);
        for columns in [72, 100, 140] {
            let text = document.terminal(columns);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{widest} > {columns}:\n{text}");
            assert!(text.contains("1,234"), "{text}");
        }
    }

    #[test]
    fn the_first_table_that_fits_is_taken_and_numbers_stay_whole() {
        let table = |text: &str| {
            let mut table = Table::new(["<name", "value"]);
            table.row(["a", text]);
            table.row(["b", "[1, 2]"]);
            table
        };
        let tables = || [table("24.8 [21.9, 27.8]"), table("24.8")];
        assert_eq!(tables().map(|table| table.width()), [4 + GAP + 17, 4 + GAP + 6]);
        let chosen = |columns| Table::first_that_fits(columns, tables()).unwrap().terminal(columns);
        assert_eq!(chosen(23).lines().count(), 4, "header, line, two rows: {}", chosen(23));
        assert!(chosen(23).contains("24.8 [21.9, 27.8]") && !chosen(22).contains("21.9"));
    }

    #[test]
    fn markdown_keeps_a_table_whole() {
        let mut document = Document::default();
        let mut table = Table::new(["<name", "value"]);
        table.row(["a|b\nc", "\u{1b}[31m1"]);
        document.table(table);
        let text = document.markdown();
        assert!(text.contains("| a\\|b c |"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn markdown_has_no_tag_of_a_text() {
        let mut document = Document::default();
        document.text("<script>a</script> `Vec<u8>` <0.01 < 3 <!--");
        document.item("a ` <b>");
        let mut table = Table::new(["<name"]);
        table.row(["<img src=x>"]);
        document.table(table);
        let text = document.markdown();
        assert!(text.contains("\\<script>a\\</script> `Vec<u8>` <0.01 < 3 \\<!--"), "{text}");
        assert!(text.contains("a ` \\<b>") && text.contains("| \\<img src=x> |"), "{text}");
    }
}

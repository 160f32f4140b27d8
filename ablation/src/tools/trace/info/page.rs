//! The page with figures.

use super::amounts::{bytes, size_class};
use super::subject::Info;
use super::text::{answer, by_allocations, lifetime, parts, remarks, site_name};
use crate::report::document::Document;
use crate::report::figure::bars::{self, Bar};
use crate::report::figure::line;
use crate::report::html::plain::{Figure, Page, Section, render};
use crate::support::count::grouped;

/// Call sites in a figure.
const SITES: usize = 15;

/// One page.
pub(super) fn page(info: &Info) -> String {
    let mut sections = vec![over_time(info)];
    for (title, content) in parts(info, true) {
        let (id, figures) = match title {
            "Sizes" => ("sizes", vec![sizes(info)]),
            "Lifetimes" => ("lifetimes", vec![lifetimes(info)]),
            "Call sites" => ("sites", vec![sites(info)]),
            "Threads" => ("threads", Vec::new()),
            _ => ("written", Vec::new()),
        };
        sections.push(Section { id: id.to_owned(), title: title.to_owned(), figures, content });
    }
    let about = &info.header.about;
    let size = format!("{}, {} on {}", bytes(info.bytes), about.made_at, about.machine);
    render(&Page {
        title: format!("Trace of {}", about.program.first().map_or("a program", String::as_str)),
        question: "What does the program ask of its allocator?".to_owned(),
        answer: answer(info),
        size,
        sections,
        method: format!("Recorded by {}.", about.made_by),
        made_by: "cargo ablate trace info",
    })
}

fn figure(id: &str, title: &str, legend: &str, words: String, svg: String) -> Figure {
    Figure { id: id.to_owned(), title: title.to_owned(), legend: legend.to_owned(), words, svg }
}

fn over_time(info: &Info) -> Section {
    let counts = &info.counts;
    let point = |(at, bytes): (usize, &u64)| (at as f64 * counts.bucket_ns as f64 / 1e9, *bytes as f64 / 1_048_576.0);
    let points: Vec<_> = counts.over_time.iter().enumerate().map(point).collect();
    let words = format!("At most {} were live.", bytes(counts.kinds.peak_bytes));
    let mut content = Document::default();
    remarks(info).into_iter().for_each(|remark| content.item(remark));
    let legend = "The most bytes that were live in each stretch of time, as the program asked for them.";
    Section {
        id: "time".to_owned(),
        title: "Live bytes over time".to_owned(),
        figures: vec![figure("live", "Live bytes", legend, words, line::draw(&points, "seconds", "MiB"))],
        content,
    }
}

/// A figure of counts, each with its share.
fn counts(id: &str, title: &str, legend: &str, rows: impl IntoIterator<Item = (String, u64)>) -> Figure {
    let bars = rows.into_iter().map(|(name, count)| Bar { name, value: count as f64, text: grouped(count) });
    let bars: Vec<Bar> = bars.collect();
    let most = bars.iter().max_by(|a, b| a.value.total_cmp(&b.value));
    let words = most.map_or(String::new(), |most| format!("Most are in the row {}.", most.name));
    figure(id, title, legend, words, bars::draw(&bars, "objects"))
}

fn sizes(info: &Info) -> Figure {
    let rows = info.counts.sizes.iter().map(|of| (size_class(of.size_max), of.allocations));
    counts("by-size", "Allocations by size", "Up to this size, and above half of it.", rows)
}

fn lifetimes(info: &Info) -> Figure {
    let freed = info.counts.lifetimes.iter().map(|of| (lifetime(of.below_ns), of.objects));
    let rows = freed.chain([("never freed".to_owned(), info.counts.never_freed)]);
    counts("by-lifetime", "Objects by how long they lived", "Each row begins where the one above it ends.", rows)
}

fn sites(info: &Info) -> Figure {
    let order = by_allocations(info);
    let rows = order.into_iter().take(SITES).map(|at| (site_name(info, at), info.counts.sites[at].allocations));
    counts("by-site", "Allocations by call site", "The sites with the most allocations.", rows)
}

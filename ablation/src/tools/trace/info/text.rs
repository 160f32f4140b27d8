//! What a trace has, for people: the answer first, then a table for each question.

use super::amounts::{bytes, size_class, time};
use super::subject::Info;
use crate::report::document::{Document, Table};
use crate::report::number::{MISSING, number, part};
use crate::support::count::{counted, grouped};
use crate::support::text::shortened;

/// Rows of a table that is shortened unless all are asked for.
const ROWS: usize = 12;
/// Columns of the drawing of live bytes, and its steps.
const SPARKS: usize = 60;
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Letters of a call site's name.
const NAME: usize = 48;
/// Letters of a program's command line.
const COMMAND: usize = 60;

/// `perl script.pl: 7,300,000 operations of 1 thread in 2.10 s`.
pub(super) fn answer(info: &Info) -> String {
    let command = shortened(&info.header.about.program.join(" "), COMMAND);
    let command = if command.is_empty() { info.path.display().to_string() } else { command };
    format!(
        "{command}: {} operations of {} in {}",
        grouped(info.counts.kinds.operations),
        counted(info.header.threads.len(), "thread"),
        time(info.header.duration_ns),
    )
}

/// All of it.
pub(super) fn document(info: &Info, all: bool) -> Document {
    let mut document = Document::default();
    document.title(answer(info));
    for remark in remarks(info) {
        document.item(remark);
    }
    document.table(summary(info));
    for (heading, part) in parts(info, all) {
        document.heading(heading);
        document.append(part);
    }
    document
}

/// The tables with their headings. Those of which there is nothing are left out.
pub(super) fn parts(info: &Info, all: bool) -> Vec<(&'static str, Document)> {
    let mut parts = Vec::new();
    let mut add = |heading, table: Option<Table>, rest: Option<String>| {
        if let Some(table) = table.filter(|table| !table.is_empty()) {
            let mut document = Document::default();
            document.table(table);
            rest.into_iter().for_each(|rest| document.text(rest));
            parts.push((heading, document));
        }
    };
    add("Sizes", Some(sizes(info)), None);
    add("Lifetimes", Some(lifetimes(info)), None);
    let (table, rest) = sites(info, all);
    add("Call sites", Some(table), rest);
    let (table, rest) = threads(info, all);
    add("Threads", (info.header.threads.len() > 1).then_some(table), rest);
    add("What was written to objects", touch(info), Some(TOUCH.to_owned()));
    parts
}

const TOUCH: &str = "Of small objects, words that had changed when they were freed; of those of 128 KiB and more that began \
                     without a page, pages that were resident. Objects that are never freed are not in it.";

/// What a reader must know before the numbers.
pub(super) fn remarks(info: &Info) -> Vec<String> {
    let about = &info.header.about;
    let mut remarks = Vec::new();
    if let Some(cut_off) = &info.cut_off {
        let missing = info.header.operations - cut_off.operations.min(info.header.operations);
        remarks.push(format!(
            "The file is not whole: after {} bytes it is damaged or ends, and {} of {} operations are missing. Take another copy.",
            grouped(cut_off.at),
            grouped(missing),
            grouped(info.header.operations),
        ));
    }
    remarks.extend(about.notes.iter().map(|note| format!("Note: {note}.")));
    if about.unknown_frees > 0 {
        remarks.push(format!(
            "{} frees or reallocations were of objects that are not in the trace, and were left out.",
            grouped(about.unknown_frees)
        ));
    }
    if about.lost_operations > 0 {
        remarks.push(format!("{} operations could not be recorded.", grouped(about.lost_operations)));
    }
    remarks
}

fn summary(info: &Info) -> Table {
    let kinds = &info.counts.kinds;
    let header = &info.header;
    let mut table = Table::new(["<what", "=value"]);
    let or_missing = |text: &str| if text.is_empty() { MISSING.to_owned() } else { text.to_owned() };
    let preamble = match kinds.preamble {
        0 => String::new(),
        preamble => format!("; {} of them live before the cut", grouped(preamble)),
    };
    table.row([
        "allocations".to_owned(),
        format!(
            "{} of {} in all; {} zeroed, {} aligned{preamble}",
            grouped(kinds.allocations),
            bytes(kinds.bytes),
            grouped(kinds.zeroed),
            grouped(kinds.aligned)
        ),
    ]);
    let realloc = format!("{}; {} to a larger size", grouped(kinds.reallocations), grouped(kinds.grown));
    table.row(["reallocations", &realloc]);
    table.row(["frees", &grouped(kinds.frees)]);
    let handovers = format!("{} frees or reallocations by another thread", grouped(kinds.handovers));
    table.row(["hand-overs", &handovers]);
    let peak = format!("{} in {} objects", bytes(kinds.peak_bytes), grouped(kinds.peak_objects));
    table.row(["most live", &peak]);
    let end = format!("{} in {} objects", bytes(kinds.live_bytes), grouped(info.counts.never_freed));
    table.row(["live at the end", &end]);
    if let Some(line) = sparks(&info.counts.over_time) {
        table.row(["live over time", &line]);
    }
    let seconds = header.duration_ns as f64 / 1e9;
    if seconds > 0.0 {
        let floor = header
            .floor_ns
            .map_or(String::new(), |floor| format!("; a short call and its recording take {}", time(floor)));
        table.row([
            "rate",
            &format!("{} million operations per second{floor}", number(kinds.operations as f64 / seconds / 1e6)),
        ]);
    }
    let each = info.bytes as f64 / kinds.operations.max(1) as f64;
    table.row(["file", &format!("{}, {} bytes per operation", bytes(info.bytes), number(each))]);
    table.row(["recorded", &or_missing(&header.about.made_at)]);
    table.row(["allocator", &or_missing(&header.about.allocator)]);
    table.row(["machine", &or_missing(&header.about.machine)]);
    table
}

/// A character for each stretch of time, as high as its live bytes.
fn sparks(over_time: &[u64]) -> Option<String> {
    let most = over_time.iter().copied().max().filter(|most| *most > 0)?;
    let each = over_time.len().div_ceil(SPARKS).max(1);
    let step = |of: &[u64]| {
        let value = of.iter().copied().max().unwrap_or(0);
        STEPS[(value as f64 / most as f64 * (STEPS.len() - 1) as f64).round() as usize]
    };
    Some(over_time.chunks(each).map(step).collect())
}

fn share(count: u64, all: u64) -> String {
    if all == 0 { MISSING.to_owned() } else { part(count as f64 / all as f64) }
}

fn sizes(info: &Info) -> Table {
    let all = &info.counts.kinds;
    let mut table = Table::new(["size up to", "allocations", "of all", "bytes", "of all", "never freed"]);
    for of in &info.counts.sizes {
        table.row([
            size_class(of.size_max),
            grouped(of.allocations),
            share(of.allocations, all.allocations),
            bytes(of.bytes),
            share(of.bytes, all.bytes),
            grouped(of.live),
        ]);
    }
    table
}

/// How rows of lifetimes are called.
pub(super) fn lifetime(below_ns: Option<u64>) -> String {
    below_ns.map_or_else(
        || "10 s and longer".to_owned(),
        |end| format!("below {}", time(end).replace(".00", "").replace(".0", "")),
    )
}

fn lifetimes(info: &Info) -> Table {
    let mut table = Table::new(["<lived", "objects", "of all"]);
    let all = info.counts.kinds.allocations;
    for of in info.counts.lifetimes.iter().filter(|of| of.objects > 0) {
        table.row([lifetime(of.below_ns), grouped(of.objects), share(of.objects, all)]);
    }
    table.row(["never freed".to_owned(), grouped(info.counts.never_freed), share(info.counts.never_freed, all)]);
    table
}

/// The name of a call site: its function, or its module and offset.
pub(super) fn site_name(info: &Info, at: usize) -> String {
    let site = &info.header.sites[at];
    let module = site.module.and_then(|module| info.header.modules.get(module as usize));
    let file = module.map(|module| module.path.rsplit('/').next().unwrap_or_default().to_owned());
    match (&site.name, file) {
        // A function without lines may have several call sites.
        (Some(name), Some(file)) if !name.ends_with(')') => format!("{name} in {file}+{:#x}", site.offset),
        (Some(name), Some(file)) => format!("{name} in {file}"),
        (Some(name), None) => name.clone(),
        (None, Some(file)) => format!("{file}+{:#x}", site.offset),
        (None, None) => format!("{:#x}", site.offset),
    }
}

/// A name with at most so many letters, cut in its midst.
fn cut_short(name: &str, most: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= most {
        return name.to_owned();
    }
    let (first, last) = (most / 2, most - most / 2 - 1);
    letters[..first].iter().chain(['…'].iter()).chain(&letters[letters.len() - last..]).collect()
}

/// Call sites, the one with the most allocations first.
pub(super) fn by_allocations(info: &Info) -> Vec<usize> {
    let mut order: Vec<usize> = (0..info.header.sites.len()).collect();
    order.retain(|at| info.counts.sites[*at].allocations > 0);
    order.sort_by_key(|at| std::cmp::Reverse(info.counts.sites[*at].allocations));
    order
}

fn sites(info: &Info, all: bool) -> (Table, Option<String>) {
    let order = by_allocations(info);
    let shown = if all { order.len() } else { ROWS.min(order.len()) };
    let mut table = Table::new(["=called from", "allocations", "of all", "bytes", "mean size", "never freed"]);
    for &at in &order[..shown] {
        let of = info.counts.sites[at];
        table.row([
            if all { site_name(info, at) } else { cut_short(&site_name(info, at), NAME) },
            grouped(of.allocations),
            share(of.allocations, info.counts.kinds.allocations),
            bytes(of.bytes),
            bytes(of.bytes / of.allocations.max(1)),
            grouped(of.live),
        ]);
    }
    (table, left_out(order.len(), shown, "call sites"))
}

fn threads(info: &Info, all: bool) -> (Table, Option<String>) {
    let mut order: Vec<usize> = (0..info.header.threads.len()).collect();
    let shown = if all { order.len() } else { ROWS.min(order.len()) };
    order.sort_by_key(|at| std::cmp::Reverse(info.counts.threads[*at].operations));
    let mut table =
        Table::new(["thread", "<name", "begins", "operations", "allocations", "bytes", "frees", "hand-overs to it"]);
    for &at in &order[..shown] {
        let (of, counts) = (&info.header.threads[at], info.counts.threads[at]);
        table.row([
            at.to_string(),
            of.name.clone(),
            time(of.begin_ns),
            grouped(counts.operations),
            grouped(counts.allocations),
            bytes(counts.bytes),
            grouped(counts.frees),
            grouped(counts.handovers),
        ]);
    }
    (table, left_out(order.len(), shown, "threads"))
}

fn left_out(count: usize, shown: usize, what: &str) -> Option<String> {
    (count > shown).then(|| format!("{} more {what} are not shown; --all shows them.", grouped((count - shown) as u64)))
}

fn touch(info: &Info) -> Option<Table> {
    let model = info.header.touch.as_ref()?;
    let mut table = Table::new(["size up to", "objects watched", "bytes", "written"]);
    for of in &model.classes {
        table.row([size_class(of.size_max), grouped(of.objects), bytes(of.bytes), share(of.written, of.bytes)]);
    }
    Some(table)
}

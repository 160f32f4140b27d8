//! The page of a study, read as text.

use super::tests::costs;
use super::{Screen, html, texts};
use crate::analyse::fixture::Study;
use crate::prove::JudgedRun;
use ablate_format::{MainResponse, Manifest};
use std::path::Path;

fn page(manifest: &Manifest, runs: &[JudgedRun]) -> html::Page {
    texts(Path::new("out"), manifest, runs, Screen::Tables, 100).expect("effects are JSON").page
}

/// Values of an attribute in the order of the page.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let mark = format!(" {name}=\"");
    page.split(mark.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn a_page_is_complete_in_itself_and_the_same_each_time() {
    let study = Study::new(&["cache", "tick"], &["w", "second"]);
    let records = study.records(12, costs);
    let runs = crate::prove::judge_all(&study.manifest.plan, &records);
    let made = page(&study.manifest, &runs);
    let html = &made.html;
    assert_eq!(*html, page(&study.manifest, &runs).html);
    // Nothing is loaded: links lead to parts of the page and to files beside it.
    for link in attributes(html, "href") {
        let is_beside = ["manifest.json", "records.jsonl", "effects.json"].contains(&link);
        assert!(is_beside || link.starts_with('#'), "{link}");
    }
    assert!(attributes(html, "src").is_empty() && !html.contains("url(") && !html.contains("@import"));
    // Every link inside leads somewhere, and no two parts have one name.
    let mut ids = attributes(html, "id");
    for link in attributes(html, "href").iter().filter_map(|link| link.strip_prefix('#')) {
        assert!(ids.contains(&link), "{link}");
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    // The verdict is the heading, and every figure is there, in words too.
    assert!(html.contains("<h1>cache costs most"), "{html}");
    assert!(made.figures.iter().any(|(name, _)| name == "attribution.w.svg"));
    assert_eq!(html.matches("<figure").count(), made.figures.len());
    assert_eq!(html.matches("role=\"img\"").count(), made.figures.len());
    assert!(attributes(html, "aria-label").iter().any(|label| label.contains("cache: ")));
    for (name, svg) in &made.figures {
        assert!(html.contains(svg.as_str()), "{name} is in the page as it is in its file");
    }
}

#[test]
fn a_page_shows_names_as_they_are_and_runs_none() {
    let hostile = "</script><script>alert('x')</script>\"><img src=x onerror=y>";
    let mut study = Study::new(&["cache"], &["w"]);
    let records = study.records(8, costs);
    study.manifest.study = hostile.to_owned();
    for workload in &mut study.manifest.plan.workloads {
        workload.about = hostile.to_owned();
    }
    let runs = crate::prove::judge_all(&study.manifest.plan, &records);
    let html = page(&study.manifest, &runs).html;
    assert_eq!(html.matches("<script").count(), 1, "the page's own");
    assert!(!html.contains("<img") && html.contains("&lt;img src=x onerror=y&gt;"));
}

#[test]
fn a_page_of_many_blocks_stays_small() {
    let study = Study::new(&["cache"], &["w"]);
    let size = |blocks: u32| {
        let runs = crate::prove::judge_all(&study.manifest.plan, &study.records(blocks, costs));
        page(&study.manifest, &runs).html.len()
    };
    assert!(size(1_000) < 2 * size(200), "points are drawn for groups of runs");
}

#[test]
fn every_figure_says_which_records_it_is_made_from() {
    let study = Study::new(&["cache"], &["w", "second"]);
    let runs = crate::prove::judge_all(&study.manifest.plan, &study.records(12, costs));
    let made = page(&study.manifest, &runs);
    assert_eq!(made.html.matches("Where this comes from: ").count(), made.figures.len());
    assert!(
        made.html.contains("select(.pass == &quot;timing&quot; and .workload == &quot;second&quot;)"),
        "{}",
        made.html
    );
}

#[test]
fn a_subject_with_half_the_rate_of_its_peer_takes_twice_as_much() {
    let mut study = Study::new(&["cache"], &["w"]);
    study.manifest.plan.workloads[0].response = MainResponse::named("value:r_per_s").expect("is a response");
    let mut records = study.records(12, |_, cell, _| if cell == "peer-fast" { 50.0 } else { 100.0 });
    for record in &mut records {
        let measured = record.measured.as_mut().expect("is a timing run");
        let ns = measured.latency_ns_p10.expect("is a timing run");
        measured.values = [("r_per_s".to_owned(), 1e9 / ns)].into();
    }
    let runs = crate::prove::judge_all(&study.manifest.plan, &records);
    let html = page(&study.manifest, &runs).html;
    let label = attributes(&html, "aria-label").into_iter().find(|label| label.contains(" of fast ")).expect("a ratio");
    assert!(label.starts_with("w: 1.99 of fast [1.98, 2.01]"), "{label}");
}

#[test]
fn figures_have_names_of_their_own() {
    let study = Study::new(&["cache"], &["a", "a-b", "A"]);
    let runs = crate::prove::judge_all(&study.manifest.plan, &study.records(12, costs));
    let made = page(&study.manifest, &runs);
    let mut names: Vec<&String> = made.figures.iter().map(|(name, _)| name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
}

#[test]
fn what_is_not_known_is_not_taken_for_nothing() {
    let study = Study::new(&["cache"], &["w", "second"]);
    let said = |blocks: u32| {
        let runs = crate::prove::judge_all(&study.manifest.plan, &study.records(blocks, |_, _, _| 2_000.0));
        let html = page(&study.manifest, &runs).html;
        let (_, rest) = html.split_once("<h1>").expect("a heading");
        rest.split_once("</h1>").expect("its end").0.to_owned()
    };
    assert_eq!(said(0), "Nothing is known of any factor, because no workload has proven runs to compare.");
    assert!(
        said(4).starts_with("Nothing can be decided yet: an interval takes 6 blocks, and there are 4"),
        "{}",
        said(4)
    );
    assert!(said(12).starts_with("No factor is proven to cost or to save anything"), "{}", said(12));
}

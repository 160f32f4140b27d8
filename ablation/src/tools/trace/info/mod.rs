//! What a trace has.

mod amounts;
mod counts;
mod page;
mod subject;
mod text;

use super::error::TraceToolError;
use super::open::open;
use crate::report::document::Document;
use crate::tools::results::form::InForms;
use counts::{Counts, count};
use serde_json::{Value, json};
use std::path::Path;
use subject::Info;

/// Reads a trace to its end.
///
/// # Errors
/// Those of the trace.
pub(crate) fn info(path: &Path) -> Result<Info, TraceToolError> {
    let trace = open(path)?;
    let counts = count(&trace)?;
    let (header, cut_off) = (trace.header().clone(), trace.cut_off().cloned());
    Ok(Info { path: path.to_owned(), bytes: trace.file_bytes(), header, cut_off, counts })
}

impl InForms for Info {
    const COMMAND: &'static str = "cargo ablate trace info";

    fn document(&self, all: bool) -> Document {
        text::document(self, all)
    }

    fn json(&self) -> Value {
        let Counts { kinds, sizes, lifetimes, never_freed, sites, threads, over_time, bucket_ns } = &self.counts;
        let header = &self.header;
        let site = |at: usize| {
            let site = &header.sites[at];
            let module = site.module.and_then(|module| header.modules.get(module as usize));
            json!({
                "module": module.map(|module| &module.path),
                "offset": site.offset,
                "name": site.name,
                "allocations": sites[at].allocations,
                "bytes": sites[at].bytes,
                "never_freed": sites[at].live,
                "never_freed_bytes": sites[at].live_bytes,
            })
        };
        json!({
            "file": self.path.display().to_string(),
            "file_bytes": self.bytes,
            "is_whole": self.is_whole(),
            "about": header.about,
            "duration_ns": header.duration_ns,
            "floor_ns": header.floor_ns,
            "objects": header.objects(),
            "shared_objects": header.shared_objects,
            "counts": kinds,
            "sizes": sizes,
            "lifetimes": lifetimes,
            "never_freed": never_freed,
            "sites": (0..header.sites.len()).map(site).collect::<Vec<_>>(),
            "threads": header.threads.iter().zip(threads).map(|(of, counts)| json!({
                "name": of.name,
                "begin_ns": of.begin_ns,
                "preamble": of.preamble,
                "counts": counts,
            })).collect::<Vec<_>>(),
            "live_bytes_over_time": { "bucket_ns": bucket_ns, "largest": over_time },
            "touch": header.touch,
        })
    }

    fn html(&self) -> String {
        page::page(self)
    }
}

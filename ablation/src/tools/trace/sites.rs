//! Call sites: addresses to files with code, offsets, and names where symbols or debug information tell them.

use ablate_trace::{Builder, Module, Site};
use object::{Object as _, ObjectSegment as _};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

/// Call sites by their return addresses, in the order in which they were first seen.
#[derive(Debug, Default)]
pub(super) struct Sites {
    known: HashMap<u64, u32>,
}

impl Sites {
    /// The index of a call site in the trace.
    pub(super) fn index(&mut self, address: u64, builder: &mut Builder<File>) -> u32 {
        let new = || builder.site(Site { module: None, offset: address, name: None });
        *self.known.entry(address).or_insert_with(new)
    }
}

/// A stretch of a file's code in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mapping {
    from: u64,
    to: u64,
    offset: u64,
    path: String,
}

/// Replaces addresses of call sites by offsets in modules, with names where these can be found; gives the modules. Files
/// are read as they are now.
///
/// `maps` are lists of mappings one after the other. A site is of the first one that has its address: where libraries were
/// loaded to the place of others, a later one may be named by mistake.
pub(super) fn name_sites(sites: &mut [Site], maps: &[String]) -> Vec<Module> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for mapping in maps.iter().flat_map(|lines| lines.lines()).filter_map(mapping) {
        if !mappings.contains(&mapping) {
            mappings.push(mapping);
        }
    }
    let mut modules: Vec<Module> = Vec::new();
    let mut of_module: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, site) in sites.iter_mut().enumerate() {
        // The call is before the address that it returns to.
        let call = site.offset.saturating_sub(1);
        let Some(mapping) = mappings.iter().find(|mapping| (mapping.from..mapping.to).contains(&call)) else {
            continue;
        };
        let module = modules.iter().position(|module| module.path == mapping.path).unwrap_or_else(|| {
            modules.push(Module { path: mapping.path.clone(), build_id: None });
            modules.len() - 1
        });
        site.module = Some(module as u32);
        site.offset = call - mapping.from + mapping.offset;
        of_module.entry(module as u32).or_default().push(at);
    }
    for (module, own) in of_module {
        name_module(&mut modules[module as usize], &own, sites);
    }
    modules
}

/// One line of `/proc/self/maps` that has a path: `from-to r-xp offset device inode path`.
fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.splitn(6, ' ');
    let (from, to) = words.next()?.split_once('-')?;
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let offset = words.nth(1)?;
    let path = words.nth(2)?.trim_start();
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let mapping = Mapping { from: number(from)?, to: number(to)?, offset: number(offset)?, path: path.to_owned() };
    (!path.is_empty()).then_some(mapping)
}

/// Turns offsets in a module's file into addresses as its symbols count, and names them.
fn name_module(module: &mut Module, own: &[usize], sites: &mut [Site]) {
    let path = Path::new(&module.path);
    // Neither the kernel's own code nor a file that is gone has symbols to read.
    let Ok(bytes) = std::fs::read(path) else { return };
    let Ok(file) = object::File::parse(&*bytes) else { return };
    module.build_id = file.build_id().ok().flatten().map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect());
    let loader = addr2line::Loader::new(path).ok();
    for &at in own {
        let site = &mut sites[at];
        let segment = file.segments().find(|segment| {
            let (from, size) = segment.file_range();
            (from..from.saturating_add(size)).contains(&site.offset)
        });
        let Some(segment) = segment else { continue };
        site.offset = site.offset - segment.file_range().0 + segment.address();
        site.name = loader.as_ref().and_then(|loader| name(loader, site.offset));
    }
}

/// `function (file.c:12)`: the function that was compiled, and the line of the call, which may be in one that was inlined.
fn name(loader: &addr2line::Loader, address: u64) -> Option<String> {
    let mut line = None;
    let mut outer = None;
    if let Ok(mut frames) = loader.find_frames(address) {
        while let Ok(Some(frame)) = frames.next() {
            let location = frame.location.and_then(|location| Some((location.file?.to_owned(), location.line?)));
            line = line.or(location);
            let function = frame.function.and_then(|name| name.demangle().ok().map(|name| name.into_owned()));
            outer = function.or(outer);
        }
    }
    let demangled = |symbol: &str| addr2line::demangle_auto(symbol.into(), None).into_owned();
    let function = outer.or_else(|| loader.find_symbol(address).map(demangled))?;
    Some(match line {
        Some((file, line)) => {
            let file = Path::new(&file).file_name().map_or(file.clone(), |name| name.to_string_lossy().into_owned());
            format!("{function} ({file}:{line})")
        }
        None => function,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_read() {
        let line = "7f12-7f34 r-xp 00001000 08:01 1234                       /usr/lib/with space.so (deleted)";
        let path = "/usr/lib/with space.so".to_owned();
        assert_eq!(mapping(line), Some(Mapping { from: 0x7f12, to: 0x7f34, offset: 0x1000, path }));
        assert_eq!(mapping("7f12-7f34 r-xp 00000000 00:00 0 "), None, "no file");
        assert_eq!(mapping("nonsense"), None);
    }

    #[test]
    fn a_site_outside_of_all_files_keeps_its_address() {
        let mut sites = vec![Site { offset: 0x1234, ..Site::default() }, Site { offset: 0x99, ..Site::default() }];
        let modules = name_sites(&mut sites, &["1000-2000 r-xp 00000500 00:00 0 [vdso]\n".to_owned()]);
        assert_eq!(modules, [Module { path: "[vdso]".to_owned(), build_id: None }]);
        assert_eq!((sites[0].module, sites[0].offset), (Some(0), 0x1233 - 0x1000 + 0x500));
        assert_eq!(sites[1], Site { offset: 0x99, ..Site::default() });
    }
}

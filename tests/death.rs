//! Each misuse of the allocator ends the child by SIGABRT with one fixed sentence, at each level that detects it.
//!
//! | misuse | header on or 16 | header off, free-check on | both off |
//! |---|---|---|---|
//! | free of memory that is not hakmem's | foreign | foreign | foreign |
//! | double free of a slot | double free | double free | double free when its slot list is emptied; until then the list holds it twice |
//! | double free of a run of blocks | double free | double free | double free; a run with a size class as a slot |
//! | double free of a large mapping | double free while BigCache or the mapping pool keeps it, else foreign: no page map has it | the same | the same; a mapping with a size class as a slot |
//! | free inside a slot | interior, or header where the address is a multiple of 16 | interior | interior if some other factor sees every request, else when its slot list is emptied |
//! | free inside a run of blocks | as inside a slot | interior | interior |
//! | free inside a large mapping | interior in its first OS page (header in one with a size class), foreign beyond | interior, foreign beyond | the same |
//! | overwritten header | header | there is no header to overwrite | the same |
//!
//! A run or a mapping has a size class, and joins a slot list of the thread, where BigCache is in its direct form and the object
//! has at most 4 MiB.

mod common;

use common::{all_off_but, case, level, present};
use hakmem::Hakmem;
use std::alloc::{GlobalAlloc, Layout};

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

const FOREIGN: &str = "hakmem: free of a pointer that hakmem did not allocate\n";
const INTERIOR: &str = "hakmem: free of a pointer inside an object, not at its start\n";
const DOUBLE: &str = "hakmem: double free\n";
const HEADER: &str = "hakmem: allocation header overwritten (magic value does not match)\n";

const KIB: usize = 1 << 10;
const SMALL: usize = 100;
/// Bytes of a coloured slot; where BigCache is not direct, of a run of blocks, since they are below every mmap threshold.
const COLOURED: usize = 500 * KIB;
/// Bytes of a run of blocks, where BigCache is direct.
const RUN: usize = 600 * KIB;
/// Bytes above every mmap threshold: always a large mapping.
const MAPPING: usize = 40 << 20;

/// Bytes of a run of blocks, in a child.
fn run_bytes() -> usize {
    if level("bigcache") == "direct" { RUN } else { COLOURED }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("far from overflow")
}

fn allocate(size: usize) -> *mut u8 {
    // SAFETY: the size is not 0.
    let object = unsafe { GLOBAL.alloc_zeroed(layout(size)) };
    assert!(!object.is_null());
    object
}

/// Frees an object, or what a test passes off as one.
fn free(object: *mut u8) {
    // SAFETY: none. The misuse is what is tested, and the process ends by it.
    unsafe { GLOBAL.dealloc(object, layout(SMALL)) };
}

/// The environments that the misuse is tried in, with the levels that matter to it.
struct Environment {
    label: &'static str,
    variables: Vec<(&'static str, &'static str)>,
    /// Bytes of the header; 0 when there is none.
    header: usize,
    bigcache: bool,
    /// Whether large objects have a size class, so that a slot list of the thread takes them unchecked.
    direct: bool,
    /// Whether each of those is a mapping, which the page map finds by its first OS page.
    mappings: bool,
    /// Whether some factor sees every request, so that no free takes the fast path.
    per_request: bool,
    /// Whether every free of an object of the arena's is verified.
    checked: bool,
}

fn environments() -> Vec<Environment> {
    let environment = |label, kept: &[&str], forms: &[(&'static str, &'static str)]| {
        let on = |factor| kept.contains(&factor) && present(factor);
        let is = |variable, value| forms.contains(&(variable, value));
        Environment {
            label,
            variables: all_off_but(kept).into_iter().chain(forms.iter().copied()).collect(),
            header: if !on("header") {
                0
            } else if is("HAKMEM_HEADER", "16") {
                16
            } else {
                32
            },
            bigcache: on("bigcache"),
            direct: on("bigcache") && is("HAKMEM_BIGCACHE", "direct"),
            mappings: on("bigcache") && is("HAKMEM_BIGCACHE", "direct") && !on("arena"),
            per_request: ["header", "tick", "evolution", "elo"].into_iter().any(on),
            checked: on("free-check") && !on("header"),
        }
    };
    let names: Vec<&str> = hakmem::factors::registry().iter().map(|factor| factor.name).collect();
    let without_header: Vec<&str> = names.iter().copied().filter(|name| *name != "header").collect();
    let of_the_default = ["free-check", "bigcache", "madvise-batch", "align", "thp", "arena", "thread-cache", "purge"];
    let direct = ("HAKMEM_BIGCACHE", "direct");
    let packed = ("HAKMEM_HEADER", "16");
    vec![
        environment("all", &names, &[]),
        environment("header alone", &["header"], &[]),
        environment("header of 16", &names, &[packed]),
        environment("header of 16 alone", &["header"], &[packed]),
        environment("header of 16, direct", &names, &[packed, direct]),
        environment("header, direct, mappings", &["header", "bigcache", "thread-cache"], &[direct]),
        environment("no header", &without_header, &[]),
        environment("direct, mappings", &["bigcache", "thread-cache"], &[direct]),
        environment("as the default", &of_the_default, &[direct]),
        environment("as the default, unchecked", &of_the_default[1..], &[direct]),
        environment("nothing", &[], &[]),
    ]
}

/// Runs the misuse in each environment for which `sentence` returns what the process must write.
fn check(test: &str, label: &str, sentence: impl Fn(&Environment) -> Option<&'static str>, misuse: impl Fn() + Copy) {
    for environment in environments() {
        if let Some(sentence) = sentence(&environment) {
            let label = format!("{label}, {}", environment.label);
            case(test, &label).vars(&environment.variables).aborts_with(sentence, misuse);
        }
    }
}

#[test]
fn double_free() {
    let name = "double_free";
    // Without headers and checks the fast path pushes a free slot twice. That is documented, and not tested here.
    check(
        name,
        "slot",
        |environment| (environment.header > 0 || environment.checked).then_some(DOUBLE),
        || {
            let object = allocate(SMALL);
            free(object);
            free(object);
        },
    );
    check(
        name,
        "slot, by another thread",
        |environment| (environment.header > 0 || environment.checked).then_some(DOUBLE),
        || {
            let object = allocate(SMALL).expose_provenance();
            let again = move || free(std::ptr::with_exposed_provenance_mut(object));
            std::thread::spawn(again).join().expect("the first free is right");
            again();
        },
    );
    check(
        name,
        "run",
        |environment| (environment.header > 0 || environment.checked || !environment.direct).then_some(DOUBLE),
        || {
            let object = allocate(run_bytes());
            free(object);
            free(object);
        },
    );
    // What a slot list took unchecked is checked when the list is emptied.
    for (label, size) in [("slot", SMALL), ("coloured slot", COLOURED), ("run", RUN), ("object of 4 MiB", 4 << 20)] {
        let twice = move || {
            let object = allocate(size);
            free(object);
            free(object);
            hakmem::flush();
        };
        for environment in environments().into_iter().filter(|environment| size < 4 << 20 || environment.direct) {
            let label = format!("{label}, emptied, {}", environment.label);
            case(name, &label).vars(&environment.variables).aborts_with(DOUBLE, twice);
        }
    }
    check(
        name,
        "mapping",
        |environment| Some(if environment.bigcache { DOUBLE } else { FOREIGN }),
        || {
            let object = allocate(MAPPING);
            free(object);
            free(object);
        },
    );
}

#[test]
fn free_of_foreign_memory() {
    let name = "free_of_foreign_memory";
    check(
        name,
        "stack",
        |_| Some(FOREIGN),
        || {
            let mut local = [0_u128; 64];
            free((&raw mut local[32]).cast());
        },
    );
    check(
        name,
        "static",
        |_| Some(FOREIGN),
        || {
            static WORDS: [u128; 64] = [7; 64];
            free((&raw const WORDS[32]).cast_mut().cast());
        },
    );
    check(
        name,
        "another mapping",
        |_| Some(FOREIGN),
        || {
            let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new mapping disturbs nothing.
            let mapping = unsafe { libc::mmap(std::ptr::null_mut(), 1 << 20, protection, flags, -1, 0) };
            assert_ne!(mapping, libc::MAP_FAILED);
            free(mapping.cast::<u8>().wrapping_add(32));
        },
    );
    for (label, address) in [("no memory", 0x10_usize), ("the kernel's half", usize::MAX - 0xfff)] {
        let environment = environments().remove(0);
        case(name, label)
            .vars(&environment.variables)
            .aborts_with(FOREIGN, || free(std::ptr::without_provenance_mut(address)));
    }
}

/// Calls other than a free name themselves.
#[test]
fn realloc_and_usable_size_of_no_object() {
    let name = "realloc_and_usable_size_of_no_object";
    let realloc = |object: *mut u8| {
        // SAFETY: none, as in `free`.
        unsafe { GLOBAL.realloc(object, layout(SMALL), 2 * SMALL) };
    };
    let usable = |object: *mut u8| {
        // SAFETY: none, as in `free`.
        std::hint::black_box(unsafe { hakmem::usable_bytes(object) });
    };
    let foreign = || Box::leak(Box::new([0_u128; 64])).as_mut_ptr_range().end.cast::<u8>().wrapping_add(1 << 44);
    const REALLOC: &str = "hakmem: realloc of a pointer that hakmem did not allocate\n";
    const USABLE: &str = "hakmem: malloc_usable_size of a pointer that hakmem did not allocate\n";
    check(name, "realloc, foreign", |_| Some(REALLOC), move || realloc(foreign()));
    check(name, "usable, foreign", |_| Some(USABLE), move || usable(foreign()));
    let without_header = |sentence| move |environment: &Environment| (environment.header == 0).then_some(sentence);
    const INSIDE: &str = "hakmem: realloc of a pointer inside an object, not at its start\n";
    const USABLE_INSIDE: &str = "hakmem: malloc_usable_size of a pointer inside an object, not at its start\n";
    for size in [SMALL, 5000, COLOURED] {
        let label = |call| format!("{call}, {size} bytes");
        let inside = move || allocate(size).wrapping_add(16);
        check(name, &label("realloc, inside"), without_header(INSIDE), move || realloc(inside()));
        check(name, &label("usable, inside"), without_header(USABLE_INSIDE), move || usable(inside()));
    }
    let is_kept = |sentence| move |environment: &Environment| environment.bigcache.then_some(sentence);
    let freed = || {
        let object = allocate(MAPPING);
        free(object);
        object
    };
    check(name, "realloc, freed", is_kept("hakmem: realloc of a freed object\n"), move || realloc(freed()));
    check(name, "usable, freed", is_kept("hakmem: malloc_usable_size of a freed object\n"), move || usable(freed()));
}

#[test]
fn free_inside_an_object() {
    let name = "free_inside_an_object";
    let slot = |aligned: &'static str| {
        move |environment: &Environment| match environment {
            Environment { header: 16.., .. } => Some(aligned),
            Environment { per_request: true, .. } | Environment { checked: true, .. } => Some(INTERIOR),
            _ => None,
        }
    };
    check(name, "slot, at 8", slot(INTERIOR), || free(allocate(SMALL).wrapping_add(8)));
    // The 32 bytes before it are zeroes of the object.
    check(name, "slot, at 48", slot(HEADER), || free(allocate(SMALL).wrapping_add(48)));
    let run = |environment: &Environment| match environment {
        Environment { mappings: true, .. } => Some(FOREIGN),
        Environment { header: 0, .. } => Some(INTERIOR),
        _ => Some(HEADER),
    };
    check(name, "run", run, || free(allocate(run_bytes()).wrapping_add(64 * KIB)));
    check(name, "mapping, first OS page", |_| Some(INTERIOR), || free(allocate(MAPPING).wrapping_add(64)));
    check(name, "mapping, beyond", |_| Some(FOREIGN), || free(allocate(MAPPING).wrapping_add(1 << 20)));
}

#[test]
fn free_inside_what_a_slot_list_takes() {
    let name = "free_inside_what_a_slot_list_takes";
    let inside = |bytes: fn() -> usize| {
        move || {
            free(allocate(bytes()).wrapping_add(64));
            hakmem::flush();
        }
    };
    for environment in environments() {
        let case = |label: &str| case(name, &format!("{label}, {}", environment.label)).vars(&environment.variables);
        let sentence = if environment.header == 0 { INTERIOR } else { HEADER };
        case("run").aborts_with(sentence, inside(run_bytes));
        if environment.header == 0 {
            // Every slot of the list is checked against its page.
            case("slot").aborts_with(INTERIOR, inside(|| SMALL));
            case("coloured slot").aborts_with(INTERIOR, inside(|| COLOURED));
        }
    }
}

#[test]
fn overwritten_header() {
    for (label, size) in
        [("slot", SMALL), ("coloured slot", COLOURED), ("run", RUN), ("object of 3 MiB", 3 << 20), ("mapping", MAPPING)]
    {
        // Overwrites `bytes` bytes, the first of them `from` bytes before the object.
        let overwrite = move |from: usize, bytes: usize| {
            let object = allocate(size);
            // SAFETY: the header's bytes are mapped. They are not the program's, which is what is tested.
            unsafe { object.sub(from).write_bytes(0xa5, bytes) };
            free(object);
        };
        for environment in environments().into_iter().filter(|environment| environment.header > 0) {
            let case = |what: &str| {
                case("overwritten_header", &format!("{what} of a {label}, {}", environment.label))
                    .vars(&environment.variables)
            };
            let header = environment.header;
            case("all").aborts_with(HEADER, || overwrite(header, header));
            case("the magic value").aborts_with(HEADER, || overwrite(8, 8));
            if size <= COLOURED || (environment.direct && size < MAPPING) {
                // The prefix leads to the start of the slot or mapping; that of a mapping without a class is in its record.
                let prefix = if header == 16 { (10, 1) } else { (2, 2) };
                case("the prefix").aborts_with(HEADER, || overwrite(prefix.0, prefix.1));
            }
        }
    }
}

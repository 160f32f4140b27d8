//! What the default build does about misuse: each family of programs, for objects from 1 byte to 6 MiB, ends by SIGABRT
//! with one fixed sentence. `death.rs` has the same for every set of factors, with fewer programs.
//!
//! | family | objects up to 4 MiB | beyond |
//! |---|---|---|
//! | a second free: at once, later, by another thread, after the owner's end | double free | double free while the pool keeps the mapping, then foreign |
//! | a free inside an object | interior | interior in its first OS page, then foreign |
//! | a free of a stack, a static, a foreign mapping, 1 GiB away | foreign | the same |
//! | `realloc` or usable size inside an object, or of a freed one | as a free | as a free |
//!
//! Silent by design, and not tested here: a read or write beyond an object or after its free; a free of an old address
//! after another request got it; a second free of a small object whose OS page went back meanwhile, until its slot list
//! is emptied. The factors of docs/hardening.md are about these.

mod common;

use common::{KIB, MIB, case, present};
use hakmem::Hakmem;
use std::alloc::{GlobalAlloc, Layout};
use std::ptr::with_exposed_provenance_mut;

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

const FOREIGN: &str = "hakmem: free of a pointer that hakmem did not allocate\n";
const INTERIOR: &str = "hakmem: free of a pointer inside an object, not at its start\n";
const DOUBLE: &str = "hakmem: double free\n";

/// A slot of each kind, coloured slots, runs, and mappings.
const SIZES: [usize; 15] =
    [1, 8, 16, 24, 100, 256, 1000, 1024, 4 * KIB, 9000, 56 * KIB, 256 * KIB, 700 * KIB, 3 * MIB, 6 * MIB];
/// The first size of a mapping of its own.
const MAPPING: usize = 4 * MIB + 1;

/// Whether this build has what the default has, and so catches what it does.
fn is_default() -> bool {
    ["free-check", "arena", "bigcache", "thread-cache", "purge"].into_iter().all(present)
}

fn allocate_aligned(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the size is not 0.
    let object = unsafe { GLOBAL.alloc(Layout::from_size_align(size, align).expect("far from overflow")) };
    assert!(!object.is_null());
    object
}

fn allocate(size: usize) -> *mut u8 {
    allocate_aligned(size, 16)
}

/// Frees an object, or what a test passes off as one.
fn free(object: *mut u8) {
    // SAFETY: none. The misuse is what is tested, and the process ends by it.
    unsafe { GLOBAL.dealloc(object, Layout::new::<u128>()) };
}

fn in_another_thread(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work).join().expect("the thread ends well, or the process does not go on");
}

/// Runs the misuse with an object of each size, for which `sentence` returns what the process must write.
fn check(test: &str, family: &str, sentence: impl Fn(usize) -> Option<&'static str>, misuse: impl Fn(usize) + Copy) {
    if !is_default() {
        return;
    }
    for size in SIZES {
        if let Some(sentence) = sentence(size) {
            case(test, &format!("{family}, {size} bytes")).aborts_with(sentence, move || misuse(size));
        }
    }
}

#[test]
fn double_free() {
    let name = "double_free";
    let always = |_| Some(DOUBLE);
    check(name, "at once", always, |size| {
        let object = allocate(size);
        free(object);
        free(object);
    });
    check(name, "others in between", always, |size| {
        let objects = [(); 8].map(|()| allocate(size));
        objects.into_iter().for_each(free);
        free(objects[3]);
    });
    check(name, "1,024 pairs in between", always, |size| {
        let object = allocate(size);
        free(object);
        (0..1024).for_each(|_| free(allocate(size)));
        free(object);
    });
    check(name, "interleaved", always, |size| {
        let (a, b) = (allocate(size), allocate(size));
        free(a);
        free(b);
        free(a);
    });
    check(name, "after reuse", always, |size| {
        let object = allocate(size);
        free(object);
        let again = allocate(size);
        free(again);
        free(object);
    });
    check(name, "by realloc, then free", always, |size| {
        let object = allocate(size);
        // Longer by so much that it moves.
        // SAFETY: the object is live, and of this layout.
        let moved = unsafe { GLOBAL.realloc(object, Layout::from_size_align(size, 16).expect("small"), 3 * size + 64) };
        assert!(!moved.is_null());
        free(moved);
        free(moved);
    });
    check(name, "of a zeroed object", always, |size| {
        // SAFETY: the size is not 0.
        let object = unsafe { GLOBAL.alloc_zeroed(Layout::from_size_align(size, 16).expect("small")) };
        free(object);
        free(object);
    });
}

#[test]
fn double_free_and_threads() {
    let name = "double_free_and_threads";
    let always = |_| Some(DOUBLE);
    check(name, "the other thread first", always, |size| {
        let object = allocate(size).expose_provenance();
        in_another_thread(move || free(with_exposed_provenance_mut(object)));
        free(with_exposed_provenance_mut(object));
    });
    check(name, "the other thread last", always, |size| {
        let object = allocate(size);
        free(object);
        let object = object.expose_provenance();
        in_another_thread(move || free(with_exposed_provenance_mut(object)));
    });
    check(name, "after the owner's end", always, |size| {
        let object = std::thread::spawn(move || allocate(size).expose_provenance()).join().expect("it allocates");
        free(with_exposed_provenance_mut(object));
        free(with_exposed_provenance_mut(object));
    });
    check(name, "freed by a thread that ended", always, |size| {
        let object = allocate(size).expose_provenance();
        in_another_thread(move || {
            free(with_exposed_provenance_mut(object));
            (0..200).for_each(|_| free(allocate(size)));
        });
        free(with_exposed_provenance_mut(object));
    });
}

#[test]
fn double_free_of_what_went_back() {
    let name = "double_free_of_what_went_back";
    let expected = |size| Some(if size < MAPPING { DOUBLE } else { FOREIGN });
    // The marks of small objects go with their OS pages.
    let of_the_table = |size| expected(size).filter(|_| size > KIB);
    check(name, "flushed", of_the_table, |size| {
        let object = allocate(size);
        free(object);
        hakmem::flush();
        free(object);
    });
    // Neighbours keep the OS page of a small object, and with it the mark that tells.
    check(name, "flushed, between neighbours", expected, |size| {
        let [_before, object, _after] = [(); 3].map(|()| allocate(size));
        free(object);
        hakmem::flush();
        free(object);
    });
    if common::in_child() {
        return after_two_seconds(&SIZES);
    }
    std::thread::scope(|scope| {
        for sizes in SIZES.chunks(3) {
            scope.spawn(|| after_two_seconds(sizes));
        }
    });
}

fn after_two_seconds(sizes: &[usize]) {
    if !is_default() {
        return;
    }
    for &size in sizes {
        let sentence = if size < MAPPING { DOUBLE } else { FOREIGN };
        case("double_free_of_what_went_back", &format!("after two seconds, {size} bytes")).aborts_with(
            sentence,
            || {
                let [_before, object, _after] = [(); 3].map(|()| allocate(size));
                free(object);
                // Not a deadline: the purge may be late, and the free is a second one either way.
                std::thread::sleep(std::time::Duration::from_millis(2100));
                if size >= MAPPING {
                    hakmem::flush();
                }
                free(object);
            },
        );
    }
}

#[test]
fn free_inside_an_object() {
    let name = "free_inside_an_object";
    for (family, offset) in [("at 1", 1), ("at 8", 8), ("at 16", 16), ("at 4,096", 4096)] {
        let expected = move |size| match size {
            MAPPING.. if offset >= common::PAGE => Some(FOREIGN),
            _ => (offset < size).then_some(INTERIOR),
        };
        check(name, family, expected, move |size| free(allocate(size).wrapping_add(offset)));
    }
    let by_size = |size: usize| (size > 1).then_some(if size < MAPPING { INTERIOR } else { FOREIGN });
    check(name, "in the middle", by_size, |size| free(allocate(size).wrapping_add(size / 2)));
    check(name, "at the last byte", by_size, |size| free(allocate(size).wrapping_add(size - 1)));
    check(
        name,
        "before it",
        |size| (size < MIB).then_some(INTERIOR),
        |size| {
            // The second of two, so that the bytes before it are a slot's or a run's.
            let [_first, second] = [(); 2].map(|()| allocate(size));
            free(second.wrapping_sub(8));
        },
    );
}

#[test]
fn free_of_what_was_never_an_object() {
    let name = "free_of_what_was_never_an_object";
    check(name, "1 GiB away", |_| Some(FOREIGN), |size| free(allocate(size).wrapping_add(1 << 40)));
    check(
        name,
        "beside objects of the size, on the stack",
        |_| Some(FOREIGN),
        |size| {
            let _object = allocate(size);
            let mut local = [0_u128; 64];
            free((&raw mut local[32]).cast());
        },
    );
    check(
        name,
        "a static",
        |_| Some(FOREIGN),
        |size| {
            static WORDS: [u128; 64] = [7; 64];
            let _object = allocate(size);
            free((&raw const WORDS[32]).cast_mut().cast());
        },
    );
    check(
        name,
        "a mapping of the program's",
        |_| Some(FOREIGN),
        |size| {
            let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new mapping disturbs nothing.
            let mapping = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
            assert_ne!(mapping, libc::MAP_FAILED);
            free(mapping.cast());
        },
    );
    // The page has slots for objects that no request got yet.
    if is_default() {
        case(name, "a slot that was never handed out").aborts_with(DOUBLE, || {
            let object = allocate(1000);
            let block = object.addr() & !0xffff;
            free(object.with_addr(block + 0xfc00));
        });
    }
}

#[test]
fn realloc_and_usable_size() {
    const REALLOC: [&str; 3] = [
        "hakmem: realloc of a pointer that hakmem did not allocate\n",
        "hakmem: realloc of a pointer inside an object, not at its start\n",
        "hakmem: realloc of a freed object\n",
    ];
    const USABLE: [&str; 3] = [
        "hakmem: malloc_usable_size of a pointer that hakmem did not allocate\n",
        "hakmem: malloc_usable_size of a pointer inside an object, not at its start\n",
        "hakmem: malloc_usable_size of a freed object\n",
    ];
    let name = "realloc_and_usable_size";
    // SAFETY: none, as in `free`.
    let realloc = |object| _ = unsafe { GLOBAL.realloc(object, Layout::new::<u128>(), 512 * KIB) };
    // SAFETY: none, as in `free`.
    let usable = |object| _ = std::hint::black_box(unsafe { hakmem::usable_bytes(object) });
    type Misuse = (&'static str, [&'static str; 3], fn(*mut u8));
    let calls: [Misuse; 2] = [("realloc", REALLOC, realloc), ("usable", USABLE, usable)];
    for (call, [foreign, interior, freed], misuse) in calls {
        let family = |what: &str| format!("{call}, {what}");
        check(
            name,
            &family("1 byte inside"),
            move |size| (size > 1).then_some(interior),
            move |size| {
                misuse(allocate(size).wrapping_add(1));
            },
        );
        let by_size = move |size: usize| (size > 1).then_some(if size < MAPPING { interior } else { foreign });
        check(name, &family("in the middle"), by_size, move |size| misuse(allocate(size).wrapping_add(size / 2)));
        check(
            name,
            &family("foreign"),
            move |_| Some(foreign),
            move |size| {
                misuse(allocate(size).wrapping_add(1 << 40));
            },
        );
        check(
            name,
            &family("freed"),
            move |_| Some(freed),
            move |size| {
                let object = allocate(size);
                free(object);
                misuse(object);
            },
        );
    }
}

#[test]
fn aligned_objects() {
    let name = "aligned_objects";
    for align in [32, 64, 256, 4 * KIB, 64 * KIB, 2 * MIB] {
        check(
            name,
            &format!("double free, {align}"),
            |_| Some(DOUBLE),
            move |size| {
                let object = allocate_aligned(size, align);
                free(object);
                free(object);
            },
        );
        let inside = |size: usize| (size > 1).then_some(INTERIOR);
        check(name, &format!("inside, {align}"), inside, move |size| {
            free(allocate_aligned(size, align).wrapping_add((size / 2).min(2 * KIB)));
        });
    }
}

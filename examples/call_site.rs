//! Allocation with a call site, which the factor `bigcache` uses at its level `ring`:
//! `HAKMEM_BIGCACHE=ring cargo run --example call_site`.

use hakmem::Hakmem;
use std::alloc::{GlobalAlloc as _, Layout};

fn main() {
    let layout = Layout::from_size_align(2 << 20, 16).expect("a power of two as alignment");
    let mut last = None;
    for round in 0..4 {
        // SAFETY: the layout has a size, and the object is freed with the layout that it was allocated with.
        unsafe {
            let object = Hakmem.alloc_at(layout, hakmem::site!());
            assert!(!object.is_null(), "the OS has 2 MiB");
            let same = last == Some(object.addr());
            println!("round {round}: {}", if same { "the same address again" } else { "another address" });
            last = Some(object.addr());
            Hakmem.dealloc(object, layout);
        }
    }
}

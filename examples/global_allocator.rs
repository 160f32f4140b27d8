//! A program whose memory comes from hakmem. Run it with `HAKMEM_HEADER=16` or another variable of docs/factors.md to see
//! that the levels are chosen at start: `HAKMEM_HEADER=16 cargo run --example global_allocator`.

use hakmem::Hakmem;
use std::collections::BTreeMap;

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

fn main() {
    let mut lengths: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for number in 0..1000_u32 {
        let text = format!("{number:b}");
        lengths.entry(text.len()).or_default().push(text);
    }
    for (length, texts) in &lengths {
        // SAFETY: the vector is not empty, so its memory is a live object of hakmem.
        let usable = unsafe { hakmem::usable_bytes(texts.as_ptr().cast_mut().cast()) };
        println!("{:4} numbers of {length:2} binary digits, in {usable} usable bytes", texts.len());
    }
}

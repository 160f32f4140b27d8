//! Where a program's memory is: `cargo run --example statistics`. docs/stats.md explains every line of the table.

use hakmem::Hakmem;

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

fn main() {
    let texts: Vec<String> = (0..100_000_u32).map(|number| format!("number {number}")).collect();
    let full = hakmem::stats();
    println!("with {} texts:\n{full}", texts.len());

    drop(texts);
    hakmem::flush();
    let after = hakmem::stats();
    let gone = full.live.bytes - after.live.bytes;
    println!("freed: {gone} bytes in {} objects", full.live.objects - after.live.objects);
    println!("resident: {} bytes before, {} after", full.resident_bytes, after.resident_bytes);

    // The parts of a snapshot sum to what is mapped.
    let sum: u64 = after.parts().iter().map(|(_, bytes)| bytes).sum();
    println!("mapped: {} bytes; the parts sum to {sum}", after.mapped_bytes);
}

//! hakmem beside another global allocator, for the collections that take it:
//! `cargo run --example collections --features allocator-api2`.

use allocator_api2::vec::Vec;
use hakmem::Hakmem;

fn main() {
    let mut numbers = Vec::new_in(Hakmem);
    numbers.extend(0..1000_u64);
    let others: std::vec::Vec<u64> = numbers.iter().map(|number| number * 2).collect();
    println!("numbers: hakmem's: {}", hakmem::owns(numbers.as_ptr().cast()));
    println!("others: hakmem's: {}", hakmem::owns(others.as_ptr().cast()));
    let live = hakmem::stats().live;
    println!("hakmem holds {} bytes in {} object", live.bytes, live.objects);
}

//! A library that brings hakmem as its own allocator, and a program of it; `plugin_host.c` loads, uses and closes the library.
#[global_allocator]
static GLOBAL: hakmem::Hakmem = hakmem::Hakmem;

/// Frees an object when the thread ends.
struct AtEnd(#[allow(dead_code)] Vec<u8>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        drop(vec![1_u8; 1000]);
    }
}

thread_local! {
    static AT_END: AtEnd = AtEnd(vec![0; 5000]);
}

/// Allocates and frees `count` MiB three times, in objects of 64 bytes to 8 MiB.
#[unsafe(no_mangle)]
pub extern "C" fn work(count: usize, with_destructor: bool) -> usize {
    if with_destructor {
        AT_END.with(|_| {});
    }
    let mut sum = 0;
    for bytes in [64, 5000, 1 << 20, 8 << 20] {
        for _ in 0..3 {
            let objects: Vec<Vec<u8>> = (0..(count << 20) / bytes + 1).map(|n| vec![n as u8; bytes]).collect();
            sum += objects.iter().map(|object| usize::from(object[bytes / 2])).sum::<usize>();
        }
    }
    sum
}

#[allow(dead_code)]
fn main() {
    work(20, true);
    assert!(hakmem::owns(Box::leak(Box::new([0_u8; 100])).as_ptr()));
    println!("{} bytes live", hakmem::stats().live.bytes);
}

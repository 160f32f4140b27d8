//! What the trait `Allocator` asks: empty layouts, alignments, zeroes, and every way to another layout. Feature
//! `allocator-api2`.

#![cfg(feature = "allocator-api2")]

mod common;

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use common::{MIB, PAGE};
use hakmem::Hakmem;
use std::alloc::Layout;
use std::ptr::NonNull;

// The program's own memory comes from the C library.

const SIZES: [usize; 12] = [0, 1, 15, 16, 100, 1024, 5000, 70_000, 500_000, 2 * MIB, 5 * MIB, 12 * MIB];
const ALIGNS: [usize; 6] = [1, 16, 64, PAGE, 64 << 10, 1 << 20];

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("far from overflow")
}

/// The bytes of an object that holds the layout.
fn checked(object: NonNull<[u8]>, layout: Layout) -> NonNull<u8> {
    assert!(object.len() >= layout.size(), "{layout:?}");
    assert!(object.cast::<u8>().addr().get().is_multiple_of(layout.align()), "{layout:?}");
    object.cast()
}

/// Writes a pattern at both ends.
fn mark(object: NonNull<u8>, size: usize) {
    if size > 0 {
        // SAFETY: the object is that long.
        unsafe {
            object.write(7);
            object.add(size - 1).write(9);
        }
    }
}

fn byte(object: NonNull<u8>, at: usize) -> u8 {
    // SAFETY: the callers ask for bytes inside the object that were written or zeroed.
    unsafe { object.add(at).read() }
}

#[test]
fn every_layout_is_served_and_comes_back() {
    common::at_each("every_layout_is_served_and_comes_back", &common::treatments(), || {
        for size in SIZES {
            for align in ALIGNS {
                let layout = layout(size, align);
                let object = checked(Hakmem.allocate(layout).expect("there is memory"), layout);
                assert_eq!(hakmem::owns(object.as_ptr()), size > 0, "an empty object takes nothing");
                mark(object, size);
                let zeroed = checked(Hakmem.allocate_zeroed(layout).expect("there is memory"), layout);
                assert!([0, size / 2, size.saturating_sub(1)].iter().all(|&at| size == 0 || byte(zeroed, at) == 0));
                // SAFETY: both were allocated with this layout, and are freed once.
                unsafe {
                    Hakmem.deallocate(object, layout);
                    Hakmem.deallocate(zeroed, layout);
                }
            }
        }
        let stats = hakmem::stats();
        assert_eq!(stats.allocations, stats.frees);
    });
}

#[test]
fn what_was_written_survives_every_change_of_layout() {
    let original = vec![("HAKMEM_MODE", "original")];
    let treatments = [vec![], original, common::all_off_but(&[]), common::all_on()];
    common::at_each("what_was_written_survives_every_change_of_layout", &treatments, || {
        for from in SIZES {
            for to in SIZES {
                for (from_align, to_align) in [(16, 16), (8, 64), (PAGE, 1), (16, 1 << 20)] {
                    let (old, new) = (layout(from, from_align), layout(to, to_align));
                    let object = checked(Hakmem.allocate(old).expect("there is memory"), old);
                    mark(object, from);
                    // SAFETY: the object has the old layout, and the new one is longer, or shorter, as each method asks.
                    let moved = unsafe {
                        if to >= from { Hakmem.grow_zeroed(object, old, new) } else { Hakmem.shrink(object, old, new) }
                    };
                    let moved = checked(moved.expect("there is memory"), new);
                    if from > 1 && to > 0 {
                        assert_eq!(byte(moved, 0), 7, "{old:?} to {new:?}");
                    }
                    if from > 0 && to >= from {
                        assert_eq!(byte(moved, from - 1), 9, "{old:?} to {new:?}");
                    }
                    if to > from {
                        assert!(
                            [from, (from + to) / 2, to - 1].iter().all(|&at| byte(moved, at) == 0),
                            "{old:?} to {new:?}"
                        );
                    }
                    // SAFETY: the object has the new layout, and is freed once.
                    unsafe { Hakmem.deallocate(moved, new) };
                }
            }
        }
        let stats = hakmem::stats();
        assert_eq!(stats.allocations, stats.frees);
    });
}

#[test]
fn what_there_is_no_memory_for_is_an_error_and_leaves_the_object() {
    let small = layout(100, 16);
    let huge = layout(isize::MAX as usize - 15, 16);
    assert!(Hakmem.allocate(huge).is_err());
    assert!(Hakmem.allocate_zeroed(huge).is_err());
    let object = checked(Hakmem.allocate(small).expect("there is memory"), small);
    mark(object, 100);
    // SAFETY: the object has the old layout.
    assert!(unsafe { Hakmem.grow(object, small, huge) }.is_err());
    assert_eq!((byte(object, 0), byte(object, 99)), (7, 9));
    // SAFETY: it still has.
    unsafe { Hakmem.deallocate(object, small) };
}

#[test]
fn collections_take_it() {
    let mut numbers = Vec::new_in(Hakmem);
    numbers.extend(0..100_000_u64);
    assert!(hakmem::owns(numbers.as_ptr().cast()));
    numbers.truncate(10);
    numbers.shrink_to_fit();
    assert_eq!(numbers.iter().sum::<u64>(), 45);
    let none: Vec<u8, Hakmem> = Vec::new_in(Hakmem);
    assert_eq!(none.capacity(), 0);
    let boxed = Box::new_in([1_u32; 50], Hakmem);
    assert!(hakmem::owns(boxed.as_ptr().cast()));
    let unit = Box::new_in((), Hakmem);
    drop((unit, none));
}

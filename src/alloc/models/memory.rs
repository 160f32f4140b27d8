//! Memory on its way back to the OS, beside threads that use it.

use super::*;

/// Takes a run for a large object and writes to it.
fn take(blocks: usize) -> &'static Page {
    let (page, zeroed) =
        arena::take_run(counters(), POLICY, Kind::Large, blocks, blocks * BLOCK).expect("there is room");
    let written = os::touch(page.base.get());
    assert!(!(zeroed && written), "memory that is said to be zero is not");
    page
}

fn give(page: &'static Page) {
    os::touch(page.base.get());
    arena::give_run(page);
}

fn purge_all() {
    arena::purge_older_than(counters(), 0, true, || true);
}

/// Purges once more, and asserts that all memory that was used is zero again.
fn assert_clean() {
    purge_all();
    assert_eq!(arena::usage().1, 0);
    for _ in 0..2 {
        let (page, zeroed) = arena::take_run(counters(), POLICY, Kind::Large, SEGMENT_BLOCKS, SEGMENT_BLOCKS * BLOCK)
            .expect("there is room");
        assert!(zeroed, "memory waits, and no purge will find it");
        assert!(!os::touch(page.base.get()));
    }
}

/// A run grows into the half behind it, while the purge gives that half back.
#[test]
fn loom_a_run_grows_beside_the_purge() {
    check(|| {
        crate::metadata::range::reserve_once();
        let [grows, left] = [take(HALF_BLOCKS), take(HALF_BLOCKS)];
        let (grows, left) = if grows.base.get() < left.base.get() { (grows, left) } else { (left, grows) };
        let behind = left.base.get();
        give(left);
        let purge = thread::spawn(purge_all);
        let is_longer = arena::extend_run(grows, SEGMENT_BLOCKS);
        if is_longer {
            os::touch(behind);
        }
        purge.join().expect("no panic");
        assert_eq!(usize::from(grows.blocks.get()), if is_longer { SEGMENT_BLOCKS } else { HALF_BLOCKS });
        give(grows);
        assert_clean();
    });
}

/// A half that the program goes on using does not make the other half, which it left, younger.
#[test]
fn loom_purge_of_a_half_beside_one_in_use() {
    check(|| {
        crate::metadata::range::reserve_once();
        let [left, used] = [take(HALF_BLOCKS), take(HALF_BLOCKS)];
        give(left);
        purge::pass_epochs(WAIT_EPOCHS - 1);
        give(used);
        purge::pass_epochs(1);
        assert!(arena::purge_older_than(counters(), WAIT_EPOCHS, true, || true), "the other half is younger");
        let (_, zeroed) =
            arena::take_run(counters(), POLICY, Kind::Large, HALF_BLOCKS, HALF_BLOCKS * BLOCK).expect("there is room");
        assert!(zeroed);
    });
}

/// A page to which slots come back all the time gives memory back, unless slots are taken from it as well.
#[test]
fn loom_purge_of_a_page_that_is_freed_slot_by_slot() {
    check(|| {
        crate::metadata::range::reserve_once();
        let class = Class::of(2 * os::OS_PAGE).expect("a size with a class");
        let mut slots = [core::ptr::null_mut(); 6];
        let (taken, _) = central_free_list::take(counters(), POLICY, class, Owner::ALL, &mut slots);
        assert_eq!(taken, slots.len());
        let give_one = |slot: *mut u8| central_free_list::give(class, &[slot], |_| ());
        let purge = || _ = central_free_list::purge_older_than(counters(), WAIT_EPOCHS, |_, _| (), || true);
        for &slot in &slots[..WAIT_EPOCHS as usize] {
            give_one(slot);
            purge();
            assert!(central_free_list::waiting_bytes() > 0, "too young");
            purge::pass_epochs(1);
        }
        purge();
        assert_eq!(central_free_list::waiting_bytes(), 0, "the last slot is young, the page is not");
        give_one(slots[4]);
        purge::pass_epochs(WAIT_EPOCHS);
        let mut again = [core::ptr::null_mut()];
        central_free_list::take(counters(), POLICY, class, Owner::ALL, &mut again);
        give_one(again[0]);
        purge();
        assert!(central_free_list::waiting_bytes() > 0, "the page is in use");
        purge::pass_epochs(WAIT_EPOCHS);
        purge();
        assert_eq!(central_free_list::waiting_bytes(), 0);
        // The next model finds the range as it was.
        give_one(slots[3]);
        give_one(slots[5]);
        central_free_list::give_empty(|_, page| _ = arena::give_run(page));
    });
}

/// While a half goes back to the OS no thread gets a block of it; afterwards any thread may.
#[test]
fn loom_purge_and_use_of_the_same_half() {
    check(|| {
        crate::metadata::range::reserve_once();
        give(take(HALF_BLOCKS));
        let purger = thread::spawn(purge_all);
        let (one, half) = (take(1), take(HALF_BLOCKS));
        give(one);
        give(half);
        purger.join().expect("no panic");
        assert_clean();
    });
}

/// While one half goes back to the OS the other is freed: this purge or the next finds it.
#[test]
fn loom_purge_and_free_of_the_other_half() {
    for first in [true, false] {
        check(move || {
            crate::metadata::range::reserve_once();
            let mut halves = [take(HALF_BLOCKS), take(HALF_BLOCKS)];
            if first {
                halves.reverse();
            }
            let [early, late] = halves;
            give(early);
            let purger = thread::spawn(purge_all);
            give(late);
            purger.join().expect("no panic");
            assert_clean();
        });
    }
}

/// While the other blocks of a half go back to the OS, its last block is freed: this purge or the next finds it.
#[test]
fn loom_purge_and_free_of_the_rest_of_a_half() {
    check(|| {
        crate::metadata::range::reserve_once();
        let (most, rest) = (take(HALF_BLOCKS - 1), take(1));
        give(most);
        let purger = thread::spawn(purge_all);
        give(rest);
        purger.join().expect("no panic");
        assert_clean();
    });
}

/// Two threads purge, as in the form `immediate`, and a third frees and takes.
#[test]
fn loom_two_purges_and_a_user() {
    check(|| {
        crate::metadata::range::reserve_once();
        let [early, late] = [take(HALF_BLOCKS), take(HALF_BLOCKS)];
        give(early);
        let purgers = [thread::spawn(purge_all), thread::spawn(purge_all)];
        give(late);
        give(take(1));
        purgers.into_iter().for_each(|purger| purger.join().expect("no panic"));
        assert_clean();
    });
}

//! Intrusive lists: the links are in the records, so that a list needs no memory and removes any record in constant
//! time. A record has links for each list that it may be in at the same time.

use core::cell::Cell;

/// A record's links in one list. All-zero bytes are the links of a record in no list.
#[derive(Debug)]
pub(crate) struct Links<T: 'static> {
    next: Cell<Option<&'static T>>,
    prev: Cell<Option<&'static T>>,
}

/// A record that lists can link. `WHICH` tells its links apart, where it has several.
pub(crate) trait Linked<const WHICH: usize = 0>: Sized + 'static {
    /// The record's links.
    fn links(&self) -> &Links<Self>;
}

/// Records, newest first. All-zero bytes are an empty list.
#[derive(Debug)]
pub(crate) struct List<T: 'static, const WHICH: usize = 0> {
    head: Cell<Option<&'static T>>,
    tail: Cell<Option<&'static T>>,
}

impl<T: Linked<WHICH>, const WHICH: usize> List<T, WHICH> {
    /// An empty list.
    pub(crate) const fn new() -> List<T, WHICH> {
        List { head: Cell::new(None), tail: Cell::new(None) }
    }

    /// The newest record.
    pub(crate) fn first(&self) -> Option<&'static T> {
        self.head.get()
    }

    /// The records, newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static T> {
        core::iter::successors(self.head.get(), |record| record.links().next.get())
    }

    /// Adds a record that is in no list.
    pub(crate) fn push(&self, record: &'static T) {
        let old = self.head.replace(Some(record));
        record.links().prev.set(None);
        record.links().next.set(old);
        match old {
            Some(old) => old.links().prev.set(Some(record)),
            None => self.tail.set(Some(record)),
        }
    }

    /// Adds a record that is in no list behind the last one.
    pub(crate) fn push_last(&self, record: &'static T) {
        let old = self.tail.replace(Some(record));
        record.links().prev.set(old);
        record.links().next.set(None);
        match old {
            Some(old) => old.links().next.set(Some(record)),
            None => self.head.set(Some(record)),
        }
    }

    /// Moves the newest record behind the one before it, if this is the newest and there is another.
    pub(crate) fn demote(&self, record: &'static T) {
        let is_first = self.head.get().is_some_and(|first| core::ptr::eq(first, record));
        let Some(second) = record.links().next.get().filter(|_| is_first) else { return };
        self.remove(second);
        self.push(second);
    }

    /// Removes a record, which is in this list.
    pub(crate) fn remove(&self, record: &'static T) {
        let (next, prev) = (record.links().next.take(), record.links().prev.take());
        match prev {
            Some(prev) => prev.links().next.set(next),
            None => self.head.set(next),
        }
        match next {
            Some(next) => next.links().prev.set(prev),
            None => self.tail.set(prev),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    struct Number(u32, Links<Number>);

    impl Linked for Number {
        fn links(&self) -> &Links<Number> {
            &self.1
        }
    }

    fn numbers(list: &List<Number>) -> Vec<u32> {
        list.iter().map(|number| number.0).collect()
    }

    #[test]
    fn records_leave_from_any_place() {
        let list: List<Number> = List::new();
        let records: Vec<&'static Number> = (0..5)
            .map(|n| &*Box::leak(Box::new(Number(n, Links { next: Cell::new(None), prev: Cell::new(None) }))))
            .collect();
        for record in &records {
            list.push(*record);
        }
        assert_eq!(numbers(&list), [4, 3, 2, 1, 0]);
        list.demote(records[1]);
        assert_eq!(numbers(&list), [4, 3, 2, 1, 0], "it is not the newest");
        list.demote(records[4]);
        assert_eq!(numbers(&list), [3, 4, 2, 1, 0]);
        list.demote(records[3]);
        for (gone, left) in [(2, &[4, 3, 1, 0][..]), (1, &[4, 3, 0]), (4, &[3, 0]), (0, &[3]), (3, &[])] {
            list.remove(records[gone]);
            assert_eq!(numbers(&list), left);
        }
        list.push(records[1]);
        list.demote(records[1]);
        assert_eq!(list.first().map(|number| number.0), Some(1));
        list.push_last(records[0]);
        list.push(records[2]);
        assert_eq!(numbers(&list), [2, 1, 0]);
        list.remove(records[0]);
        list.push_last(records[3]);
        assert_eq!(numbers(&list), [2, 1, 3]);
        records[1..4].iter().for_each(|record| list.remove(record));
        list.push_last(records[4]);
        assert_eq!(numbers(&list), [4], "an empty list has no last record");
    }
}

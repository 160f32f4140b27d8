//! What waits for the background purge after memory was given up: the value that the stations below return, and from how many
//! bytes on the purge is asked for.

/// Bytes of one class in the transfer cache from which on the purge looks whether they are needed.
const TRANSFER_BYTES_MIN: usize = 1 << 20;
/// Bytes of free slots of one class, in pages with used ones, from which on they are purged.
pub(super) const SLOT_BYTES_MIN: usize = 4 << 20;
/// Bytes of half segments with free blocks from which on they are purged.
const RUN_BYTES_MIN: usize = 4 << 20;

/// Bytes that wait at each station after something was given to it; 0 for a station that got nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// In the transfer cache, of one class.
    pub(super) transfer_bytes: usize,
    /// In free slots of one class.
    pub(super) slot_bytes: usize,
    /// In half segments of the arena.
    pub(super) run_bytes: usize,
    /// In the mapping pool.
    pub(super) mapping_bytes: usize,
}

impl Waiting {
    /// Nothing was given up.
    pub(super) const NOTHING: Waiting = Waiting { transfer_bytes: 0, slot_bytes: 0, run_bytes: 0, mapping_bytes: 0 };

    /// So many bytes in the transfer cache.
    pub(super) fn in_transfer(bytes: usize) -> Waiting {
        Waiting { transfer_bytes: bytes, ..Waiting::NOTHING }
    }

    /// So many bytes in free slots.
    pub(super) fn in_slots(bytes: usize) -> Waiting {
        Waiting { slot_bytes: bytes, ..Waiting::NOTHING }
    }

    /// So many bytes in half segments.
    pub(super) fn in_runs(bytes: usize) -> Waiting {
        Waiting { run_bytes: bytes, ..Waiting::NOTHING }
    }

    /// So many bytes in the mapping pool.
    pub(super) fn in_mappings(bytes: usize) -> Waiting {
        Waiting { mapping_bytes: bytes, ..Waiting::NOTHING }
    }

    /// The greater of both at each station: they are counts of the same bytes at different times.
    #[must_use]
    pub(super) fn or(self, other: Waiting) -> Waiting {
        Waiting {
            transfer_bytes: self.transfer_bytes.max(other.transfer_bytes),
            slot_bytes: self.slot_bytes.max(other.slot_bytes),
            run_bytes: self.run_bytes.max(other.run_bytes),
            mapping_bytes: self.mapping_bytes.max(other.mapping_bytes),
        }
    }

    /// Whether the background purge has something to do.
    pub(super) fn is_due(self) -> bool {
        self.transfer_bytes >= TRANSFER_BYTES_MIN
            || self.slot_bytes >= SLOT_BYTES_MIN
            || self.run_bytes >= RUN_BYTES_MIN
            || self.mapping_bytes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_purge_is_due_from_the_bytes_of_one_station_on() {
        assert!(!Waiting::NOTHING.is_due());
        let least = [
            (Waiting::in_transfer as fn(usize) -> Waiting, TRANSFER_BYTES_MIN),
            (Waiting::in_slots, SLOT_BYTES_MIN),
            (Waiting::in_runs, RUN_BYTES_MIN),
            (Waiting::in_mappings, 1),
        ];
        for (waiting, bytes) in least {
            assert!(!waiting(bytes - 1).is_due());
            assert!(waiting(bytes).is_due());
            assert!(waiting(bytes).or(Waiting::NOTHING).is_due());
        }
        let below = Waiting::in_slots(SLOT_BYTES_MIN - 1).or(Waiting::in_runs(RUN_BYTES_MIN - 1));
        assert!(!below.is_due(), "bytes of different stations are not added");
    }
}

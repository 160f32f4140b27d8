//! The key of the C library whose destructor runs at a thread's end.

use crate::sync::{Once, global, held_at_fork};

global! {
    /// The key plus one.
    static KEY: Once = Once::new();
}

/// The key, made by the first call; `None` when the C library has no more.
pub(super) fn get_or_make(at_end: unsafe extern "C" fn(*mut libc::c_void)) -> Option<libc::pthread_key_t> {
    let (key, _) = KEY.get_or_make(|| {
        let mut key = 0;
        // SAFETY: writes the key.
        let error = unsafe { libc::pthread_key_create(&raw mut key, Some(at_end)) };
        if error == 0 { u64::from(key) + 1 } else { 0 }
    });
    key.checked_sub(1).map(|key| key as libc::pthread_key_t)
}

held_at_fork!(KEY);

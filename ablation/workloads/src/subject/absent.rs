//! Stands in for a peer whose feature is not built in.

use super::Engine;

/// Not built in.
pub(super) const ENGINE: Option<Engine> = None;
/// Not built in.
#[cfg(not(feature = "mimalloc"))]
pub(super) const ENGINE_V2: Option<Engine> = None;

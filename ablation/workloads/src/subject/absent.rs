//! Stands in for a peer whose feature is not built in.

use super::Engine;

/// Not built in.
pub(super) const ENGINE: Option<Engine> = None;

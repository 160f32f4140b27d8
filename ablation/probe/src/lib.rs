//! For programs that want to be measured by `ablate`.

mod canary;

pub use canary::canary_ns;

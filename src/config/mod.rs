//! The configuration: which factors there are, what the environment asks of them, and which levels are active.
//!
//! Each file uses those before it in this list, and [`crate::factor`]; no factor reads its own configuration.
//!
//! 1. `level`: what a factor and a level are.
//! 2. `registry`: the table of factors, and the type of a level for each.
//! 3. `lifecycle`: the variables that set the numbers of the factor `evolution`.
//! 4. `preset`: levels for all factors at once.
//! 5. `variables`: the names of all variables, and what a misspelt one stands for.
//! 6. `in_effect`: which levels take effect beside others.
//! 7. `environment`: from variables to levels.
//! 8. `active`: the sealed levels, packed, as the request path reads them.

mod active;
pub(crate) mod environment;
mod in_effect;
mod level;
mod lifecycle;
mod preset;
mod registry;
pub(crate) mod variables;

pub(crate) use active::{ActiveConfig, FREE_CHECK, active, seal_once};
pub use level::{Choice, Factor, Level, Variant};
pub use lifecycle::{Setting, lifecycle_settings};
pub use preset::Preset;
pub(crate) use registry::{FACTORS, REGISTRY};
pub use registry::{FactorId, registry};

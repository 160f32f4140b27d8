//! A program that names its preset, with hakmem as its global allocator: the first request is made before `main`.

mod common;

use common::case;
use hakmem::factors::{FactorId, Level};
use hakmem::{Hakmem, Preset};

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

hakmem::preset!(Preset::Minimal);

/// Expects the levels of a preset, except for these factors.
#[track_caller]
fn assert_levels(preset: Preset, others: &[(FactorId, &str)]) {
    assert!(hakmem::stats().allocations > 0, "the runtime has allocated");
    for (id, level) in FactorId::ALL.into_iter().zip(preset.levels()) {
        // Under the presets here objects have headers, which verify frees.
        let is_idle = id == FactorId::FreeCheck && common::present("header");
        let idle = [(FactorId::FreeCheck, "off")];
        let others = if is_idle { &idle } else { others };
        let other = others.iter().find(|(other, _)| *other == id).map(|(_, level)| *level);
        let expected = if common::present(id.name()) { other.unwrap_or(level.as_str()) } else { "absent" };
        assert_eq!(id.level().as_str(), expected, "{}", id.name());
    }
}

#[test]
fn the_program_s_preset_is_in_force_from_the_first_request_on() {
    let name = "the_program_s_preset_is_in_force_from_the_first_request_on";
    case(name, "no variable").succeeds(|| {
        assert_levels(Preset::Minimal, &[]);
        let off = if common::present("bigcache") { Level::Off } else { Level::Absent };
        assert_eq!(FactorId::BigCache.level(), off, "it is on by default");
    });
    case(name, "a preset").var("HAKMEM_MODE", "research").succeeds(|| assert_levels(Preset::Research, &[]));
    case(name, "a toggle").var("HAKMEM_DISABLE_TICK", "1").succeeds(|| {
        assert_levels(Preset::Minimal, &[(FactorId::Tick, "off")]);
    });
}

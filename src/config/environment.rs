//! Reads the levels from the variables `HAKMEM_*`, once, without allocating.
//!
//! The allocator can call neither `getenv` (a lock, and a scan per variable) nor anything that allocates, so it walks
//! `environ` itself. Names and values come from the registry, the presets and the lifecycle. [`interpret`] also serves
//! the feature `settings`, which reads the same variables for programs. A program that runs with more rights than its
//! user (setuid) reads none.

use super::in_effect::{in_effect, lost_to_headers};
use super::level::{Choice, Level};
use super::lifecycle;
use super::preset::Preset;
use super::registry::{FactorId, Levels, REGISTRY};
use super::variables::{MODE, Meant, PREFIX, STATS, meant, names};
use crate::factor::evolution::Settings;
use crate::os;

/// What the environment brings about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Environment {
    /// The levels that take effect.
    pub(crate) levels: Levels,
    pub(crate) settings: Settings,
}

/// Why a variable does not do what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No variable has this name; this is what it may stand for.
    Name(Meant),
    /// The variable does not take this value; these are the ones that it takes.
    Value(Values),
    /// The variable gives objects headers, and factors that are on at these levels have no effect there. The name is empty
    /// where the program's preset gives them.
    Headers(Levels),
}

impl Refusal {
    /// Calls `say` with the parts of a message. `ignored` says that the variable changes nothing, in the words of who
    /// says so.
    pub(crate) fn message(self, name: &str, value: &str, ignored: &str, mut say: impl FnMut(&str)) {
        let mut all = |parts: &[&str]| parts.iter().for_each(|part| say(part));
        match self {
            Refusal::Name(meant) => {
                all(&["unknown variable ", name, ignored]);
                match meant {
                    Meant::Variable(known) => all(&["; the nearest known one is ", known]),
                    Meant::Factor(index) => {
                        all(&["; ", REGISTRY[index].toggle, "=1 switches ", REGISTRY[index].name, " off"]);
                    }
                    Meant::Nothing => {}
                }
            }
            Refusal::Value(values) => {
                all(&[name, "=", value, ignored, "; it takes"]);
                let mut separator = " ";
                values.each(|known| {
                    all(&[separator, known]);
                    separator = ", ";
                });
            }
            Refusal::Headers(asked) => {
                let mut separator = "";
                for id in lost_to_headers(&asked) {
                    all(&[separator, id.name()]);
                    separator = ", ";
                }
                let verb = if lost_to_headers(&asked).count() == 1 { " has" } else { " have" };
                all(&[verb, " no effect where objects have headers; "]);
                match name {
                    "" => all(&["set ", HEADER_OFF, "=1"]),
                    MODE => all(&["unset ", name, " (", value, ") or set ", HEADER_OFF, "=1"]),
                    _ => all(&["unset ", name, " (", value, ")"]),
                }
            }
        }
    }
}

/// The variable that takes objects their headers.
const HEADER_OFF: &str = REGISTRY[FactorId::Header as usize].toggle;

/// The values that a variable takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// 1, 0, true, false, on, off.
    Flag,
    /// A number of the lifecycle, by index in its variables.
    Number(usize),
    /// The names of presets.
    Preset,
    /// The values of a factor's choice, by index in the registry.
    Choice(usize),
}

impl Values {
    /// Calls `say` with each value, for a message.
    pub(crate) fn each(self, mut say: impl FnMut(&str)) {
        match self {
            Values::Flag => ["1", "0", "true", "false", "on", "off"].into_iter().for_each(say),
            Values::Number(index) => say(lifecycle::VARIABLES[index].range),
            Values::Preset => Preset::NAMED.iter().for_each(|(name, _)| say(name)),
            Values::Choice(index) => {
                let values = REGISTRY[index].choice.as_ref().map_or(&[][..], |choice| choice.values);
                values.iter().for_each(|(name, _)| say(name));
            }
        }
    }
}

/// Reads 1/0/true/false/on/off, in any case.
pub(crate) fn flag(value: &str) -> Option<bool> {
    if ["1", "true", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes)) {
        Some(true)
    } else if ["0", "false", "off"].iter().any(|no| value.eq_ignore_ascii_case(no)) {
        Some(false)
    } else {
        None
    }
}

/// The level that a value of a factor's variable stands for. Where a value means on or off, each spelling of a toggle does.
fn chosen(choice: &Choice, value: &str) -> Option<Level> {
    let find = |value: &str| choice.values.iter().find(|(known, _)| *known == value).map(|(_, level)| *level);
    find(value).or_else(|| find(if flag(value)? { "on" } else { "off" }))
}

/// Reads the levels from variables. `variables` calls back with every name and value. It is called three times, for the
/// preset, the choices and the toggles, so that the result does not depend on the order of the environment. A variable
/// that is not understood changes nothing, and `refuse` gets it. It also gets, once, what gives objects headers where
/// these leave factors that were asked for without effect.
pub(crate) fn interpret<'a>(
    preset: Preset,
    variables: impl Fn(&mut dyn FnMut(&'a str, &'a str)),
    mut refuse: impl FnMut(&'a str, &'a str, Refusal),
) -> Environment {
    let mut preset = preset;
    // What gives objects headers, if anything does: the variable that was read last.
    let mut headers = ("", "");
    variables(&mut |name, value| {
        if name == MODE {
            match Preset::NAMED.iter().find(|(known, _)| *known == value) {
                Some((_, named)) => (preset, headers) = (*named, (name, value)),
                None => refuse(name, value, Refusal::Value(Values::Preset)),
            }
        }
    });
    let mut environment = Environment { levels: preset.level_table(), settings: Settings::DEFAULT };
    variables(&mut |name, value| {
        for (index, factor) in REGISTRY.iter().enumerate() {
            if let Some(choice) = factor.choice.as_ref().filter(|choice| choice.variable == name) {
                match chosen(choice, value) {
                    Some(level) => {
                        environment.levels.set_index(index, level);
                        if index == FactorId::Header as usize {
                            headers = (name, value);
                        }
                    }
                    None => refuse(name, value, Refusal::Value(Values::Choice(index))),
                }
            }
        }
    });
    variables(&mut |name, value| {
        if let Some(index) = REGISTRY.iter().position(|factor| factor.toggle == name) {
            match flag(value) {
                Some(true) => environment.levels.set_index(index, Level::Off),
                Some(false) => {}
                None => refuse(name, value, Refusal::Value(Values::Flag)),
            }
        } else if let Some(index) = lifecycle::VARIABLES.iter().position(|setting| setting.variable == name) {
            let set = |number| lifecycle::VARIABLES[index].set(&mut environment.settings, number);
            if !value.parse().is_ok_and(set) {
                refuse(name, value, Refusal::Value(Values::Number(index)));
            }
        } else if name == STATS {
            if flag(value).is_none() {
                refuse(name, value, Refusal::Value(Values::Flag));
            }
        } else if name.starts_with(PREFIX) && !names().any(|known| known == name) {
            refuse(name, value, Refusal::Name(meant(name)));
        }
    });
    if lost_to_headers(&environment.levels).next().is_some() {
        refuse(headers.0, headers.1, Refusal::Headers(environment.levels));
    }
    environment.levels = in_effect(environment.levels);
    environment
}

/// Reads the environment of the process over a preset, and warns of what it does not understand.
pub(crate) fn read(preset: Preset) -> Environment {
    let each = |each: &mut dyn FnMut(&'static str, &'static str)| {
        if !is_secure() {
            each_variable(each);
        }
    };
    interpret(preset, each, warn)
}

/// Whether the program runs with more rights than its user, so that the user's environment must not steer it.
pub(crate) fn is_secure() -> bool {
    // SAFETY: reads a word of the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

unsafe extern "C" {
    static environ: *const *const core::ffi::c_char;
}

/// Stands for a value that is not UTF-8. No variable takes it.
pub(crate) const NO_TEXT: &str = "\u{fffd}";

/// Calls `each` with the name and value of every variable that begins with [`PREFIX`].
pub(crate) fn each_variable(each: &mut dyn FnMut(&'static str, &'static str)) {
    // SAFETY: libc's own word; null before libc has started.
    let mut next = unsafe { environ };
    if next.is_null() {
        return;
    }
    loop {
        // SAFETY: the list ends with a null word, at which we stop. It does not change meanwhile: libc forbids that a
        // program changes its environment while other threads may read it.
        let entry = unsafe { *next };
        if entry.is_null() {
            return;
        }
        // SAFETY: as above; entries are strings that live as long as they are in the list.
        let entry: &'static [u8] = unsafe { core::ffi::CStr::from_ptr(entry) }.to_bytes();
        if entry.starts_with(PREFIX.as_bytes())
            && let Some(end) = entry.iter().position(|&byte| byte == b'=')
            && let Ok(name) = core::str::from_utf8(&entry[..end])
        {
            each(name, core::str::from_utf8(&entry[end + 1..]).unwrap_or(NO_TEXT));
        }
        // SAFETY: the end was not reached.
        next = unsafe { next.add(1) };
    }
}

/// Writes one line to standard error.
fn warn(name: &str, value: &str, refusal: Refusal) {
    let mut line = Line::new();
    line.push("hakmem: ");
    refusal.message(name, value, " ignored", |part| line.push(part));
    line.push("\n");
    os::write_stderr(line.bytes());
}

/// A line of text on the stack; text beyond 512 bytes is cut.
struct Line {
    text: [u8; 512],
    len: usize,
}

impl Line {
    fn new() -> Line {
        Line { text: [0; 512], len: 0 }
    }

    fn push(&mut self, part: &str) {
        // One byte stays for the end of the line.
        let left = self.text.len() - self.len - usize::from(part != "\n");
        let taken = part.len().min(left);
        for (place, &byte) in self.text[self.len..self.len + taken].iter_mut().zip(part.as_bytes()) {
            // A value may hold any character: it must neither end the line nor control the terminal.
            *place = if byte.is_ascii_control() && part != "\n" { b'?' } else { byte };
        }
        self.len += taken;
    }

    fn bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    /// Levels in the registry's order, as text, and the names that were refused.
    fn read(variables: &[(&'static str, &'static str)]) -> (Vec<&'static str>, Vec<&'static str>) {
        let mut refused = Vec::new();
        let each = |back: &mut dyn FnMut(&'static str, &'static str)| {
            variables.iter().for_each(|(name, value)| back(name, value));
        };
        let environment = interpret(Preset::Default, each, |name, _, _| refused.push(name));
        let levels = (0..REGISTRY.len()).map(|index| environment.levels.get(index).as_str()).collect();
        (levels, refused)
    }

    /// What the build makes of a level.
    fn built(name: &str, level: &'static str) -> &'static str {
        let factor = REGISTRY.iter().find(|factor| factor.name == name).expect("a registered name");
        if factor.present { level } else { Level::Absent.as_str() }
    }

    fn check(variables: &[(&'static str, &'static str)], name: &str, expected: &'static str) {
        let (levels, refused) = read(variables);
        let index = REGISTRY.iter().position(|factor| factor.name == name).expect("a registered name");
        assert_eq!(levels[index], built(name, expected), "{variables:?}");
        assert!(refused.is_empty(), "{refused:?}");
    }

    #[test]
    fn flags_are_read_by_value_not_by_presence() {
        for yes in ["1", "true", "on", "TRUE", "On"] {
            check(&[("HAKMEM_DISABLE_BIGCACHE", yes)], "bigcache", "off");
        }
        for no in ["0", "false", "off", "False"] {
            check(&[("HAKMEM_DISABLE_BIGCACHE", no)], "bigcache", "direct");
            check(&[("HAKMEM_DISABLE_BIGCACHE", no), ("HAKMEM_BIGCACHE", "ring")], "bigcache", "on");
            check(&[("HAKMEM_DISABLE_HEADER", no)], "header", "off");
        }
    }

    #[test]
    fn toggles_win_over_choices_and_choices_over_the_preset_in_any_order() {
        check(&[("HAKMEM_EVO_POLICY", "frozen"), ("HAKMEM_MODE", "research")], "evolution", "frozen");
        check(&[("HAKMEM_DISABLE_ELO", "1"), ("HAKMEM_ELO", "epsilon-greedy")], "elo", "off");
        check(&[("HAKMEM_ELO", "epsilon-greedy"), ("HAKMEM_DISABLE_ELO", "0")], "elo", "epsilon-greedy");
        check(&[("HAKMEM_EVO_POLICY", "off")], "evolution", "off");
        check(&[("HAKMEM_MODE", "minimal")], "bigcache", "off");
        check(&[("HAKMEM_MODE", "minimal")], "header", "on");
        check(&[("HAKMEM_MODE", "original"), ("HAKMEM_HEADER", "16")], "header", "16");
        check(&[("HAKMEM_PURGE", "batched"), ("HAKMEM_MODE", "original")], "purge", "on");
    }

    #[test]
    fn every_variable_of_a_factor_takes_off_and_the_spellings_of_a_toggle() {
        for factor in &REGISTRY {
            let Some(choice) = &factor.choice else { continue };
            for off in ["off", "OFF", "0", "false"] {
                check(&[(choice.variable, off)], factor.name, "off");
            }
            if choice.values.iter().any(|(value, _)| *value == "on") {
                for on in ["on", "On", "1", "true"] {
                    check(&[(choice.variable, on)], factor.name, "on");
                }
            }
        }
        check(&[("HAKMEM_PURGE", "on")], "purge", "on");
    }

    /// The levels of `canary`, `random-slots` and `free-check`, and what is said of headers.
    fn beside_headers(variables: &[(&'static str, &'static str)], expected: [&'static str; 3], said: Option<&str>) {
        let mut message = String::new();
        let each = |back: &mut dyn FnMut(&'static str, &'static str)| {
            variables.iter().for_each(|(name, value)| back(name, value));
        };
        let environment = interpret(Preset::Default, each, |name, value, refusal| {
            refusal.message(name, value, " ignored", |part| message.push_str(part));
        });
        let names = ["canary", "random-slots", "free-check"];
        for (name, expected) in names.into_iter().zip(expected) {
            let id = FactorId::from_name(name).expect("a registered name");
            assert_eq!(environment.levels.get(id as usize).as_str(), built(name, expected), "{name}, {variables:?}");
        }
        assert_eq!(message, said.unwrap_or_default(), "{variables:?}");
    }

    #[test]
    fn what_headers_leave_without_effect_is_off_and_told_once() {
        const ALL: &str = "canary, guard-pages, quarantine, zero-free, random-slots";
        // Without one of them other factors are lost, or none.
        if ALL.split(", ").chain(["header"]).any(|name| built(name, "on") != "on") {
            return;
        }
        beside_headers(
            &[("HAKMEM_HEADER", "32"), ("HAKMEM_MODE", "hardened")],
            ["off", "off", "off"],
            Some(&format!("{ALL} have no effect where objects have headers; unset HAKMEM_HEADER (32)")),
        );
        let mode = "canary has no effect where objects have headers; unset HAKMEM_MODE (original) or set \
                    HAKMEM_DISABLE_HEADER=1";
        beside_headers(&[("HAKMEM_MODE", "original"), ("HAKMEM_CANARY", "on")], ["off", "off", "off"], Some(mode));
        // A preset's own conflict, and what one level leaves to another, are no mistakes.
        beside_headers(&[("HAKMEM_MODE", "original")], ["off", "off", "off"], None);
        beside_headers(&[("HAKMEM_HEADER", "16")], ["off", "off", "off"], None);
        beside_headers(&[("HAKMEM_MODE", "hardened")], ["on", "on", "off"], None);
        beside_headers(&[("HAKMEM_RANDOM_SLOTS", "on")], ["off", "on", "on"], None);
        let none = [("HAKMEM_HEADER", "32"), ("HAKMEM_DISABLE_HEADER", "1"), ("HAKMEM_MODE", "hardened")];
        beside_headers(&none, ["on", "on", "off"], None);
    }

    #[test]
    fn what_is_not_understood_is_refused_and_changes_nothing() {
        for (name, value) in [
            ("HAKMEM_DISABLE_BIGCACHE", "yes"),
            ("HAKMEM_DISABLE_BIGCACHE", ""),
            ("HAKMEM_MODE", "evolving"),
            ("HAKMEM_ELO", "ucb1"),
            ("HAKMEM_EVO_POLICY", "Auto"),
            ("HAKMEM_EVO_WINDOW_OPS", "1.5"),
            ("HAKMEM_EVO_WINDOW_OPS", "0"),
            ("HAKMEM_EVO_CANARY_FRACTION", "1.1"),
            ("HAKMEM_EVO_FREEZE_SECONDS", "NaN"),
            ("HAKMEM_DISABLE_BIGCASH", "1"),
            ("HAKMEM_", "1"),
        ] {
            let (levels, refused) = read(&[(name, value)]);
            assert_eq!(refused, [name], "{value}");
            assert_eq!(levels, read(&[]).0, "{name}={value}");
        }
    }
}

//! Reads the levels from the variables `HAKMEM_*`, once, without allocating.
//!
//! The allocator can call neither `getenv` (a lock, and a scan per variable) nor anything that allocates, so it walks
//! `environ` itself. Names and values come from the registry, the presets and the lifecycle. [`interpret`] also serves
//! the feature `settings`, which reads the same variables for programs. A program that runs with more rights than its
//! user (setuid) reads none.

use super::level::Level;
use super::lifecycle;
use super::preset::Preset;
use super::registry::{Levels, REGISTRY};
use crate::factor::evolution::Settings;
use crate::os;

/// The prefix of every variable of the allocator.
pub(crate) const PREFIX: &str = "HAKMEM_";
/// The variable that chooses the preset.
pub(crate) const MODE: &str = "HAKMEM_MODE";

/// What the environment asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Environment {
    pub(crate) levels: Levels,
    pub(crate) settings: Settings,
}

/// Why a variable is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No variable has this name; this is the nearest known one.
    Name(&'static str),
    /// The variable does not take this value; these are the ones that it takes.
    Value(Values),
}

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

/// The names of all known variables.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let factors = REGISTRY
        .iter()
        .flat_map(|factor| [Some(factor.toggle), factor.choice.as_ref().map(|choice| choice.variable)])
        .flatten();
    core::iter::once(MODE).chain(factors).chain(lifecycle::VARIABLES.iter().map(|setting| setting.variable))
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

/// Reads the levels from variables. `variables` calls back with every name and value. It is called three times, for the
/// preset, the choices and the toggles, so that the result does not depend on the order of the environment. A variable
/// that is not understood changes nothing, and `refuse` gets it.
pub(crate) fn interpret<'a>(
    preset: Preset,
    variables: impl Fn(&mut dyn FnMut(&'a str, &'a str)),
    mut refuse: impl FnMut(&'a str, &'a str, Refusal),
) -> Environment {
    let mut preset = preset;
    variables(&mut |name, value| {
        if name == MODE {
            match Preset::NAMED.iter().find(|(known, _)| *known == value) {
                Some((_, named)) => preset = *named,
                None => refuse(name, value, Refusal::Value(Values::Preset)),
            }
        }
    });
    let mut environment = Environment { levels: preset.level_table(), settings: Settings::DEFAULT };
    variables(&mut |name, value| {
        for (index, factor) in REGISTRY.iter().enumerate() {
            if let Some(choice) = factor.choice.as_ref().filter(|choice| choice.variable == name) {
                match choice.values.iter().find(|(known, _)| *known == value) {
                    Some((_, level)) => environment.levels.set_index(index, *level),
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
        } else if name.starts_with(PREFIX) && !names().any(|known| known == name) {
            refuse(name, value, Refusal::Name(nearest(name)));
        }
    });
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
fn each_variable(each: &mut dyn FnMut(&'static str, &'static str)) {
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
    match refusal {
        Refusal::Name(nearest) => {
            line.push_all(&["hakmem: unknown variable ", name, " ignored; the nearest known one is ", nearest]);
        }
        Refusal::Value(values) => {
            line.push_all(&["hakmem: ", name, "=", value, " ignored; it takes"]);
            let mut separator = " ";
            values.each(|known| {
                line.push_all(&[separator, known]);
                separator = ", ";
            });
        }
    }
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

    fn push_all(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.push(part));
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

/// The known name that begins with the given one, or else the one with the fewest edits.
pub(crate) fn nearest(name: &str) -> &'static str {
    // A name that was cut short is a likelier mistake than another name with fewer edits.
    names().min_by_key(|known| (!known.starts_with(name), edits(name.as_bytes(), known.as_bytes()))).unwrap_or(MODE)
}

/// Levenshtein distance of the first 63 bytes of each.
fn edits(a: &[u8], b: &[u8]) -> usize {
    const MOST: usize = 63;
    let (a, b) = (&a[..a.len().min(MOST)], &b[..b.len().min(MOST)]);
    let mut row: [usize; MOST + 1] = core::array::from_fn(|column| column);
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(from != to)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = core::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        assert_eq!(nearest("HAKMEM_DISABLE_BIGCASH"), "HAKMEM_DISABLE_BIGCACHE");
        assert_eq!(nearest("HAKMEM_DISABEL_TICK"), "HAKMEM_DISABLE_TICK");
        assert_eq!(nearest("HAKMEM_EVO_POLICE"), "HAKMEM_EVO_POLICY");
        assert_eq!(nearest("HAKMEM_MOOD"), "HAKMEM_MODE");
        assert_eq!(nearest("HAKMEM_DISABLE_MADVISE"), "HAKMEM_DISABLE_MADVISE_BATCH");
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits(b"kitten", b"sitting"), 3);
        assert_eq!(edits(b"", b"abc"), 3);
        assert_eq!(edits(&[b'x'; 200], b"x"), 62, "long names are cut, not overrun");
    }
}

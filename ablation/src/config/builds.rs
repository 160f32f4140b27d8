//! Rules of the settings that decide how the binary of a level is built.

use super::build_settings::BuildSettings;
use super::check::{Checked, Checker};
use super::raw;
use super::study::Program;
use std::collections::BTreeMap;
use toml::{Spanned, Value};

impl Checker<'_> {
    /// Adds one key of a level to the settings of its build.
    pub(super) fn build_setting(
        &self,
        key: &raw::Text,
        setting: &raw::Setting,
        program: &Program,
        out: &mut BuildSettings,
    ) -> Checked<()> {
        let name = key.get_ref().as_str();
        self.fits(key, program)?;
        match name {
            "revision" => out.revision = Some(self.revision(setting)?),
            "profile" => out.profile = Some(self.identifier("Cargo profile", &self.text(name, setting)?, "")?),
            "target-cpu" => out.target_cpu = Some(self.identifier("processor", &self.text(name, setting)?, ".+")?),
            "toolchain" => {
                let text = self.text(name, setting)?;
                let text = Spanned::new(text.span(), text.get_ref().trim_start_matches('+').to_owned());
                out.toolchain = Some(self.identifier("toolchain", &text, ".")?);
            }
            "rustflags" => out.rustflags = self.texts(name, setting)?,
            "build_args" => out.args = self.texts(name, setting)?,
            // A build runs compilers, whose loader is nothing that the measured program has.
            "build_env" => {
                out.env = self.variables(name, setting, |name, value| self.variable(name, value, true))?;
            }
            _ => _ = out.profile_keys.insert(name.to_owned(), self.profile_value(name, setting)?),
        }
        Ok(())
    }

    /// Checks that the subject's program has such a setting.
    fn fits(&self, key: &raw::Text, program: &Program) -> Checked<()> {
        let name = key.get_ref().as_str();
        let of_both = ["revision", "build_env"].contains(&name);
        let why = match program {
            Program::Command(_) => {
                "a `command` is not built; give the subject a `package`, or how to build it with [subject.build]"
            }
            Program::Made(_) if !of_both && name != "build_args" => {
                "it is a setting of Cargo, and [subject.build] names another build; use `build_args` or `build_env`"
            }
            Program::Cargo(_) if name == "build_args" => {
                "it is for the command of [subject.build], and Cargo builds this subject; use `rustflags` or a key of \
                 the profile"
            }
            Program::Cargo(_) | Program::Made(_) => return Ok(()),
        };
        self.fail(key.span(), format!("`{name}` cannot be set here: {why}"))
    }

    fn revision(&self, setting: &raw::Setting) -> Checked<String> {
        let text = self.text("revision", setting)?;
        let value = text.get_ref();
        if value.is_empty() || value.starts_with('-') || value.chars().any(|c| c.is_whitespace() || c.is_control()) {
            let message = format!(
                "`{}` is not a revision; write what git knows, like \"main\", \"HEAD~1\" or a commit, or \"worktree\"",
                value.escape_debug()
            );
            return self.fail(text.span(), message);
        }
        Ok(value.clone())
    }

    /// A value of a profile's key: a text, a whole number or a truth value, as Cargo's own manifest has it.
    fn profile_value(&self, key: &str, setting: &raw::Setting) -> Checked<String> {
        match setting.get_ref() {
            Value::String(text) => Ok(Value::String(text.clone()).to_string()),
            Value::Integer(number) => Ok(number.to_string()),
            Value::Boolean(value) => Ok(value.to_string()),
            _ => self.fail(
                setting.span(),
                format!("`{key}` has a text, a number, `true` or `false`, as in a profile of Cargo.toml"),
            ),
        }
    }

    fn text(&self, key: &str, setting: &raw::Setting) -> Checked<raw::Text> {
        match setting.get_ref() {
            Value::String(text) => Ok(Spanned::new(setting.span(), text.clone())),
            _ => self.fail(setting.span(), format!("`{key}` is a text; put it in quotes")),
        }
    }

    /// A list of texts that a process can receive.
    pub(super) fn texts(&self, key: &str, setting: &raw::Setting) -> Checked<Vec<String>> {
        let wrong = || self.fail(setting.span(), format!("`{key}` is a list of texts, like [\"…\"]"));
        let Value::Array(list) = setting.get_ref() else { return wrong() };
        let mut out = Vec::new();
        for item in list {
            let Some(item) = item.as_str() else { return wrong() };
            out.push(Spanned::new(setting.span(), item.to_owned()));
        }
        self.args(&out)
    }

    /// Variables of a table, each held to a rule.
    pub(super) fn variables(
        &self,
        key: &str,
        setting: &raw::Setting,
        rule: impl Fn(&raw::Text, &raw::Text) -> Checked<(String, String)>,
    ) -> Checked<BTreeMap<String, String>> {
        let wrong = || self.fail(setting.span(), format!("`{key}` is a table of texts, like {{ CC = \"clang\" }}"));
        let Value::Table(table) = setting.get_ref() else { return wrong() };
        let mut out = BTreeMap::new();
        for (name, value) in table {
            let Some(value) = value.as_str() else { return wrong() };
            let text = |text: &str| Spanned::new(setting.span(), text.to_owned());
            let (name, value) = rule(&text(name), &text(value))?;
            out.insert(name, value);
        }
        Ok(out)
    }
}

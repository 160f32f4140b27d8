//! Rules of what stands around the process of a run: commands before and after it, its folder, its input, exit codes.

use super::check::{Checked, Checker};
use super::raw;
use super::surroundings::{Command, Surroundings};
use std::path::Path;
use toml::{Spanned, Value};

/// Most warm-up processes of one cell and workload.
const MAX_WARM_UP: i64 = 1000;

/// What stands for the folder of a run, and for that of a block.
const SCRATCH: [&str; 2] = ["{scratch}", "{block_scratch}"];

impl Checker<'_> {
    pub(super) fn surroundings(&self, path: &Path, raw: &raw::Subject) -> Checked<Surroundings> {
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Surroundings {
            before_run: self.hook(raw.before_run.as_ref())?,
            after_run: self.hook(raw.after_run.as_ref())?,
            before_block: self.hook(raw.before_block.as_ref())?,
            stdin: raw.stdin.as_ref().map(|file| self.stdin(folder, file)).transpose()?,
            accept_exit: self.exit_codes(raw.accept_exit.as_ref())?,
            warm_up: match &raw.warm_up {
                Some(number) => self.number("warm_up", number, 0, MAX_WARM_UP)? as u32,
                None => 0,
            },
            in_scratch: match &raw.run_in {
                Some(place) => self.known("value of `run_in`", place, ["config", "scratch"].into_iter())? == 1,
                None => false,
            },
            scratch_in: raw.scratch_in.as_ref().map(|given| self.scratch_in(folder, given)).transpose()?,
            // A comment that names one costs a folder per run, and nothing else.
            names_scratch: SCRATCH.iter().any(|name| self.text.contains(name)),
            server: raw.server.as_ref().map(|server| self.server(server)).transpose()?,
        })
    }

    /// One command as a list of texts, or a list of such lists.
    fn hook(&self, given: Option<&Spanned<Value>>) -> Checked<Vec<Command>> {
        let Some(given) = given else { return Ok(Vec::new()) };
        let wrong = || {
            let message = "a command is a list of texts, [\"PROGRAM\", \"ARGUMENT\"]; several are a list of such lists";
            self.fail(given.span(), message)
        };
        let Value::Array(items) = given.get_ref() else { return wrong() };
        let is_one = items.iter().all(Value::is_str);
        let commands: Vec<Option<Command>> = match is_one {
            true => vec![texts(items)],
            false => items.iter().map(|item| texts(item.as_array()?)).collect(),
        };
        let mut out = Vec::new();
        for command in commands {
            let Some(command) = command else { return wrong() };
            let words = command.into_iter().map(|word| Spanned::new(given.span(), word)).collect();
            out.push(self.command(&Spanned::new(given.span(), words))?);
        }
        Ok(out)
    }

    fn stdin(&self, folder: &Path, file: &raw::Text) -> Checked<String> {
        let text = self.args(std::slice::from_ref(file))?.pop().unwrap_or_default();
        // A file in a scratch folder comes into being with the run.
        let is_made = SCRATCH.iter().any(|name| text.contains(name));
        if !is_made && !folder.join(&text).is_file() {
            let message = format!("there is no file `{text}` for standard input; paths are relative to the config");
            return self.fail(file.span(), message);
        }
        Ok(text)
    }

    fn exit_codes(&self, given: Option<&Spanned<Vec<Spanned<i64>>>>) -> Checked<Vec<i32>> {
        let Some(given) = given else { return Ok(vec![0]) };
        if given.get_ref().is_empty() {
            let message = "`accept_exit` is empty, so that every run would fail; write the codes, like [0, 1]";
            return self.fail(given.span(), message);
        }
        let code = |code: &Spanned<i64>| Ok(self.number("an exit code", code, 0, 255)? as i32);
        given.get_ref().iter().map(code).collect()
    }

    fn scratch_in(&self, folder: &Path, given: &raw::Text) -> Checked<std::path::PathBuf> {
        let parent = folder.join(given.get_ref());
        if !parent.is_dir() {
            let message = format!("there is no folder `{}` to make scratch folders in; create it", given.get_ref());
            return self.fail(given.span(), message);
        }
        Ok(parent)
    }
}

fn texts(items: &[Value]) -> Option<Command> {
    items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

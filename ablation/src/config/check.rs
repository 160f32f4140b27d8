//! From the written config to a [`Study`]: the rules that the shape alone does not hold. Those of factors and
//! treatments are in [`super::levels`].

use super::names::suggest;
use super::place::Pointed;
use super::{CargoProgram, DesignKind, Function, Peer, Program, Source, Study, Subject, Workload, raw};
use crate::record::{Arm, LatencyResponse};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

pub(super) type Checked<T> = Result<T, Box<Pointed>>;

pub(super) fn check(path: &Path, text: &str, raw: raw::Study) -> Checked<Study> {
    let at = At { path: path.display().to_string(), text };
    let name = at.name("study", &raw.study)?;
    let arms = at.arms(&raw.arms)?;
    let designs = at.designs(&raw.design, &raw)?;
    let subject = at.subject(path, &raw.subject)?;
    let factors = at.factors(&raw.factors, &arms, &subject)?;
    if designs.contains(&DesignKind::Factorial) {
        at.factorial(&raw.design, &factors, &arms)?;
    }
    let treatments = at.treatments(&raw.treatments, &factors, &arms)?;
    let workloads = at.workloads(&raw.workloads)?;
    let peers = at.peers(&raw.peers)?;
    let reference_peer = at.reference(raw.reference_peer.as_ref(), &peers)?;
    Ok(Study {
        path: path.to_owned(),
        text: text.to_owned(),
        name,
        about: raw.about,
        // Every value from 0 to i64::MAX is a u64.
        seed: at.number("seed", &raw.seed, 0, i64::MAX)? as u64,
        blocks: at.number("blocks", &raw.blocks, 1, 10_000)? as u32,
        counting_repeats: match &raw.counting_repeats {
            Some(repeats) => at.number("counting_repeats", repeats, 1, 100)? as u32,
            None => 2,
        },
        arms,
        designs,
        timeout: Duration::from_secs(match &raw.timeout_seconds {
            Some(seconds) => at.number("timeout_seconds", seconds, 1, 86_400)? as u64,
            None => 60,
        }),
        reference_peer,
        subject,
        factors,
        treatments,
        workloads,
        peers,
        layouts: match &raw.layouts {
            Some(layouts) => at.number("layouts", layouts, 1, 16)? as u32,
            None => 1,
        },
        instruments: vec!["perf".to_owned()],
        crossed: raw.factors.iter().map(|factor| factor.get_ref().name.get_ref().clone()).collect(),
        fraction: 1,
        constraints: Vec::new(),
        hypotheses: Vec::new(),
        curves: Vec::new(),
        functions: at.functions(&raw.functions)?,
    })
}

/// The text that everything points into.
pub(super) struct At<'a> {
    path: String,
    text: &'a str,
}

impl At<'_> {
    pub(super) fn fail<T>(&self, span: Range<usize>, message: impl Into<String>) -> Checked<T> {
        Err(Pointed::new(&self.path, self.text, span, message.into()))
    }

    fn number(&self, what: &str, value: &Spanned<i64>, low: i64, high: i64) -> Checked<i64> {
        if (low..=high).contains(value.get_ref()) {
            return Ok(*value.get_ref());
        }
        self.fail(
            value.span(),
            format!("{what} is {}; it must be a whole number from {low} to {high}", value.get_ref()),
        )
    }

    pub(super) fn name(&self, what: &str, name: &raw::Text) -> Checked<String> {
        let text = name.get_ref();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 64 || text.starts_with('-') || !text.chars().all(fits) {
            let rule = "names match [a-z0-9-]+, do not start with `-` and have at most 64 characters";
            return self.fail(name.span(), format!("`{text}` is no name for a {what}; {rule}"));
        }
        Ok(text.clone())
    }

    pub(super) fn names<'n>(&self, what: &str, names: impl Iterator<Item = &'n raw::Text>) -> Checked<()> {
        let mut seen = BTreeSet::new();
        for name in names {
            self.name(what, name)?;
            if !seen.insert(name.get_ref()) {
                return self.fail(name.span(), format!("the {what} `{}` is there twice; rename one", name.get_ref()));
            }
        }
        Ok(())
    }

    /// Names that go to Cargo or into a file name.
    pub(super) fn identifier(&self, what: &str, text: &raw::Text, extra: &str) -> Checked<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c) || extra.contains(c);
        let value = text.get_ref();
        if value.is_empty() || value.starts_with('-') || !value.chars().all(fits) {
            return self
                .fail(text.span(), format!("`{value}` is no name of a {what}; use letters, digits, `_` and `-`"));
        }
        Ok(value.clone())
    }

    pub(super) fn args(&self, args: &[raw::Text]) -> Checked<Vec<String>> {
        let mut out = Vec::new();
        for arg in args {
            if arg.get_ref().contains('\0') {
                return self.fail(arg.span(), "an argument contains NUL, which no process can receive; remove it");
            }
            out.push(arg.get_ref().clone());
        }
        Ok(out)
    }

    fn env_name(&self, name: &raw::Text) -> Checked<String> {
        let text = name.get_ref();
        let why = if text.is_empty() || text.contains('=') || text.contains('\0') {
            "it is empty or contains `=` or NUL; use a name like `PROGRAM_SWITCH`"
        } else if text.starts_with("LD_") || text == "GLIBC_TUNABLES" {
            "it would change the loader or libc beneath every cell; remove it"
        } else if text.starts_with("ABLATE_") {
            "names with ABLATE_ belong to the runner; choose another"
        } else {
            return Ok(text.clone());
        };
        self.fail(name.span(), format!("`{}` is no environment name: {why}", text.escape_debug()))
    }

    pub(super) fn env(&self, env: &raw::Env) -> Checked<BTreeMap<String, String>> {
        env.iter().map(|(name, value)| self.variable(name, value)).collect()
    }

    pub(super) fn variable(&self, name: &raw::Text, value: &raw::Text) -> Checked<(String, String)> {
        if value.get_ref().contains('\0') {
            return self.fail(value.span(), "an environment value contains NUL, which no process can receive");
        }
        Ok((self.env_name(name)?, value.get_ref().clone()))
    }

    fn arms(&self, arms: &raw::Texts) -> Checked<Vec<Arm>> {
        const KNOWN: [Arm; 3] = [Arm::Env, Arm::Feature, Arm::Args];
        let mut out = Vec::new();
        for arm in arms.get_ref() {
            let Some(known) = KNOWN.into_iter().find(|known| known.as_str() == arm.get_ref()) else {
                let near = suggest(arm.get_ref(), KNOWN.iter().map(|known| known.as_str()));
                return self.fail(arm.span(), format!("unknown arm `{}`{near}", arm.get_ref()));
            };
            if out.contains(&known) {
                return self.fail(arm.span(), format!("the arm `{}` is there twice; remove one", arm.get_ref()));
            }
            out.push(known);
        }
        if out.is_empty() {
            return self.fail(arms.span(), "arms is empty; write [\"env\"], [\"feature\"] or both");
        }
        Ok(out)
    }

    fn designs(&self, designs: &raw::Texts, raw: &raw::Study) -> Checked<Vec<DesignKind>> {
        let mut out = Vec::new();
        if designs.get_ref().is_empty() {
            let names: Vec<&str> = DesignKind::NAMES.iter().map(|(name, _)| *name).collect();
            let message = format!("design is empty, so nothing would be compared; choose from {}", names.join(", "));
            return self.fail(designs.span(), message);
        }
        for design in designs.get_ref() {
            let found = DesignKind::NAMES.into_iter().find(|(name, _)| name == design.get_ref());
            let Some((_, kind)) = found else {
                let near = suggest(design.get_ref(), DesignKind::NAMES.iter().map(|(name, _)| *name));
                return self.fail(design.span(), format!("unknown design `{}`{near}", design.get_ref()));
            };
            if out.contains(&kind) {
                return self
                    .fail(design.span(), format!("the design `{}` is there twice; remove one", design.get_ref()));
            }
            if kind == DesignKind::Explicit && raw.treatments.is_empty() {
                return self.fail(design.span(), "design `explicit` without a treatment; add a [[treatment]] table");
            }
            out.push(kind);
        }
        if let Some(treatment) = raw.treatments.first().filter(|_| !out.contains(&DesignKind::Explicit)) {
            let message = "this treatment would never run; add \"explicit\" to `design` or remove the table";
            return self.fail(treatment.get_ref().name.span(), message);
        }
        Ok(out)
    }

    fn subject(&self, path: &Path, raw: &Spanned<raw::Subject>) -> Checked<Subject> {
        let place = raw.span();
        let raw = raw.get_ref();
        let mut allow_env = Vec::new();
        for name in &raw.allow_env {
            allow_env.push(self.env_name(name)?);
        }
        Ok(Subject {
            program: self.program(path, raw, place)?,
            placebo_feature: match &raw.placebo_feature {
                Some(feature) => Some(self.identifier("Cargo feature", feature, "+./")?),
                None => None,
            },
            args: self.args(&raw.args)?,
            counting_args: self.args(&raw.counting_args)?,
            idle_args: raw.idle_args.as_deref().map(|args| self.args(args)).transpose()?,
            served_by: raw.served_by.clone(),
            allow_env,
            env: self.env(&raw.env)?,
        })
    }

    fn program(&self, path: &Path, raw: &raw::Subject, place: Range<usize>) -> Checked<Program> {
        if let Some(command) = &raw.command {
            return Ok(Program::Command(self.args(command.get_ref())?));
        }
        let Some(package) = &raw.package else {
            return self.fail(place, "the subject has neither `package` nor `command`; name what is to be run");
        };
        let mut features = Vec::new();
        for feature in &raw.features {
            features.push(self.identifier("Cargo feature", feature, "+./")?);
        }
        let profile = match &raw.profile {
            Some(profile) => self.identifier("Cargo profile", profile, "")?,
            None => "release".to_owned(),
        };
        Ok(Program::Cargo(CargoProgram {
            package: self.identifier("package", package, "")?,
            binary: self.identifier("binary", raw.binary.as_ref().unwrap_or(package), "")?,
            source: match &raw.version {
                Some(version) => Source::Registry(self.identifier("version", version, ".+")?),
                None => Source::Manifest(self.manifest(path, raw.manifest.as_ref(), place)?),
            },
            profile,
            features,
        }))
    }

    fn manifest(&self, path: &Path, given: Option<&raw::Text>, subject: Range<usize>) -> Checked<PathBuf> {
        // An empty parent is the current directory.
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Some(given) = given {
            let manifest = folder.join(given.get_ref());
            if !manifest.is_file() {
                let message = format!("there is no file {}; `manifest` is relative to the config", manifest.display());
                return self.fail(given.span(), message);
            }
            return Ok(manifest);
        }
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let found = folder.ancestors().map(|dir| dir.join("Cargo.toml")).find(|manifest| manifest.is_file());
        match found {
            Some(manifest) => Ok(manifest),
            None => self.fail(subject, "no Cargo.toml in the config's folder or above it; set `manifest`"),
        }
    }

    fn workloads(&self, raw: &[raw::Workload]) -> Checked<Vec<Workload>> {
        if raw.is_empty() {
            let end = self.text.trim_end().len();
            return self.fail(end..end, "no workload; add a [[workload]] table with `name` and `args`");
        }
        self.names("workload", raw.iter().map(|w| &w.name))?;
        let mut out = Vec::new();
        for workload in raw {
            out.push(Workload {
                name: workload.name.get_ref().clone(),
                about: workload.about.clone(),
                args: self.args(&workload.args)?,
                pin: workload.pin,
                response: self.response(workload.response.as_ref())?,
                designs: None,
            });
        }
        Ok(out)
    }

    fn response(&self, given: Option<&raw::Text>) -> Checked<LatencyResponse> {
        let Some(given) = given else { return Ok(LatencyResponse::default()) };
        let known = LatencyResponse::ALL.into_iter();
        if let Some(response) = known.clone().find(|known| known.as_str() == given.get_ref()) {
            return Ok(response);
        }
        let near = suggest(given.get_ref(), known.map(LatencyResponse::as_str));
        self.fail(given.span(), format!("unknown response `{}`{near}; write `p10` or `mean`", given.get_ref()))
    }

    fn functions(&self, raw: &[raw::Function]) -> Checked<Vec<Function>> {
        self.names("function", raw.iter().map(|function| &function.name))?;
        let mut out = Vec::new();
        for function in raw {
            let patterns: Vec<String> = function.patterns.get_ref().iter().map(|text| text.get_ref().clone()).collect();
            // The empty text is a part of every name.
            if patterns.is_empty() || patterns.iter().any(String::is_empty) {
                let message = "`match` needs parts of names of functions, none of them empty, like [\"cache::lookup\"]";
                return self.fail(function.patterns.span(), message);
            }
            out.push(Function { name: function.name.get_ref().clone(), patterns });
        }
        Ok(out)
    }

    fn peers(&self, raw: &[raw::Peer]) -> Checked<Vec<Peer>> {
        self.names("peer", raw.iter().map(|p| &p.name))?;
        let mut out = Vec::new();
        for peer in raw {
            // Unnamed, another allocator could serve every run and nobody would know.
            if peer.served_by.as_deref().is_none_or(str::is_empty) {
                let message = "a peer must say who serves it: add served_by = \"NAME\"";
                return self.fail(peer.name.span(), message);
            }
            out.push(Peer {
                name: peer.name.get_ref().clone(),
                command: None,
                env: self.env(&peer.env)?,
                args: self.args(&peer.args)?,
                served_by: peer.served_by.clone(),
            });
        }
        Ok(out)
    }

    fn reference(&self, reference: Option<&raw::Text>, peers: &[Peer]) -> Checked<Option<String>> {
        let Some(reference) = reference else { return Ok(None) };
        if peers.iter().any(|peer| peer.name == *reference.get_ref()) {
            return Ok(Some(reference.get_ref().clone()));
        }
        let near = suggest(reference.get_ref(), peers.iter().map(|p| p.name.as_str()));
        self.fail(reference.span(), format!("reference_peer `{}` is not among the peers{near}", reference.get_ref()))
    }
}

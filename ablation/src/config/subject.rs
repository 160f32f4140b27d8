//! Rules of the subject: a Cargo package of this machine or of the registry, a program that a command builds, or an
//! installed one.

use super::check::{Checked, Checker};
use super::raw;
use super::study::{CargoProgram, CargoTarget, MadeProgram, Origin, Program, Subject};
use super::surroundings::Surroundings;
use crate::harness::Harness;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use toml::Spanned;

impl Checker<'_> {
    pub(super) fn subject(
        &self,
        path: &Path,
        raw: &Spanned<raw::Subject>,
        workloads: &[raw::Workload],
    ) -> Checked<Subject> {
        let place = raw.span();
        let raw = raw.get_ref();
        let harness = self.harness(raw)?;
        let program = self.program(path, raw, place, harness, workloads)?;
        let is_command = !matches!(program, Program::Cargo(_));
        let mut allow_env = Vec::new();
        for name in &raw.allow_env {
            // The value of a shell differs from machine to machine, and no record shows it. So not even for a command.
            allow_env.push(self.env_name(name, false)?);
        }
        Ok(Subject {
            placebo_feature: self.placebo(raw, &program)?,
            program,
            args: self.args(&raw.args)?,
            counting_args: self.args(&raw.counting_args)?,
            idle_args: raw.idle_args.as_deref().map(|args| self.args(args)).transpose()?,
            served_by: raw.served_by.clone(),
            allow_env,
            env: self.env(&raw.env, is_command)?,
            surroundings: {
                let asked = self.surroundings(path, raw)?;
                // A harness writes its output there.
                Surroundings { names_scratch: asked.names_scratch || harness.is_some(), ..asked }
            },
            harness,
            filter: raw.filter.as_ref().map(|filter| filter.get_ref().clone()),
        })
    }

    fn program(
        &self,
        path: &Path,
        raw: &raw::Subject,
        place: Range<usize>,
        harness: Option<Harness>,
        workloads: &[raw::Workload],
    ) -> Checked<Program> {
        let of_packages = [
            ("package", raw.package.as_ref()),
            ("binary", raw.binary.as_ref()),
            ("bench", raw.bench.as_ref()),
            ("version", raw.version.as_ref()),
            ("manifest", raw.manifest.as_ref()),
            ("profile", raw.profile.as_ref()),
            ("features", raw.features.first()),
            ("placebo_feature", raw.placebo_feature.as_ref()),
        ];
        let of_package = of_packages.into_iter().find_map(|(key, text)| Some((key, text?)));
        let of_server = raw.server.as_ref().and_then(|server| server.get_ref().command.as_ref());
        if let (Some(own), Some(_)) = (&raw.command, of_server) {
            let message =
                "the subject and its server both have a `command`; the server is what is measured, so keep that one";
            return self.fail(own.span(), message);
        }
        if let Some(build) = &raw.build {
            if let Some((key, text)) = of_package {
                let message = format!("`{key}` is for a package, and [subject.build] is another build; remove one");
                return self.fail(text.span(), message);
            }
            if let Some(command) = raw.command.as_ref().or(of_server) {
                let message = "`command` is an installed program, and [subject.build] makes one; remove one of the two";
                return self.fail(command.span(), message);
            }
            return Ok(Program::Made(self.made(path, build.get_ref())?));
        }
        if let Some(command) = raw.command.as_ref().or(of_server) {
            if let Some((key, text)) = of_package {
                let message = format!("`{key}` is for a package, and a `command` is not built; remove one of the two");
                return self.fail(text.span(), message);
            }
            return Ok(Program::Command(self.command(command)?));
        }
        // Where every workload has a command, the subject needs none.
        let of_workloads = workloads.iter().map(|workload| workload.command.as_ref()).collect::<Option<Vec<_>>>();
        if let (None, Some([first, ..])) = (&raw.package, of_workloads.as_deref()) {
            return Ok(Program::Command(self.command(first)?));
        }
        let Some(package) = &raw.package else {
            let message = match raw.server {
                None if workloads.iter().any(|workload| workload.command.is_some()) => {
                    "the subject has no `command`, and not every workload has one; give each a `command`, or the subject"
                }
                Some(_) => "the server has no `command`, and the subject no `package`; name what is to be run",
                None => "the subject has no `package`, no `command` and no [subject.build]; name what is to be run",
            };
            return self.fail(place, message);
        };
        Ok(Program::Cargo(CargoProgram {
            package: self.identifier("package", package, "")?,
            binary: match &raw.bench {
                Some(bench) => self.identifier("benchmark", bench, "")?,
                None => self.identifier("binary", raw.binary.as_ref().unwrap_or(package), "")?,
            },
            target: match harness {
                Some(harness) => CargoTarget::Bench { libtest: harness == Harness::Libtest },
                None => CargoTarget::Bin,
            },
            origin: match (&raw.version, &raw.manifest) {
                (Some(version), Some(_)) => {
                    let message =
                        "`version` takes the package from crates.io and `manifest` from here; remove one of the two";
                    return self.fail(version.span(), message);
                }
                (Some(version), None) => Origin::Registry(self.version(version)?),
                (None, manifest) => Origin::Manifest(self.manifest(path, manifest.as_ref(), place)?),
            },
            profile: match &raw.profile {
                Some(profile) => self.identifier("Cargo profile", profile, "")?,
                // What `cargo bench` builds with.
                None if harness.is_some() => "bench".to_owned(),
                None => "release".to_owned(),
            },
            features: raw.features.iter().map(|feature| self.feature(feature)).collect::<Checked<_>>()?,
        }))
    }

    /// A program that a command builds.
    fn made(&self, path: &Path, raw: &raw::Build) -> Checked<MadeProgram> {
        let artefact = raw.artefact.get_ref();
        let is_inside = Path::new(artefact).components().all(|part| matches!(part, Component::Normal(_)));
        if artefact.is_empty() || !is_inside {
            let message = "`artefact` is the program that the command makes, by its path from `folder`, without `..`";
            return self.fail(raw.artefact.span(), message);
        }
        let base = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let sources = base.join(raw.folder.as_ref().map_or("", |folder| folder.get_ref()));
        if let Some(folder) = raw.folder.as_ref().filter(|_| !sources.is_dir()) {
            let message = format!("there is no folder {}; `folder` is relative to the config", sources.display());
            return self.fail(folder.span(), message);
        }
        Ok(MadeProgram {
            command: self.command(&raw.command)?,
            artefact: artefact.clone(),
            sources,
            env: self.env(&raw.env, true)?,
        })
    }

    /// An installed program: its path or name, then arguments. [`crate::builds`] finds it.
    pub(super) fn command(&self, command: &raw::Texts) -> Checked<Vec<String>> {
        let args = self.args(command.get_ref())?;
        if args.first().is_none_or(String::is_empty) {
            return self.fail(command.span(), "the command names no program; write [\"PROGRAM\", \"ARGUMENT\", …]");
        }
        Ok(args)
    }

    /// One version and not a range, because a study of a range would build another version later.
    fn version(&self, version: &raw::Text) -> Checked<String> {
        let text = self.identifier("version", version, ".+")?;
        let numbers: Vec<&str> = text.split(['-', '+']).next().unwrap_or_default().split('.').collect();
        if numbers.len() != 3 || numbers.iter().any(|number| number.parse::<u64>().is_err()) {
            let message = format!("`{text}` is not a complete version; write all three numbers, like \"1.4.0\"");
            return self.fail(version.span(), message);
        }
        Ok(text)
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
            None => self.fail(
                subject,
                "no Cargo.toml in the config's folder or above it; set `manifest`, `version` or `command`",
            ),
        }
    }

    fn placebo(&self, raw: &raw::Subject, program: &Program) -> Checked<Option<String>> {
        let (Some(placebo), Program::Cargo(program)) = (&raw.placebo_feature, program) else { return Ok(None) };
        let feature = self.feature(placebo)?;
        if program.features.contains(&feature) {
            let message =
                format!("feature `{feature}` is in the subject's `features` too, so the placebo would change nothing");
            return self.fail(placebo.span(), format!("{message}; remove it there"));
        }
        Ok(Some(feature))
    }
}

//! `cargo ablate init`: writes a first config for a package, a program that a command builds, or an installed one. It is
//! strict and commented, and runs as it is.
//!
//! cargo tells what the package is, and its features give the factors ([`features`]). What builds another program is found
//! by [`sources`], and the options of an installed one in its help ([`help`]). The words are in [`of_package`],
//! [`mod@of_build`] and [`mod@of_command`]. Nothing is built, and an existing file is never overwritten.

mod asked;
mod features;
mod help;
mod makefile;
mod name;
mod of_build;
mod of_command;
mod of_package;
mod script;
mod sources;
mod text;

use crate::builds::{self, BuildError, cargo, registry};
use crate::support::call::quoted;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::nearest::nearest;
use crate::support::settings::Settings;
use cargo::{Metadata, Package, Target};
use name::name_of;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The config to write.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What is to be measured.
    pub(crate) subject: Subject,
    /// Where to write. Default: NAME.toml in the current folder.
    pub(crate) out: Option<PathBuf>,
}

/// What is to be measured.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    /// A package that is built.
    Package {
        /// Its folder or Cargo.toml, or CRATE@VERSION from the registry.
        given: String,
        /// The binary to measure, when the package has several.
        binary: Option<String>,
        /// Arguments of the first workload. `None`: the workload only starts the program.
        workload: Option<Vec<String>>,
    },
    /// A program that a command builds: of a folder with a makefile or the like, or of a source file.
    Built(Built),
    /// An installed program, and its arguments.
    Command(Vec<String>),
}

/// A program that a command builds.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    /// The folder or the source file.
    pub(crate) given: String,
    /// The command, where the user gives it; else it is found.
    pub(crate) command: Option<Vec<String>>,
    /// The program that it makes.
    pub(crate) program: Option<String>,
    /// Arguments of the first workload.
    pub(crate) workload: Option<Vec<String>>,
}

/// A config that cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    /// The package.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The call.
    #[error("{0}")]
    Call(String),
    /// The config would replace a file.
    #[error("{} exists already; give another name with --out, or remove the file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{}: {doing} failed: {source}; choose another place with --out, or create the folder", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl InitError {
    fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> InitError {
        let path = path.to_owned();
        move |source| InitError::Io { path, doing, source }
    }
}

impl ExitStatus for InitError {
    fn exit(&self) -> ShellCode {
        match self {
            InitError::Build(error) => error.exit(),
            InitError::Call(_) | InitError::Exists { .. } => ShellCode::WrongCall,
            InitError::Io { .. } => ShellCode::BadRuns,
        }
    }
}

/// Writes a config and returns the text to print: the name of the file and the next commands.
///
/// # Errors
/// [`InitError`]. No file is written then.
pub(crate) fn run(request: &Request, settings: &Settings) -> Result<String, InitError> {
    let here = std::env::current_dir().map_err(InitError::io(Path::new("."), "finding the current folder"))?;
    match &request.subject {
        Subject::Command(command) => of_command(command, request.out.as_deref(), &here),
        Subject::Built(built) => of_build(built, request.out.as_deref(), &here),
        Subject::Package { given, binary, workload } if is_built(&here.join(given)) => {
            let (program, workload) = (binary.clone(), workload.clone());
            let built = Built { given: given.clone(), command: None, program, workload };
            of_build(&built, request.out.as_deref(), &here)
        }
        Subject::Package { given, binary, workload } => {
            let target = settings.target_dir.clone().unwrap_or_else(|| builds::target_folder(&here));
            let (manifest, version) = manifest_and_version(given, &here, &target)?;
            let found = cargo::metadata(&manifest)?;
            let package = package(&found, &manifest)?;
            let binary = self::binary(&found, package, binary.as_deref())?;
            let name = name_of(&binary.name);
            let path = place(request.out.as_deref(), &here, &name)?;
            let origin = match version {
                Some(version) => of_package::Origin::Registry(version),
                None => of_package::Origin::Manifest(seen_from(&path, package.manifest_path.as_std_path())),
            };
            let features = features::features(package, &binary.required_features);
            let config = of_package::text(&name, package, &binary.name, &origin, &features, workload.as_deref());
            let next = match workload {
                Some(_) => "read it",
                None => "put real work into its [[workload]]",
            };
            write(&path, &config, &features.told(&package.name), next)
        }
    }
}

/// Whether a path is a source file, or a folder that something other than cargo builds.
fn is_built(path: &Path) -> bool {
    (path.is_file() && sources::is_source(path)) || (!path.join("Cargo.toml").is_file() && sources::is_built(path))
}

fn of_build(built: &Built, out: Option<&Path>, here: &Path) -> Result<String, InitError> {
    let given = here.join(&built.given);
    let (folder, source) = match given.is_file() {
        true => (given.parent().unwrap_or(here).to_owned(), given.file_name().map(PathBuf::from)),
        false => (given.clone(), None),
    };
    if !folder.is_dir() {
        let message = format!("there is no folder {}; give the folder of the sources", folder.display());
        return Err(InitError::Call(message));
    }
    let wanted = built.program.as_deref();
    let build = match (&built.command, source) {
        (Some(command), _) if command.is_empty() => Err("--build is empty; give the command that builds".to_owned()),
        (Some(command), _) => sources::of_command(&folder, command, wanted),
        (None, Some(source)) => Ok(sources::of_source(&folder, &source)),
        (None, None) => sources::of_folder(&folder, wanted),
    };
    let build = build.map_err(InitError::Call)?;
    let name = name_of(&Path::new(&build.artefact).file_stem().unwrap_or_default().to_string_lossy());
    let path = place(out, here, &name)?;
    let is_beside = path.parent().is_some_and(|parent| resolved(parent) == resolved(&folder));
    let shown = (!is_beside).then(|| seen_from(&path, &folder));
    let config = of_build::text(&name, &build, shown.as_deref(), built.workload.as_deref());
    let told = [
        format!("build: {}, which makes {}", shell_words::join(&build.command), build.artefact),
        "factor: optimiser, -O3 against -O2; -O0 and -march=native are there as comments".to_owned(),
    ];
    let next = match built.workload {
        Some(_) => "read it",
        None => "give its [[workload]] the arguments that the program needs",
    };
    write(&path, &config, &told, next)
}

fn of_command(command: &[String], out: Option<&Path>, here: &Path) -> Result<String, InitError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(InitError::Call("the command is empty; give the name or path of a program after --".to_owned()));
    };
    // A path is relative to the config; a name without a slash is looked up on the PATH.
    if !builds::exists(here, program) {
        return Err(InitError::Call(missing(here, program)));
    }
    let script = script::script(here, program, arguments);
    let called = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let name = name_of(script.as_ref().map_or(&called, |script| script.name));
    let path = place(out, here, &name)?;
    let (own, rest) = arguments.split_at(script.as_ref().map_or(0, |script| script.own));
    let words: Vec<&str> = own.iter().map(String::as_str).collect();
    let is_asked = script.as_ref().is_none_or(|script| script.is_asked);
    let options = if is_asked { help::choices(&asked::help(here, program, &words)) } else { Vec::new() };
    let is_beside = path.parent().is_some_and(|parent| resolved(parent) == resolved(here));
    let seen = |word: &String| {
        let is_file = !is_beside && !word.starts_with('-') && here.join(word).is_file();
        if is_file { seen_from(&path, &here.join(word)) } else { word.clone() }
    };
    let program = if program.contains('/') { seen_from(&path, &here.join(program)) } else { program.clone() };
    let command: Vec<String> = std::iter::once(program).chain(own.iter().map(seen)).collect();
    let (config, told) = of_command::text(&name, &command, rest, &options);
    let next = match options.as_slice() {
        [] => "add a [[factor]] to it",
        _ => "choose the [[factor]]s",
    };
    write(&path, &config, &told, next)
}

/// Why a program cannot be measured, and the way out.
fn missing(here: &Path, program: &str) -> String {
    let path = here.join(program);
    if !program.contains('/') {
        let way_out = match path.is_file() {
            true => format!("it is a file in this folder: give its path, ./{program}"),
            false => "install it, or give its path with a slash".to_owned(),
        };
        return format!("there is no program `{program}` on the PATH; {way_out}");
    }
    if path.is_file() && sources::is_source(&path) {
        let way_out = format!("let ablate build it with cargo ablate init {}", quoted(Path::new(program)));
        return format!("{program} is a source file; {way_out}");
    }
    if path.is_file() {
        let file = quoted(Path::new(program));
        return format!(
            "{program} is not executable; make it so with `chmod +x {file}`, or name what runs it: -- sh {file}"
        );
    }
    if path.is_dir() {
        return format!("{program} is a folder; give a program, or for its sources: cargo ablate init {program}");
    }
    let source = ["c", "cc", "cpp"].map(|end| path.with_extension(end)).into_iter().find(|source| source.is_file());
    match source {
        Some(source) => format!(
            "there is no file {program}, but its source: let ablate build it with cargo ablate init {}",
            quoted(source.strip_prefix(here).unwrap_or(&source))
        ),
        None => format!("there is no file {program}; build it first, or correct the path, seen from this folder"),
    }
}

/// The manifest of a package, which may have to be fetched, and its version when it is of the registry.
fn manifest_and_version(given: &str, here: &Path, target: &Path) -> Result<(PathBuf, Option<String>), InitError> {
    match given.split_once('@') {
        Some((name, version)) if !Path::new(given).exists() => {
            Ok((registry::fetch(name, version, target)?.join("Cargo.toml"), Some(version.to_owned())))
        }
        _ => Ok((manifest_of(given, here)?, None)),
    }
}

fn manifest_of(given: &str, here: &Path) -> Result<PathBuf, InitError> {
    let path = here.join(given);
    let manifest = if path.is_dir() { path.join("Cargo.toml") } else { path.clone() };
    if manifest.is_file() {
        return Ok(manifest);
    }
    let hint = "give the folder of a package, CRATE@VERSION (`cargo info CRATE` tells the version), a folder with a Makefile, \
         CMakeLists.txt or meson.build, a source file of C or C++, or `-- PROGRAM ARGS`";
    let what = match path.exists() {
        true => format!("there is no package at {}", manifest.display()),
        false => format!("there is no file or folder {given}"),
    };
    Err(InitError::Call(format!("{what}; {hint}")))
}

/// The package of a manifest. In a workspace without one, the only package that has a binary.
fn package<'a>(found: &'a Metadata, manifest: &Path) -> Result<&'a Package, InitError> {
    let manifest = manifest.canonicalize().unwrap_or_else(|_| manifest.to_owned());
    let own =
        |package: &&Package| package.manifest_path.as_std_path().canonicalize().is_ok_and(|path| path == manifest);
    if let Some(package) = found.packages.iter().find(own) {
        return Ok(package);
    }
    match with_binary(found).as_slice() {
        [only] => Ok(only),
        [] => Err(InitError::Call(format!("{}: no package of this workspace has a binary", manifest.display()))),
        several => {
            let message = "this workspace has several packages with a binary; give the folder of one";
            Err(InitError::Call(format!("{}: {message}: {}", manifest.display(), folders(several))))
        }
    }
}

fn with_binary(found: &Metadata) -> Vec<&Package> {
    found.packages.iter().filter(|package| cargo::binaries(package).next().is_some()).collect()
}

fn folders(packages: &[&Package]) -> String {
    let folder = |package: &&Package| package.manifest_path.with_file_name("").to_string();
    packages.iter().map(folder).collect::<Vec<_>>().join(", ")
}

fn binary<'a>(found: &Metadata, package: &'a Package, wanted: Option<&str>) -> Result<&'a Target, InitError> {
    let binaries: Vec<&Target> = cargo::binaries(package).collect();
    let names = || binaries.iter().map(|target| target.name.as_str());
    let name = match (wanted, binaries.as_slice()) {
        (Some(wanted), _) => wanted,
        (None, []) => {
            let way_out = match with_binary(found).as_slice() {
                [] if package.targets.iter().any(Target::is_bench) => {
                    "it has benchmarks: measure these, with harness = \
                     \"criterion\" (or divan, libtest) and bench = \"NAME\" in [subject], as configs/README.md shows"
                        .to_owned()
                }
                [] => "write a small one that uses it, or give another package".to_owned(),
                others => format!("give a package of its workspace that has one: {}", folders(others)),
            };
            return Err(InitError::Call(format!("package `{}` has no binary to run; {way_out}", package.name)));
        }
        (None, [only]) => only.name.as_str(),
        (None, _) => package.default_run.as_deref().unwrap_or(package.name.as_str()),
    };
    binaries.iter().find(|target| target.name == name).copied().ok_or_else(|| {
        let near = nearest(name, names()).filter(|_| wanted.is_some());
        let hint = match near {
            Some(near) => format!("did you mean --bin {near}?"),
            None => format!("give --bin with one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        InitError::Call(format!("package `{}` has no binary `{name}`; {hint}", package.name))
    })
}

fn place(out: Option<&Path>, here: &Path, name: &str) -> Result<PathBuf, InitError> {
    let path = here.join(out.map_or_else(|| format!("{name}.toml").into(), Path::to_owned));
    // Checked before a package is fetched. The file is created only where none exists in any case.
    if path.exists() { Err(InitError::Exists { path }) } else { Ok(path) }
}

/// A path as it is written in a config: relative to its folder when both are close, else absolute.
fn seen_from(config: &Path, path: &Path) -> String {
    let folder = config.parent().unwrap_or(Path::new("/"));
    let (folder, path) = (resolved(folder), resolved(path));
    let common = folder.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().count() - common;
    if up > 3 || common < 2 {
        return path.display().to_string();
    }
    let mut out = PathBuf::from_iter(std::iter::repeat_n("..", up));
    out.extend(path.components().skip(common));
    // A name without a slash would be looked up on the PATH.
    if out.components().count() == 1 { format!("./{}", out.display()) } else { out.display().to_string() }
}

fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn write(path: &Path, config: &str, told: &[String], first: &str) -> Result<String, InitError> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => InitError::Exists { path: path.to_owned() },
        _ => InitError::io(path, "creating the file")(source),
    })?;
    file.write_all(config.as_bytes()).map_err(InitError::io(path, "writing"))?;
    let shown = std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    let shown = quoted(shown);
    // Where a study has a quick form, its builds are most of the time.
    let quick = match config.contains("\n[quick]\n") {
        true => format!("  cargo ablate run {shown} --quick\n"),
        false => String::new(),
    };
    let told: String = told.iter().map(|line| format!("  {line}\n")).collect();
    Ok(format!(
        "wrote {shown}\n{told}{first}, then run:\n  cargo ablate plan {shown}\n{quick}  cargo ablate run {shown}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_seen_from_the_config() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().canonicalize().expect("is there");
        std::fs::create_dir_all(root.join("a/b")).expect("creates");
        std::fs::write(root.join("a/Cargo.toml"), "").expect("writes");
        let seen = |config: &str| seen_from(&root.join(config), &root.join("a/Cargo.toml"));
        assert_eq!(seen("x.toml"), "a/Cargo.toml");
        assert_eq!(seen("a/x.toml"), "./Cargo.toml");
        assert_eq!(seen("a/b/x.toml"), "../Cargo.toml");
        assert_eq!(
            seen_from(Path::new("/x.toml"), &root.join("a/Cargo.toml")),
            root.join("a/Cargo.toml").display().to_string()
        );
    }
}

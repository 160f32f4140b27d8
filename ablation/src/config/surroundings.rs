//! What a run needs around its process: commands before and after it, its folder and input, and a server.

use std::path::PathBuf;
use std::time::Duration;

/// A program, its path or name, and its arguments.
pub(crate) type Command = Vec<String>;

/// What a run needs around its process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Surroundings {
    /// Commands before every process, in this order.
    pub(crate) before_run: Vec<Command>,
    /// Commands after every process, however it ended.
    pub(crate) after_run: Vec<Command>,
    /// Commands before the first process of every block.
    pub(crate) before_block: Vec<Command>,
    /// File that is the standard input of the process; `None`: an empty one.
    pub(crate) stdin: Option<String>,
    /// Exit codes of a process that did its work; not empty.
    pub(crate) accept_exit: Vec<i32>,
    /// Processes of every cell and workload that are not recorded, before the first timing block.
    pub(crate) warm_up: u32,
    /// Whether the process starts in the scratch folder instead of the config's.
    pub(crate) in_scratch: bool,
    /// Folder in which scratch folders are made; `None`: the system's temporary folder.
    pub(crate) scratch_in: Option<PathBuf>,
    /// Whether anything in the config names a scratch folder, or a harness writes into it.
    pub(crate) names_scratch: bool,
    /// A server that is measured, and its client.
    pub(crate) server: Option<Server>,
}

impl Default for Surroundings {
    /// A process that needs nothing, and ends with 0.
    fn default() -> Surroundings {
        Surroundings {
            before_run: Vec::new(),
            after_run: Vec::new(),
            before_block: Vec::new(),
            stdin: None,
            accept_exit: vec![0],
            warm_up: 0,
            in_scratch: false,
            scratch_in: None,
            names_scratch: false,
            server: None,
        }
    }
}

impl Surroundings {
    /// Every command, with its key.
    pub(crate) fn commands(&self) -> Vec<(&'static str, &Command)> {
        let hooks =
            [("before_run", &self.before_run), ("after_run", &self.after_run), ("before_block", &self.before_block)];
        let mut out: Vec<(&'static str, &Command)> =
            hooks.into_iter().flat_map(|(key, list)| list.iter().map(move |command| (key, command))).collect();
        if let Some(server) = &self.server {
            out.push(("client", &server.client));
            out.extend(server.version.iter().map(|command| ("version", command)));
            out.extend(server.read_back.iter().map(|command| ("read_back", command)));
        }
        out
    }

    /// Whether runs need a scratch folder.
    pub(crate) fn needs_scratch(&self) -> bool {
        let hooks = [&self.before_run, &self.after_run, &self.before_block];
        self.names_scratch || self.in_scratch || self.server.is_some() || hooks.iter().any(|hook| !hook.is_empty())
    }
}

/// A server: the subject's program, which runs while a client does the work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Server {
    /// What shows that it can serve.
    pub(crate) ready: Ready,
    /// How long that may take.
    pub(crate) ready_within: Duration,
    /// The program that does the work.
    pub(crate) client: Command,
    /// Number of the signal that ends it.
    pub(crate) stop: libc::c_int,
    /// How long its end may take, until it is killed.
    pub(crate) stop_within: Duration,
    /// Whether processor time, memory and switches are the server's; the client's otherwise.
    pub(crate) is_measured: bool,
    /// Command whose first line of output is the version.
    pub(crate) version: Option<Command>,
    /// Command whose output is the configuration of the running server.
    pub(crate) read_back: Option<Command>,
}

/// What shows that a server can serve.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ready {
    /// It accepts a connection on this port of this machine.
    Port(String),
    /// It printed a line that matches this expression.
    Line(String),
    /// This file exists; a relative path is seen from the folder in which the server starts.
    File(String),
    /// It answers a request for this address, `http://HOST:PORT/PATH`, with a status from 200 to 399.
    Http(String),
}

//! Rules of `[subject.server]`: a server that is measured while a client does the work.

use super::check::{Checked, Checker};
use super::raw;
use super::surroundings::{Ready, Server};
use std::time::Duration;
use toml::Spanned;

/// Signals that end a server, by their names in a config.
const SIGNALS: [(&str, libc::c_int); 7] = [
    ("SIGTERM", libc::SIGTERM),
    ("SIGINT", libc::SIGINT),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGHUP", libc::SIGHUP),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGKILL", libc::SIGKILL),
];

/// Seconds until a server that is not ready has failed, and until one that does not end is killed.
const SECONDS: u64 = 10;

impl Checker<'_> {
    pub(super) fn server(&self, raw: &Spanned<raw::Server>) -> Checked<Server> {
        let place = raw.span();
        let raw = raw.get_ref();
        let Some(client) = &raw.client else {
            let message =
                "the server has no `client`; name the command that does the work, [\"PROGRAM\", \"ARGUMENT\"]";
            return self.fail(place, message);
        };
        let Some(ready) = &raw.ready else {
            let message = "the server has no `ready`; write how it shows that it can serve, like { port = \"{port}\" }";
            return self.fail(place, message);
        };
        let seconds = |given: Option<&Spanned<i64>>, what: &str| -> Checked<Duration> {
            let seconds = given.map(|given| self.number(what, given, 1, 86_400)).transpose()?;
            Ok(Duration::from_secs(seconds.map_or(SECONDS, |seconds| seconds as u64)))
        };
        let names = SIGNALS.iter().map(|(name, _)| *name);
        Ok(Server {
            ready: self.ready(ready)?,
            ready_within: seconds(ready.get_ref().seconds.as_ref(), "`seconds`")?,
            client: self.command(client)?,
            stop: match &raw.stop {
                Some(name) => SIGNALS[self.known("signal", name, names)?].1,
                None => libc::SIGTERM,
            },
            stop_within: seconds(raw.stop_seconds.as_ref(), "`stop_seconds`")?,
            is_measured: match &raw.measure {
                Some(which) => self.known("value of `measure`", which, ["client", "server"].into_iter())? == 1,
                None => false,
            },
            version: raw.version.as_ref().map(|command| self.command(command)).transpose()?,
            read_back: raw.read_back.as_ref().map(|command| self.command(command)).transpose()?,
        })
    }

    fn ready(&self, raw: &Spanned<raw::Ready>) -> Checked<Ready> {
        let given = raw.get_ref();
        let ways = usize::from(given.port.is_some())
            + [&given.line, &given.file, &given.http].into_iter().filter(|way| way.is_some()).count();
        if ways != 1 {
            let message = format!("`ready` has one of port, line, file and http, and this one has {ways}");
            return self.fail(raw.span(), message);
        }
        if let Some(port) = &given.port {
            let text = match port.get_ref() {
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::String(text) => text.clone(),
                _ => String::new(),
            };
            if text != "{port}" && !text.parse::<u16>().is_ok_and(|port| port > 0) {
                let message = "a port is \"{port}\", which stands for a free one, or a number from 1 to 65535";
                return self.fail(port.span(), message);
            }
            return Ok(Ready::Port(text));
        }
        if let Some(line) = &given.line {
            if let Err(error) = regex::Regex::new(line.get_ref()) {
                let text = error.to_string();
                let why = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
                return self.fail(line.span(), format!("this is not a regular expression: {why}"));
            }
            return Ok(Ready::Line(line.get_ref().clone()));
        }
        if let Some(file) = &given.file {
            return Ok(Ready::File(self.args(std::slice::from_ref(file))?.pop().unwrap_or_default()));
        }
        let Some(http) = &given.http else { return self.fail(raw.span(), "`ready` is empty") };
        let address = http.get_ref().replace("{port}", "1");
        let authority = address.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
        let port = authority.and_then(|authority| authority.rsplit_once(':')).filter(|(host, _)| !host.is_empty());
        if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) || address.contains(char::is_whitespace) {
            let message = "an address is http://HOST:PORT/PATH, like \"http://127.0.0.1:{port}/\"";
            return self.fail(http.span(), message);
        }
        Ok(Ready::Http(http.get_ref().clone()))
    }
}

//! Whether a server can serve: by its port, a line, a file, or an answer to a request.

use super::process::Launch;
use super::scratch::Place;
use crate::config::Ready;
use regex::bytes::Regex;
use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for one connection or answer.
const ANSWER: Duration = Duration::from_millis(500);

/// A way to see that a server is ready, with what stood for the place of the run filled in.
pub(super) enum Probe {
    Port(String),
    Line(Option<Regex>, String),
    File(PathBuf),
    Http { address: String, path: String },
}

impl Probe {
    pub(super) fn new(ready: &Ready, place: &Place, launch: &Launch<'_>) -> Probe {
        let text = |text: &str| String::from_utf8_lossy(&place.fill(text)).into_owned();
        match ready {
            Ready::Port(port) => Probe::Port(format!("127.0.0.1:{}", text(port))),
            // The config was checked, so the expression is one.
            Ready::Line(line) => Probe::Line(Regex::new(line).ok(), line.clone()),
            Ready::File(file) => {
                let folder = launch.directory.as_ref().map(|folder| Path::new(OsStr::from_bytes(folder.to_bytes())));
                let file = PathBuf::from(OsStr::from_bytes(&place.fill(file)));
                Probe::File(folder.map_or_else(|| file.clone(), |folder| folder.join(&file)))
            }
            Ready::Http(http) => {
                let http = text(http);
                let rest = http.strip_prefix("http://").unwrap_or(&http);
                let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
                Probe::Http { address: address.to_owned(), path: format!("/{path}") }
            }
        }
    }

    /// The reason when something is there before the server starts: it would be taken for the server.
    pub(super) fn is_taken(&self) -> Option<String> {
        match self {
            Probe::Port(address) | Probe::Http { address, .. } => {
                let way_out = "end that one, or write {port} for a free port";
                connect(address)
                    .map(|_| format!("something answers on {address} before the server was started; {way_out}"))
            }
            Probe::File(path) if path.exists() => {
                let way_out = "remove it in `before_run`";
                Some(format!("{} is there before the server was started; {way_out}", path.display()))
            }
            Probe::File(_) | Probe::Line(..) => None,
        }
    }

    /// Whether the server is ready, by what it printed to standard output and standard error, or from outside.
    pub(super) fn is_ready(&self, said: [&[u8]; 2]) -> bool {
        match self {
            Probe::Port(address) => connect(address).is_some(),
            Probe::Line(line, _) => line.as_ref().is_some_and(|line| said.iter().any(|said| has_line(line, said))),
            Probe::File(path) => path.exists(),
            Probe::Http { address, path } => status(address, path).is_some_and(|status| (200..400).contains(&status)),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Probe::Port(address) => write!(f, "nothing answers on {address}"),
            Probe::Line(_, line) => write!(f, "it printed no line that matches `{line}`"),
            Probe::File(path) => write!(f, "there is no file {}", path.display()),
            Probe::Http { address, path } => {
                write!(f, "no answer with a status from 200 to 399 to http://{address}{path}")
            }
        }
    }
}

/// Whether a whole line matches somewhere. The last line may not be complete yet.
fn has_line(line: &Regex, said: &[u8]) -> bool {
    let complete = said.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    said[..complete].split(|byte| *byte == b'\n').any(|text| line.is_match(text))
}

fn connect(address: &str) -> Option<TcpStream> {
    let mut places = address.to_socket_addrs().ok()?;
    places.find_map(|place| TcpStream::connect_timeout(&place, ANSWER).ok())
}

/// The status that a server answers with to a request of HTTP/1.0.
fn status(address: &str, path: &str) -> Option<u16> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    // In one write, because a server may answer to the first piece that it gets.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    // "HTTP/1.1 200 OK": the status is within the first 16 bytes.
    let mut head = [0_u8; 16];
    let mut length = 0;
    while length < head.len() {
        match stream.read(&mut head[length..]) {
            Ok(0) | Err(_) => break,
            Ok(more) => length += more,
        }
    }
    let text = std::str::from_utf8(&head[..length]).ok()?;
    text.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_line_counts_when_it_is_complete() {
        let line = Regex::new("^ready to accept").expect("an expression");
        assert!(!has_line(&line, b"starting\nready to acc"));
        assert!(!has_line(&line, b"starting\nready to accept"), "more of it may come");
        assert!(has_line(&line, b"starting\nready to accept\nmore"));
        assert!(!has_line(&line, b"not ready to accept\n"));
    }

    /// Answers one request with this text, and gives what was asked.
    fn answer(text: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("has one").to_string();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a request");
            let mut asked = [0_u8; 512];
            let length = stream.read(&mut asked).expect("reads");
            stream.write_all(text.as_bytes()).expect("answers");
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        (address, thread)
    }

    #[test]
    fn an_answer_counts_by_its_status() {
        let check = |text: &'static str, expected: bool| {
            let (address, thread) = answer(text);
            let probe = Probe::Http { address, path: "/health?x=1".to_owned() };
            assert_eq!(probe.is_ready([b"", b""]), expected, "{text}");
            let asked = thread.join().expect("answered");
            assert!(asked.starts_with("GET /health?x=1 HTTP/1.0\r\nHost: 127.0.0.1:"), "{asked}");
        };
        check("HTTP/1.1 200 OK\r\n\r\n", true);
        check("HTTP/1.0 302 Found\r\n\r\n", true);
        check("HTTP/1.1 503 Service Unavailable\r\n\r\n", false);
        check("SSH-2.0-OpenSSH\r\n", false);
        check("", false);
    }

    #[test]
    fn what_is_there_before_the_server_is_not_taken_for_it() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("has one").to_string();
        let probe = Probe::Port(address.clone());
        assert!(probe.is_taken().expect("is taken").contains(&address));
        assert!(probe.is_ready([b"", b""]));
        drop(listener);
        assert!(probe.is_taken().is_none() && !probe.is_ready([b"", b""]));
        let file = tempfile::NamedTempFile::new().expect("a file");
        let probe = Probe::File(file.path().to_owned());
        assert!(probe.is_taken().is_some() && probe.is_ready([b"", b""]));
        file.close().expect("is removed");
        assert!(probe.is_taken().is_none() && !probe.is_ready([b"", b""]));
    }
}

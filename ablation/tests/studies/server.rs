//! Servers: a fresh one for each run, proven by what it tells of itself, and ended whatever happens.

use crate::common::{self, Bench};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The client is a shell that sends lines to the port and prints the answers.
const SERVED: &str = r#"
study = "served"
seed = 1
blocks = 2
counting_repeats = 1
arms = ["args"]
design = ["leave-one-out"]
timeout_seconds = 20
[subject]
package = "subject"
binary = "served"
manifest = "@MANIFEST@"
profile = "dev"
args = ["--port", "{port}"]
env = { PID_FILE = "@PIDS@" }
[subject.server]
ready = { port = "{port}" }
client = ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$0; echo \"$1\" >&3; read -r said <&3; echo \"$said\"", "{port}"]
measure = "client"
version = ["bash", "--version"]
read_back = ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$ABLATE_PORT; echo config >&3; head -n 1 <&3; echo port $ABLATE_PORT"]
[[factor]]
name = "sync"
[factor.levels]
on = {}
off = { args = ["--no-sync"] }
[[workload]]
name = "few"
args = ["work 20000"]
"#;

/// The study with a server that misbehaves.
fn troubled(what: &str) -> Bench {
    Bench::new(&SERVED.replace("\"{port}\"]\nenv", &format!("\"{{port}}\", \"--trouble\", \"{what}\"]\nenv")))
}

/// No server of the study lives.
fn assert_gone(bench: &Bench, least: usize) {
    let pids = bench.pids();
    assert!(pids.len() >= least, "{pids:?}");
    for pid in pids {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        assert_ne!(name.trim(), "served", "process {pid} lives");
    }
}

#[test]
fn every_run_has_a_fresh_server_that_tells_what_it_is_set_to() {
    let bench = Bench::new(SERVED);
    let said = bench.run(&["--blocks", "6"], 0);
    let runs = bench.runs();
    // Three cells: counted once, six blocks.
    assert_eq!(runs.len(), 3 * 7);
    for run in &runs {
        assert_eq!(run["status"], "ok", "{run}");
        let told = if run["cell"] == "sync-off@args" || run["cell"] == "no-sync@args" { "no" } else { "yes" };
        assert_eq!(run["read_back"], format!("sync {told}\nport {{port}}"), "{run}");
        assert!(run["wall_ns"].as_u64() > Some(0), "{run}");
    }
    // One server for each run, and those of the preflight.
    assert_gone(&bench, runs.len() + 3);
    let pids = bench.pids();
    let distinct: std::collections::BTreeSet<&i32> = pids.iter().collect();
    assert_eq!(distinct.len(), pids.len(), "{pids:?}");
    let facts = &bench.manifest()["machine"]["facts"];
    assert!(facts["server-version"].as_str().is_some_and(|version| version.contains("bash")), "{facts}");
    assert_eq!(facts["client-sha256"].as_str().map(str::len), Some(64));
    let rows = bench.effects()["effects"].as_array().expect("rows").clone();
    let row = rows.iter().find(|row| row["factor"] == "sync" && row["response"] == "wall_ns").expect("a row");
    assert_eq!(row["proof"], "proven", "{row}");
    assert!(said.out.contains("sync"), "{said:?}");
    // It can go on, with another server for each run that is missing.
    bench.run(&["--blocks", "7", "--resume"], 0);
    assert_eq!(bench.runs().len(), 3 * 8);
}

#[test]
fn a_switch_that_reads_back_the_same_is_unproven() {
    let text = SERVED.replace("{ args = [\"--no-sync\"] }", "{ args = [\"--unread\"] }");
    let bench = Bench::new(&text);
    bench.run(&["--blocks", "6"], 0);
    let rows = bench.effects()["effects"].as_array().expect("rows").clone();
    let row = rows.iter().find(|row| row["factor"] == "sync" && row["response"] == "wall_ns").expect("a row");
    assert_eq!(row["proof"], "unproven", "{row}");
}

#[test]
fn memory_and_processor_time_can_be_the_server_s() {
    let of = |measure: &str| {
        let text = SERVED.replace("\"client\"\nversion", &format!("\"{measure}\"\nversion"));
        let text = text.replace("args = [\"work 20000\"]", "args = [\"work 1000000\"]\nresponse = \"cpu\"");
        let bench = Bench::new(&text);
        bench.run(&["--blocks", "1"], 0);
        let runs = bench.runs();
        let timed = runs.iter().find(|run| run["pass"] == "timing" && run["cell"] == "baseline").expect("a run");
        (timed["cpu_ns"].as_u64().expect("a number"), timed["rss_mean_bytes"].as_u64().expect("was sampled"))
    };
    let (client, server) = (of("client"), of("server"));
    // Twenty million steps of the server; the client sends a line.
    assert!(server.0 > 3 * client.0, "server {server:?}, client {client:?}");
    // A shell, and a program without dependencies.
    assert_ne!(server.1, client.1);
}

#[test]
fn a_server_that_fails_is_told_with_its_own_words() {
    let check = |what: &str, parts: &[&str]| {
        let text = |bench: &Bench| {
            let said = bench.run(&[], 1);
            said.complains(parts);
            assert!(!bench.path("out/records.jsonl").exists());
        };
        let bench = troubled(what);
        text(&bench);
        assert_gone(&bench, 1);
    };
    check("early", &["the server ended before it was ready: exit code 3: planted: no room for the data"]);
    check("late", &["the server ended while the client ran: exit code 4", "planted: out of descriptors"]);
    let bench = Bench::new(
        &SERVED
            .replace("\"{port}\"]\nenv", "\"{port}\", \"--trouble\", \"deaf\"]\nenv")
            .replace("{ port = \"{port}\" }", "{ port = \"{port}\", seconds = 1 }"),
    );
    bench.run(&[], 1).complains(&["the server was not ready within 1 s: nothing answers on 127.0.0.1:"]);
    assert_gone(&bench, 1);
}

#[test]
fn a_server_may_say_more_than_a_pipe_holds() {
    let bench = troubled("chatty");
    bench.run(&["--blocks", "1"], 0);
    assert!(bench.runs().iter().all(|run| run["status"] == "ok"), "{:#?}", bench.troubles());
    // The line comes after all that it said before.
    let text = SERVED.replace("\"{port}\"]\nenv", "\"{port}\", \"--trouble\", \"chatty\"]\nenv");
    let bench = Bench::new(&text.replace("{ port = \"{port}\" }", "{ line = \"^ready on [0-9]+$\" }"));
    bench.run(&["--blocks", "1"], 0);
    assert!(bench.runs().iter().all(|run| run["status"] == "ok"), "{:#?}", bench.troubles());
}

#[test]
fn a_server_that_does_not_end_is_killed_with_all_that_it_started() {
    let text = SERVED.replace("\"{port}\"]\nenv", "\"{port}\", \"--trouble\", \"stubborn\"]\nenv");
    let text = text.replace("measure = \"client\"", "stop_seconds = 1").replace("arms = [\"args\"]", "arms = []");
    let (text, rest) = text.split_once("[[factor]]").expect("has a factor");
    let workload = rest.split_once("[[workload]]").expect("has a workload").1;
    let text = format!("{text}[[workload]]{workload}").replace("design = [\"leave-one-out\"]", "design = []");
    let bench = Bench::new(&text);
    bench.run(&["--blocks", "1"], 0);
    assert!(bench.runs().iter().all(|run| run["status"] == "ok"), "{:#?}", bench.troubles());
    // Each with a child in a session of its own.
    assert_gone(&bench, 2 * bench.runs().len());
}

#[test]
fn a_client_that_hangs_or_is_interrupted_leaves_no_server() {
    // The server never answers this line in the client's lifetime.
    let hangs = SERVED.replace("args = [\"work 20000\"]", "args = [\"work 200000000000\"]");
    let bench = Bench::new(&hangs.replace("timeout_seconds = 20", "timeout_seconds = 1"));
    bench.run(&[], 1).complains(&["still running after 1 s"]);
    assert_gone(&bench, 1);
    let bench = Bench::new(&hangs);
    let mut command = bench.command(&["run", "study.toml", "--out", "out"]);
    let child = command.stderr(Stdio::piped()).spawn().expect("ablate starts");
    let started = Instant::now();
    while bench.pids().is_empty() && started.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    let told = std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill starts");
    assert!(told.success());
    let said = common::Said::from(child.wait_with_output().expect("ends"));
    assert_eq!(said.code, 130, "{said:?}");
    assert_gone(&bench, 1);
}

#[test]
fn the_port_of_another_server_is_not_taken_for_this_one() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("has one").port();
    let text = SERVED.replace("{ port = \"{port}\" }", &format!("{{ port = {port} }}"));
    let bench = Bench::new(&text);
    bench.run(&[], 1).complains(&[&format!("something answers on 127.0.0.1:{port} before the server was started")]);
}

#[test]
fn what_is_missing_around_a_run_is_pointed_at() {
    let bench = Bench::new(&SERVED.replace("client = [\"bash\"", "client = [\"no-such-client\""));
    bench.run(&[], 2).complains(&["study.toml:", "there is no program `no-such-client` for `client`"]);
}

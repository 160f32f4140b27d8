//! What stands around a run: hooks, folders, input, exit codes, servers; and variables that only a level may set.

use super::tests::{Messages, check_in, parsed};
use super::{Program, Ready};
use std::time::Duration;

const SERVER: &str = r#"
study = "served"
seed = 7
blocks = 6
arms = ["env", "args"]
design = ["leave-one-out"]
[subject]
args = ["--all"]
before_run = ["mkdir", "data"]
after_run = [["rm", "a"], ["rm", "b"]]
accept_exit = [0, 1]
warm_up = 2
run_in = "scratch"
stdin = "{scratch}/input"
[subject.server]
command = ["serve", "--port", "{port}", "{args}"]
ready = { port = "{port}", seconds = 3 }
client = ["ask", "{port}"]
stop = "SIGINT"
stop_seconds = 4
measure = "server"
version = ["serve", "--version"]
read_back = ["ask", "config"]
[[factor]]
name = "sync"
[factor.levels]
on = {}
off = { args = ["--no-sync"] }
[[workload]]
name = "few"
args = ["10"]
"#;

#[test]
fn a_server_and_what_stands_around_its_runs_are_read() {
    let study = parsed(SERVER).expect("good");
    let around = &study.subject.surroundings;
    assert_eq!(around.before_run, [["mkdir", "data"]]);
    assert_eq!(around.after_run, [["rm", "a"], ["rm", "b"]]);
    assert_eq!((around.accept_exit.as_slice(), around.warm_up, around.in_scratch), (&[0, 1][..], 2, true));
    assert_eq!(around.stdin.as_deref(), Some("{scratch}/input"));
    let server = study.subject.server().expect("has one");
    assert_eq!((&server.ready, server.ready_within), (&Ready::Port("{port}".into()), Duration::from_secs(3)));
    assert_eq!((server.stop, server.stop_within), (libc::SIGINT, Duration::from_secs(4)));
    assert!(server.is_measured && server.version.is_some() && server.read_back.is_some());
    // The server is the program, and a client's wall time is the response.
    assert!(matches!(&study.subject.program, Program::Command(command) if command[0] == "serve"));
    assert_eq!(study.workloads[0].response, ablate_format::MainResponse::Wall);
    for (way, expected) in [
        ("port = 6379", Ready::Port("6379".into())),
        ("line = \"^ready\"", Ready::Line("^ready".into())),
        ("file = \"{scratch}/pid\"", Ready::File("{scratch}/pid".into())),
        ("http = \"http://[::1]:{port}/x\"", Ready::Http("http://[::1]:{port}/x".into())),
    ] {
        let study = parsed(&SERVER.replace("port = \"{port}\", seconds = 3", way)).unwrap_or_else(|e| panic!("{e}"));
        let server = study.subject.server().expect("has one");
        assert_eq!((&server.ready, server.ready_within), (&expected, Duration::from_secs(10)));
    }
}

#[test]
fn nothing_stands_around_a_run_that_asks_for_nothing() {
    let study = parsed(super::tests::GOOD).expect("good");
    assert_eq!(study.subject.surroundings, super::Surroundings::default());
    assert!(!study.subject.surroundings.needs_scratch());
}

#[test]
fn mistakes_around_a_run_are_pointed_at() {
    let mut said = Messages::default();
    let mut check = |from: &str, to: &str| check_in(&mut said, SERVER, from, to);
    check("[\"mkdir\", \"data\"]", "\"mkdir data\"");
    check("[\"mkdir\", \"data\"]", "[]");
    check("[\"mkdir\", \"data\"]", "[\"\"]");
    check("[\"mkdir\", \"data\"]", "[[\"mkdir\"], \"data\"]");
    check("[\"mkdir\", \"data\"]", "[[\"mkdir\"], []]");
    check("accept_exit = [0, 1]", "accept_exit = []");
    check("accept_exit = [0, 1]", "accept_exit = [256]");
    check("warm_up = 2", "warm_up = -1");
    check("\"scratch\"", "\"sratch\"");
    check("stdin = \"{scratch}/input\"", "stdin = \"no-such-file\"");
    check("warm_up = 2", "scratch_in = \"no-such-folder\"");
    check("{ port = \"{port}\", seconds = 3 }", "{}");
    check("port = \"{port}\", seconds = 3", "port = 1, file = \"x\"");
    check("port = \"{port}\", seconds = 3", "port = 65536");
    check("port = \"{port}\", seconds = 3", "port = \"six\"");
    check("port = \"{port}\", seconds = 3", "line = \"(\"");
    check("port = \"{port}\", seconds = 3", "http = \"https://127.0.0.1/\"");
    check("port = \"{port}\", seconds = 3", "http = \"http://127.0.0.1/\"");
    check("seconds = 3", "seconds = 0");
    check("\"SIGINT\"", "\"SIGTREM\"");
    check("measure = \"server\"", "measure = \"servers\"");
    check("client = [\"ask\", \"{port}\"]\n", "");
    check("ready = { port = \"{port}\", seconds = 3 }\n", "");
    check("args = [\"--all\"]", "command = [\"x\"]");
    check("command = [\"serve\", \"--port\", \"{port}\", \"{args}\"]\n", "");
    check("blocks = 6", "blocks = 6\ninstruments = [\"perf\", \"strace\"]");
    insta::assert_snapshot!(said);
}

#[test]
fn the_loader_is_a_factor_and_nothing_else() {
    for variable in ["LD_LIBRARY_PATH", "GLIBC_TUNABLES"] {
        let level = SERVER.replace("{ args = [\"--no-sync\"] }", &format!("{{ {variable} = \"x\" }}"));
        assert_eq!(parsed(&level).expect("a level may").factors[0].levels["off"].env[variable], "x");
        let table = SERVER.replace("{ args = [\"--no-sync\"] }", &format!("{{ env = {{ {variable} = \"x\" }} }}"));
        assert_eq!(parsed(&table).expect("a level may").factors[0].levels["off"].env[variable], "x");
        for place in [format!("env = {{ {variable} = \"x\" }}"), format!("allow_env = [\"{variable}\"]")] {
            let error = parsed(&SERVER.replace("warm_up = 2", &place)).expect_err("not everywhere").to_string();
            assert!(error.contains(variable) && error.contains("set it in the levels of a factor"), "{error}");
        }
    }
    let other = SERVER.replace("{ args = [\"--no-sync\"] }", "{ LD_AUDIT = \"x\" }");
    assert!(parsed(&other).expect_err("of no level").to_string().contains("LD_AUDIT"));
}

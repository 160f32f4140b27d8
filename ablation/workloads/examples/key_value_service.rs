//! A small service as Rust programs are: threads that answer requests in JSON over TCP, one connection each at a time.
//!
//! `key_value_service serve FILE` writes its port into a file and ends when a client says so; `key_value_service load PORT N`
//! is that client, with three connections at once. Its allocations are recorded in `configs/traces/`.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Result, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

/// Threads that answer.
const WORKERS: usize = 3;

type Store = Arc<Mutex<HashMap<String, Value>>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", file] => serve(file),
        ["load", port, count] => match (port.parse(), count.parse()) {
            (Ok(port), Ok(count)) => load(port, count),
            _ => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> Result<()> {
    eprintln!("usage: key_value_service serve FILE | load PORT COUNT");
    std::process::exit(2)
}

fn serve(file: &str) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    std::fs::write(file, listener.local_addr()?.port().to_string())?;
    let (store, is_over) = (Store::default(), Arc::new(AtomicBool::new(false)));
    let (give, take) = channel::<TcpStream>();
    let take = Arc::new(Mutex::new(take));
    let worker = |_| {
        let (store, take, is_over) = (store.clone(), take.clone(), is_over.clone());
        std::thread::spawn(move || work(&store, &take, &is_over))
    };
    let workers: Vec<_> = (0..WORKERS).map(worker).collect();
    for stream in listener.incoming() {
        if is_over.load(Relaxed) || give.send(stream?).is_err() {
            break;
        }
    }
    drop(give);
    for worker in workers {
        worker.join().expect("a worker does not panic")?;
    }
    Ok(())
}

/// Answers one connection after another.
fn work(store: &Store, take: &Mutex<Receiver<TcpStream>>, is_over: &AtomicBool) -> Result<()> {
    loop {
        let next = take.lock().expect("no worker panics").recv();
        let Ok(stream) = next else { return Ok(()) };
        stream.set_nodelay(true)?;
        let mut out = stream.try_clone()?;
        for line in BufReader::new(stream).lines() {
            let request: Value = serde_json::from_str(&line?).unwrap_or_default();
            if request["stop"] == true {
                is_over.store(true, Relaxed);
            }
            let mut answer = answer(store, &request).to_string();
            answer.push('\n');
            out.write_all(answer.as_bytes())?;
        }
    }
}

fn answer(store: &Store, request: &Value) -> Value {
    let key = request["key"].as_str().unwrap_or_default().to_owned();
    let mut store = store.lock().expect("no worker panics");
    match request["do"].as_str() {
        // What was stored by another worker is freed by this one.
        Some("put") => json!({ "replaced": store.insert(key, request["value"].clone()).is_some() }),
        Some("get") => json!({ "value": store.get(&key) }),
        Some("remove") => json!({ "removed": store.remove(&key) }),
        Some("list") => {
            let mut keys: Vec<&String> = store.keys().filter(|known| known.starts_with(&key)).collect();
            keys.sort_unstable();
            keys.truncate(20);
            json!({ "keys": keys })
        }
        _ => json!({ "error": format!("unknown request of {} keys", request.as_object().map_or(0, |o| o.len())) }),
    }
}

fn load(port: u16, count: u64) -> Result<()> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..WORKERS as u64).map(|client| scope.spawn(move || ask(port, client, count))).collect();
        clients.into_iter().try_for_each(|client| client.join().expect("a client does not panic"))
    })?;
    let mut last = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    last.write_all(b"{\"stop\": true}\n")?;
    BufReader::new(last.try_clone()?).read_line(&mut String::new())?;
    drop(last);
    // The service accepts once more to see that it is over.
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    Ok(())
}

/// So many requests of one client, over several connections.
fn ask(port: u16, client: u64, count: u64) -> Result<()> {
    let mut random = client * 977 + 1;
    let mut done = 0;
    while done < count {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        let mut answers = BufReader::new(stream.try_clone()?);
        for _ in 0..500.min(count - done) {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let key = format!("user:{}", (random >> 33) % 3000);
            let request = match (random >> 50) % 10 {
                0..4 => {
                    json!({ "do": "put", "key": key, "value": { "name": format!("name of {key}"), "visits": [random % 7, random % 11, done], "tags": ["a", "tag"] } })
                }
                4..8 => json!({ "do": "get", "key": key }),
                8 => json!({ "do": "remove", "key": key }),
                _ => json!({ "do": "list", "key": &key[..key.len().min(7)] }),
            };
            stream.write_all(format!("{request}\n").as_bytes())?;
            answers.read_line(&mut String::new())?;
            done += 1;
        }
    }
    Ok(())
}

//! House rules for the language of comments, messages and documents: a sentence names its actor, and a rate says "per".

/// Files whose words are data: a licence's, an interface's, a recorded run's.
const LEFT_OUT: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT", "Cargo.lock", "results/", "target/", ".git"];

/// Words that hide who acts. In halves, so that this file passes its own test.
const ACTORS: &[&str] =
    &[concat!("no", "body"), concat!("some", "body"), concat!("any", "body"), concat!("who", "ever")];

/// Pairs of words that hide it too.
const QUESTIONS: &[&str] = &[concat!("wh", "o serves"), concat!("wh", "o served")];

/// Units and things that must have "per" between them: "ns per operation".
const UNITS: &[&str] = &["ns", "us", "µs", "ms", "bytes", "instructions", "faults", "calls"];
const THINGS: &[&str] = &["operation", "pair", "process", "thread", "second", "object", "page", "iteration"];

/// What a stranger has to decode in a line of text.
fn riddle(line: &str) -> Option<String> {
    let words: Vec<String> = line
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let has = |list: &[&str], word: &String| list.contains(&&**word);
    let actor = words.iter().find(|word| has(ACTORS, word)).cloned();
    let question = || words.windows(2).map(|pair| pair.join(" ")).find(|pair| has(QUESTIONS, pair));
    let is_rate =
        |three: &&[String]| has(UNITS, &three[0]) && ["a", "an"].contains(&&*three[1]) && has(THINGS, &three[2]);
    actor.or_else(question).or_else(|| words.windows(3).find(is_rate).map(|three| three.join(" ")))
}

/// All texts of the repository, with their paths.
pub(crate) fn texts() -> Vec<(String, String)> {
    let root = crate::root();
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            let name = path.strip_prefix(&root).expect("below the root").display().to_string();
            let name = if path.is_dir() { format!("{name}/") } else { name };
            if LEFT_OUT.iter().any(|left| name.starts_with(left)) {
            } else if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.push((name, text));
            }
        }
    }
    found.sort();
    assert!(found.len() > 100, "{} files", found.len());
    found
}

fn riddles() -> Vec<String> {
    let texts = texts();
    texts
        .iter()
        .flat_map(|(name, text)| {
            text.lines().enumerate().filter_map(move |(at, line)| {
                Some(format!("{name}:{}: `{}` in: {}", at + 1, riddle(line)?, line.trim()))
            })
        })
        .collect()
}

#[test]
fn a_sentence_names_its_actor_and_a_rate_says_per() {
    crate::assert_none("name the component; write `ns per operation`", riddles());
}

#[test]
fn a_planted_riddle_is_found() {
    for bad in [
        concat!("/// No", "body frees it."),
        concat!("what who", "ever calls this must hold"),
        concat!("say who s", "erves it"),
        concat!("3.2 ns an op", "eration"),
        concat!("(14 instructions a pa", "ir)"),
    ] {
        assert!(riddle(bad).is_some(), "{bad}");
    }
    for good in ["3.2 ns per operation", "const NOBODY_ID: u32", "a pair of bytes", "4096 bytes of a process"] {
        assert_eq!(riddle(good), None, "{good}");
    }
}

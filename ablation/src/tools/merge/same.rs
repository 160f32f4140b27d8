//! Whether two shards are of one study: the first difference, in words.

use crate::store::content;
use ablate_format::Manifest;
use serde_json::Value;

/// Facts of sources and programs that are one study's.
const FACTS: [&str; 6] = ["package", "commit", "lock-file-sha256", "server-version", "client-sha256", "stdin-sha256"];

/// The first difference of two shards that are not of one study; `None` when they are.
pub(super) fn first_difference(first: &Manifest, second: &Manifest) -> Option<String> {
    let said = |what: &str, both: (&dyn std::fmt::Display, &dyn std::fmt::Display)| {
        Some(format!("{what} is {} in the first and {} in the second", both.0, both.1))
    };
    if first.study != second.study {
        return said("the study", (&first.study, &second.study));
    }
    if first.config_text != second.config_text {
        return Some(config(&first.config_text, &second.config_text));
    }
    let fact =
        |of: &Manifest, name: &str| of.machine.facts.get(name).cloned().flatten().unwrap_or_else(|| "n/a".into());
    for name in FACTS {
        let both = (fact(first, name), fact(second, name));
        if both.0 != both.1 {
            return said(&format!("{name} of the sources"), (&both.0, &both.1));
        }
    }
    if first.seed != second.seed {
        return said("the seed", (&first.seed, &second.seed));
    }
    if first.blocks != second.blocks {
        return said("the number of blocks", (&first.blocks, &second.blocks));
    }
    let of = |manifest: &Manifest| manifest.shard.as_ref().map_or(0, |shard| shard.of);
    if of(first) != of(second) {
        return said("the number of shards", (&of(first), &of(second)));
    }
    let plan = |manifest: &Manifest| serde_json::to_value(content::plan(manifest)).unwrap_or_default();
    if let Some((path, one, other)) = at("plan".to_owned(), &plan(first), &plan(second)) {
        return said(&path, (&one, &other));
    }
    if content::libraries(first) != content::libraries(second) {
        return Some("a library that a peer preloads differs".to_owned());
    }
    binaries(first, second)
}

/// The first line in which two configs differ.
fn config(first: &str, second: &str) -> String {
    let mut second_lines = second.lines();
    let mut number = 1;
    for line in first.lines() {
        let other = second_lines.next();
        if other != Some(line) {
            let other = other.map_or("nothing".to_owned(), |other| format!("`{other}`"));
            return format!("line {number} of the config is `{line}` in the first and {other} in the second");
        }
        number += 1;
    }
    format!("the config of the second goes on at line {number}")
}

fn binaries(first: &Manifest, second: &Manifest) -> Option<String> {
    for build in &first.builds {
        let other = second.builds.iter().find(|other| other.id == build.id);
        let Some(other) = other else { return Some(format!("the second has no build `{}`", build.id)) };
        let both = (content::binaries(build), content::binaries(other));
        if both.0 == both.1 {
            continue;
        }
        let short = |of: &Option<Vec<&str>>| match of {
            None => "not built".to_owned(),
            Some(hashes) => hashes.first().map_or_else(String::new, |hash| hash.chars().take(12).collect()),
        };
        return Some(format!(
            "the binary of build `{}` is {} in the first and {} in the second",
            build.id,
            short(&both.0),
            short(&both.1)
        ));
    }
    let more = second.builds.iter().find(|build| !first.builds.iter().any(|own| own.id == build.id))?;
    Some(format!("the first has no build `{}`", more.id))
}

/// The first place where two values differ, with both.
fn at(path: String, first: &Value, second: &Value) -> Option<(String, String, String)> {
    match (first, second) {
        _ if first == second => None,
        (Value::Object(one), Value::Object(other)) => {
            let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
            keys.dedup();
            let inner = |key: &&String| {
                let (one, other) = (one.get(*key).unwrap_or(&Value::Null), other.get(*key).unwrap_or(&Value::Null));
                at(format!("{path}.{key}"), one, other)
            };
            keys.iter().find_map(inner)
        }
        (Value::Array(one), Value::Array(other)) => {
            let inner = |place: usize| {
                let both = [one.get(place), other.get(place)];
                // Lists are of things with names, mostly.
                let name = both.iter().flatten().find_map(|value| value.get("id").or(value.get("name"))?.as_str());
                let name = name.map_or_else(|| place.to_string(), str::to_owned);
                let [one, other] = both.map(|value| value.unwrap_or(&Value::Null));
                at(format!("{path}[{name}]"), one, other)
            };
            (0..one.len().max(other.len())).find_map(inner)
        }
        _ => {
            let short = |value: &Value| match value {
                Value::Null => "nothing".to_owned(),
                value => value.to_string().chars().take(60).collect::<String>(),
            };
            Some((path, short(first), short(second)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::manifest;
    use ablate_format::{Library, Shard};

    #[test]
    fn every_difference_is_named() {
        let shard = |number, of| Some(Shard { number, of, machine: String::new() });
        let first = Manifest { shard: shard(1, 2), ..manifest() };
        let check = |change: &dyn Fn(&mut Manifest), expected: &str| {
            let mut second = Manifest { shard: shard(2, 2), ..manifest() };
            change(&mut second);
            let said = first_difference(&first, &second).unwrap_or_default();
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{expected}: {said}");
        };
        check(&|_| {}, "");
        // What differs from machine to machine.
        check(&|m| drop(m.machine.facts.insert("cpu".into(), Some("X".into()))), "");
        check(&|m| m.builds[0].result.as_mut().expect("built").path = "/elsewhere".into(), "");
        check(&|m| m.study = "other".into(), "the study is demo in the first and other in the second");
        check(&|m| m.config_text = m.config_text.replacen("seed = ", "seed = 1", 1), "of the config is `seed = ");
        check(&|m| m.config_text.push_str("\n# more\n"), "of the second goes on at line");
        check(&|m| drop(m.machine.facts.insert("commit".into(), Some("abc".into()))), "commit of the sources is n/a");
        check(&|m| m.seed = 8, "the seed is 7 in the first and 8 in the second");
        check(&|m| m.blocks = 4, "the number of blocks is 3");
        check(&|m| m.shard = shard(2, 3), "the number of shards is 2");
        check(&|m| m.plan.cells[1].args.push("x".into()), "].args[1] is nothing in the first and \"x\" in the second");
        check(&|m| m.builds[1].result.as_mut().expect("built").sha256 = "11".into(), "build `bare` is 00 in the first");
        check(&|m| drop(m.builds.remove(1)), "the second has no build `bare`");
        let library = Library { peer: "p".into(), path: "/l".into(), sha256: "0".into() };
        check(&|m| m.libraries.push(library.clone()), "a library");
    }
}

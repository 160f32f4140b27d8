//! Which machine a study ran on, without its name.

use ablate_format::Manifest;
use std::collections::BTreeMap;

/// Facts that stay when nothing but time passes on a machine, and that change what programs take on it.
pub(crate) const SETTINGS: [&str; 5] = ["kernel", "thp", "thp-defrag", "aslr", "governor"];

/// What tells a machine from another: its processor, how many of them, and its memory to the GiB, of which the kernel keeps
/// some. Two machines that are alike have one key. Of a study that was joined from several machines, all of them. `None`
/// when a fact is missing.
pub(crate) fn machine_key(manifest: &Manifest) -> Option<String> {
    if manifest.machines.len() < 2 {
        return of_facts(&manifest.machine.facts);
    }
    let mut keys: Vec<String> = manifest.machines.iter().map(|one| of_facts(&one.facts)).collect::<Option<_>>()?;
    keys.sort_unstable();
    let counted = keys.chunk_by(|a, b| a == b).map(|alike| format!("{} × {}", alike.len(), alike[0]));
    Some(counted.collect::<Vec<_>>().join("; "))
}

fn of_facts(facts: &BTreeMap<String, Option<String>>) -> Option<String> {
    let fact = |name: &str| facts.get(name)?.clone();
    let mib: f64 = fact("memory")?.trim_end_matches(" MiB").parse().ok()?;
    let memory = (mib / 1024.0).round();
    Some(format!("{}, {}, {} cores, {memory} GiB", fact("arch")?, fact("cpu")?, fact("cores")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::manifest;
    use ablate_format::StudyMachine;

    #[test]
    fn machines_are_told_apart_without_a_name() {
        let mut manifest = manifest();
        assert_eq!(machine_key(&manifest), None);
        let facts = [("arch", "x86_64"), ("cpu", "Z 9"), ("cores", "2"), ("memory", "24105 MiB"), ("kernel", "6.1")];
        for (name, value) in facts {
            manifest.machine.facts.insert(name.to_owned(), Some(value.to_owned()));
        }
        assert_eq!(machine_key(&manifest).as_deref(), Some("x86_64, Z 9, 2 cores, 24 GiB"));
        let one = |id: &str| StudyMachine { id: id.to_owned(), facts: manifest.machine.facts.clone() };
        manifest.machines = vec![one("a"), one("b")];
        assert_eq!(machine_key(&manifest).as_deref(), Some("2 × x86_64, Z 9, 2 cores, 24 GiB"));
    }
}

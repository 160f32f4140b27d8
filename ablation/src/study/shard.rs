//! `--shard i/n`: the part of a study that one of several machines runs.

use super::request::Request;
use crate::store::StoreError;
use crate::support::count::counted;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::machine;
use ablate_format::{Manifest, Shard};
use std::path::Path;

/// A shard that cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShardError {
    /// The study has fewer blocks than shards.
    #[error(
        "--shard {number}/{of}: the study has {}, so a shard would have none; take at most {blocks} shards, or more --blocks",
        counted(*blocks as usize, "block")
    )]
    TooMany {
        /// Number of the shard.
        number: u32,
        /// Number of shards.
        of: u32,
        /// Blocks of the study.
        blocks: u32,
    },
    /// The study is to end by itself.
    #[error(
        "--shard cannot be combined with --until-halfwidth or --budget: a shard does not know what the others have measured, \
         so it cannot tell when the study has enough; give a number of --blocks"
    )]
    WithRule,
}

impl ExitStatus for ShardError {
    fn exit(&self) -> ShellCode {
        ShellCode::WrongCall
    }
}

/// Reads `i/n`.
///
/// # Errors
/// Why it is none, for people.
pub(crate) fn of_text(text: &str) -> Result<Shard, String> {
    let whole = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let numbers = text.split_once('/').and_then(|(number, of)| Some((whole(number)?, whole(of)?)));
    let way = "shard 1 of 3 is 1/3, and the last is 3/3";
    match numbers {
        None => Err(format!("not two whole numbers with a slash between them; {way}")),
        Some((number, of)) if number == 0 || number > of => Err(format!("there is no such shard; {way}")),
        Some((number, of)) => Ok(Shard { number, of, machine: String::new() }),
    }
}

/// The shard of a call on this machine, for a study with so many blocks.
///
/// # Errors
/// [`ShardError`].
pub(super) fn here(request: &Request, seed: u64, blocks: u32) -> Result<Option<Shard>, ShardError> {
    let Some(Shard { number, of, .. }) = request.shard else { return Ok(None) };
    if request.rule().is_some() {
        return Err(ShardError::WithRule);
    }
    if of > blocks {
        return Err(ShardError::TooMany { number, of, blocks });
    }
    Ok(Some(Shard { number, of, machine: machine::identity(seed).unwrap_or_default() }))
}

/// Checks that a continued study is the same part on the same machine, and was not joined from parts.
pub(super) fn same(before: &Manifest, now: &Manifest, dir: &Path) -> Result<(), StoreError> {
    let differs = |what: String| Err(StoreError::Differs { dir: dir.to_owned(), what });
    if !before.shards.is_empty() {
        return differs("it was merged from shards; continue its shards, and merge them again".to_owned());
    }
    let said = |shard: &Option<Shard>| match shard {
        Some(shard) => format!("--shard {}/{}", shard.number, shard.of),
        None => "no --shard".to_owned(),
    };
    if said(&before.shard) != said(&now.shard) {
        return differs(format!(
            "it was started with {}, and this call has {}; give the same",
            said(&before.shard),
            said(&now.shard)
        ));
    }
    if before.shard.as_ref().map(|shard| &shard.machine) != now.shard.as_ref().map(|shard| &shard.machine) {
        return differs(
            "this is not the machine that the shard was started on, or it has been restarted since, and the runs of a \
             block must be of one machine"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::manifest;

    #[test]
    fn shards_are_read() {
        assert_eq!(of_text("2/3"), Ok(Shard { number: 2, of: 3, machine: String::new() }));
        for (text, part) in [
            ("0/3", "no such shard"),
            ("4/3", "no such shard"),
            ("0/0", "no such shard"),
            ("a/b", "two whole numbers"),
            ("", "two whole numbers"),
            ("1", "two whole numbers"),
            ("1/2/3", "two whole numbers"),
            ("-1/3", "two whole numbers"),
            ("1/99999999999", "two whole numbers"),
        ] {
            let error = of_text(text).expect_err(text);
            assert!(error.contains(part) && error.contains("1/3"), "{text}: {error}");
        }
    }

    #[test]
    fn another_part_or_machine_cannot_be_resumed() {
        let with = |shard: Option<(u32, &str)>| {
            let shard = shard.map(|(number, machine)| Shard { number, of: 3, machine: machine.to_owned() });
            Manifest { shard, ..manifest() }
        };
        let check = |before: &Manifest, now: Option<(u32, &str)>, part: Option<&str>| {
            let said = same(before, &with(now), Path::new("d")).map_err(|error| error.to_string());
            match part {
                None => assert_eq!(said, Ok(())),
                Some(part) => assert!(said.as_ref().is_err_and(|said| said.contains(part)), "{said:?}"),
            }
        };
        check(&with(None), None, None);
        check(&with(Some((1, "a"))), Some((1, "a")), None);
        check(&with(Some((1, "a"))), Some((2, "a")), Some("--shard 1/3, and this call has --shard 2/3"));
        check(&with(Some((1, "a"))), None, Some("has no --shard"));
        check(&with(Some((1, "a"))), Some((1, "b")), Some("not the machine"));
        let shards = vec![Shard { number: 1, of: 1, machine: String::new() }];
        check(&Manifest { shards, ..manifest() }, None, Some("merged"));
    }
}

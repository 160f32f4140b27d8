//! Folders that another version or a bad disk wrote, and disks without room.

use crate::common::{Bench, Said};
use crate::subject::{Kind, answer, call, has_strace, lines, outcome, said, strace, study};

const RUN: [&str; 4] = ["run", "study.toml", "--out", "out"];
const RESUME: [&str; 5] = ["run", "study.toml", "--out", "out", "--resume"];

/// Changes a file of the study in `out`.
fn change(bench: &Bench, name: &str, how: impl FnOnce(String) -> String) {
    let path = bench.path("out").join(name);
    let text = std::fs::read_to_string(&path).expect("is there");
    std::fs::write(path, how(text)).expect("writes");
}

#[test]
fn lines_that_are_no_records_are_told_by_number_and_run_again() {
    let bench = study(Kind::Plain);
    assert_eq!(said(&bench, &RUN).code, 0);
    let before = outcome(&bench, "out");
    change(&bench, "records.jsonl", |text| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines[2] = lines[2].replace("\"format\":2", "\"format\":3");
        lines[4] = lines[4].replace("\"format\":2", "\"format\":1");
        lines[6].truncate(50);
        lines[8] = "\u{0}\u{0}\u{0}".to_owned();
        lines.join("\n") + "\n"
    });
    let reported = said(&bench, &["report", "out"]);
    assert_eq!(reported.code, 1, "{reported:#?}");
    let newer =
        "out/records.jsonl:3: skipped: written in format 3, and this ablate reads up to 2; read it with a newer ablate";
    let older =
        "out/records.jsonl:5: skipped: written in format 1, and the oldest that is read is 2; run the study again";
    let others = ["out/records.jsonl:7: skipped: not a record", "out/records.jsonl:9: skipped: not a record"];
    reported.complains(&[newer, older, others[0], others[1], "14 of 18 planned runs have records"]);
    let resumed = said(&bench, &RESUME);
    assert_eq!((resumed.code, lines(&bench)), (0, 22), "{resumed:#?}");
    resumed.complains(&[newer, older, others[0], others[1]]);
    // The lines stay, and the study ends as it did.
    let text = std::fs::read_to_string(bench.path("out/records.jsonl")).expect("is there");
    let good: Vec<&str> = text.lines().filter(|line| line.ends_with('}') && line.contains("\"format\":2")).collect();
    std::fs::write(bench.path("out/records.jsonl"), good.join("\n")).expect("writes");
    assert_eq!(outcome(&bench, "out"), before);
}

#[test]
fn a_manifest_of_another_version_is_refused_and_stays_as_it_is() {
    let bench = study(Kind::Plain);
    assert_eq!(said(&bench, &[&RUN[..], &["--blocks", "1"]].concat()).code, 0);
    let good = std::fs::read_to_string(bench.path("out/manifest.json")).expect("is there");
    for (format, why) in
        [("3", "read it with a newer ablate"), ("1", "the oldest that is read is 2; run the study again")]
    {
        let other = good.replacen("\"format\": 2", &format!("\"format\": {format}"), 1);
        assert_ne!(other, good);
        change(&bench, "manifest.json", |_| other.clone());
        for args in [&RESUME[..], &["report", "out"], &["archive", "out"]] {
            let said = said(&bench, args);
            assert_eq!(said.code, 2, "{said:#?}");
            said.complains(&["out/manifest.json: written in format", why]);
        }
        assert_eq!(std::fs::read_to_string(bench.path("out/manifest.json")).expect("is there"), other);
    }
    // One that was cut is damaged, and stays too.
    change(&bench, "manifest.json", |_| good[..good.len() / 2].to_owned());
    for args in [&RESUME[..], &["report", "out"]] {
        let said = said(&bench, args);
        assert_eq!(said.code, 2, "{said:#?}");
        said.complains(&["manifest.json is damaged"]);
    }
    change(&bench, "manifest.json", |_| good.clone());
    assert_eq!(said(&bench, &[&RESUME[..], &["--blocks", "1"]].concat()).code, 0);
}

#[test]
fn a_disk_without_room_loses_nothing_and_the_study_goes_on_when_there_is_some() {
    if !has_strace() {
        return;
    }
    let bench = study(Kind::Plain);
    assert_eq!(said(&bench, &RUN).code, 0);
    let before = outcome(&bench, "out");
    let records = bench.path("out/records.jsonl").display().to_string();
    // The folder, the temporary file of the manifest, its content, its name, the records, their sync, a report.
    let points: [(&[&str], &str); 10] = [
        (&["--trace=mkdir", "--inject=mkdir:error=ENOSPC:when=1"], "out"),
        (&["--trace=fsync", "--inject=fsync:error=EDQUOT:when=1"], "out/manifest.json"),
        (&["--trace=renameat", "--inject=renameat:error=ENOSPC:when=1"], "out/manifest.json"),
        (&["-P", "out/records.jsonl", "--trace=openat", "--inject=openat:error=ENOSPC:when=1"], "out/records.jsonl"),
        (&["-P", &records, "--trace=write", "--inject=write:error=ENOSPC:when=1"], "out/records.jsonl"),
        (&["-P", &records, "--trace=write", "--inject=write:error=EDQUOT:when=5"], "out/records.jsonl"),
        (&["-P", &records, "--trace=write", "--inject=write:error=EFBIG:when=18"], "out/records.jsonl"),
        (&["-P", &records, "--trace=fdatasync", "--inject=fdatasync:error=ENOSPC:when=2"], "out/records.jsonl"),
        (&["--trace=renameat", "--inject=renameat:error=ENOSPC:when=2"], "out/effects.json"),
        (&["--trace=fsync", "--inject=fsync:error=ENOSPC:when=5"], "out/report.md"),
    ];
    for (point, file) in points {
        std::fs::remove_dir_all(bench.path("out")).expect("removes");
        let options = [&["-o", "/dev/null"], point].concat();
        let options: Vec<String> = options.into_iter().map(str::to_owned).collect();
        let full = Said::from(strace(&options, &call(&bench, &RUN)).output().expect("strace starts"));
        assert_eq!(full.code, 1, "{point:?}: {full:#?}");
        full.complains(&["error: ", file, "make room"]);
        let kept = std::fs::read_to_string(bench.path("out/records.jsonl")).unwrap_or_default();
        let again = if bench.path("out").exists() { &RESUME[..] } else { &RUN[..] };
        let resumed = said(&bench, again);
        assert_eq!(resumed.code, 0, "{point:?}: {resumed:#?}");
        assert_eq!(outcome(&bench, "out"), before, "{point:?}");
        let text = std::fs::read_to_string(bench.path("out/records.jsonl")).expect("is there");
        assert!(text.starts_with(&kept), "{point:?}");
    }
}

#[test]
fn a_file_that_may_not_grow_is_told_like_a_full_disk() {
    let bench = study(Kind::Plain);
    let ablate = call(&bench, &[&RUN[..], &["--blocks", "20"]].concat());
    let mut command = std::process::Command::new("sh");
    // In units of 512 bytes: room for the manifest, and for some of the records.
    command.args(["-c", "ulimit -f 40; exec \"$@\"", "sh"]).arg(ablate.get_program()).args(ablate.get_args());
    command.current_dir(bench.path(".")).env("ABLATE_TARGET_DIR", bench.path("target"));
    let limited = Said::from(command.output().expect("sh starts"));
    assert_eq!(limited.code, 1, "{limited:#?}");
    limited.complains(&["records.jsonl: the disk, a quota or the largest size of a file is used up", "--resume"]);
    let kept = lines(&bench);
    assert!((1..60).contains(&kept), "{kept}");
    let resumed = said(&bench, &[&RESUME[..], &["--blocks", "20"]].concat());
    assert_eq!(resumed.code, 0, "{resumed:#?}");
    assert!(answer(&resumed).contains("20 blocks of 1 workload"), "{resumed:#?}");
}

#[test]
fn a_small_disk_that_is_made_larger_ends_with_the_whole_study() {
    let bench = study(Kind::Plain);
    assert_eq!(said(&bench, &[&RUN[..], &["--blocks", "20"]].concat()).code, 0);
    let before = outcome(&bench, "out");
    // A disk of its own, in a mount namespace of this test alone. It is full within a line.
    let script = "mkdir small && mount -t tmpfs -o size=28k tmpfs small || exit 77
        \"$0\" run study.toml --out small/out --blocks 20; code=$?
        grep -c '}$' small/out/records.jsonl
        test $code = 1 || exit 78
        mount -o remount,size=4m small || exit 77
        \"$0\" run study.toml --out small/out --resume --blocks 20; code=$?
        cp -r small/out kept; exit $code";
    let ablate = call(&bench, &[]);
    let mut command = std::process::Command::new("unshare");
    command.args(["-rm", "sh", "-c", script]).arg(ablate.get_program()).current_dir(bench.path("."));
    command.env("ABLATE_TARGET_DIR", bench.path("target"));
    let Ok(output) = command.output() else { return eprintln!("skipped: no unshare here") };
    let said = Said::from(output);
    if said.code == 77 || said.err.contains("unshare:") {
        return eprintln!("skipped: no right to mount");
    }
    assert_eq!(said.code, 0, "{said:#?}");
    said.complains(&["small/out/records.jsonl: the disk, a quota or the largest size", "make room and add --resume"]);
    let kept: usize = said.out.lines().next().and_then(|n| n.parse().ok()).expect("rows are counted");
    assert!((1..60).contains(&kept), "{kept}");
    assert_eq!(outcome(&bench, "kept"), before);
}

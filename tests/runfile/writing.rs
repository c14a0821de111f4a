// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Each line is in the file wholly or not at all.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use netstacklat::error::UsageError;
use netstacklat::model::selection::Selection;
use netstacklat::runfile::RunFile;
use netstacklat::runfile::writer::{Readers, Writer};
use nix::sys::resource::{Resource, setrlimit};

use super::FIXTURE;

/// A directory of its own, gone in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("nsl-writing-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn lines() -> impl Iterator<Item = &'static str> {
    FIXTURE.split_inclusive('\n')
}

/// Not opened, as bad usage, with these words.
fn refused(path: &Path, append: bool, words: &[&str]) {
    let error = Writer::create(path, append, Readers::AsUsual).expect_err("it is refused");
    assert!(error.is::<UsageError>(), "{error:#}");
    for word in words {
        assert!(
            error.to_string().contains(word),
            "no {word:?} in: {error:#}"
        );
    }
}

#[test]
fn what_is_there_is_left_alone() {
    let scratch = Scratch::new("there");
    let path = scratch.file("run.nsl");
    fs::write(&path, FIXTURE).unwrap();
    refused(&path, false, &["run.nsl", "not empty", "--append"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), FIXTURE);
    refused(&scratch.0, false, &["is a directory"]);
    refused(Path::new("-"), false, &["--json"]);
    let error = Writer::create(&scratch.file("none/run.nsl"), false, Readers::AsUsual).unwrap_err();
    assert!(format!("{error:#}").contains("No such file"), "{error:#}");
}

/// Their counts could not be added up, nor could their groups.
#[test]
fn only_runs_of_the_same_share_and_groups_are_added() {
    let scratch = Scratch::new("share");
    let path = scratch.file("run.nsl");
    let selected = "\"options\":{\"sample\":[\"1/16\"]}";
    let there = FIXTURE.replace("\"options\":{}", selected);
    assert_ne!(there, FIXTURE, "the fixture has a selection");
    fs::write(&path, &there).unwrap();
    let writer = Writer::create(&path, true, Readers::AsUsual).unwrap();
    let selection = |share: Option<&str>, by: &[&str]| {
        let mut selection = Selection::default();
        if let Some(share) = share {
            selection
                .options
                .insert("sample".into(), vec![share.into()]);
        }
        selection.by = by.iter().map(|key| key.to_string()).collect();
        selection
    };
    writer.takes(&selection(Some("1/16"), &[])).unwrap();
    for (other, there, now) in [
        (
            selection(Some("1/8"), &[]),
            "with --sample 1/16",
            "with --sample 1/8",
        ),
        (
            selection(None, &[]),
            "with --sample 1/16",
            "without --sample",
        ),
        (
            selection(Some("1/16"), &["process", "cpu"]),
            "without --by",
            "with --by process,cpu",
        ),
    ] {
        let error = writer.takes(&other).expect_err("another selection");
        assert!(error.is::<UsageError>());
        let text = error.to_string();
        let was = format!("run.nsl was recorded {there}");
        assert!(text.contains(&was) && text.contains(now), "{text}");
    }
    drop(writer);
    assert_eq!(fs::read_to_string(&path).unwrap(), there);
    let new = Writer::create(&scratch.file("new.nsl"), true, Readers::AsUsual).unwrap();
    new.takes(&selection(Some("1/8"), &["process"])).unwrap();
}

#[test]
fn only_run_files_are_added_to() {
    let scratch = Scratch::new("added");
    let path = scratch.file("run.nsl");
    for (content, word) in [
        ("precious\n", "not a run file"),
        (include_str!("../fixtures/comparison.jsonl"), "comparison"),
        (&FIXTURE.replace("\"schema\":2", "\"schema\":3"), "newer"),
    ] {
        fs::write(&path, content).unwrap();
        refused(&path, true, &["run.nsl", word]);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    // With a whole last line, and with one that was cut off.
    for (content, runs, excluded) in [("", 1, 0), (FIXTURE, 2, 0), (&FIXTURE[..2000], 2, 2)] {
        fs::write(&path, content).unwrap();
        let mut writer = Writer::create(&path, true, Readers::AsUsual).unwrap();
        for line in lines() {
            writer.write_all(line.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        let file = RunFile::read(&path).unwrap();
        assert_eq!(
            (file.runs, file.excluded.len()),
            (runs, excluded),
            "{:?}",
            file.excluded
        );
        assert!(file.complete);
        assert!(fs::read_to_string(&path).unwrap().starts_with(content));
    }
}

#[test]
fn a_file_that_nothing_was_written_to_goes_again() {
    let scratch = Scratch::new("nothing");
    let path = scratch.file("run.nsl");
    drop(Writer::create(&path, false, Readers::AsUsual).unwrap());
    assert!(!path.exists());
    let mut writer = Writer::create(&path, false, Readers::AsUsual).unwrap();
    writer.write_all(FIXTURE.as_bytes()).unwrap();
    writer.discard();
    assert!(!path.exists());
    // Not one that was there.
    fs::write(&path, "").unwrap();
    drop(Writer::create(&path, false, Readers::AsUsual).unwrap());
    assert!(path.exists());
    fs::write(&path, FIXTURE).unwrap();
    let mut writer = Writer::create(&path, true, Readers::AsUsual).unwrap();
    writer.write_all(FIXTURE.as_bytes()).unwrap();
    writer.discard();
    assert_eq!(fs::read_to_string(&path).unwrap(), FIXTURE);
}

#[test]
fn two_at_once_do_not_mix() {
    let scratch = Scratch::new("two");
    let path = scratch.file("run.nsl");
    let writer = Writer::create(&path, false, Readers::AsUsual).unwrap();
    let error = Writer::create(&path, false, Readers::AsUsual).unwrap_err();
    assert!(error.to_string().contains("another recording"), "{error:#}");
    drop(writer);
    assert!(Writer::create(&path, false, Readers::AsUsual).is_ok());
}

#[test]
fn devices_and_fifos_are_written_to() {
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
    refused(Path::new("/dev/null"), true, &["nothing to --append to"]);
    let mut writer = Writer::create(Path::new("/dev/null"), false, Readers::AsUsual).unwrap();
    writer.write_all(FIXTURE.as_bytes()).unwrap();
    writer.finish().unwrap();
    let mut writer = Writer::create(Path::new("/dev/full"), false, Readers::AsUsual).unwrap();
    let error = writer.write_all(FIXTURE.as_bytes()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(nix::libc::ENOSPC));

    let scratch = Scratch::new("fifo");
    let path = scratch.file("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reader = std::thread::spawn({
        let path = path.clone();
        move || RunFile::read(&path)
    });
    let mut writer = Writer::create(&path, false, Readers::AsUsual).unwrap();
    writer.write_all(FIXTURE.as_bytes()).unwrap();
    writer.finish().unwrap();
    assert!(reader.join().unwrap().unwrap().complete);
}

const LIMIT: u64 = 1500;
const IN_CHILD: &str = "NETSTACKLAT_TEST_WRITE_TO";

/// The limit is this process's, so that a process of its own has it.
#[test]
fn a_line_that_does_not_fit_leaves_those_before_it() {
    if let Some(path) = std::env::var_os(IN_CHILD) {
        setrlimit(Resource::RLIMIT_FSIZE, LIMIT, LIMIT).unwrap();
        let mut writer = Writer::create(Path::new(&path), false, Readers::AsUsual).unwrap();
        let written = lines().map(|line| writer.write_all(line.as_bytes()));
        let errors: Vec<_> = written.filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].raw_os_error(), Some(nix::libc::EFBIG));
        return;
    }
    let scratch = Scratch::new("limit");
    let path = scratch.file("run.nsl");
    let whole: String = lines().take(2).collect();
    assert!((whole.len() as u64) < LIMIT - 100 && FIXTURE.len() as u64 > LIMIT);
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "writing::a_line_that_does_not_fit_leaves_those_before_it",
        ])
        .env(IN_CHILD, &path)
        .stdin(Stdio::null())
        .output();
    let Output { status, stdout, .. } = child.unwrap();
    assert!(
        status.success(),
        "{status}: {}",
        String::from_utf8_lossy(&stdout)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    let file = RunFile::read(&path).unwrap();
    assert!(file.problems.is_empty() && !file.complete);
}

/// Slow packets tell who talks to whom: others cannot read them, from the first byte on.
#[test]
fn a_file_of_slow_packets_is_its_owners() {
    let scratch = Scratch::new("private");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = scratch.file("slow.nsl");
    let mut writer = Writer::create(&path, false, Readers::OwnerOnly).unwrap();
    assert_eq!(mode(&path), 0o600);
    writer.write_all(FIXTURE.as_bytes()).unwrap();
    drop(writer);
    drop(Writer::create(&path, true, Readers::OwnerOnly).unwrap());
    // Nor are they added to what others can read.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Writer::create(&path, true, Readers::OwnerOnly).expect_err("it is refused");
    assert!(error.is::<UsageError>(), "{error:#}");
    assert!(error.to_string().contains("chmod 600"), "{error:#}");
    assert_eq!(fs::read_to_string(&path).unwrap(), FIXTURE);
    assert!(Writer::create(&path, true, Readers::AsUsual).is_ok());
}

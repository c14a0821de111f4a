// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Files that a crash or an accident has left: an error that helps, or what is
//! usable; never a panic, and nothing that a terminal obeys.

use std::path::Path;

use netstacklat::runfile::RunFile;
use proptest::prelude::*;

use super::{FIXTURE, hook, read, recording, refused};

/// The fixture cut off at every byte.
#[test]
fn cut_off_anywhere() {
    let bytes = FIXTURE.as_bytes();
    let ends: Vec<usize> = FIXTURE.match_indices('\n').map(|(at, _)| at).collect();
    for length in 0..bytes.len() {
        let whole_lines = ends.iter().filter(|&&end| length >= end).count();
        let done = read(&bytes[..length]);
        match whole_lines {
            0 => {
                let error = format!("{:#}", done.expect_err("no start line"));
                let words = ["is empty", "not a run file", "cut off in its first line"];
                assert!(words.iter().any(|word| error.contains(word)), "{error}");
            }
            lines => {
                let file = done.unwrap_or_else(|error| panic!("{length}: {error:#}"));
                assert_eq!(file.complete, lines == 3, "{length}");
                let totals = recording(&file);
                assert_eq!(totals.intervals, u64::from(lines > 1), "{length}");
                let tcp = totals.hook(hook("tcp-start"));
                let count = tcp.map_or(0, |stats| stats.histogram.count());
                assert_eq!(count, if lines > 1 { 100 } else { 0 }, "{length}");
                let cut = length > ends[lines - 1] + 1;
                let told = file.excluded.iter().any(|text| text.contains("cut off"));
                assert_eq!(told, cut, "{length}: {:?}", file.excluded);
                // What is there is as good as ever, if there is any.
                assert_eq!(
                    file.problems.is_empty(),
                    lines > 1,
                    "{length}: {:?}",
                    file.problems
                );
            }
        }
    }
}

/// A run was added to a file whose last line is cut off.
#[test]
fn a_cut_line_before_a_start_line_is_passed_over() {
    let (first, rest) = FIXTURE.split_at(FIXTURE.find('\n').unwrap() + 1);
    let text = format!("{first}{}\n{FIXTURE}", &rest[..500]);
    let file = read(text).unwrap();
    assert_eq!((file.runs, recording(&file).intervals), (2, 1));
    let told = file.excluded.join("; ");
    assert!(told.contains("line 2 was cut off") && told.contains("run 1 did not come"));
}

#[test]
fn damage_elsewhere_is_an_error_that_says_how_to_go_on() {
    let lines: Vec<&str> = FIXTURE.lines().collect();
    let cut = &lines[1][..500];
    let text = [lines[0], cut, lines[1], lines[2]].join("\n");
    refused(text, &["line 2 is damaged", "head -n 1 some.nsl"]);
    let text = [lines[0], lines[1], cut, cut].join("\n");
    refused(text, &["line 3 is damaged", "head -n 2 some.nsl"]);
    // What a crash of the machine can leave at the end.
    let zeros = [FIXTURE.as_bytes(), &[0; 4096]].concat();
    assert_eq!(recording(&read(zeros).unwrap()).intervals, 1);
}

#[test]
fn other_files_are_told_from_run_files() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0";
    let elf = std::fs::read("/proc/self/exe").unwrap();
    for foreign in [
        &png[..],
        &elf,
        b"{\"bomFormat\":\"CycloneDX\"}\n",
        b"[1,2,3]\n",
        b"a,b,c\n1,2,3\n",
        b"\n\n\n",
        &[b'['; 200_000],
        &vec![b'x'; 9 << 20],
    ] {
        refused(foreign, &["not a run file"]);
    }
    refused(b"", &["is empty"]);
    refused(
        b"{\"schema\":2,\"kind\":\"check\"}\n",
        &["netstacklat check"],
    );
    refused(FIXTURE.lines().nth(1).unwrap(), &["no start line"]);
}

#[test]
fn a_line_is_at_most_8_mib() {
    let with = |length| format!("{FIXTURE}{}\n{FIXTURE}", "x".repeat(length));
    assert_eq!(read(with(8 << 20)).unwrap().runs, 2);
    refused(
        with((8 << 20) + 1),
        &["line 4 is damaged", "more than 8388608 bytes"],
    );
}

#[test]
fn lists_of_a_line_have_an_end() {
    let (first, rest) = FIXTURE.split_at(FIXTURE.find('\n').unwrap() + 1);
    let many = "[0,1,0],".repeat(9000);
    let text = format!(
        "{first}{}",
        rest.replace("[[2944,", &format!("[{many}[2944,"))
    );
    refused(text, &["line 2 is damaged", "8192"]);
}

#[test]
fn what_cannot_be_opened() {
    let directory = std::env::temp_dir().join(format!("nsl-read-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let error = |path: &Path| format!("{:#}", RunFile::read(path).unwrap_err());
    assert!(error(&directory).contains("is a directory"));
    assert!(error(&directory.join("none")).contains("No such file"));
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Whatever is wrong with it: no text of it can steer a terminal.
#[test]
fn nothing_of_a_file_steers_a_terminal() {
    let escape = "\\u001b]0;pwned\\u0007\\u009b31m";
    let lines: Vec<&str> = FIXTURE.lines().collect();
    let harmless = |text: &str| {
        assert!(!text.chars().any(char::is_control), "{text:?}");
    };
    for name in [
        "box",
        "6.12.0",
        "tcp-start",
        "peek",
        "interval",
        "governor",
        "p50",
    ] {
        for line in 0..2 {
            let mut lines: Vec<String> = lines.iter().map(|&line| line.into()).collect();
            lines[line] = lines[line].replace(name, &format!("{name}{escape}"));
            match read(lines.join("\n")) {
                Err(error) => harmless(&format!("{error:#}")),
                Ok(file) => {
                    let told = file.problems.iter().chain(&file.excluded);
                    told.for_each(|text| harmless(text));
                    let info = &file.info;
                    let facts = info.facts.iter().flat_map(|(name, text)| [name, text]);
                    facts
                        .chain([&info.host, &info.kernel])
                        .for_each(|t| harmless(t));
                }
            }
        }
    }
    let count = lines[1].replace("\"count\":100", &format!("\"count\":\"{escape}\""));
    let error = format!("{:#}", read(format!("{}\n{count}", lines[0])).unwrap_err());
    harmless(&error);
    let raw = lines[1].replace("\"count\":100", "\"count\":\u{1b}[31m");
    harmless(&format!(
        "{:#}",
        read([lines[0], &raw, lines[1]].join("\n")).unwrap_err()
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Bits that have flipped: noticed, or a number that could have been.
    #[test]
    fn flipped_bits(flips in prop::collection::vec((0..FIXTURE.len(), 0u32..8), 1..4)) {
        let mut bytes = FIXTURE.as_bytes().to_vec();
        for (at, bit) in flips {
            bytes[at] ^= 1 << bit;
        }
        if let Ok(file) = read(bytes) {
            let mut told = file.problems.iter().chain(&file.excluded);
            prop_assert!(told.all(|text| !text.chars().any(char::is_control)));
        }
    }

    #[test]
    fn any_bytes_after_a_start_line(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let start = FIXTURE.lines().next().unwrap();
        let _ = read([start.as_bytes(), b"\n", &bytes].concat());
    }
}

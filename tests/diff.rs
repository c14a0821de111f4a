// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `netstacklat diff` on files in the format of docs/json.md: sides, exit codes and
//! errors. The analysis has its own tests.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("diff-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn diff(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_netstacklat"))
            .arg("diff")
            .args(args)
            .current_dir(&self.0)
            .output()
            .unwrap()
    }
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn start(name: &str, comparison: &str) -> String {
    format!(
        "{{\"schema\":2,\"kind\":\"start\",\"version\":\"0.1.0\",\"host\":\"box\",\
         \"kernel\":\"6.12.0\",\"arch\":\"x86_64\",\"possible_cpus\":8,\
         \"interval_ns\":1000000000,\"sub_buckets\":16,\"clock_source\":\"update_vsyscall\",\
         \"tai_offset_s\":37,\"name\":{name},\"filters\":{{}},\"facts\":{{}},\
         \"comparison\":{comparison},\"hooks\":[{{\"hook\":\"udp-start\",\
         \"functions\":[\"udp_rcv\"],\"attached\":true,\"reason\":null}}]}}\n"
    )
}

/// A line with 3000 latencies at udp-start, all in one bucket.
fn line(kind: &str, seq: usize, place: &str, bucket: (u64, u64)) -> String {
    let (low, high) = bucket;
    format!(
        "{{\"schema\":2,\"kind\":\"{kind}\",\"seq\":{seq},\"partial\":false,\
         \"cumulative\":{},\"start\":\"2026-11-21T10:16:53.000000000Z\",\
         \"end\":\"2026-11-21T10:17:03.000000000Z\",\"duration_ns\":3000000000,\
         \"missed_intervals\":0,\"clock_steps\":0,\"clock_updates\":null,{place},\
         \"tx_stamped\":0,\"cost\":null,\"hooks\":[{{\"hook\":\"udp-start\",\"group\":null,\
         \"count\":3000,\"sum_ns\":{},\"buckets\":[[{low},{high},3000]],\"max_le_ns\":{high},\
         \"quantiles_ns\":{{\"p50\":null,\"p90\":null,\"p99\":null,\"p99.9\":null}},\
         \"skipped\":{{}},\"missed\":0,\"cost\":null}}]}}\n",
        kind == "total",
        3000 * high
    )
}

const NONE: &str = "\"arm\":null,\"round\":null";
const LOW: (u64, u64) = (2944, 3072);
const HIGH: (u64, u64) = (3968, 4096);

fn recording(name: &str, bucket: (u64, u64)) -> String {
    start(name, "null") + &line("interval", 1, NONE, bucket) + &line("total", 1, NONE, bucket)
}

/// Ten rounds in which B's bucket is a third higher; in one round two thirds, so that
/// the rounds vary.
fn comparison() -> String {
    let sides = "{\"a\":{\"name\":\"none\",\"start\":null,\"stop\":null},\
                 \"b\":{\"name\":\"rules\",\"start\":\"true\",\"stop\":null},\"load\":null,\
                 \"rounds\":10,\"period_ns\":3000000000,\"settle_ns\":1000000000,\"seed\":1}";
    let mut text = start("null", sides);
    let mut seq = 0;
    for round in 1..=10 {
        let orders = [["a", "b", "b", "a"], ["b", "a", "a", "b"]];
        for arm in orders[round % 2] {
            seq += 1;
            let bucket = match (arm, round) {
                ("a", _) => LOW,
                (_, 4) => (4864, 5120),
                _ => HIGH,
            };
            let place = format!("\"arm\":\"{arm}\",\"round\":{round}");
            text += &line("interval", seq, &place, bucket);
        }
    }
    text
}

/// The output of `show --json` is valid by its schema.
#[test]
fn show_json_is_valid() {
    for (name, rounds, totals) in [
        ("boot-A0.nsl", serde_json::json!(null), 1),
        ("tail-0.5pct-x5.nsl", serde_json::json!(10), 2),
    ] {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/diff");
        let output = Command::new(env!("CARGO_BIN_EXE_netstacklat"))
            .args(["show", "--json", name])
            .current_dir(path)
            .output()
            .unwrap();
        let (code, out, err) = said(&output);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        testlab::schema::assert_valid(&out);
        let object: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(object["rounds"], rounds, "{name}");
        assert_eq!(object["totals"].as_array().unwrap().len(), totals, "{name}");
    }
}

/// Paths can be any bytes, also some that a terminal would interpret.
#[test]
fn paths_are_what_the_user_gives() {
    let directory = Directory::new("paths");
    directory.file("base.nsl", &recording("null", LOW));
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe.nsl");
    std::fs::write(directory.0.join(odd), recording("null", HIGH)).unwrap();
    let diff = |second: &[u8]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netstacklat"));
        let second = std::ffi::OsStr::from_bytes(second);
        let args = ["diff".as_ref(), "base.nsl".as_ref(), second];
        said(
            &command
                .args(args)
                .current_dir(&directory.0)
                .output()
                .unwrap(),
        )
    };
    let (code, out, err) = diff(b"new=\xff\xfe.nsl");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("\nB new: 1 recording"), "{out}");
    let (code, out, _) = diff(b"\xff\xfe.nsl");
    assert_eq!(code, Some(0));
    assert!(out.contains("\nB \u{fffd}\u{fffd}: 1 recording"), "{out}");
    let (code, _, err) = diff(b"missing\x1b[31m.nsl");
    assert_eq!(code, Some(1));
    assert!(
        err.contains("missing\u{fffd}[31m.nsl") && !err.contains('\x1b'),
        "{err}"
    );
}

#[test]
fn one_recording_a_side() {
    let directory = Directory::new("one");
    directory.file("base.nsl", &recording("null", LOW));
    directory.file("named.nsl", &recording("\"new one\"", HIGH));
    let (code, out, err) = said(&directory.diff(&["base.nsl", "named.nsl"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        out.starts_with("A base: 1 recording, 3.00s; box, Linux 6.12.0\nB new one: "),
        "{out}"
    );
    assert!(out.contains("no intervals and no verdicts"), "{out}");
    assert!(
        out.contains("udp-start            p50    3.01us  4.03us   +34.0%\n"),
        "{out}"
    );

    let args = ["base.nsl", "named.nsl", "--fail-if", "udp-start:p99>+10%"];
    let (code, out, err) = said(&directory.diff(&args));
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("fewer than 5 recordings a side"), "{err}");
}

#[test]
fn sides_are_named() {
    let directory = Directory::new("named");
    for file in ["1", "2", "3", "a=b.nsl"] {
        directory.file(file, &recording("\"given\"", LOW));
    }
    let (code, out, _) = said(&directory.diff(&["old=1", "old=2", "x=3", "--json"]));
    assert_eq!(code, Some(0));
    testlab::schema::assert_valid(&out);
    let object: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(object["a"]["name"], "old");
    assert_eq!(object["a"]["files"], serde_json::json!(["1", "2"]));
    assert_eq!(object["b"]["name"], "x");
    // A file of that whole name exists, so it is not NAME=FILE.
    let (code, out, err) = said(&directory.diff(&["a=b.nsl", "x=3", "--json"]));
    assert_eq!(code, Some(0), "{err}");
    testlab::schema::assert_valid(&out);
    let object: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(object["a"]["name"], "given");
    assert_eq!(object["a"]["files"][0], "a=b.nsl");
}

#[test]
fn a_comparison_is_judged_and_limits_give_the_exit_code() {
    let directory = Directory::new("judged");
    directory.file("c.nsl", &comparison());
    let code = |limits: &[&str]| {
        let mut args = vec!["c.nsl"];
        args.extend(limits.iter().flat_map(|limit| ["--fail-if", limit]));
        said(&directory.diff(&args))
    };
    let (none, out, err) = code(&[]);
    assert_eq!((none, err.as_str()), (Some(0), ""));
    assert!(
        out.contains("UDP: p50, p90 and p99 slower, first seen at udp-start"),
        "{out}"
    );
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "it begins there or earlier",
        "ip-start was not judged (it is off), so the change may have begun",
    ] {
        assert!(words.contains(told), "{out}");
    }
    assert_eq!(code(&["udp-start:p50>+10%"]).0, Some(3));
    assert_eq!(code(&["any:p99>+1us"]).0, Some(0));
    assert_eq!(code(&["any:p99>+1us", "any:p99>3.5us"]).0, Some(3));
    // The files do not have tcp-start: the exit code must not be 0.
    let (unjudged, out, _) = code(&["tcp-start:p50>+10%"]);
    assert_eq!(unjudged, Some(1));
    assert!(
        out.contains("not judged: tcp-start p50 (limit +10%): it is off\n"),
        "{out}"
    );
    assert_eq!(
        code(&["tcp-start:p50>+10%", "udp-start:p50>+10%"]).0,
        Some(3)
    );
    let (bad, _, err) = code(&["udp-start:p50>10%"]);
    assert_eq!(bad, Some(2));
    assert!(err.contains("write '+10%'"), "{err}");
}

/// Files of simulated hosts with which earlier versions were wrong: one disturbed
/// period of forty hid a change of 25 %; the slowest 0.5 % were five times slower
/// without a verdict; recordings of one host that has one of two modes after each
/// boot were found to differ.
#[test]
fn what_was_wrong_once_is_right() {
    let directory = Directory::new("cases");
    let path = |name: &str| format!("{}/tests/fixtures/diff/{name}", env!("CARGO_MANIFEST_DIR"));
    let object = |args: &[String]| -> serde_json::Value {
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
        let (code, out, err) = said(&directory.diff(&args));
        assert_eq!(code, Some(0), "{err}");
        testlab::schema::assert_valid(&out);
        serde_json::from_str(&out).unwrap()
    };
    let disturbed = object(&[path("outlier-period-plus25.nsl")]);
    let p50 = &disturbed["hooks"][0]["quantities"]["p50"];
    assert_eq!(p50["verdict"], "slower", "{p50}");
    assert_eq!(p50["rounds_excluded"].as_array().unwrap().len(), 1);
    let [low, high] = [0, 1].map(|end: usize| p50["interval_percent"][end].as_f64().unwrap());
    assert!(low < 25.0 && 25.0 < high, "{p50}");

    let tail = object(&[path("tail-0.5pct-x5.nsl")]);
    let quantities = &tail["hooks"][0]["quantities"];
    assert_eq!(quantities["p50"]["verdict"], "not-found");
    assert_eq!(quantities["tail"]["verdict"], "slower", "{quantities}");

    let boots: Vec<String> = ["A0", "A1", "A2", "B3", "B4", "B5"]
        .map(|boot| format!("{}={}", &boot[..1], path(&format!("boot-{boot}.nsl"))))
        .into();
    let boots = object(&boots);
    assert_eq!(boots["questions"], 0);
    let codes: Vec<&str> = boots["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["few-files", "not-alternating"]);
}

#[test]
fn what_makes_no_two_sides_is_bad_usage() {
    let directory = Directory::new("sides");
    for file in ["1.nsl", "2.nsl", "3.nsl"] {
        directory.file(file, &recording("null", LOW));
    }
    directory.file("c.nsl", &comparison());
    for (args, told) in [
        (&["1.nsl"][..], "only one side, '1'"),
        (&["a=1.nsl", "a=2.nsl"], "only one side, 'a'"),
        (&["1.nsl", "2.nsl", "3.nsl"], "3 sides, '1', '2', '3'"),
        (&["1.nsl", "b=./1.nsl"], "./1.nsl is named twice"),
        (
            &["c.nsl", "2.nsl"],
            "c.nsl is a comparison and has both sides",
        ),
        (&["x=c.nsl"], "give c.nsl alone, without 'x='"),
    ] {
        let (code, out, err) = said(&directory.diff(args));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(err.contains(told), "{args:?}: {err}");
    }
    let (code, _, err) = said(&directory.diff(&["1.nsl", "x=missing.nsl"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("missing.nsl"), "{err}");
}

#[test]
fn whoever_reads_it_may_go() {
    let directory = Directory::new("pipe");
    directory.file("c.nsl", &comparison());
    let output = Command::new("sh")
        .arg("-c")
        .arg("{ \"$0\" diff c.nsl --fail-if 'any:p50>+1%'; echo $? >&2; } | true")
        .arg(env!("CARGO_BIN_EXE_netstacklat"))
        .current_dir(&directory.0)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "3\n");
    // A full device is an error.
    let output = Command::new("sh")
        .arg("-c")
        .arg("\"$0\" diff c.nsl > /dev/full")
        .arg(env!("CARGO_BIN_EXE_netstacklat"))
        .current_dir(&directory.0)
        .output()
        .unwrap();
    let (code, _, err) = said(&output);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("writing to standard output: No space left"),
        "{err}"
    );
}

/// The recording of show's tests, of which some packets are slower here.
fn grouped(options: &str, slow: u64) -> String {
    let text = include_str!("fixtures/groups.jsonl");
    let text = text.replace("\"options\":{}", &format!("\"options\":{{{options}}}"));
    // From the bucket that ends at 100 us to one that ends later.
    text.replace("98304,102400", &format!("{},{}", slow - 4096, slow))
}

#[test]
fn groups_are_compared() {
    let directory = Directory::new("groups");
    directory.file("a.nsl", &grouped("", 102_400));
    directory.file("b.nsl", &grouped("", 131_072));
    let args = ["old=a.nsl", "new=b.nsl", "--by", "process"];
    let (code, page, stderr) = said(&directory.diff(&args));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let groups = page.split_once("\nby process: ").expect("groups").1;
    let expected = "2 groups, not judged\nprocess dns(2)\nudp-start ";
    assert!(groups.starts_with(expected), "{page}");
    let (_, text, _) = said(&directory.diff(&[&args[..], &["--json", "--top", "1"]].concat()));
    testlab::schema::assert_valid(&text);
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> = found["groups"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0]["group"], serde_json::json!({"process": "web(1)"}));
    assert_eq!(found["groups_left_out"], 1);
    let (code, _, stderr) = said(&directory.diff(&["a.nsl", "new=b.nsl", "--by", "cgroup"]));
    assert_eq!(code, Some(2));
    for words in ["a.nsl", "--by cgroup", "--by interface,process"] {
        assert!(stderr.contains(words), "{stderr}");
    }
}

/// With and without groups: other filters may explain any difference.
#[test]
fn other_filters_are_a_warning_with_both_values() {
    let directory = Directory::new("filters");
    directory.file(
        "a.nsl",
        &grouped("\"pids\":[\"12\"],\"top\":[\"3\"]", 102_400),
    );
    let filters = "\"pids\":[\"13\",\"14\"],\"network-namespace\":[\"blue\"]";
    directory.file("b.nsl", &grouped(filters, 102_400));
    for by in [&[][..], &["--by", "process"]] {
        let args = [&["old=a.nsl", "new=b.nsl"], by].concat();
        let (_, page, _) = said(&directory.diff(&args));
        for words in [
            "warning: --network-namespace differs: not given (A), blue (B)\n",
            "warning: --pids differs: 12 (A), 13,14 (B)\n",
        ] {
            assert!(page.contains(words), "no {words:?} in:\n{page}");
        }
        let words: Vec<&str> = page.split_whitespace().collect();
        let selected = "selected by --network-namespace blue --pids 13,14 --by interface,process";
        assert!(words.join(" ").contains(selected), "{page}");
        // What is listed is no filter.
        assert!(!page.contains("--top differs"), "{page}");
        let (_, text, _) = said(&directory.diff(&[&args[..], &["--json"]].concat()));
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        let warnings = found["warnings"].as_array().unwrap().iter();
        let differ = warnings.filter(|warning| warning["code"] == "differs");
        let texts: Vec<_> = differ.map(|warning| warning["text"].clone()).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(found["warnings"][1]["puts_in_doubt"].as_bool().unwrap());
    }
}

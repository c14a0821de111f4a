// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `netstacklat show` on files written by hand after docs/json.md; and what was
//! selected is named by the file, by `show` and by `diff`, whatever the option.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args as _, Parser as _};
use netstacklat::cli::{Cli, SelectArgs};
use netstacklat::render::{Json, Renderer as _};
use netstacklat::runfile::RunFile;

const RUN: &str = "tests/fixtures/run.jsonl";
const GROUPS: &str = "tests/fixtures/groups.jsonl";
const COMPARISON: &str = "tests/fixtures/comparison.jsonl";

/// Exit code, standard output and standard error.
fn netstacklat(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_netstacklat"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TZ", "UTC")
        .output()
        .expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn shown(args: &[&str]) -> String {
    let (code, stdout, stderr) = netstacklat(&[&["show"], args].concat());
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{args:?}");
    stdout
}

fn json(text: &str) -> serde_json::Value {
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    testlab::schema::assert_valid(text);
    serde_json::from_str(text).expect("JSON")
}

fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("show-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("an empty directory");
    path
}

/// Each fact of the start line, and the sum of the lines.
#[test]
fn a_recording_is_shown_with_its_facts_and_totals() {
    let page = shown(&[RUN]);
    for words in [
        "file: tests/fixtures/run.jsonl\n",
        "host: box, Linux 6.12.0, x86_64, 8 possible CPUs\n",
        "clock: update_vsyscall, TAI offset 37 s\n",
        "off: udp-queue-rcv: not enabled\n",
        "in part: udp-start: no udpv6_rcv in this kernel\n",
        "host facts: governor=performance\n",
        "total  10.0s  2026-11-21 10:16:53 .. 10:17:03 UTC\n",
        "\ntcp-start         100    10.0  3.80us ",
        "tcp-start: 13 of 113 (11.5%) not measured: no-timestamp 12, over-range 1\n",
    ] {
        assert!(page.contains(words), "no {words:?} in:\n{page}");
    }
    assert!(!page.contains("selected:"), "{page}");
    assert!(page.lines().all(|line| line.len() <= 80), "{page}");
    let histograms = shown(&[RUN, "-e", "tcp-start", "--histograms"]);
    let row = "(4.10us, 8.19us]";
    assert!(
        histograms.contains(row) && !page.contains(row),
        "{histograms}"
    );
    let udp = shown(&[RUN, "-e", "UDP*"]);
    assert!(udp.contains("\nudp-start "), "{udp}");
    assert!(!udp.contains("tcp-start"), "{udp}");
}

/// `-e` chooses hooks of groups, too.
#[test]
fn hooks_of_groups_are_chosen() {
    let mut lines: Vec<serde_json::Value> = include_str!("fixtures/run.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    for report in &mut lines[1..] {
        let mut group = report["hooks"][0].clone();
        group["group"] = serde_json::json!({"process": "nginx(7)"});
        let hooks = report["hooks"].as_array_mut().expect("an array");
        hooks.push(group);
    }
    lines[0]["selection"]["by"] = serde_json::json!(["process"]);
    let path = directory("groups").join("run.nsl");
    let lines: Vec<_> = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, lines.concat()).expect("ours");
    let file = path.to_str().expect("UTF-8");
    let group = "process nginx(7)\ntcp-start ";
    for choice in [&[][..], &["-e", "tcp*"]] {
        let page = shown(&[&[file], choice].concat());
        assert!(page.contains(group), "{page}");
    }
    let page = shown(&[file, "-e", "udp*"]);
    assert!(page.contains("\nudp-start "), "{page}");
    assert!(
        !page.contains("tcp-start") && !page.contains("nginx"),
        "{page}"
    );
    let found = json(&shown(&[file, "-e", "udp*", "--json"]));
    let hooks = found["totals"][0]["hooks"].as_array().expect("an array");
    assert_eq!(hooks.len(), 1, "{hooks:?}");
}

#[test]
fn programs_are_told_the_same() {
    let found = json(&shown(&[RUN, "--json"]));
    let lines: Vec<serde_json::Value> = include_str!("fixtures/run.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(
        (&found["kind"], &found["complete"]),
        (&"show".into(), &true.into())
    );
    assert_eq!(found["start"]["facts"], lines[0]["facts"]);
    assert_eq!(found["start"]["hooks"], lines[0]["hooks"]);
    let totals = found["totals"].as_array().expect("an array");
    assert_eq!(totals.len(), 1);
    // The file's own total, as there is one run.
    for field in ["hooks", "seq", "duration_ns", "start", "end", "tx_stamped"] {
        assert_eq!(totals[0][field], lines[2][field], "{field}");
    }
    let documented = include_str!("../docs/json.md");
    for field in found.as_object().expect("an object").keys() {
        let name = format!("`{field}`");
        assert!(documented.contains(&name), "docs/json.md lacks {field}");
    }
}

#[test]
fn a_comparison_is_shown_with_its_sides() {
    let page = shown(&[COMPARISON]);
    for words in [
        "comparison: none (A) with rules (B): 0 of 10 rounds of 4 periods of 3s",
        "\nB start: iptables-restore rules\n",
        "\nload: ./load \"fast\"\n",
        "\nexcluded: round 7 was interrupted",
        "\nA none: 1 period\n",
        "\nB rules: 1 period\n",
    ] {
        assert!(page.contains(words), "no {words:?} in:\n{page}");
    }
    let found = json(&shown(&[COMPARISON, "--json"]));
    assert_eq!(found["rounds"], 0);
    let arms: Vec<_> = ["a", "b"].map(serde_json::Value::from).into();
    let totals = found["totals"].as_array().expect("an array").iter();
    assert_eq!(
        totals.map(|total| total["arm"].clone()).collect::<Vec<_>>(),
        arms
    );
}

#[test]
fn what_is_no_good_run_file_is_told() {
    let directory = directory("damaged");
    let path = directory.join("run.nsl");
    let file = path.to_str().expect("UTF-8");
    let refused = |text: &str, words: &[&str]| {
        std::fs::write(&path, text).expect("ours");
        let (code, stdout, stderr) = netstacklat(&["show", file]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
        for word in words.iter().chain(&["run.nsl"]) {
            assert!(stderr.contains(word), "no {word:?} in: {stderr}");
        }
    };
    refused("", &["is empty"]);
    refused("dear diary\n", &["not a run file of netstacklat"]);
    let whole = include_str!("fixtures/run.jsonl");
    let lines: Vec<&str> = whole.lines().collect();
    let damaged = [lines[0], "{", lines[1], ""].join("\n");
    refused(&damaged, &["line 2 is damaged", "head -n 1"]);
    // Cut off by a crash: what is before is shown, and that it was cut off.
    std::fs::write(&path, &whole[..whole.len() - 9]).expect("ours");
    let page = shown(&[file]);
    assert!(
        page.contains("recorded: 1 interval of 10s; ended early"),
        "{page}"
    );
    assert!(
        page.contains("excluded: line 3, the last, is cut off"),
        "{page}"
    );
    let (code, _, stderr) = netstacklat(&["show", "no-such-file"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no-such-file"), "{stderr}");
}

/// A terminal must not obey what is in a file.
#[test]
fn control_characters_of_a_file_are_not_shown() {
    let path = directory("control").join("run.nsl");
    let text = include_str!("fixtures/run.jsonl").replace("performance", "\\u001b[31mred");
    std::fs::write(&path, text).expect("ours");
    let page = shown(&[path.to_str().expect("UTF-8")]);
    assert!(page.contains("governor=\u{fffd}[31mred"), "{page}");
    assert!(!page.contains('\x1b'), "{page}");
}

/// 910 packets of 1 us and 100 of 100 us: the slowest hundredth, 10.1 packets, is
/// among the 100. By process, dns has 199 packets, these 100 among them.
#[test]
fn groups_are_shown_by_fewer_keys() {
    let page = shown(&[GROUPS, "--by", "process"]);
    let table = page.split_once("\nhook ").expect("a table").1;
    let expected = "\
     count  rate/s    mean     p50     p90     p99   p99.9    slow
udp-start        1010     101  10.8us  1.01us  1.01us   100us   100us
process dns(2)
udp-start         199    19.9  50.9us   100us   100us   100us       -   5.08%
process web(1)
udp-start         801    80.1  1.01us  1.01us  1.01us  1.01us       -      0%
other: there was no room for more groups (--max-groups, --group-memory)
udp-start          10    1.00  1.01us  1.01us  1.01us       -       -       -
";
    assert!(table.contains(expected), "{page}");
    let by_interface = shown(&[GROUPS, "--by", "interface", "--sort", "name", "--top", "1"]);
    for words in [
        "\ninterface eth0\nudp-start         901 ",
        "\n1 more group with packets, not listed: --top 2 ",
        "\nother: ",
    ] {
        assert!(
            by_interface.contains(words),
            "no {words:?} in:\n{by_interface}"
        );
    }
    assert!(!by_interface.contains("interface lo"), "{by_interface}");
    // As recorded, and in the order of the keys that is asked for.
    assert!(shown(&[GROUPS]).contains("\ninterface eth0, process dns(2)\n"));
    let turned = shown(&[GROUPS, "--by", "process,interface"]);
    assert!(
        turned.contains("\nprocess dns(2), interface eth0\n"),
        "{turned}"
    );
    // JSON has all of them, bucket by bucket the whole.
    let found = json(&shown(&[
        GROUPS,
        "--by",
        "interface",
        "--top",
        "1",
        "--json",
    ]));
    assert_eq!(found["by"], serde_json::json!(["interface"]));
    let hooks = found["totals"][0]["hooks"].as_array().expect("an array");
    let groups = hooks.iter().filter(|hook| hook["group"].is_object());
    let groups: Vec<_> = groups
        .map(|hook| (&hook["group"], &hook["buckets"]))
        .collect();
    let of = |value: serde_json::Value| value;
    assert_eq!(
        groups,
        [
            (
                &of(serde_json::json!({"interface": "eth0"})),
                &of(serde_json::json!([[992, 1024, 801], [98304, 102_400, 100]]))
            ),
            (
                &of(serde_json::json!({"interface": "lo"})),
                &of(serde_json::json!([[992, 1024, 99]]))
            ),
            (
                &of(serde_json::json!({})),
                &of(serde_json::json!([[992, 1024, 10]]))
            ),
        ]
    );
    // Hooks that are left out are left out of groups, too.
    let page = shown(&[GROUPS, "-e", "tcp*"]);
    assert!(!page.contains("\ninterface "), "{page}");
}

#[test]
fn keys_that_a_file_does_not_have_are_refused() {
    let (code, stdout, stderr) = netstacklat(&["show", GROUPS, "--by", "cgroup,process"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    for words in ["--by cgroup:", "groups.jsonl", "--by interface,process"] {
        assert!(stderr.contains(words), "no {words:?} in: {stderr}");
    }
    let (code, _, stderr) = netstacklat(&["show", RUN, "--by", "process"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("recorded without --by"), "{stderr}");
    let (code, _, stderr) = netstacklat(&["show", RUN, "--by", "proces"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("'process'"), "{stderr}");
    let (code, _, stderr) = netstacklat(&["show", GROUPS, "--sort", "p98"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("p98") && stderr.contains("p99"), "{stderr}");
    let (code, _, stderr) = netstacklat(&["show", GROUPS, "--top", "0"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("1..=1024"), "{stderr}");
}

/// A run file as it is written after these words, with the lines of the fixture.
fn recorded_with(path: &Path, words: &str) {
    let record = ["netstacklat", "record", "-o", "x"].into_iter();
    let cli = Cli::try_parse_from(record.chain(words.split(' ')));
    let command = cli.expect("it is an option").into_command();
    let fixture = include_str!("fixtures/run.jsonl");
    let mut info = RunFile::read(Path::new(RUN)).expect("a run file").info;
    info.selection = command.select().expect("it measures").selection();
    let mut text = Vec::new();
    Json.start(&mut text, &info).expect("memory");
    let reports: Vec<_> = fixture
        .lines()
        .skip(1)
        .map(|line| line.to_owned() + "\n")
        .collect();
    text.extend(reports.concat().bytes());
    std::fs::write(path, text).expect("ours");
}

/// Whatever option of SELECT there is.
#[test]
fn all_that_reads_a_file_names_what_was_selected() {
    let directory = directory("selected");
    let select = SelectArgs::augment_args(clap::Command::new("select"));
    for option in select.get_arguments() {
        let name = option.get_long().expect("each option has a long name");
        let value = match name {
            "hooks" | "exclude-hooks" => Some("TCP*,udp-start"),
            "interfaces" => Some("eth0,7"),
            "network-namespace" => Some("pid:1"),
            "pids" | "max-groups" | "min-queue-length" => Some("12"),
            "port" | "local-port" | "remote-port" => Some("80,8000-8080"),
            "ip" => Some("192.0.2.0/24,::1"),
            "rx-queue" => Some("0,2-3"),
            "cgroups" => Some("a.slice/b.service,77"),
            "cgroup-mount" => Some("/mnt"),
            "container" => Some("web,0123456789ab"),
            "pod" => Some("default/web-*,db"),
            "comm" => Some("nginx*,dnsdist"),
            "group-memory" => Some("8MiB"),
            "top" => Some("3"),
            "sort" => Some("p99"),
            "by" => Some("process,interface"),
            "include-tcp-hol-delay" | "ipv4" | "ipv6" | "tcp" | "udp" => None,
            "stages" | "no-stages" | "redact" => None,
            "notes" => Some("5000"),
            "slower-than" => Some("1ms,udp-start:100us"),
            "slowest" => Some("3"),
            "sample" => Some("1/16"),
            // Other words for --by.
            "groupby-interface" | "groupby-cgroup" => continue,
            other => panic!("give --{other} a value here"),
        };
        let words = match value {
            Some(value) => format!("--{name} {value}"),
            None => format!("--{name}"),
        };
        let [path, other] = ["run.nsl", "other.nsl"].map(|file| directory.join(file));
        for path in [&path, &other] {
            recorded_with(path, &words);
        }
        let read = RunFile::read(&path).expect("a run file");
        let values: Vec<&str> = value.map_or(Vec::new(), |value| value.split(',').collect());
        // The keys of groups are a list of their own.
        let of_selection = |selection: &serde_json::Value| match name {
            "by" => selection["by"].clone(),
            _ => selection["options"][name].clone(),
        };
        if name == "by" {
            assert_eq!(read.info.selection.by, values);
        } else {
            assert_eq!(read.info.selection.options[name], values);
        }
        let [path, other] = [&path, &other].map(|path| path.to_str().expect("UTF-8"));
        let page = shown(&[path]);
        assert!(page.contains(&format!("\nselected: {words}\n")), "{page}");
        let found = json(&shown(&[path, "--json"]));
        let selected = of_selection(&found["start"]["selection"]);
        assert_eq!(selected, serde_json::json!(values), "{found}");
        let (code, page, _) = netstacklat(&["diff", path, other]);
        assert_eq!(code, Some(0));
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            page.matches(&format!("selected by {words}")).count(),
            2,
            "{page}"
        );
        let (_, text, _) = netstacklat(&["diff", path, other, "--json"]);
        let found = json(&text);
        for side in ["a", "b"] {
            let selected = of_selection(&found[side]["selection"]);
            assert_eq!(selected, serde_json::json!(values), "{found}");
        }
    }
}

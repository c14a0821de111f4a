// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `compare --stages` names the stage in which time was added, and no other one.

use testlab::compare::Workdir;
use testlab::hooks::hooks_of;
use testlab::readers::Reader;
use testlab::schema::assert_valid;

use super::grouped_diff::{netstacklat, stutter};

/// While B is on, the reader keeps stopping: the time is in the stage that ends at the
/// read, and in no other.
#[test]
fn compare_names_the_stage_that_gets_slower() {
    let reader = Reader::start(None);
    let workdir = Workdir::new("by-stage");
    let [start, stop] = stutter(&reader);
    let selected = ["-n", "right", "-e", "udp*", "--stages", "-o", "run.nsl"];
    let length = ["--rounds", "10", "--period", "500ms", "--settle", "20ms"];
    let commands = ["--b-start", &start, "--b-stop", &stop];
    let comparison = workdir.compare(&[&selected[..], &length[..], &commands[..]].concat());
    let ended = comparison.wait_under_traffic(10, || reader.send(2));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    println!("{}", ended.stdout);
    let words = ended.stdout.split_whitespace().collect::<Vec<_>>();
    let words = words.join(" ");
    for text in ["UDP: slower in: ", "waiting for the reader (p50 +"] {
        assert!(words.contains(text), "{words}");
    }
    let file = [workdir.path().join("run.nsl")];
    let text = netstacklat(&["diff", "--json"], &file);
    assert_valid(&text);
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let stages = found["stages"].as_array().expect("an array");
    // One verdict of twenty comparisons may be wrong, but not by so much.
    let gets_slower = |stage: &serde_json::Value| {
        let median = &stage["quantities"]["p50"];
        let change = median["change_percent"].as_f64().expect("a number");
        median["verdict"] == "slower" && change > 10.0
    };
    let path: Vec<_> = hooks_of("UDP").iter().map(|hook| hook.name()).collect();
    for pair in path.windows(2) {
        let mut stages = stages.iter();
        let stage = stages.find(|stage| stage["from"] == pair[0] && stage["to"] == pair[1]);
        let stage = stage.unwrap_or_else(|| panic!("{pair:?}: {found}"));
        let slower = pair[1] == "udp-socket-read";
        assert_eq!(gets_slower(stage), slower, "{pair:?}: {stage}");
    }
}

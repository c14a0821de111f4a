// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The files that are made from the sources are what the sources say.
#![allow(unreachable_pub, reason = "also modules of examples/generated")]

#[path = "../examples/generated/exporter.rs"]
mod exporter;
#[path = "../examples/generated/man.rs"]
mod man;
#[path = "../examples/generated/monitoring/mod.rs"]
mod monitoring;
#[path = "../examples/generated/object.rs"]
mod object;
#[path = "../examples/generated/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use netstacklat::model::exported::{ExportedKey, ExportedKeys};

const REMEDY: &str = "run `make generated`, and commit what it changes";

/// The files of this directory are up to date.
fn are_current(directory: &str, files: &[(String, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    for (name, text) in files {
        let found = std::fs::read_to_string(path.join(name));
        let found = found.unwrap_or_else(|e| panic!("{directory}/{name}: {e}: {REMEDY}"));
        let mut lines = (1..).zip(text.lines().zip(found.lines()));
        let differs = lines.find(|(_, (generated, found))| generated != found);
        if let Some((number, (generated, found))) = differs {
            panic!(
                "{directory}/{name} is stale: {REMEDY}\n\
                 line {number} is  {found}\n\
                 and would be {generated}"
            );
        }
        assert!(found == *text, "{directory}/{name} is stale: {REMEDY}");
    }
}

/// The same, and there is no other with this extension.
fn holds(directory: &str, extension: &str, files: &[(String, String)]) {
    are_current(directory, files);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let generated: BTreeSet<_> = files.iter().map(|(name, _)| name.clone()).collect();
    let found = std::fs::read_dir(&path).expect("the directory is in the repository");
    let found = found.map(|entry| entry.expect("an entry").path());
    let found = found.filter(|path| path.extension().is_some_and(|e| e == extension));
    let found: BTreeSet<_> = found
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(found, generated, "remove what is no longer generated");
}

#[test]
fn man_pages() {
    holds("docs/man", "1", &man::pages().expect("pages"));
}

#[test]
fn configurations_for_ebpf_exporter() {
    let configurations = exporter::configurations(&ExportedKeys::default());
    let configurations = configurations.expect("configurations");
    holds("exporter", "yaml", &configurations);
}

#[test]
fn rules_and_dashboard() {
    let keys = ExportedKeys::default();
    are_current("exporter", &monitoring::rules(&keys));
    are_current("exporter", &monitoring::dashboard(&keys));
}

fn keys(text: &str) -> ExportedKeys {
    text.parse().expect("keys")
}

/// Some choices, the labels of their series, and those that something is recorded
/// by: whose packets they are, if one of the keys says it.
const CHOICES: [(&str, &[&str], &[&str]); 5] = [
    ("interface,cgroup", &["cgroup", "interface"], &["cgroup"]),
    (
        "family,local-port",
        &["local_port", "family"],
        &["local_port"],
    ),
    (
        "interface,netns,rx-queue,cpu",
        &["interface", "netns", "rx_queue", "cpu"],
        &["netns"],
    ),
    ("cpu,rx-queue", &["rx_queue", "cpu"], &["rx_queue", "cpu"]),
    (
        "netns,cgroup,local-port",
        &["cgroup", "netns", "local_port"],
        &["cgroup", "netns", "local_port"],
    ),
];

/// Of the grouped object.
fn configuration(keys: &ExportedKeys) -> String {
    let files = exporter::configurations(keys).expect("configurations");
    let [_, (name, text)] = &files[..] else {
        panic!("{} files", files.len());
    };
    assert_eq!(name, "netstacklat-groups.yaml");
    text.clone()
}

/// The words of the key in the object, then the bucket.
#[test]
fn labels_are_those_of_the_keys() {
    for (text, labels, _) in CHOICES {
        let yaml = configuration(&keys(text));
        let (histograms, _) = yaml.split_once("  counters:").expect("counters");
        let of_hooks: Vec<_> = histograms.split("      labels:\n").skip(1).collect();
        assert_eq!(of_hooks.len(), 6, "{text}");
        for of_hook in of_hooks {
            let names = of_hook
                .lines()
                .filter_map(|l| l.strip_prefix("        - name: "));
            let names: Vec<_> = names.collect();
            assert_eq!(names, [labels, &["bucket"]].concat(), "{text}");
            assert_eq!(
                of_hook.matches("size: 4").count(),
                labels.len() + 1,
                "{text}"
            );
        }
    }
}

/// The default in any order is what is committed; another choice says itself how it
/// was made.
#[test]
fn files_say_which_keys_they_are_for() {
    let default = ExportedKeys::default();
    assert_eq!(
        configuration(&keys("interface,cgroup")),
        configuration(&default)
    );
    assert!(!configuration(&default).contains("GROUP_BY"));
    let chosen = keys("family,local-port");
    let all = [
        vec![(String::new(), configuration(&chosen))],
        monitoring::rules(&chosen),
        monitoring::dashboard(&chosen),
    ];
    for (name, text) in all.concat() {
        let made_by = "`make bpf GROUP_BY=local-port,family`";
        assert!(text.contains(made_by), "{name}");
        assert!(!text.contains("cgroup"), "{name}");
    }
}

/// Prometheus takes the rules; records, alerts and panels are by these labels.
#[test]
fn rules_and_dashboard_are_by_the_keys() {
    for (number, (text, labels, recorded)) in CHOICES.into_iter().enumerate() {
        let chosen = keys(text);
        let [(_, rules)] = &monitoring::rules(&chosen)[..] else {
            panic!("one file");
        };
        for label in ExportedKey::all().map(ExportedKey::label) {
            let is_recorded = recorded.contains(&label);
            let record = format!("record: instance_{label}_hook:netstack_group");
            assert_eq!(rules.contains(&record), is_recorded, "{text}: {label}");
            let alert =
                format!("instance_{label}_hook:netstack_group_latency_seconds:p99_rate5m{{");
            assert_eq!(rules.contains(&alert), is_recorded, "{text}: {label}");
        }
        // What is measured of a target is summed over all its groups.
        let all = format!("sum without (hook, {}", labels.join(", "));
        assert!(rules.contains(&all), "{text}");

        let [(_, dashboard)] = &monitoring::dashboard(&chosen)[..] else {
            panic!("one file");
        };
        for label in ExportedKey::all().map(ExportedKey::label) {
            let legend = format!("\"legendFormat\": \"{{{{{label}}}}}\"");
            let panels = dashboard.matches(&legend);
            let expected = if labels.contains(&label) { 2 } else { 0 };
            assert_eq!(panels.count(), expected, "{text}: {label}");
        }
        let file = format!("netstacklat-{}-{number}.yml", std::process::id());
        let file = std::env::temp_dir().join(file);
        std::fs::write(&file, rules).expect("written");
        let done = Command::new("promtool")
            .args(["check", "rules"])
            .arg(&file)
            .output();
        std::fs::remove_file(&file).expect("removed");
        let done = done.expect("promtool: run tools/install-deps exporter");
        let said = [done.stdout, done.stderr].concat();
        assert!(
            done.status.success(),
            "{text}: {}",
            String::from_utf8_lossy(&said)
        );
    }
}

/// `make bpf GROUP_BY=...` compiles as build.rs does; a key has the words that are
/// counted by, and the bucket.
#[test]
fn objects_by_chosen_keys() {
    let directory = std::env::temp_dir().join(format!("netstacklat-keys-{}", std::process::id()));
    std::fs::create_dir(&directory).expect("a directory");
    let file = directory.join("netstacklat-groups.bpf.o");
    let compile = |chosen: &ExportedKeys| {
        object::compile(chosen, &file).expect("it compiles");
        std::fs::read(&file).expect("an object")
    };
    let of_build = Path::new(env!("NETSTACKLAT_EXPORTER_OBJECTS")).join("netstacklat-groups.bpf.o");
    let of_build = std::fs::read(of_build).expect("build.rs made it");
    assert!(compile(&ExportedKeys::default()) == of_build);
    for text in [
        "family",
        "interface,netns,rx-queue,cpu",
        "cgroup,interface,netns,local-port,rx-queue,cpu,family",
    ] {
        let chosen = keys(text);
        compile(&chosen);
        let opened = libbpf_rs::ObjectBuilder::default().open_file(&file);
        let opened = opened.expect("an object");
        let words = chosen.iter().count() as u32 + 1;
        let mut histograms = 0;
        for map in opened.maps() {
            let name = map.name().to_string_lossy().into_owned();
            if name == "groups" || name.ends_with("_latency_seconds") {
                assert_eq!(map.key_size(), 4 * words, "{text}: {name}");
                histograms += 1;
            }
        }
        assert_eq!(histograms, 7, "{text}");
    }
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn schema_of_the_json_lines() {
    holds("docs/schema", "json", &schema::schemas().expect("a schema"));
}

/// What is no line of ours is refused: a field more, less or of another type, a
/// number below zero, a kind that does not exist.
#[test]
fn lines_are_held_against_the_schema() {
    let line = include_str!("fixtures/run.jsonl").lines().nth(1).unwrap();
    testlab::schema::assert_valid(line);
    for (is, said) in [
        ("\"seq\":1,", "\"seq\":1,\"colour\":\"red\","),
        ("\"seq\":1,", ""),
        ("\"seq\":1,", "\"seq\":\"1\","),
        ("\"seq\":1,", "\"seq\":-1,"),
        ("\"missed\":3", "\"missed\":3,\"mist\":3"),
        ("[2944,3072,60]", "[2944,3072]"),
        ("\"p99.9\":null", "\"p999\":null"),
        ("\"schema\":2", "\"schema\":1"),
        ("\"kind\":\"interval\"", "\"kind\":\"intervals\""),
    ] {
        let other = line.replacen(is, said, 1);
        assert_ne!(line, other, "{is}");
        let refused = std::panic::catch_unwind(|| testlab::schema::assert_valid(&other));
        assert!(refused.is_err(), "{other}");
    }
}

/// Every object and field of the schema is in the tables of docs/json.md, and
/// nothing else is.
#[test]
fn tables_of_the_json_lines() {
    are_current("docs", &schema::pages().expect("tables"));
}

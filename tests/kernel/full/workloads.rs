// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Packets by container and pod. The cgroups are real, and named as the runtimes
//! name them; so are the files that their names come from. The runtimes themselves
//! are not in the guest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use testlab::hooks::{recorded_with_socket, with_socket};
use testlab::lines::Values;
use testlab::links::Link;
use testlab::readers::Reader;
use testlab::tool::{Tool, command};
use testlab::udp::{Flow, exchange};
use testlab::{Family, PATIENCE, wait_until};

const UID: &str = "5f1c7a3e-0b9d-4c8e-9a57-d3a1f0c2b4e6";

fn id(digit: char) -> String {
    String::from(digit).repeat(64)
}

/// Cgroups below one of the root, and files with names, which end with this value.
struct Host {
    files: Vec<PathBuf>,
    top: Vec<PathBuf>,
}

impl Host {
    fn new() -> Host {
        Host {
            files: Vec::new(),
            top: Vec::new(),
        }
    }

    fn cgroup(&mut self, path: &str) -> PathBuf {
        let root = Path::new("/sys/fs/cgroup");
        let top = root.join(path.split('/').next().expect("a first part"));
        if !self.top.contains(&top) {
            self.top.push(top);
        }
        fs::create_dir_all(root.join(path)).expect("cgroups");
        root.join(path)
    }

    /// A container of Docker's, with the cgroupfs driver.
    fn docker(&mut self, id: &str, name: &str) -> PathBuf {
        let directory = Path::new("/var/lib/docker/containers").join(id);
        fs::create_dir_all(&directory).expect("a directory");
        let config = format!(r#"{{"ID":"{id}","Name":"/{name}"}}"#);
        fs::write(directory.join("config.v2.json"), config).expect("a file");
        self.files.push(directory);
        self.cgroup(&format!("docker/{id}"))
    }

    /// A container in the pod default/nsl-pod-1.
    fn in_pod(&mut self, id: &str) -> PathBuf {
        let logs = PathBuf::from(format!("/var/log/pods/default_nsl-pod-1_{UID}"));
        fs::create_dir_all(&logs).expect("a directory");
        self.files.push(logs);
        self.cgroup(&format!("kubepods/besteffort/pod{UID}/{id}"))
    }
}

fn remove_cgroups(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    // The process in it takes a moment to end.
    wait_until(PATIENCE, "the cgroup is empty", || {
        fs::remove_dir(path).is_ok() || !path.exists()
    });
}

impl Drop for Host {
    fn drop(&mut self) {
        self.top.iter().for_each(|path| remove_cgroups(path));
        for path in &self.files {
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn groups<const N: usize>(expected: [([&str; 2], u64); N]) -> BTreeMap<Values, u64> {
    let named = |values: [&str; 2]| values.map(String::from).to_vec();
    expected
        .into_iter()
        .map(|(values, count)| (named(values), count))
        .collect()
}

fn read_all(tool: &Tool, all: u64) {
    wait_until(PATIENCE, "all is read", || {
        let totals = tool.totals_up_to_now();
        let reads = &totals["udp-socket-read"];
        reads.runs() + reads.missed >= all
    });
}

#[test]
fn grouped_by_container_and_pod() {
    let mut host = Host::new();
    let web = host.docker(&id('a'), "nsl-web");
    let inner = host.cgroup(&format!("docker/{}/init.scope", id('a')));
    let in_pod = host.in_pod(&id('b'));
    let service = host.cgroup("nsl.slice/nsl.service");
    let readers = [&web, &inner, &in_pod, &service].map(|path| Reader::start(Some(path)));
    let own = Flow::over(Link::Loopback.way(Family::V4, 6720));
    let tool = Tool::start_for_udp(&["-r", "100ms", "--by", "pod,container"]);
    let warm = tool.warm_up();
    for (reader, datagrams) in readers.iter().zip([100, 50, 30, 20]) {
        reader.send(datagrams);
    }
    exchange(&[own], 200);
    let all = 400 + warm.with;
    read_all(&tool, all + warm.without);
    let run = tool.finish();
    // By the names of the keys: container, pod.
    let none = ["none", "none"];
    let pod = ["default/nsl-pod-1/bbbbbbbbbbbb", "default/nsl-pod-1"];
    let read = groups([
        (["nsl-web", "none"], 150),
        (pod, 30),
        (none, 220 + warm.with),
    ]);
    for hook in with_socket() {
        assert_eq!(run.groups(hook.name()), read, "{hook}");
    }
    let unknown = groups([(["unknown", "unknown"], all)]);
    assert_eq!(run.groups("udp-start"), unknown);
    drop(readers);
}

/// A container's cgroups come and go: their groups make room, and what they have
/// counted stays in the one group of the container.
#[test]
fn cgroups_of_a_container_are_one_group_for_ever() {
    const CGROUPS: u64 = 10;
    let mut host = Host::new();
    host.docker(&id('a'), "nsl-web");
    let options = ["-r", "100ms", "-e", "udp-socket-read", "--by", "container"];
    let tool = Tool::start(&[&options[..], &["--max-groups", "3"]].concat());
    let warm = tool.warm_up();
    for number in 1..=CGROUPS {
        let inner = host.cgroup(&format!("docker/{}/{number}", id('a')));
        let reader = Reader::start(Some(&inner));
        reader.send(10);
        // This process reads the word of each reader.
        read_all(&tool, warm.with + warm.without + number * 11);
        tool.totals_up_to_now();
        drop(reader);
    }
    let run = tool.finish();
    let groups = run.groups("udp-socket-read");
    println!("{groups:?}");
    let of = |name: &str| groups.get(&vec![name.to_owned()]).copied().unwrap_or(0);
    // With three places that were taken for good it would be two of them.
    assert!(of("nsl-web") > 40, "{groups:?}");
    assert_eq!(
        of("nsl-web") + of("other") + of("none"),
        warm.with + CGROUPS * 11
    );
    assert_eq!(groups.len(), 2 + usize::from(of("other") > 0), "{groups:?}");
}

#[test]
fn filtered_by_container_which_is_started_again() {
    let mut host = Host::new();
    let web = host.docker(&id('a'), "nsl-web");
    let inner = host.cgroup(&format!("docker/{}/init.scope", id('a')));
    let db = host.docker(&id('b'), "nsl-db");
    let [first, within, other] = [&web, &inner, &db].map(|path| Reader::start(Some(path)));
    let tool = Tool::start_for_udp(&["-r", "100ms", "--container", "nsl-web"]);
    let warm = tool.warm_up();
    first.send(100);
    within.send(50);
    other.send(30);
    read_all(&tool, 180 + warm.with + warm.without);
    for hook in with_socket() {
        let counts = &tool.totals_up_to_now()[hook.name()];
        println!("{hook}: {} recorded, {:?}", counts.count, counts.skipped);
        assert_eq!(counts.count, 150, "{hook}");
        assert_eq!(
            counts.skip("filtered"),
            30 + warm.with + warm.without,
            "{hook}"
        );
    }
    // Another container of this name, elsewhere.
    drop((first, within));
    remove_cgroups(&web);
    let again = host.docker(&id('c'), "nsl-web").join("deeper");
    fs::create_dir(&again).expect("a cgroup");
    let second = Reader::start(Some(&again));
    let recorded = || tool.totals_up_to_now()["udp-socket-read"].count;
    let mut sent = 0;
    wait_until(PATIENCE, "the new container is found", || {
        second.send(1);
        sent += 1;
        recorded() > 150
    });
    println!("{sent} datagrams until it was found");
    let before = tool.totals_up_to_now();
    second.send(100);
    other.send(30);
    wait_until(PATIENCE, "all is read", || {
        recorded() >= before["udp-socket-read"].count + 100
    });
    let run = tool.finish();
    for hook in with_socket() {
        let since = run.hook(hook.name()).count - before[hook.name()].count;
        assert_eq!(since, 100, "{hook}");
    }
    for words in ["--container does not apply at", "ip-start, udp-start"] {
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
    drop((second, other));
}

#[test]
fn filtered_by_pod() {
    let mut host = Host::new();
    let [one, two] = ['a', 'b'].map(|digit| host.in_pod(&id(digit)));
    let db = host.docker(&id('c'), "nsl-db");
    let readers = [&one, &two, &db].map(|path| Reader::start(Some(path)));
    for choice in ["default/nsl-pod-1", &UID[..8]] {
        let tool = Tool::start_for_udp(&["-r", "100ms", "--pod", choice]);
        let warm = tool.warm_up();
        for (reader, datagrams) in readers.iter().zip([100, 50, 30]) {
            reader.send(datagrams);
        }
        read_all(&tool, 180 + warm.with + warm.without);
        let run = tool.finish();
        recorded_with_socket(&run, choice, 150);
    }
    drop(readers);
}

/// At the start it is an error; later it is said.
#[test]
fn more_containers_than_are_tested() {
    let mut host = Host::new();
    let names: Vec<_> = (0..9)
        .map(|n| (id(char::from(b'0' + n)), format!("nsl-{n}")))
        .collect();
    let (last, others) = names.split_last().expect("nine");
    for (id, name) in others {
        host.docker(id, name);
    }
    let options = ["-r", "100ms", "--container", "nsl-*"];
    let tool = Tool::start(&options);
    let ninth = host.docker(&last.0, &last.1);
    let reader = Reader::start(Some(&ninth));
    tool.totals_up_to_now();
    // There is room again.
    remove_cgroups(&host.cgroup(&format!("docker/{}", names[0].0)));
    let mut sent = 0;
    wait_until(PATIENCE, "it has the place of the other", || {
        reader.send(1);
        sent += 1;
        tool.totals_up_to_now()["udp-socket-read"].count > 0
    });
    let run = tool.finish();
    let words = "--container: 9 cgroups match now, and packets of 1 of them are not measured";
    assert!(run.stderr.contains(words), "{}", run.stderr);
    host.docker(&names[0].0, &names[0].1);
    let done = command(&options)
        .output()
        .expect("netstacklat is in the guest");
    let text = String::from_utf8(done.stderr).expect("UTF-8");
    assert_eq!(done.status.code(), Some(2), "{text}");
    for words in ["9 cgroups match", "at most 8", "--cgroups docker"] {
        assert!(text.contains(words), "{text}");
    }
    drop(reader);
}

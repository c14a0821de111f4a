// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Of two processes that read datagrams, one gets slower. `diff --by process` names
//! that one, and the other one not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use testlab::compare::Workdir;
use testlab::readers::Reader;
use testlab::schema::assert_valid;
use testlab::tool::wait_for_exit;
use testlab::{PATIENCE, prepare, udp, wait_until};

/// What the slower process sleeps before it reads.
const SLEEP: Duration = Duration::from_millis(40);
const DATAGRAMS: u64 = 100;
/// As many as verdicts take.
const FILES: usize = 5;

/// A recording in which `sleeper` does not read for [`SLEEP`] after its datagrams
/// were sent.
fn record(file: &Path, name: &str, readers: [&Reader; 2], sleeper: Option<&Reader>) {
    prepare();
    let _ = fs::remove_file(file);
    let mut command = Command::new("netstacklat");
    command.args(["record", "--name", name, "--by", "interface,process"]);
    command.args(["-n", "right", "-e", "udp-socket-enqueued,udp-socket-read"]);
    command.arg("-o").arg(file).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("netstacklat is in the guest");
    wait_until(PATIENCE, "a start line", || {
        fs::read(file).is_ok_and(|bytes| bytes.contains(&b'\n'))
    });
    udp::until_stamped(true);
    let signal = |pid: u32, signal| kill(Pid::from_raw(pid as i32), signal).expect("it runs");
    for reader in readers {
        let sleeps = sleeper.is_some_and(|sleeper| sleeper.pid() == reader.pid());
        if sleeps {
            signal(reader.pid(), Signal::SIGSTOP);
        }
        reader.send(DATAGRAMS);
        sleep(SLEEP);
        if sleeps {
            signal(reader.pid(), Signal::SIGCONT);
        }
    }
    // All is read long before that.
    sleep(Duration::from_millis(300));
    signal(child.id(), Signal::SIGINT);
    assert!(wait_for_exit(&mut child).success());
}

pub(super) fn netstacklat(args: &[&str], files: &[PathBuf]) -> String {
    let mut command = Command::new("netstacklat");
    let output = command.args(args).args(files).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_process_that_gets_slower_is_named() {
    let readers = [Reader::start(None), Reader::start(None)];
    let [steady, slower] = readers.each_ref();
    let mut files = Vec::new();
    for number in 0..FILES {
        for (name, sleeper) in [("before", None), ("after", Some(slower))] {
            let file = PathBuf::from(format!("/tmp/grouped-{name}-{number}.nsl"));
            record(&file, name, [steady, slower], sleeper);
            files.push(file);
        }
    }
    let page = netstacklat(&["diff", "--by", "process"], &files);
    println!("{page}");
    let (slower, steady) = [slower, steady]
        .map(|reader| format!("dd({})", reader.pid()))
        .into();
    let text = netstacklat(&["diff", "--by", "process", "--json"], &files);
    assert_valid(&text);
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found["by"], serde_json::json!(["process"]));
    // The processes whose p50 at the read changed, and whether it is theirs at all.
    let verdict = |process: &str, name: &str| {
        let groups = found["groups"].as_array().expect("an array");
        let group = groups
            .iter()
            .find(|group| group["group"]["process"] == process);
        let hooks = group.expect("it is compared")["hooks"]
            .as_array()
            .expect("an array");
        let hook = hooks.iter().find(|hook| hook["hook"] == name);
        hook.expect("a hook")["quantities"]["p50"].clone()
    };
    let [of_slower, of_steady] =
        [&slower, &steady].map(|process| verdict(process, "udp-socket-read"));
    assert_eq!(of_slower["verdict"], "slower", "{of_slower}");
    let p50_of_b = |of: &serde_json::Value| of["b_ns"].as_f64().expect("a number");
    let sleep_ns = SLEEP.as_nanos() as f64;
    assert!(p50_of_b(&of_slower) >= sleep_ns, "{of_slower}");
    assert!(page.contains(&format!("\nprocess {slower}\n")), "{page}");
    // One comparison of twenty may be wrong by chance, and on a busy machine a reader can
    // really be held up; but the other one's wait is nowhere near this.
    assert!(p50_of_b(&of_steady) < sleep_ns / 4.0, "{of_steady}");
    let is_quiet = of_steady["verdict"] == "not-found";
    println!("the steady reader: {}", of_steady["verdict"]);
    // Before the read there was no such wait.
    let enqueued = verdict(&slower, "udp-socket-enqueued");
    assert!(p50_of_b(&enqueued) < sleep_ns / 4.0, "{page}");
    // Who has not changed has a line and no table.
    if is_quiet {
        assert!(!page.contains(&format!("\nprocess {steady}\n")), "{page}");
        let unchanged = page.split("\nno change seen: ").nth(1).expect("a line");
        let unchanged = unchanged.lines().next().expect("a line");
        assert!(
            unchanged.contains(&steady) && !unchanged.contains(&slower),
            "{page}"
        );
    }

    // Shown by one of the two keys, the groups are those of the interface.
    let shown = netstacklat(&["show", "--by", "interface", "--json"], &files[..1]);
    assert_valid(&shown);
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let hooks = shown["totals"][0]["hooks"].as_array().expect("an array");
    let counts = |wanted: &dyn Fn(&serde_json::Value) -> bool| -> u64 {
        let found = hooks
            .iter()
            .filter(|hook| hook["hook"] == "udp-socket-read");
        let found = found.filter(|hook| wanted(&hook["group"]));
        found
            .map(|hook| hook["count"].as_u64().expect("a count"))
            .sum()
    };
    let loopback =
        counts(&|group| group["interface"] == "lo@right" && group.get("process").is_none());
    assert!(loopback >= 2 * DATAGRAMS, "{hooks:?}");
    assert_eq!(
        counts(&|group| group.is_object()),
        counts(&serde_json::Value::is_null)
    );
}

/// Commands that have a reader stop again and again, and read on.
pub(super) fn stutter(reader: &Reader) -> [String; 2] {
    let pid = reader.pid();
    let start = format!(
        "(while :; do kill -STOP {pid}; sleep 0.02; kill -CONT {pid}; sleep 0.002; done) \
         >/dev/null 2>&1 & echo $! >stutter"
    );
    [start, format!("kill $(cat stutter); kill -CONT {pid}")]
}

/// The same in one comparison: while B is on, one of two readers keeps stopping.
#[test]
fn compare_names_the_process_that_gets_slower() {
    let readers = [Reader::start(None), Reader::start(None)];
    let [steady, slower] = readers.each_ref();
    let workdir = Workdir::new("by-process");
    let [stutter, calm] = stutter(slower);
    let selected = ["-n", "right", "-e", "udp-socket-read", "--by", "process"];
    // A busy guest sends to each 150 times a second. The median takes 60.
    let length = ["--rounds", "10", "--period", "1s", "--settle", "20ms"];
    let commands = ["-o", "run.nsl", "--b-start", &stutter];
    let comparison = workdir.compare(
        &[
            &selected[..],
            &length[..],
            &commands[..],
            &["--b-stop", &calm],
        ]
        .concat(),
    );
    let ended = comparison.wait_under_traffic(10, || {
        for reader in [steady, slower] {
            reader.send(1);
        }
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // It has compared group by group; diff says the same as data.
    let name = |reader: &Reader| format!("dd({})", reader.pid());
    let changed = format!("\nprocess {}\n", name(slower));
    assert!(ended.stdout.contains(&changed), "{}", ended.stdout);
    let file = [workdir.path().join("run.nsl")];
    let text = netstacklat(&["diff", "--by", "process", "--json"], &file);
    assert_valid(&text);
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let verdict = |reader: &Reader| {
        let name = name(reader);
        let groups = found["groups"].as_array().expect("an array");
        let mut groups = groups.iter();
        let group = groups.find(|group| group["group"]["process"] == name.as_str());
        let group = group.unwrap_or_else(|| panic!("{name} is not compared: {found}"));
        let hooks = group["hooks"].as_array().expect("an array");
        let read = hooks.iter().find(|hook| hook["hook"] == "udp-socket-read");
        read.expect("a hook")["quantities"]["p50"].clone()
    };
    let (of_steady, of_slower) = (verdict(steady), verdict(slower));
    assert_eq!(of_slower["verdict"], "slower", "{of_slower}");
    // Of 22 ms it is stopped 20: half of its datagrams wait for 9 ms and more. What the
    // other one's verdict is, is chance; it waits for nothing like that.
    let b_ns = |of: &serde_json::Value| of["b_ns"].as_f64().expect("a number");
    assert!(b_ns(&of_slower) > 4e6, "{of_slower}");
    assert!(b_ns(&of_steady) < 4e6, "{of_steady}");
}

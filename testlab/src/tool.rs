// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Runs netstacklat as a child process.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lines::{Line, Report, Run, Start, Totals, Values, groups, totals};
use crate::schema::assert_valid;
use crate::{PATIENCE, Waiting, prepare, udp, wait_until};

/// Detaching takes seconds on some kernels, and longer under load.
const EXIT_PATIENCE: Duration = Duration::from_secs(40);

/// A running netstacklat whose JSON lines are being read.
pub struct Tool {
    child: Child,
    lines: Arc<Mutex<Vec<Line>>>,
    stdout: Option<JoinHandle<()>>,
    stderr: Option<JoinHandle<String>>,
}

/// The installed tool, with `--json`.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new("netstacklat");
    piped(&mut command, args);
    command
}

fn piped(command: &mut Command, args: &[&str]) {
    command.arg("--json").args(args);
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// Waits until the writer thread of this netstacklat is blocked in write(2),
/// because nobody reads its reports.
pub fn wait_until_blocked(pid: u32) {
    let blocked = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
        tasks.flatten().any(|task| {
            let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let write = format!("{} ", nix::libc::SYS_write);
            read("comm") == "writer\n" && read("syscall").starts_with(&write)
        })
    };
    wait_until(PATIENCE, "the pipe is full", blocked);
}

impl Tool {
    /// Starts it and waits for its start line.
    pub fn start(args: &[&str]) -> Tool {
        Tool::spawn(&mut command(args))
    }

    /// Like `start`, where only the hooks of UDP and `ip-start` matter. With all of them
    /// in `make test-all`; otherwise a start takes half as long, and most of a test's
    /// time is the start.
    pub fn start_for_udp(args: &[&str]) -> Tool {
        if crate::at_full_length() {
            Tool::start(args)
        } else {
            Tool::start(&[args, &["-e", "ip-start,udp*"]].concat())
        }
    }

    /// The same for TCP.
    pub fn start_for_tcp(args: &[&str]) -> Tool {
        if crate::at_full_length() {
            Tool::start(args)
        } else {
            Tool::start(&[args, &["-e", "ip-start,tcp*"]].concat())
        }
    }

    /// Like `start`, with the kernel functions in `hidden` hidden from it.
    pub fn start_hiding(hidden: &str, args: &[&str]) -> Tool {
        Tool::spawn(command(args).env("NETSTACKLAT_TEST_HIDE", hidden))
    }

    /// Like `start`, but run by the command `before`.
    pub fn start_behind(before: &mut Command, args: &[&str]) -> Tool {
        piped(before, args);
        Tool::spawn(before)
    }

    fn spawn(command: &mut Command) -> Tool {
        prepare();
        let _calm = OneCpu::while_code_is_replaced();
        let mut child = command.spawn().expect("netstacklat is in the guest");
        let lines: Arc<Mutex<Vec<Line>>> = Arc::default();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let shared = Arc::clone(&lines);
        let stdout = std::thread::spawn(move || {
            let mut to_validate = Vec::new();
            for line in stdout.lines() {
                let line = line.expect("UTF-8");
                let parsed = serde_json::from_str(&line);
                let parsed = parsed.unwrap_or_else(|error| panic!("{error}: {line}"));
                // Intervals are as totals are, and there are many.
                if !matches!(parsed, Line::Interval(_)) {
                    to_validate.push(line);
                }
                shared.lock().expect("no panic").push(parsed);
            }
            // Not before: it takes longer than an interval in an emulated
            // guest, and `totals_up_to_now` counts lines as they come.
            to_validate.iter().for_each(|line| assert_valid(line));
        });
        let mut pipe = child.stderr.take().expect("piped");
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).expect("UTF-8");
            text
        });
        let tool = Tool {
            child,
            lines,
            stdout: Some(stdout),
            stderr: Some(stderr),
        };
        tool.wait_for_lines(1);
        tool
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    /// The start line.
    pub fn started(&self) -> Start {
        match self.lines.lock().expect("no panic").first() {
            Some(Line::Start(start)) => start.clone(),
            other => panic!("not a start line: {other:?}"),
        }
    }

    /// Sends datagrams until one arrives with a timestamp, as a receiver sees
    /// it. The kernel switches timestamping on with some delay.
    pub fn warm_up(&self) -> udp::Stamped {
        udp::until_stamped(true)
    }

    /// Its resident memory.
    pub fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let size = line.and_then(|line| line.split_whitespace().nth(1));
        size.and_then(|kib| kib.parse().ok()).expect("VmRSS in kB")
    }

    /// How many lines have been read.
    pub fn line_count(&self) -> usize {
        self.lines.lock().expect("no panic").len()
    }

    fn wait_for_lines(&self, count: usize) {
        wait_until(PATIENCE, "a line from netstacklat", || {
            self.line_count() >= count
        });
    }

    /// The totals of all intervals, including everything counted before the
    /// call: waits for an interval that began after the call.
    pub fn totals_up_to_now(&self) -> Totals {
        self.wait_for_lines(self.line_count() + 2);
        totals(&self.intervals())
    }

    /// What groups have counted at a hook.
    pub fn groups_up_to_now(&self, hook: &str) -> BTreeMap<Values, u64> {
        self.wait_for_lines(self.line_count() + 2);
        groups(&self.intervals(), hook)
    }

    /// The slow packets of all intervals so far.
    pub fn slow_packets(&self) -> Vec<serde_json::Value> {
        self.wait_for_lines(self.line_count() + 2);
        let slow = self
            .intervals()
            .into_iter()
            .filter_map(|report| report.slow);
        slow.flat_map(|slow| slow["packets"].as_array().cloned().unwrap_or_default())
            .collect()
    }

    /// The intervals so far.
    pub fn intervals(&self) -> Vec<Report> {
        let lines = self.lines.lock().expect("no panic");
        let reports = lines.iter().filter_map(|line| match line {
            Line::Interval(report) => Some(report.clone()),
            _ => None,
        });
        reports.collect()
    }

    /// Sends SIGINT. It must print what is left and exit with 0.
    pub fn finish(self) -> Run {
        let _calm = OneCpu::while_code_is_replaced();
        self.signal(Signal::SIGINT);
        self.finished()
    }

    /// Waits for its exit, which must have code 0.
    pub fn finished(mut self) -> Run {
        let status = wait_for_exit(&mut self.child);
        let stdout = self.stdout.take().expect("taken once");
        stdout.join().expect("every line is JSON as documented");
        let stderr = self.stderr.take().expect("taken once");
        let stderr = stderr.join().expect("read to its end");
        assert_eq!(status.code(), Some(0), "{status}: {stderr}");
        let lines = std::mem::take(&mut *self.lines.lock().expect("no panic"));
        Run::checked(lines, stderr)
    }
}

/// Leaves one CPU online until dropped, in guests whose CPUs truly run at once
/// (`tools/vm/run --thread multi`). QEMU 7 can go on running code that another
/// CPU has replaced, and attaching and detaching replaces code. What these
/// guests test, packets on both CPUs, happens in between.
struct OneCpu(bool);

const SECOND_CPU: &str = "/sys/devices/system/cpu/cpu1/online";

impl OneCpu {
    fn while_code_is_replaced() -> OneCpu {
        let multi = std::env::var_os("THREAD").is_some_and(|thread| thread == "multi");
        if multi {
            std::fs::write(SECOND_CPU, "0").expect("the second CPU goes offline");
        }
        OneCpu(multi)
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        if self.0 {
            std::fs::write(SECOND_CPU, "1").expect("the second CPU comes back");
        }
    }
}

/// A failed test must leave no netstacklat that disturbs the next one.
impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a child to exit, with a time limit.
pub fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let mut waiting = Waiting::new(EXIT_PATIENCE, "netstacklat ends");
    loop {
        if let Some(status) = child.try_wait().expect("waiting for netstacklat") {
            return status;
        }
        waiting.nap();
    }
}

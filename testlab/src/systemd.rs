// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! systemd as the service manager of a few units: process 1 of a PID namespace,
//! in a cgroup of its own. The network is the guest's.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::{PATIENCE, sh, wait_until};

const LOG: &str = "/run/systemd-log";

/// A running systemd, with all that it has started.
pub struct Systemd {
    unshare: Child,
    pid: String,
}

/// What the kernel says of a process.
pub struct Status(String);

impl Systemd {
    /// As after a boot: what is enabled is started. Only the base that units
    /// refer to by themselves is there, and what was enabled earlier.
    pub fn boot() -> Systemd {
        sh("mkdir -p /usr/lib/systemd/system /etc/systemd/system/service.d
            for target in sysinit basic shutdown sockets; do
                printf '[Unit]\\nDefaultDependencies=no\\n' >/usr/lib/systemd/system/$target.target
            done
            printf '[Unit]\\nRequires=basic.target sockets.target\\n' >/usr/lib/systemd/system/multi-user.target
            ln -sf multi-user.target /usr/lib/systemd/system/default.target
            # What services say would go to a journal.
            printf '[Service]\\nStandardOutput=append:/run/%%N-log\\nStandardError=append:/run/%%N-log\\n' \
                >/etc/systemd/system/service.d/log.conf
            # As in Debian 11; later ones allow 8 MiB.
            printf '[Manager]\\nDefaultLimitMEMLOCK=64K\\n' >/etc/systemd/system.conf
            echo 0123456789abcdef0123456789abcdef >/etc/machine-id
            echo '+memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
            mkdir -p /sys/fs/cgroup/lab");
        // Processes may be in a cgroup without children only; systemd sees
        // that from which its namespace was made as the root.
        let script = "echo $$ >/sys/fs/cgroup/lab/cgroup.procs
            exec unshare --pid --mount --cgroup --fork --kill-child --mount-proc bash -c '
                umount /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup &&
                exec /usr/lib/systemd/systemd --system --log-target=console --show-status=no'";
        let log = fs::File::create(LOG).expect("a log");
        let mut command = Command::new("bash");
        command.args(["-c", script]).env("container", "lab");
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let unshare = command.stderr(log).spawn().expect("bash");
        let mut systemd = Systemd {
            unshare,
            pid: String::new(),
        };
        let children = format!("/proc/{0}/task/{0}/children", systemd.unshare.id());
        wait_until(PATIENCE, "systemd has booted", || {
            if let Some(status) = systemd.unshare.try_wait().expect("our child") {
                panic!("systemd: {status}: {}", sh(&format!("cat {LOG}")));
            }
            // Each look costs more than what it waits for.
            sleep(Duration::from_millis(200));
            let child = fs::read_to_string(&children).unwrap_or_default();
            systemd.pid = child.trim().to_owned();
            !systemd.pid.is_empty()
                && systemd
                    .ctl(&["is-system-running", "--wait"])
                    .status
                    .success()
        });
        systemd
    }

    /// systemctl, in systemd's own namespaces.
    pub fn ctl(&self, args: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--pid", "--mount", "--cgroup", "-t", &self.pid]);
        let command = command.args(["systemctl", "--no-pager"]).args(args);
        command.output().expect("nsenter")
    }

    /// The same where it must succeed.
    pub fn must(&self, args: &[&str]) {
        let done = self.ctl(args);
        if !done.status.success() {
            let unit = args.last().expect("a unit");
            let said = String::from_utf8_lossy(&done.stderr);
            let status = self.ctl(&["status", unit]).stdout;
            let status = String::from_utf8_lossy(&status);
            let log = sh("tail -n 30 /run/*-log");
            panic!("systemctl {args:?}: {said}\n{status}\n{log}");
        }
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        let shown = self.ctl(&["show", "-P", name, unit]).stdout;
        String::from_utf8(shown).expect("UTF-8").trim().to_owned()
    }

    /// What the kernel says of the main process of a service.
    pub fn status(&self, service: &str) -> Status {
        let pid = self.property(service, "MainPID");
        // A number in systemd's namespace.
        let mut command = Command::new("nsenter");
        command.args(["--pid", "--mount", "-t", &self.pid, "cat"]);
        let shown = command.arg(format!("/proc/{pid}/status")).output();
        let shown = shown.expect("nsenter");
        assert!(shown.status.success(), "{service}: no process {pid}");
        Status(String::from_utf8(shown.stdout).expect("UTF-8"))
    }
}

/// As when the machine loses power, also after a failed test. The next finds
/// nothing enabled.
impl Drop for Systemd {
    fn drop(&mut self) {
        // Which is its process 1's end, and so that of all the others.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let script = "rm -rf /etc/systemd /run/*-log
            for try in {1..500}; do
                find /sys/fs/cgroup/lab -depth -type d -exec rmdir {} + 2>/dev/null
                [[ -d /sys/fs/cgroup/lab ]] || break
                sleep 0.01
            done
            echo '-memory -pids' >/sys/fs/cgroup/cgroup.subtree_control";
        let _ = Command::new("bash").args(["-c", script]).status();
    }
}

impl Status {
    /// All values of a line.
    pub fn line(&self, name: &str) -> Vec<&str> {
        let mut lines = self.0.lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found
            .expect("a line of that name")
            .split_whitespace()
            .collect()
    }
}

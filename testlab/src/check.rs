// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Runs `netstacklat check` and the live view under a condition, and reads their
//! output.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use nix::libc;
use serde::Deserialize;

use crate::schema::assert_valid;

const DOCUMENTED: &str = include_str!("../../docs/troubleshooting.md");

/// The output of `check --json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Check {
    pub outcome: String,
    pub findings: Vec<Finding>,
    pub hooks: Vec<Finding>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Finding {
    #[serde(alias = "hook")]
    pub subject: String,
    pub state: String,
    pub found: String,
    pub meaning: Option<String>,
    pub remedy: Option<String>,
}

impl Check {
    /// The only finding on a subject.
    pub fn finding(&self, subject: &str) -> &Finding {
        only(&self.findings, subject)
    }

    /// The finding on a hook.
    pub fn hook(&self, name: &str) -> &Finding {
        only(&self.hooks, name)
    }

    /// Findings that are not `ok`: subject and state.
    pub fn not_ok(&self) -> Vec<(&str, &str)> {
        let all = self.findings.iter().chain(&self.hooks);
        all.filter(|finding| finding.state != "ok")
            .map(|finding| (finding.subject.as_str(), finding.state.as_str()))
            .collect()
    }
}

fn only<'a>(findings: &'a [Finding], subject: &str) -> &'a Finding {
    let mut found = findings.iter().filter(|f| f.subject == subject);
    match (found.next(), found.next()) {
        (Some(finding), None) => finding,
        _ => panic!("not one {subject} in {findings:#?}"),
    }
}

/// A condition under which the tool runs: a command in front of it, a system call
/// that is forbidden, kernel functions that are hidden from it.
#[derive(Clone, Copy, Default)]
pub struct HostCondition<'a> {
    before: &'a [&'a str],
    forbidden: Option<libc::c_long>,
    hidden: &'a str,
}

impl<'a> HostCondition<'a> {
    /// Root in the guest, without restrictions.
    pub fn plain() -> HostCondition<'a> {
        HostCondition::default()
    }

    /// Started by another command, such as `setpriv`.
    pub fn behind(before: &'a [&'a str]) -> HostCondition<'a> {
        HostCondition {
            before,
            ..HostCondition::default()
        }
    }

    /// Under a seccomp filter that answers this system call with EPERM.
    pub fn without(call: libc::c_long) -> HostCondition<'a> {
        HostCondition {
            forbidden: Some(call),
            ..HostCondition::default()
        }
    }

    /// The tool does not see these kernel functions.
    pub fn hiding(hidden: &'a str) -> HostCondition<'a> {
        HostCondition {
            hidden,
            ..HostCondition::default()
        }
    }

    /// Runs the tool with these arguments to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        let words: Vec<_> = self
            .before
            .iter()
            .chain(&["netstacklat"])
            .chain(args)
            .collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command.env("NETSTACKLAT_TEST_HIDE", self.hidden);
        if let Some(call) = self.forbidden {
            // SAFETY: it makes one system call, and allocates nothing.
            unsafe { command.pre_exec(move || forbid(call)) };
        }
        command.output().expect("it is in the guest")
    }

    /// Runs `check --json`, which must end with this exit code.
    pub fn check(&self, code: i32) -> Check {
        let json = self.output_of(&["check", "--json"], code);
        assert_valid(&json);
        let check: Check = serde_json::from_str(&json).expect("JSON");
        let outcome = match code {
            0 => "usable",
            3 => "hooks-missing",
            _ => "not-usable",
        };
        assert_eq!(check.outcome, outcome);
        check
    }

    /// The same, and compares it with the text output.
    pub fn check_in_both_forms(&self, code: i32) -> Check {
        let check = self.check(code);
        let page = self.output_of(&["check"], code);
        println!("{page}");
        let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
        for finding in check.findings.iter().chain(&check.hooks) {
            let line = format!("{} {} {}", finding.state, finding.subject, finding.found);
            let parts = [
                Some(&line),
                finding.meaning.as_ref(),
                finding.remedy.as_ref(),
            ];
            for part in parts.into_iter().flatten() {
                let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(words.contains(&part), "no {part:?} in:\n{page}");
            }
        }
        check
    }

    fn output_of(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
        assert_eq!(stderr, "", "{args:?}");
        stdout
    }

    /// Measuring must fail: the live view and `check` give the same reason, which the
    /// documentation explains. Returns the finding.
    pub fn refused(&self, subject: &str, title: &str) -> Finding {
        // If it is not refused, the run must end soon.
        let output = self.run(&["--duration", "10ms"]);
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        println!("{said}");
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty(), "data on standard output");
        let found = self.check(1).finding(subject).clone();
        assert_eq!(found.state, "problem");
        let expected = format!(
            "netstacklat: {}\n  Cause: {}\n  Remedy: {}\n  \
             More: netstacklat check, and troubleshooting.md in its documentation\n",
            found.found,
            found.meaning.as_deref().expect("a cause"),
            found.remedy.as_deref().expect("a remedy")
        );
        assert_eq!(said, expected);
        assert!(found.found.starts_with(&format!("{title}: ")), "{said}");
        assert!(DOCUMENTED.contains(&format!("\n### {title}\n")), "{title}");
        found
    }

    /// Measuring must work: the live view makes a report.
    pub fn measures(&self) {
        let output = self.run(&["--duration", "10ms", "--json"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(stdout.contains("\"kind\":\"total\""), "{stdout}");
    }
}

fn forbid(call: libc::c_long) -> std::io::Result<()> {
    let code = |class, size, mode| (class | size | mode) as u16;
    let forbidden = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = [
        // The number of the system call.
        step(code(libc::BPF_LD, libc::BPF_W, libc::BPF_ABS), 0, 0, 0),
        step(
            code(libc::BPF_JMP, libc::BPF_JEQ, libc::BPF_K),
            0,
            1,
            call as u32,
        ),
        step(code(libc::BPF_RET, libc::BPF_K, 0), 0, 0, forbidden),
        step(
            code(libc::BPF_RET, libc::BPF_K, 0),
            0,
            0,
            libc::SECCOMP_RET_ALLOW,
        ),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program, which is complete.
    let status = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    nix::errno::Errno::result(status)?;
    Ok(())
}

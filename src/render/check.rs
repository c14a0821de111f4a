// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Shows the result of `netstacklat check` as text or JSON.

use std::io::{self, Write};

use crate::model::check::{CheckItem, CheckOutcome, Status};
use crate::render::{Screen, units};
use crate::schema::check::{CheckHookFields, CheckItemFields, CheckLine, StateFields};
use crate::schema::format::{SCHEMA, write_line};

/// The result of `netstacklat check`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check<'a> {
    pub version: &'a str,
    pub host: &'a str,
    /// As in `uname -r`.
    pub kernel: &'a str,
    /// As in `uname -m`.
    pub arch: &'a str,
    pub outcome: CheckOutcome,
    pub findings: &'a [CheckItem],
    /// The state of each hook, in path order. The subject is the name of the hook.
    pub hooks: &'a [CheckItem],
}

/// The widths of the columns for state and subject, with the gap after them.
const STATE: usize = "problem  ".len();
const SUBJECT: usize = "inner-tcp-socket-read  ".len();

impl Check<'_> {
    /// Writes the result as text, in a single write.
    ///
    /// # Errors
    ///
    /// The errors of `out`.
    pub(crate) fn text(&self, out: &mut dyn Write, screen: &Screen) -> io::Result<()> {
        let mut page = String::new();
        let title = format!("netstacklat {} on {}", self.version, self.host);
        screen.hang(&mut page, "", 0, &title);
        page.push('\n');
        for finding in self.findings {
            entry(&mut page, screen, finding);
        }
        if !self.hooks.is_empty() {
            page.push('\n');
        }
        for hook in self.hooks {
            entry(&mut page, screen, hook);
        }
        page.push('\n');
        screen.hang(&mut page, "", 0, &self.verdict());
        out.write_all(page.as_bytes())
    }

    /// Writes the result as one JSON object on one line.
    ///
    /// # Errors
    ///
    /// The errors of `out`.
    pub(crate) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        write_line(out, &CheckLine::from(self))
    }

    fn verdict(&self) -> String {
        let off = self.hooks.iter().filter(|hook| hook.is_off());
        let (off, all) = (off.count(), self.hooks.len());
        let verdict = match self.outcome {
            CheckOutcome::NotUsable => "Not usable".into(),
            _ if off == 0 => format!("Usable: all {all} hooks measure"),
            CheckOutcome::Usable | CheckOutcome::HooksMissing => {
                format!("Usable: {} of {all} hooks measure", all - off)
            }
        };
        let mut parts = vec![verdict];
        for state in [Status::Problem, Status::Warning] {
            let all = self.findings.iter().chain(self.hooks);
            let subjects = all.filter(|finding| finding.state == state);
            let subjects: Vec<_> = subjects.map(|finding| finding.subject).collect();
            if !subjects.is_empty() {
                let count = units::count(subjects.len() as u64, state.name());
                parts.push(format!("{count} ({})", subjects.join(", ")));
            }
        }
        parts.join(", ") + "."
    }
}

/// Adds a finding, and below it its consequence and the fix.
fn entry(page: &mut String, screen: &Screen, finding: &CheckItem) {
    let state = format!("{:STATE$}", finding.state.name());
    let state = match finding.state {
        Status::Ok => screen.dim(&state),
        Status::Warning | Status::Problem | Status::Unknown => screen.bold(&state),
    };
    let first = format!("{state}{:SUBJECT$}", finding.subject);
    screen.hang(page, &first, STATE + SUBJECT, &finding.found);
    let indent = " ".repeat(STATE);
    if let Some(meaning) = &finding.meaning {
        screen.hang(page, &indent, STATE, meaning);
    }
    if let Some(remedy) = &finding.remedy {
        screen.hang(page, &indent, STATE, &format!("Remedy: {remedy}"));
    }
}

impl<'a> From<&'a CheckItem> for StateFields<'a> {
    fn from(finding: &'a CheckItem) -> StateFields<'a> {
        StateFields {
            state: finding.state.name(),
            found: &finding.found,
            meaning: finding.meaning.as_deref(),
            remedy: finding.remedy.as_deref(),
        }
    }
}

impl<'a> From<&Check<'a>> for CheckLine<'a> {
    fn from(check: &Check<'a>) -> CheckLine<'a> {
        let findings = check.findings.iter().map(|finding| CheckItemFields {
            subject: finding.subject,
            rest: finding.into(),
        });
        let hooks = check.hooks.iter().map(|finding| CheckHookFields {
            hook: finding.subject,
            rest: finding.into(),
        });
        CheckLine {
            schema: SCHEMA,
            kind: "check",
            version: check.version,
            host: check.host,
            kernel: check.kernel,
            arch: check.arch,
            outcome: check.outcome.name(),
            findings: findings.collect(),
            hooks: hooks.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<CheckItem> {
        let meaning = "fq sends by the time that packets carry, and drops those whose time is far \
                       in the future";
        vec![
            CheckItem::ok("kernel", "Linux 6.12.1"),
            CheckItem::new(Status::Warning, "default-qdisc", "fq", meaning).remedy("fq_codel"),
            CheckItem::new(Status::Problem, "tracing", "refused: one\ntwo", "a policy"),
        ]
    }

    fn check<'a>(findings: &'a [CheckItem], hooks: &'a [CheckItem]) -> Check<'a> {
        Check {
            version: "1.2.3",
            host: "box",
            kernel: "6.12.1",
            arch: "x86_64",
            outcome: CheckOutcome::NotUsable,
            findings,
            hooks,
        }
    }

    fn text(check: &Check, screen: &Screen) -> String {
        let mut out = Vec::new();
        check.text(&mut out, screen).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_aligned_and_fits() {
        let findings = findings();
        let hooks = [CheckItem::ok("udp-socket-enqueued", "__udp_enqueue")];
        let page = text(&check(&findings, &hooks), &Screen::new(80, false));
        let expected = "\
netstacklat 1.2.3 on box

ok       kernel                 Linux 6.12.1
warning  default-qdisc          fq
         fq sends by the time that packets carry, and drops those whose time is
         far in the future
         Remedy: fq_codel
problem  tracing                refused: one
                                two
         a policy

ok       udp-socket-enqueued    __udp_enqueue

Not usable, 1 problem (tracing), 1 warning (default-qdisc).
";
        assert_eq!(page, expected);
    }

    #[test]
    fn colour_changes_no_column() {
        let findings = findings();
        let check = check(&findings, &[]);
        let coloured = text(&check, &Screen::new(80, true));
        assert!(coloured.contains("\x1b["));
        let plain: String = coloured
            .split('\x1b')
            .enumerate()
            .map(|(number, part)| match number {
                0 => part,
                _ => part.split_once('m').unwrap().1,
            })
            .collect();
        assert_eq!(plain, text(&check, &Screen::new(80, false)));
    }

    #[test]
    fn the_verdict_counts_the_hooks() {
        let hooks = [
            CheckItem::ok("tcp-start", "tcp_v4_rcv"),
            CheckItem::new(Status::Problem, "udp-start", "off", "no udp_rcv"),
        ];
        let outcome = |outcome| Check {
            outcome,
            ..check(&[], &hooks)
        };
        assert_eq!(
            outcome(CheckOutcome::HooksMissing).verdict(),
            "Usable: 1 of 2 hooks measure, 1 problem (udp-start)."
        );
        let one = [CheckItem::ok("tcp-start", "tcp_v4_rcv")];
        let all = Check {
            outcome: CheckOutcome::Usable,
            ..check(&[], &one)
        };
        assert_eq!(all.verdict(), "Usable: all 1 hooks measure.");
    }

    #[test]
    fn json_has_the_same() {
        let findings = findings();
        let hooks = [CheckItem::ok("tcp-start", "tcp_v4_rcv")];
        let mut out = Vec::new();
        check(&findings, &hooks).json(&mut out).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        testlab::schema::assert_valid(&line);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["kind"], "check");
        assert_eq!(read["outcome"], "not-usable");
        assert_eq!(read["findings"][1]["subject"], "default-qdisc");
        assert_eq!(read["findings"][1]["remedy"], "fq_codel");
        assert_eq!(read["findings"][0]["meaning"], serde_json::Value::Null);
        assert_eq!(read["hooks"][0]["hook"], "tcp-start");
        assert_eq!(read["hooks"][0]["state"], "ok");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a look at the host found: for reading on a screen, and as JSON.

use std::io::{self, Write};

use crate::model::check::{CheckItem, CheckOutcome, Status};
use crate::render::Screen;
use crate::schema::check::{CheckHookFields, CheckItemFields, CheckLine, StateFields};
use crate::schema::format::{SCHEMA, write_line};

/// A look at a host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check<'a> {
    /// Version of netstacklat.
    pub version: &'a str,
    /// The host's name.
    pub host: &'a str,
    /// The kernel's release, as in `uname -r`.
    pub kernel: &'a str,
    /// The machine, as in `uname -m`.
    pub arch: &'a str,
    /// What it comes to.
    pub outcome: CheckOutcome,
    /// What was looked at.
    pub findings: &'a [CheckItem],
    /// How each hook stands, in path order; their subjects are hooks' names.
    pub hooks: &'a [CheckItem],
}

/// Columns of the state and of the subject, gap included.
const STATE: usize = "problem  ".len();
const SUBJECT: usize = "udp-socket-enqueued  ".len();

impl Check<'_> {
    /// Writes it for people, in a single write.
    ///
    /// # Errors
    ///
    /// Those of `out`.
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

    /// Writes it for programs: one object on one line.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub(crate) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        write_line(out, &CheckLine::from(self))
    }

    fn verdict(&self) -> String {
        let off = self.hooks.iter().filter(|h| h.state == Status::Problem);
        let (off, all) = (off.count(), self.hooks.len());
        let verdict = match self.outcome {
            CheckOutcome::Usable => format!("Usable: all {all} hooks measure"),
            CheckOutcome::HooksMissing => format!("Usable: {} of {all} hooks measure", all - off),
            CheckOutcome::NotUsable => "Not usable here, or not by this user".into(),
        };
        let every = || self.findings.iter().chain(self.hooks);
        let count = |state| every().filter(|finding| finding.state == state).count();
        let mut also = Vec::new();
        for (state, count) in [Status::Problem, Status::Warning].map(|s| (s, count(s))) {
            match count {
                0 => {}
                1 => also.push(format!("1 {}", state.name())),
                n => also.push(format!("{n} {}s", state.name())),
            }
        }
        let also = also.iter().map(|also| format!(", {also}"));
        format!("{verdict}{}.", also.collect::<String>())
    }
}

/// A line, and below it what it means and what to do, where that is to say.
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

impl Screen {
    /// Adds `first`, which takes `indent` columns, and `text` behind it, in
    /// lines that begin below it. What it was given in lines stays in lines.
    fn hang(&self, page: &mut String, first: &str, indent: usize, text: &str) {
        let mut begin = first.to_owned();
        for line in text.lines() {
            let mut column = indent;
            page.push_str(&begin);
            for (number, word) in line.split_whitespace().enumerate() {
                if number > 0 && column + 1 + word.len() > self.width() {
                    page.push('\n');
                    page.push_str(&" ".repeat(indent));
                    column = indent;
                } else if number > 0 {
                    page.push(' ');
                    column += 1;
                }
                page.push_str(word);
                column += word.len();
            }
            page.push('\n');
            begin = " ".repeat(indent);
        }
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

ok       kernel               Linux 6.12.1
warning  default-qdisc        fq
         fq sends by the time that packets carry, and drops those whose time is
         far in the future
         Remedy: fq_codel
problem  tracing              refused: one
                              two
         a policy

ok       udp-socket-enqueued  __udp_enqueue

Not usable here, or not by this user, 1 problem, 1 warning.
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
            "Usable: 1 of 2 hooks measure, 1 problem."
        );
        let one = [CheckItem::ok("tcp-start", "tcp_v4_rcv")];
        let all = Check {
            outcome: CheckOutcome::Usable,
            ..check(&[], &one)
        };
        assert_eq!(all.verdict(), "Usable: all 1 hooks measure.");
    }

    #[test]
    fn json_says_the_same() {
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

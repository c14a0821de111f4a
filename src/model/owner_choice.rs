// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What users write to choose packets by whom they belong to: a container, a
//! pod, a process by its name.

use std::fmt;
use std::str::FromStr;

use crate::model::glob::matches;

/// Bytes of a process's name in the kernel, without the NUL at its end.
pub const COMM: usize = 15;
/// Characters of an id, at least: fewer begin too many ids.
const SHORTEST_ID: usize = 4;

/// A container or a pod: a name, a glob of names, or the beginning of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadChoice(String);

impl WorkloadChoice {
    /// Whether the one with this id and these names is meant.
    pub fn is<'a>(&self, id: &str, mut names: impl Iterator<Item = &'a str>) -> bool {
        let by_id = self.0.len() >= SHORTEST_ID && id.starts_with(&self.0);
        by_id || names.any(|name| matches(self.0.as_bytes(), name.as_bytes()))
    }
}

impl FromStr for WorkloadChoice {
    type Err = String;

    /// # Errors
    ///
    /// Says how they are written.
    fn from_str(text: &str) -> Result<WorkloadChoice, String> {
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!(
                "write a name, a quoted glob ('web-*'), or the first {SHORTEST_ID} or more \
                 characters of an id"
            ));
        }
        Ok(WorkloadChoice(text.into()))
    }
}

/// As users write it.
impl fmt::Display for WorkloadChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Processes by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommChoice(String);

impl CommChoice {
    /// Whether a process of this name is meant.
    pub fn is(&self, comm: &[u8]) -> bool {
        matches(self.0.as_bytes(), comm)
    }
}

impl FromStr for CommChoice {
    type Err = String;

    /// # Errors
    ///
    /// Says how they are written.
    fn from_str(text: &str) -> Result<CommChoice, String> {
        if text.is_empty() {
            return Err(
                "write a name as /proc/PID/comm shows it, or a quoted glob ('nginx*')".into(),
            );
        }
        let shortest = text.bytes().filter(|c| *c != b'*').count();
        if shortest > COMM {
            let cut: String = text.chars().take(COMM).collect();
            return Err(format!(
                "no process has this name: the kernel keeps the first {COMM} bytes, as \
                 /proc/PID/comm shows them; write '{cut}'"
            ));
        }
        Ok(CommChoice(text.into()))
    }
}

/// As users write it.
impl fmt::Display for CommChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_meant_by_name_glob_or_id() {
        let is = |text: &str, id: &str, names: &[&str]| {
            let choice: WorkloadChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
            choice.is(id, names.iter().copied())
        };
        assert!(is("web", "0123", &["web"]) && !is("web", "0123", &["web-1"]));
        assert!(is("web-*", "0123", &["web-1", "default/web-1"]));
        assert!(is("default/*", "0123", &["web-1", "default/web-1"]));
        assert!(!is("Web", "0123", &["web"]));
        assert!(is("0123", "0123456", &[]) && !is("012", "0123456", &[]));
        assert!(is("012", "0123456", &["012"]));
        for bad in ["", "a b", "a\n"] {
            let error = bad.parse::<WorkloadChoice>().unwrap_err();
            assert!(error.contains("web-*"), "{error}");
        }
    }

    #[test]
    fn names_of_processes_are_short() {
        let read = |text: &str| text.parse::<CommChoice>();
        assert!(read("nginx*").unwrap().is(b"nginx") && read("ngin?").unwrap().is(b"nginx"));
        assert!(!read("Nginx").unwrap().is(b"nginx") && !read("nginx").unwrap().is(b"nginx2"));
        assert!(read("*\u{e9}").unwrap().is("caf\u{e9}".as_bytes()));
        assert_eq!(read("a*").unwrap().to_string(), "a*");
        assert!(read("fifteen-letters").is_ok() && read("*fifteen-letters*").is_ok());
        let error = read("containerd-shim-runc-v2").unwrap_err();
        assert!(error.contains("'containerd-shim'"), "{error}");
        assert!(read("").is_err());
    }
}

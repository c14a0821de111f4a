// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What users write to choose packets: an interface, a network namespace, a
//! cgroup, a process.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::model::flow_choice::FlowChoice;
use crate::model::owner_choice::{CommChoice, WorkloadChoice};

/// The longest name of an interface, in bytes (IFNAMSIZ - 1).
const LONGEST_INTERFACE: usize = 15;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceChoice {
    /// Whichever has this name; it may appear later.
    Name(String),
    /// The one with this index.
    Index(u32),
}

impl FromStr for InterfaceChoice {
    type Err = String;

    /// # Errors
    ///
    /// Says how interfaces are written.
    fn from_str(text: &str) -> Result<InterfaceChoice, String> {
        if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
            return match text.parse() {
                Ok(index) if (1..=i32::MAX as u32).contains(&index) => {
                    Ok(InterfaceChoice::Index(index))
                }
                _ => Err("an index of an interface is 1 or more, and at most 2147483647".into()),
            };
        }
        // What dev_valid_name() of the kernel accepts.
        let valid = !text.is_empty()
            && text.len() <= LONGEST_INTERFACE
            && text != "."
            && text != ".."
            && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace());
        if valid {
            Ok(InterfaceChoice::Name(text.into()))
        } else {
            Err(format!(
                "no interface can have this name: write a name of at most {LONGEST_INTERFACE} \
                 characters, or an index, as `ip link` shows them"
            ))
        }
    }
}

/// As users write it.
impl fmt::Display for InterfaceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InterfaceChoice::Name(name) => f.write_str(name),
            InterfaceChoice::Index(index) => write!(f, "{index}"),
        }
    }
}

/// A network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NamespaceChoice {
    /// All of them.
    #[default]
    All,
    /// The one that netstacklat runs in.
    Own,
    /// That of a process.
    Pid(u32),
    /// The one with this inode number.
    Inode(u32),
    /// The one that is mounted at this path.
    Path(PathBuf),
    /// The one that `ip netns` calls this.
    Name(String),
}

impl FromStr for NamespaceChoice {
    type Err = String;

    /// # Errors
    ///
    /// Says how namespaces are written.
    fn from_str(text: &str) -> Result<NamespaceChoice, String> {
        const HOW: &str = "write all, self, a name of `ip netns`, pid:123, a path, or an inode \
                           number as `ls -i /proc/PID/ns/net` shows it";
        if text == "all" {
            return Ok(NamespaceChoice::All);
        }
        if text == "self" {
            return Ok(NamespaceChoice::Own);
        }
        if let Some(pid) = text.strip_prefix("pid:") {
            return match pid.parse() {
                Ok(pid) if pid > 0 => Ok(NamespaceChoice::Pid(pid)),
                _ => Err(format!("no process has this number: {HOW}")),
            };
        }
        if text.contains('/') {
            return Ok(NamespaceChoice::Path(text.into()));
        }
        if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
            return match text.parse() {
                Ok(inode) if inode > 0 => Ok(NamespaceChoice::Inode(inode)),
                _ => Err(format!("no namespace has this inode number: {HOW}")),
            };
        }
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(format!("no network namespace: {HOW}"));
        }
        Ok(NamespaceChoice::Name(text.into()))
    }
}

/// As users write it.
impl fmt::Display for NamespaceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamespaceChoice::All => f.write_str("all"),
            NamespaceChoice::Own => f.write_str("self"),
            NamespaceChoice::Pid(pid) => write!(f, "pid:{pid}"),
            NamespaceChoice::Inode(inode) => write!(f, "{inode}"),
            NamespaceChoice::Path(path) => write!(f, "{}", path.display()),
            NamespaceChoice::Name(name) => f.write_str(name),
        }
    }
}

/// A cgroup (v2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupChoice {
    /// By its id, the inode number of its directory.
    Id(u64),
    /// By its path, absolute or below the mount of cgroup v2.
    Path(PathBuf),
}

impl FromStr for CgroupChoice {
    type Err = String;

    /// # Errors
    ///
    /// Says how cgroups are written.
    fn from_str(text: &str) -> Result<CgroupChoice, String> {
        if text.is_empty() {
            return Err(
                "no cgroup: write a path, as in system.slice/nginx.service, or an id".into(),
            );
        }
        if text.bytes().all(|c| c.is_ascii_digit()) {
            return match text.parse() {
                Ok(id) if id > 0 => Ok(CgroupChoice::Id(id)),
                _ => Err("no cgroup has this id".into()),
            };
        }
        Ok(CgroupChoice::Path(text.into()))
    }
}

/// As users write it.
impl fmt::Display for CgroupChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CgroupChoice::Id(id) => write!(f, "{id}"),
            CgroupChoice::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Reads the number of a process.
///
/// # Errors
///
/// Says what numbers there are.
pub fn parse_pid(text: &str) -> Result<u32, String> {
    // PID_MAX_LIMIT of the kernel.
    const MOST: u32 = 1 << 22;
    match text.parse() {
        Ok(pid) if (1..=MOST).contains(&pid) => Ok(pid),
        Ok(_) => Err(format!("no process has this number: write 1 to {MOST}")),
        Err(_) => Err("not the number of a process".into()),
    }
}

/// Which packets the user wants, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacketChoice {
    /// Those that came in by one of these interfaces; empty: by any.
    pub interfaces: Vec<InterfaceChoice>,
    /// Those of this network namespace.
    pub namespace: NamespaceChoice,
    /// Those that one of these processes reads; empty: any.
    pub pids: Vec<u32>,
    /// Those of sockets in one of these cgroups, or below; empty: in any.
    pub cgroups: Vec<CgroupChoice>,
    /// Where cgroup v2 is mounted; `None`: look for it.
    pub cgroup_mount: Option<PathBuf>,
    /// Reads that leave at least so many packets in the queue; `None`: all.
    pub min_queue: Option<u32>,
    /// TCP reads that waited for a missing segment, too.
    pub include_hol_blocked: bool,
    /// By what their headers say.
    pub flow: FlowChoice,
    /// Those of sockets in one of these containers; empty: in any.
    pub containers: Vec<WorkloadChoice>,
    /// Those of sockets in one of these pods; empty: in any.
    pub pods: Vec<WorkloadChoice>,
    /// Those that processes of one of these names read; empty: any.
    pub comms: Vec<CommChoice>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn interfaces_are_names_or_indexes() {
        let read = |text: &str| text.parse::<InterfaceChoice>();
        assert_eq!(read("eth0"), Ok(InterfaceChoice::Name("eth0".into())));
        assert_eq!(read("7"), Ok(InterfaceChoice::Index(7)));
        for bad in [
            "",
            "0",
            "99999999999",
            "a b",
            "a/b",
            "..",
            "sixteen-letters-",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn namespaces_are_written_in_six_ways() {
        let read = |text: &str| text.parse::<NamespaceChoice>().unwrap();
        assert_eq!(read("all"), NamespaceChoice::All);
        assert_eq!(read("self"), NamespaceChoice::Own);
        assert_eq!(read("pid:123"), NamespaceChoice::Pid(123));
        assert_eq!(read("4026531840"), NamespaceChoice::Inode(4_026_531_840));
        assert_eq!(
            read("/run/netns/x"),
            NamespaceChoice::Path("/run/netns/x".into())
        );
        assert_eq!(read("blue"), NamespaceChoice::Name("blue".into()));
        for bad in [
            "",
            "pid:",
            "pid:0",
            "pid:x",
            "0",
            "99999999999",
            "two words",
        ] {
            let error = bad.parse::<NamespaceChoice>().unwrap_err();
            assert!(error.contains("pid:123"), "{bad:?}: {error}");
        }
    }

    #[test]
    fn choices_are_written_as_they_are_read() {
        for text in ["eth0", "7"] {
            let read: InterfaceChoice = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
        for text in ["all", "self", "pid:7", "4026531840", "/run/netns/x", "x"] {
            let read: NamespaceChoice = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
        for text in ["a.slice/b", "7"] {
            let read: CgroupChoice = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn cgroups_are_paths_or_ids() {
        let read = |text: &str| text.parse::<CgroupChoice>();
        assert_eq!(read("1234"), Ok(CgroupChoice::Id(1234)));
        assert_eq!(
            read("system.slice/x.service"),
            Ok(CgroupChoice::Path("system.slice/x.service".into()))
        );
        assert!(read("").is_err() && read("0").is_err());
    }

    #[test]
    fn processes_are_numbers_that_there_can_be() {
        assert_eq!(parse_pid("1"), Ok(1));
        for bad in ["", "0", "-1", "x", "4194305", "99999999999"] {
            assert!(parse_pid(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,20}") {
            let _ = text.parse::<InterfaceChoice>();
            let _ = text.parse::<NamespaceChoice>();
            let _ = text.parse::<CgroupChoice>();
            let _ = parse_pid(&text);
        }
    }
}

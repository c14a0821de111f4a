// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Processes: what they are called, and which sockets they have open.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::model::owner_choice::COMM;

/// Sockets whose process is looked up at the start; more than that are met later,
/// when somebody reads from them.
const MOST_SOCKETS: usize = 65_536;

/// Threads of a process whose waiting is added up: of more, the first ones.
const MOST_THREADS: usize = 256;

/// A socket that a process has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenSocket {
    /// The socket's inode number.
    pub inode: u64,
    /// Of the process.
    pub pid: u32,
    /// Of the process, as in /proc/PID/comm.
    pub comm: Vec<u8>,
}

/// Whether there is such a process.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// What the process calls itself. Any user can make a process call itself
/// anything.
pub(crate) fn comm(pid: u32) -> Option<String> {
    let comm = comm_bytes(&Path::new("/proc").join(pid.to_string()))?;
    Some(String::from_utf8_lossy(&comm).into_owned())
}

/// The same as the kernel has it: not always text.
fn comm_bytes(process: &Path) -> Option<Vec<u8>> {
    let mut comm = fs::read(process.join("comm")).ok()?;
    if comm.last() == Some(&b'\n') {
        comm.pop();
    }
    Some(comm)
}

/// How long the threads of a process have waited for a CPU since they began, ns: the
/// second number of /proc/PID/task/TID/schedstat (Documentation/scheduler/
/// sched-stats.rst). `None`: it has ended, or the kernel does not count.
pub(crate) fn waited_for_cpu(pid: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let waits = threads.take(MOST_THREADS).filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    waits.reduce(u64::saturating_add)
}

/// As programs have a name: with zeroes to its end, one at least.
pub(crate) fn padded(comm: &[u8]) -> [u8; COMM + 1] {
    let mut name = [0; COMM + 1];
    let length = comm.len().min(COMM);
    name[..length].copy_from_slice(&comm[..length]);
    name
}

/// What all processes call themselves.
pub(crate) fn comms() -> BTreeSet<Vec<u8>> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    });
    processes
        .filter_map(|entry| comm_bytes(&entry.path()))
        .collect()
}

/// The sockets that processes have open now: of all that this user may look at.
/// Of a socket that several processes share, the last one.
pub(crate) fn open_sockets() -> Vec<OpenSocket> {
    let mut sockets = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let mut name = None;
        let files = fs::read_dir(entry.path().join("fd"));
        for file in files.into_iter().flatten().flatten() {
            let Some(inode) = fs::read_link(file.path())
                .ok()
                .and_then(|link| socket(&link))
            else {
                continue;
            };
            if sockets.len() == MOST_SOCKETS {
                return sockets;
            }
            let comm = name.get_or_insert_with(|| comm_bytes(&entry.path()).unwrap_or_default());
            sockets.push(OpenSocket {
                inode,
                pid,
                comm: comm.clone(),
            });
        }
    }
    sockets
}

/// The inode number in `socket:[123]`.
fn socket(link: &Path) -> Option<u64> {
    let number = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn an_open_socket_is_found_with_its_process() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", ours.as_raw_fd())).unwrap();
        let inode = socket(&link).unwrap();
        let pid = std::process::id();
        let found = open_sockets()
            .into_iter()
            .find(|s| s.inode == inode)
            .unwrap();
        let own = comm(pid).map(String::into_bytes);
        assert_eq!((found.pid, Some(found.comm)), (pid, own));
        assert!(comms().contains(comm(pid).unwrap().as_bytes()));
        assert!(exists(pid) && !exists(u32::MAX));
    }

    #[test]
    fn other_links_are_no_sockets() {
        for link in ["pipe:[7]", "socket:[x]", "/dev/null", "socket:[7"] {
            assert_eq!(socket(Path::new(link)), None, "{link}");
        }
    }
}

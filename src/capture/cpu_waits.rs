// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How long the readers of slow packets have waited for a CPU, from the kernel's
//! accounting of their threads.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::processes;

/// Readers that are watched at one time, and that are named in a run.
const MOST_WATCHED: usize = 64;
const MOST_NAMED: usize = 200;
/// Processes with sockets that are looked at with each report: they may become readers
/// of slow packets.
const MOST_EXPECTED: usize = 256;

/// A reader that is watched.
struct Reader {
    /// As it was called at first sight.
    name: String,
    /// What its threads had waited together when last looked at, ns.
    last: u64,
}

/// The readers of slow packets.
#[derive(Default)]
pub(super) struct CpuWaits {
    readers: BTreeMap<u32, Reader>,
    /// How long each has waited since the report before it was first seen, ns.
    waited: BTreeMap<String, u64>,
    /// What processes with sockets had waited at the last report, ns.
    before: BTreeMap<u32, u64>,
}

impl CpuWaits {
    /// Expects some of the processes that have sockets open now. Of others, what they
    /// waited before they were first seen is not known.
    pub(super) fn from_now_on() -> CpuWaits {
        let pids = processes::open_sockets().into_iter().map(|open| open.pid);
        let pids: BTreeSet<u32> = pids.collect();
        let mut waits = CpuWaits {
            before: pids
                .into_iter()
                .take(MOST_EXPECTED)
                .map(|pid| (pid, 0))
                .collect(),
            ..CpuWaits::default()
        };
        waits.begin_report();
        waits
    }

    /// What the expected processes have waited so far is not of the next report.
    pub(super) fn begin_report(&mut self) {
        self.before.retain(|pid, waited| {
            let now = processes::waited_for_cpu(*pid);
            *waited = now.unwrap_or(0);
            now.is_some()
        });
    }

    /// Watches a process, if there is room. `name` is asked at first sight.
    pub(super) fn watch(&mut self, pid: u32, name: impl FnOnce() -> String) {
        let room = self.readers.len() < MOST_WATCHED && self.waited.len() < MOST_NAMED;
        if self.readers.contains_key(&pid) || !room {
            return;
        }
        if let Some(now) = processes::waited_for_cpu(pid) {
            let last = self.before.remove(&pid).unwrap_or(now);
            let name = format!("{}({pid})", name());
            self.waited.entry(name.clone()).or_default();
            self.readers.insert(pid, Reader { name, last });
        }
    }

    /// How long each has waited. Those that have ended make room.
    pub(super) fn look(&mut self) -> &BTreeMap<String, u64> {
        let waited = &mut self.waited;
        self.readers.retain(|pid, reader| {
            let Some(now) = processes::waited_for_cpu(*pid) else {
                // Whoever has not waited makes room for another name.
                waited.retain(|name, ns| *ns > 0 || *name != reader.name);
                return false;
            };
            // A thread that has ended takes what it had waited with it.
            let since = now.saturating_sub(reader.last);
            reader.last = now;
            *waited.entry(reader.name.clone()).or_default() += since;
            true
        });
        waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_watched_by_its_first_name_until_it_ends() {
        let mut waits = CpuWaits::default();
        let own = std::process::id();
        waits.watch(own, || "first".into());
        waits.watch(own, || "second".into());
        // There is no process 0.
        waits.watch(0, || "nobody".into());
        let names: Vec<_> = waits.look().keys().cloned().collect();
        assert_eq!(names, [format!("first({own})")]);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        waits.watch(child.id(), || "child".into());
        child.wait().unwrap();
        waits.look();
        assert_eq!(waits.readers.len(), 1);
    }
}

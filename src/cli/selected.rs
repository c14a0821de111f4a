// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The options of SELECT as run files name them.

use crate::cli::select::SelectArgs;
use crate::model::hook_choice::HookChoice;
use crate::model::selection::Selection;

/// Options with names and addresses, which `--redact` hides.
const PRIVATE: [&str; 9] = [
    "interfaces",
    "network-namespace",
    "pids",
    "cgroups",
    "cgroup-mount",
    "ip",
    "container",
    "pod",
    "comm",
];
const REDACTED: &str = "[redacted]";

impl SelectArgs {
    /// What the user selected, by the name of the option: for run files and
    /// for whoever reads them. Empty: everything.
    pub fn selection(&self) -> Selection {
        // Without `..`: a new option has to be named here.
        let SelectArgs {
            hooks,
            exclude_hooks,
            interfaces,
            network_namespace,
            pids,
            cgroups,
            cgroup_mount,
            port,
            local_port,
            remote_port,
            ip,
            ipv4,
            ipv6,
            tcp,
            udp,
            rx_queue,
            min_queue_length,
            include_tcp_hol_delay,
            sample,
            stages,
            no_stages,
            notes,
            slower_than,
            slowest,
            redact,
            container,
            pod,
            comm,
            by: _,
            groupby_interface: _,
            groupby_cgroup: _,
            max_groups,
            group_memory,
            top,
            sort,
        } = self;
        let hooks_of = |choices: &[HookChoice]| -> Vec<String> {
            let texts = choices.iter().map(|choice| choice.text.clone());
            texts.collect()
        };
        let grouping = self.grouping();
        let named = [
            ("hooks", hooks_of(hooks)),
            ("exclude-hooks", hooks_of(exclude_hooks)),
            ("interfaces", texts(interfaces)),
            ("network-namespace", texts(network_namespace)),
            ("pids", texts(pids)),
            ("cgroups", texts(cgroups)),
            (
                "cgroup-mount",
                texts(cgroup_mount.as_ref().map(|path| path.display())),
            ),
            ("port", texts(port)),
            ("local-port", texts(local_port)),
            ("remote-port", texts(remote_port)),
            ("ip", texts(ip)),
            ("rx-queue", texts(rx_queue)),
            ("min-queue-length", texts(min_queue_length)),
            ("sample", texts(sample)),
            ("notes", texts(notes)),
            ("slower-than", texts(slower_than)),
            ("slowest", texts(slowest)),
            ("container", texts(container)),
            ("pod", texts(pod)),
            ("comm", texts(comm)),
            ("max-groups", texts(max_groups)),
            ("group-memory", texts(group_memory)),
            ("top", texts(top)),
            ("sort", texts(sort)),
        ];
        let given = named.into_iter().filter(|(_, texts)| !texts.is_empty());
        let flags = [
            ("ipv4", *ipv4),
            ("ipv6", *ipv6),
            ("tcp", *tcp),
            ("udp", *udp),
            ("include-tcp-hol-delay", *include_tcp_hol_delay),
            ("stages", *stages),
            ("no-stages", *no_stages),
            ("redact", *redact),
        ];
        let flags = flags.into_iter().filter(|(_, on)| *on);
        let given = given.chain(flags.map(|(name, _)| (name, Vec::new())));
        let given = given.map(|(name, texts)| {
            if *redact && PRIVATE.contains(&name) {
                (name, vec![REDACTED.into()])
            } else {
                (name, texts)
            }
        });
        let by = grouping.iter().flat_map(|grouping| &grouping.keys);
        Selection {
            options: given.map(|(name, texts)| (name.into(), texts)).collect(),
            by: by.map(ToString::to_string).collect(),
        }
    }
}

fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

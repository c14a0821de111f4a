// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which container and which pod a cgroup (v2) belongs to, by its path alone.
//! [`crate::host::container_names`] knows what they are called.
//!
//! Who makes which path (the file in the runtime's own sources):
//!
//! | part of the path | who |
//! |---|---|
//! | `PREFIX-ID.scope` | runc, systemd driver (libcontainer/cgroups/systemd, getUnitName); crun does the same |
//! | `docker-ID.scope`, `docker/ID` | Docker (moby, daemon/oci_linux.go, WithCgroups) |
//! | `cri-containerd-ID.scope`, `podUID/ID` | containerd's CRI (internal/cri/server/podsandbox/helpers_linux.go, getCgroupsPath) |
//! | `nerdctl-ID.scope` | nerdctl (generateCgroupPath) |
//! | `crio-ID.scope`, `crio-ID` | CRI-O (internal/config/cgmgr, containerCgroupPath); `crio-conmon-ID` is its monitor |
//! | `libpod-ID.scope`, `libpod-ID`, `libpod-payload-ID` | Podman (libpod/container_internal_linux.go); `libpod-conmon-ID.scope` is its monitor |
//! | `PARENT-libpod_pod_ID.slice`, `libpod_parent/ID` | a pod of Podman (libpod/runtime_pod_linux.go) |
//! | `kubepods-QOS-podUID.slice`, `kubepods/QOS/podUID` | the kubelet (pkg/kubelet/cm/cgroup_manager_linux.go, pod_container_manager_linux.go) |
//!
//! Below a container there can be more cgroups: crun makes one named `container`,
//! and systemd in a container makes many. Containers can be in containers (kind,
//! minikube): the innermost one counts.

/// Characters of an id where it stands for a name, as the runtimes show it.
const SHORT: usize = 12;
/// Characters of an id.
const ID: usize = 64;

/// Who made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Docker,
    /// With or without Kubernetes.
    Containerd,
    CriO,
    Podman,
    /// The path has the id and no more.
    Unknown,
}

/// A container, as a path tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    pub runtime: Runtime,
    pub id: String,
    /// Number of parts of the path down to the container's own cgroup.
    pub depth: usize,
}

/// A pod, as a path tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    /// The UID of Kubernetes, or the id of Podman.
    pub id: String,
    pub is_kubernetes: bool,
    /// Number of parts of the path down to the pod's own cgroup.
    pub depth: usize,
}

/// Whose a cgroup is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Workload {
    pub container: Option<Container>,
    pub pod: Option<Pod>,
    /// Whose containers they are, if not root's: rootless Podman and Docker.
    pub user: Option<u32>,
}

impl Workload {
    /// What the path (below the mount of cgroup v2) says.
    pub(crate) fn of(path: &str) -> Workload {
        let mut found = Workload::default();
        let (mut parent, mut in_kubepods) = ("", false);
        let parts = path.split('/').filter(|part| !part.is_empty());
        for (index, part) in parts.enumerate() {
            let depth = index + 1;
            if let Some(id) = pod_of(part, parent, in_kubepods) {
                found.pod = Some(Pod {
                    is_kubernetes: !is_id(&id),
                    id,
                    depth,
                });
            } else if let Some((runtime, id)) = container_of(part, parent, &found, index) {
                let id = id.to_owned();
                found.container = Some(Container { runtime, id, depth });
            } else if let Some(user) = part
                .strip_prefix("user-")
                .and_then(|rest| rest.strip_suffix(".slice"))
            {
                found.user = user.parse().ok();
            }
            in_kubepods |= part.trim_end_matches(".slice").ends_with("kubepods");
            parent = part;
        }
        found
    }
}

/// As the runtimes show an id where it is short.
pub(crate) fn short(id: &str) -> &str {
    if is_id(id) { &id[..SHORT] } else { id }
}

/// 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    text.len() == ID && text.bytes().all(is_digit)
}

fn container_of<'part>(
    part: &'part str,
    parent: &str,
    above: &Workload,
    depth_above: usize,
) -> Option<(Runtime, &'part str)> {
    const PREFIXES: [(&str, Runtime); 6] = [
        ("docker-", Runtime::Docker),
        ("cri-containerd-", Runtime::Containerd),
        ("nerdctl-", Runtime::Containerd),
        ("crio-", Runtime::CriO),
        ("libpod-payload-", Runtime::Podman),
        ("libpod-", Runtime::Podman),
    ];
    let name = part.strip_suffix(".scope").unwrap_or(part);
    if is_id(name) {
        let in_pod = above.pod.as_ref().is_some_and(|p| p.depth == depth_above);
        let runtime = match parent {
            "docker" => Runtime::Docker,
            // Or of Docker by cri-dockerd: both write that.
            _ if in_pod => Runtime::Unknown,
            "k8s.io" => Runtime::Containerd,
            _ => Runtime::Unknown,
        };
        return Some((runtime, name));
    }
    let mut prefixes = PREFIXES.into_iter();
    prefixes.find_map(|(prefix, runtime)| {
        let id = name.strip_prefix(prefix)?;
        is_id(id).then_some((runtime, id))
    })
}

/// The id of the pod whose cgroup this is.
fn pod_of(part: &str, parent: &str, in_kubepods: bool) -> Option<String> {
    if let Some(slice) = part.strip_suffix(".slice") {
        if let Some((_, id)) = slice.rsplit_once("libpod_pod_") {
            return is_id(id).then(|| id.to_owned());
        }
        // systemd takes '-' as a step down, so the kubelet writes '_' for it.
        let (above, last) = slice.rsplit_once('-')?;
        let uid = last.strip_prefix("pod")?;
        let is_kubernetes = above.split('-').any(|step| step == "kubepods");
        return (is_kubernetes && is_uid(uid)).then(|| uid.replace('_', "-"));
    }
    if parent == "libpod_parent" && is_id(part) {
        return Some(part.into());
    }
    let uid = part.strip_prefix("pod")?;
    (in_kubepods && is_uid(uid)).then(|| uid.to_owned())
}

/// Also those of static pods, which are a hash.
fn is_uid(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    !text.is_empty() && text.len() < ID && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "5f1c7a3e-0b9d-4c8e-9a57-d3a1f0c2b4e6";
    const UNDERSCORES: &str = "5f1c7a3e_0b9d_4c8e_9a57_d3a1f0c2b4e6";

    type Read = (Runtime, String, usize);

    /// Runtime and id of the container and of the pod, and where they are.
    fn read(path: &str) -> (Option<Read>, Option<(String, usize)>) {
        let found = Workload::of(path);
        (
            found.container.map(|c| (c.runtime, c.id, c.depth)),
            found.pod.map(|p| (p.id, p.depth)),
        )
    }

    fn container(runtime: Runtime, depth: usize) -> Option<Read> {
        Some((runtime, A.into(), depth))
    }

    fn pod(depth: usize) -> Option<(String, usize)> {
        Some((UID.into(), depth))
    }

    #[test]
    fn docker() {
        let expected = (container(Runtime::Docker, 2), None);
        assert_eq!(read(&format!("system.slice/docker-{A}.scope")), expected);
        assert_eq!(read(&format!("docker/{A}")), expected);
        // systemd runs in it.
        let below = format!("/docker/{A}/system.slice/ssh.service");
        assert_eq!(read(&below), expected);
        let rootless =
            format!("user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope");
        assert_eq!(read(&rootless), (container(Runtime::Docker, 5), None));
        assert_eq!(Workload::of(&rootless).user, Some(1000));
        // --cgroup-parent, cgroupfs driver.
        let parent = read(&format!("mine/{A}"));
        assert_eq!(parent, (container(Runtime::Unknown, 2), None));
    }

    #[test]
    fn containerd_by_kubernetes() {
        let systemd = format!(
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORES}.slice/\
             cri-containerd-{A}.scope"
        );
        assert_eq!(read(&systemd), (container(Runtime::Containerd, 4), pod(3)));
        let guaranteed =
            format!("kubepods.slice/kubepods-pod{UNDERSCORES}.slice/cri-containerd-{A}.scope");
        assert_eq!(
            read(&guaranteed),
            (container(Runtime::Containerd, 3), pod(2))
        );
        let cgroupfs = format!("kubepods/besteffort/pod{UID}/{A}");
        assert_eq!(read(&cgroupfs), (container(Runtime::Unknown, 4), pod(3)));
        let pod_only = format!("kubepods/besteffort/pod{UID}");
        assert_eq!(read(&pod_only), (None, pod(3)));
        // A static pod has a hash for a UID.
        let hash = "0123456789abcdef0123456789abcdef";
        let found = read(&format!("kubepods/burstable/pod{hash}/{A}")).1;
        assert_eq!(found, Some((hash.into(), 3)));
        let nerdctl = read(&format!("system.slice/nerdctl-{A}.scope"));
        assert_eq!(nerdctl, (container(Runtime::Containerd, 2), None));
    }

    #[test]
    fn cri_o() {
        let slices = format!(
            "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UNDERSCORES}.slice"
        );
        let expected = (container(Runtime::CriO, 4), pod(3));
        assert_eq!(read(&format!("{slices}/crio-{A}.scope")), expected);
        assert_eq!(
            read(&format!("{slices}/crio-{A}.scope/container")),
            expected
        );
        let cgroupfs = format!("kubepods/besteffort/pod{UID}/crio-{A}");
        assert_eq!(read(&cgroupfs), expected);
        // Its monitor is no container.
        let monitor = read(&format!("{slices}/crio-conmon-{A}.scope"));
        assert_eq!(monitor, (None, pod(3)));
    }

    #[test]
    fn podman() {
        let root = format!("machine.slice/libpod-{A}.scope/container");
        assert_eq!(read(&root), (container(Runtime::Podman, 2), None));
        let user = "user.slice/user-1000.slice/user@1000.service/user.slice";
        let rootless = format!("{user}/libpod-{A}.scope/container");
        assert_eq!(read(&rootless), (container(Runtime::Podman, 5), None));
        assert_eq!(Workload::of(&rootless).user, Some(1000));
        let cgroupfs = format!("libpod_parent/libpod-{A}");
        assert_eq!(read(&cgroupfs), (container(Runtime::Podman, 2), None));
        let unit = format!("system.slice/web.service/libpod-payload-{A}");
        assert_eq!(read(&unit), (container(Runtime::Podman, 3), None));
        let pod = Some((B.to_owned(), 2));
        let in_pod = format!("machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope");
        assert_eq!(read(&in_pod), (container(Runtime::Podman, 3), pod.clone()));
        let in_pod = format!("libpod_parent/{B}/libpod-{A}");
        assert_eq!(read(&in_pod), (container(Runtime::Podman, 3), pod));
        for monitor in [
            format!("machine.slice/libpod-conmon-{A}.scope"),
            "libpod_parent/conmon".into(),
        ] {
            assert_eq!(read(&monitor), (None, None), "{monitor}");
        }
    }

    /// The node of a cluster is a container itself.
    #[test]
    fn the_innermost_container_counts() {
        let kind = format!(
            "system.slice/docker-{B}.scope/kubelet.slice/kubelet-kubepods.slice/\
             kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{UNDERSCORES}.slice/\
             cri-containerd-{A}.scope"
        );
        assert_eq!(read(&kind), (container(Runtime::Containerd, 7), pod(6)));
        let minikube = format!("docker/{B}/kubelet/kubepods/burstable/pod{UID}/{A}");
        assert_eq!(read(&minikube), (container(Runtime::Unknown, 7), pod(6)));
        let node = format!("system.slice/docker-{B}.scope/system.slice/containerd.service");
        let expected = Some((Runtime::Docker, B.to_owned(), 2));
        assert_eq!(read(&node), (expected, None));
    }

    #[test]
    fn what_is_no_container_is_none() {
        for path in [
            "",
            "/",
            "system.slice/nginx.service",
            "system.slice/docker.service",
            "system.slice/docker-0123.scope",
            "init.scope",
            "kubepods.slice/kubepods-besteffort.slice",
            "pod1234",
            "system.slice/system-podman.slice",
            &format!("system.slice/docker-{}.scope", A.to_uppercase()),
        ] {
            assert_eq!(Workload::of(path), Workload::default(), "{path}");
        }
        assert_eq!((short(A), short(UID)), (&A[..12], UID));
    }

    proptest! {
        #[test]
        fn nothing_panics(path in "(\\PC{0,10}|pod|/|-|\\.slice|\\.scope|kubepods|libpod_pod_){0,12}") {
            let _ = Workload::of(&path);
        }
    }
}

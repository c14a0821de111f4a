// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What containers and pods are called, from files that the runtimes and the
//! kubelet keep on this host. No runtime is asked, and no network.
//!
//! Where names are, and who writes them:
//!
//! | file | what it tells | written by |
//! |---|---|---|
//! | `/var/log/pods/NAMESPACE_NAME_UID/` | a pod's name | the kubelet (pkg/kubelet/kuberuntime/helpers.go, BuildPodLogsDirectory) |
//! | `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log` | a container's | the kubelet (pkg/kubelet/kuberuntime/legacy.go, logSymlink) |
//! | `STATE/io.containerd.runtime.v2.task/*/ID/config.json` | annotations `io.kubernetes.cri.*`, `nerdctl/name` | containerd's CRI (internal/cri/annotations/annotations.go), nerdctl |
//! | `STORAGE/*-containers/{,volatile-}containers.json` | `names` of an `id` | Podman and CRI-O (containers/storage, containers.go) |
//! | `/var/lib/docker/containers/ID/config.v2.json` | `Name` | Docker (moby, container/container.go) |
//!
//! CRI-O and Docker call containers of a pod `k8s_CONTAINER_POD_NAMESPACE_UID_N`
//! (CRI-O: internal/factory/container/container.go, SetNameAndID; cri-dockerd
//! kept that of Kubernetes). Podman keeps the names of its pods in a database,
//! which is not read: they are shown by id.
//!
//! Some of these files belong to users that are not trusted: what is read is
//! bounded, and only regular files are read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::libc;
use serde::Deserialize;

use crate::host::containers::{Container, Pod, Runtime, Workload, short};

/// Bytes of a file that are read; one that is larger is not understood.
const MOST_BYTES: u64 = 4 << 20;
/// Entries of a directory that are looked at.
const MOST_ENTRIES: usize = 20_000;
/// Names that are kept. With more, all are looked up again when they are needed.
const MOST_NAMES: usize = 8192;

/// Where containerd keeps what runs: by itself, in k3s and RKE2 (k3s,
/// pkg/agent/config), and in MicroK8s.
const CONTAINERD: [&str; 3] = [
    "run/containerd",
    "run/k3s/containerd",
    "var/snap/microk8s/common/run/containerd",
];
/// Where Podman and CRI-O keep what root runs: also where it does not outlive the
/// host's start (transient_store).
const STORAGE: [&str; 2] = ["var/lib/containers/storage", "run/containers/storage"];
/// The same of a user, below the home directory.
const USER_STORAGE: &str = ".local/share/containers/storage";
/// The same of Docker.
const USER_DOCKER: &str = ".local/share/docker";

/// A container by name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    name: String,
    /// Namespace and name of its pod, where the same file says it.
    pod: Option<(String, String)>,
}

/// A container as the user may mean it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub id: String,
    /// `None`: no file tells it.
    pub name: Option<String>,
    /// As every output shows it.
    pub label: String,
}

/// Looks up names, and keeps those that it has found.
#[derive(Clone, Debug)]
pub(crate) struct ContainerNames {
    root: PathBuf,
    containers: BTreeMap<String, Named>,
    /// `NAMESPACE/NAME` by UID.
    pods: BTreeMap<String, String>,
}

impl ContainerNames {
    /// By the files below `root`.
    pub(crate) fn below(root: &Path) -> ContainerNames {
        ContainerNames {
            root: root.into(),
            containers: BTreeMap::new(),
            pods: BTreeMap::new(),
        }
    }

    /// The container of a cgroup, by its path: `web`; in a pod of Kubernetes
    /// `default/web-1/nginx`; an id stands for a name that is not known. `None`:
    /// it belongs to no container.
    pub(crate) fn container(&mut self, path: &str) -> Option<Known> {
        let workload = Workload::of(path);
        let container = workload.container?;
        let named = self.named(&container, workload.user);
        let pod = workload
            .pod
            .filter(|pod| pod.is_kubernetes && pod.depth < container.depth)
            .map(|pod| self.pod_name(&pod, named.as_ref()));
        let name = named.map(|named| named.name);
        let own = name.as_deref().unwrap_or(short(&container.id));
        let label = match pod {
            Some(pod) => format!("{pod}/{own}"),
            None => own.to_owned(),
        };
        Some(Known {
            label,
            name,
            id: container.id,
        })
    }

    /// The pod of a cgroup: `default/web-1`; an id stands for a name that is not
    /// known. `None`: it belongs to no pod.
    pub(crate) fn pod(&mut self, path: &str) -> Option<Known> {
        let workload = Workload::of(path);
        let pod = workload.pod?;
        let named = match &workload.container {
            Some(container) if pod.is_kubernetes && container.depth > pod.depth => {
                self.named(container, workload.user)
            }
            _ => None,
        };
        let label = self.pod_name(&pod, named.as_ref());
        Some(Known {
            name: self.pods.get(&pod.id).cloned(),
            id: pod.id,
            label,
        })
    }

    fn pod_name(&mut self, pod: &Pod, container: Option<&Named>) -> String {
        if !pod.is_kubernetes {
            return short(&pod.id).into();
        }
        if !self.pods.contains_key(&pod.id) {
            let by_container = container.and_then(|named| named.pod.clone());
            if let Some((namespace, name)) = by_container {
                self.keep_pod(pod.id.clone(), &namespace, &name);
            } else {
                self.read_pods();
            }
        }
        self.pods.get(&pod.id).cloned().unwrap_or(pod.id.clone())
    }

    /// Names never contain the `_` that stands between them.
    fn read_pods(&mut self) {
        for entry in entries(&self.root.join("var/log/pods")) {
            if let [namespace, name, uid] = entry.split('_').collect::<Vec<_>>()[..] {
                self.keep_pod(uid.into(), namespace, name);
            }
        }
    }

    fn keep_pod(&mut self, uid: String, namespace: &str, name: &str) {
        if self.pods.len() >= MOST_NAMES {
            self.pods.clear();
        }
        self.pods.insert(uid, format!("{namespace}/{name}"));
    }

    fn named(&mut self, container: &Container, user: Option<u32>) -> Option<Named> {
        if let Some(known) = self.containers.get(&container.id) {
            return Some(known.clone());
        }
        let found = self.look(container, user)?;
        if self.containers.len() >= MOST_NAMES {
            self.containers.clear();
        }
        self.containers.insert(container.id.clone(), found.clone());
        Some(found)
    }

    fn look(&self, container: &Container, user: Option<u32>) -> Option<Named> {
        let id = container.id.as_str();
        let home = || user.and_then(|user| self.home(user));
        let own = match container.runtime {
            Runtime::Docker => self.by_docker(id, home()),
            Runtime::Containerd => self.by_containerd(id),
            Runtime::CriO | Runtime::Podman => self.by_storage(id, home()),
            Runtime::Unknown => self
                .by_containerd(id)
                .or_else(|| self.by_docker(id, home()))
                .or_else(|| self.by_storage(id, home())),
        };
        own.or_else(|| self.by_kubelet(id))
    }

    fn by_containerd(&self, id: &str) -> Option<Named> {
        CONTAINERD.into_iter().find_map(|state| {
            let tasks = self.root.join(state).join("io.containerd.runtime.v2.task");
            entries(&tasks).into_iter().find_map(|namespace| {
                let file = tasks.join(namespace).join(id).join("config.json");
                let Spec { annotations } = read_json(&file)?;
                let value = |key: &str| annotations.get(key).cloned();
                let cri = |key: &str| value(&format!("io.kubernetes.cri.{key}"));
                Some(Named {
                    name: cri("container-name").or_else(|| value("nerdctl/name"))?,
                    pod: cri("sandbox-namespace").zip(cri("sandbox-name")),
                })
            })
        })
    }

    fn by_docker(&self, id: &str, home: Option<PathBuf>) -> Option<Named> {
        let daemon = self.root.join("etc/docker/daemon.json");
        let configured = read_json(&daemon).and_then(|daemon: Daemon| daemon.data_root);
        let configured = configured.map(|path| self.root.join(path.trim_start_matches('/')));
        let root = configured.unwrap_or_else(|| self.root.join("var/lib/docker"));
        let users = home.map(|home| home.join(USER_DOCKER));
        users.into_iter().chain([root]).find_map(|root| {
            let file = root.join("containers").join(id).join("config.v2.json");
            let DockerContainer { name } = read_json(&file)?;
            Some(Named::of(name.trim_start_matches('/')))
        })
    }

    fn by_storage(&self, id: &str, home: Option<PathBuf>) -> Option<Named> {
        let users = home.map(|home| home.join(USER_STORAGE));
        let roots = STORAGE.into_iter().map(|path| self.root.join(path));
        users.into_iter().chain(roots).find_map(|storage| {
            let drivers = entries(&storage).into_iter();
            let mut drivers = drivers.filter(|name| name.ends_with("-containers"));
            drivers.find_map(|driver| {
                let lists = ["containers.json", "volatile-containers.json"].into_iter();
                lists
                    .filter_map(|list| read_json(&storage.join(&driver).join(list)))
                    .flat_map(|list: Vec<Stored>| list)
                    .find(|stored| stored.id == id)
                    .and_then(|stored| stored.names.first().map(|name| Named::of(name)))
            })
        })
    }

    fn by_kubelet(&self, id: &str) -> Option<Named> {
        let names = entries(&self.root.join("var/log/containers"));
        names.into_iter().find_map(|file| {
            let rest = file.strip_suffix(".log")?.strip_suffix(id)?;
            let parts: Vec<_> = rest.strip_suffix('-')?.split('_').collect();
            let [pod, namespace, name] = parts[..] else {
                return None;
            };
            Some(Named {
                name: name.into(),
                pod: Some((namespace.into(), pod.into())),
            })
        })
    }

    /// The home directory of a user (passwd(5)).
    fn home(&self, user: u32) -> Option<PathBuf> {
        let passwd = read(&self.root.join("etc/passwd"))?;
        let passwd = String::from_utf8_lossy(&passwd);
        passwd.lines().find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            let home = fields.get(5)?.trim_start_matches('/');
            (fields[2] == user.to_string()).then(|| self.root.join(home))
        })
    }
}

impl Named {
    /// By the name that a runtime has for it.
    fn of(name: &str) -> Named {
        match name.split('_').collect::<Vec<_>>()[..] {
            ["k8s", container, pod, namespace, _uid, _attempt] => Named {
                name: container.into(),
                pod: Some((namespace.into(), pod.into())),
            },
            _ => Named {
                name: name.into(),
                pod: None,
            },
        }
    }
}

/// Of the runtime specification of OCI.
#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
struct DockerContainer {
    #[serde(rename = "Name")]
    name: String,
}

#[derive(Deserialize)]
struct Daemon {
    #[serde(rename = "data-root")]
    data_root: Option<String>,
}

/// Names in a directory, in order; those that are text.
fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.take(MOST_ENTRIES).collect();
    names.sort();
    names
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&read(path)?).ok()
}

/// The contents of a regular file that is not too large. Waits for nobody.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut options = fs::File::options();
    let options = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    let file = options.open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut contents = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut contents).ok()?;
    (contents.len() as u64 <= MOST_BYTES).then_some(contents)
}

#[cfg(test)]
#[path = "container_names_tests.rs"]
mod tests;

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Containers and pods in trees of directories like those of cgroups: paths,
//! inode numbers and inotify are those of any directory. The trees are fixtures,
//! named as the runtimes name them.

use std::fs;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;

const UID: &str = "5f1c7a3e-0b9d-4c8e-9a57-d3a1f0c2b4e6";

/// A host with a tree of cgroups and files of names, which ends with this value.
struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Host {
        let root = format!("nsl-workloads-{name}-{}", std::process::id());
        let host = Host(std::env::temp_dir().join(root));
        fs::create_dir_all(host.0.join("cgroup")).unwrap();
        fs::create_dir_all(host.0.join("files")).unwrap();
        host
    }

    fn cgroup(&self, path: &str) {
        fs::create_dir_all(self.0.join("cgroup").join(path)).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_dir_all(self.0.join("cgroup").join(path)).unwrap();
    }

    fn docker(&self, id: &str, name: &str) {
        let directory = self.0.join("files/var/lib/docker/containers").join(id);
        fs::create_dir_all(&directory).unwrap();
        let config = serde_json::json!({ "Name": format!("/{name}") }).to_string();
        fs::write(directory.join("config.v2.json"), config).unwrap();
    }

    fn pod(&self, uid: &str, name: &str) {
        let logs = format!("files/var/log/pods/{name}_{uid}");
        fs::create_dir_all(self.0.join(logs)).unwrap();
    }

    fn find(&self, containers: &[&str], pods: &[&str]) -> Result<Workloads> {
        let choices = |texts: &[&str]| {
            let choices = texts.iter().map(|text| text.parse().unwrap());
            choices.collect::<Vec<_>>()
        };
        let tree = CgroupTree::of_directories(&self.0.join("cgroup"));
        let names = ContainerNames::below(&self.0.join("files"));
        Workloads::find(&choices(containers), &choices(pods), &tree, names)
    }

    fn error(&self, containers: &[&str], pods: &[&str]) -> String {
        let error = self.find(containers, pods).unwrap_err();
        assert!(error.is::<UsageError>(), "{error:#}");
        error.to_string()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn id(digit: char) -> String {
    String::from(digit).repeat(64)
}

fn scope(digit: char) -> String {
    format!("system.slice/docker-{}.scope", id(digit))
}

fn found(workloads: &Workloads) -> Vec<String> {
    let paths = workloads.cgroups().iter();
    paths.map(|path| path.display().to_string()).collect()
}

#[test]
fn containers_by_name_glob_and_id() {
    let host = Host::new("names");
    for (digit, name) in [('a', "web"), ('b', "web-2"), ('c', "db")] {
        host.docker(&id(digit), name);
        // What is in the container is part of it.
        host.cgroup(&format!("{}/init.scope", scope(digit)));
    }
    host.cgroup("system.slice/nginx.service");
    let find = |choices: &[&str]| found(&host.find(choices, &[]).unwrap());
    assert_eq!(find(&["web"]), [scope('a')]);
    assert_eq!(find(&["web*"]), [scope('a'), scope('b')]);
    assert_eq!(find(&["cccc", "web"]), [scope('a'), scope('c')]);
    let error = host.error(&["web", "wbe"], &[]);
    assert_eq!(
        error,
        "--container wbe: no container has this name or id; there are db, web, web-2"
    );
    let error = host.error(&[], &["web"]);
    assert!(error.contains("there are no pods on this host"), "{error}");
}

#[test]
fn an_error_lists_not_more_than_can_be_read() {
    let host = Host::new("many");
    for number in 0..30 {
        let id = format!("{number:02}").repeat(32);
        host.docker(&id, &format!("c{number:02}\u{1b}"));
        host.cgroup(&format!("docker/{id}"));
    }
    let error = host.error(&["x"], &[]);
    assert!(
        error.contains("c00\u{fffd}, c01") && error.ends_with(", and more"),
        "{error}"
    );
    assert!(
        !error.contains("c25") && !error.contains('\u{1b}'),
        "{error}"
    );
}

/// The pod's own cgroup, not those of its containers.
#[test]
fn pods_are_one_cgroup() {
    let host = Host::new("pods");
    host.pod(UID, "default_web-1");
    let pod = format!("kubepods/besteffort/pod{UID}");
    for digit in ['a', 'b'] {
        host.cgroup(&format!("{pod}/{}", id(digit)));
    }
    let other = "kubepods/burstable/pod99999999-0b9d-4c8e-9a57-d3a1f0c2b4e6";
    host.cgroup(other);
    for choice in ["web-1", "default/web-1", "default/*", UID, "5f1c7a3e"] {
        assert_eq!(
            found(&host.find(&[], &[choice]).unwrap()),
            std::slice::from_ref(&pod),
            "{choice}"
        );
    }
    let error = host.error(&[], &["web-2"]);
    assert!(
        error.contains("there are 99999999-0b9d") && error.contains("default/web-1"),
        "{error}"
    );
    // A container of the pod, by both.
    host.docker(&id('a'), &format!("k8s_nginx_web-1_default_{UID}_0"));
    let both = host.find(&["nginx"], &["web-1"]).unwrap();
    assert_eq!(found(&both), [format!("{pod}/{}", id('a'))]);
    let error = host.error(&["nginx"], &["99999999"]);
    assert!(error.contains("no container in these pods"), "{error}");
    assert_eq!(
        found(&host.find(&["default/web-1/nginx"], &[]).unwrap()).len(),
        1
    );
}

/// Until there is a reason to look again.
fn wait(workloads: &Workloads) {
    let watched = workloads.watched();
    let mut watched: Vec<_> = watched
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
        .collect();
    let ready = poll(&mut watched, PollTimeout::from(10_000u16)).unwrap();
    assert!(ready > 0, "nothing becomes readable");
}

/// Runtimes give up: a container that never has a name costs nothing for ever.
#[test]
fn names_that_never_come_are_not_looked_for_for_ever() {
    let host = Host::new("nameless");
    host.docker(&id('a'), "web");
    host.cgroup(&scope('a'));
    host.cgroup(&scope('e'));
    let mut workloads = host.find(&["web"], &[]).unwrap();
    for _ in 0..TRIES {
        assert!(!workloads.unnamed.is_empty());
        wait(&workloads);
        workloads.look_again().unwrap();
    }
    assert!(workloads.unnamed.is_empty());
}

#[test]
fn a_container_that_is_started_again_is_found() {
    let host = Host::new("again");
    host.docker(&id('a'), "web");
    host.cgroup(&scope('a'));
    let mut workloads = host.find(&["web"], &[]).unwrap();
    assert_eq!(found(&workloads), [scope('a')]);
    host.remove(&scope('a'));
    workloads.look_again().unwrap();
    assert!(found(&workloads).is_empty());
    // Another container of this name, in a place that was not there.
    host.docker(&id('b'), "web");
    let path = format!("new/deeper/docker/{}", id('b'));
    host.cgroup(&path);
    workloads.look_again().unwrap();
    assert_eq!(found(&workloads), [path]);
    // And one whose name comes after its cgroup.
    host.cgroup(&scope('c'));
    workloads.look_again().unwrap();
    assert_eq!(found(&workloads).len(), 1);
    host.docker(&id('c'), "web");
    // Nothing else happens: it is looked for again within a second.
    wait(&workloads);
    workloads.look_again().unwrap();
    assert_eq!(found(&workloads).len(), 2);
    assert!(workloads.sees_all());
    // One that comes and goes before anybody looks holds no place.
    host.docker(&id('d'), "web");
    host.cgroup(&scope('d'));
    host.remove(&scope('d'));
    workloads.look_again().unwrap();
    assert_eq!(found(&workloads).len(), 2);
}

#[test]
fn more_pods_of_a_glob_are_found() {
    let host = Host::new("rollout");
    host.pod(UID, "default_web-1");
    host.cgroup(&format!("kubepods/besteffort/pod{UID}"));
    let mut workloads = host.find(&[], &["web-*"]).unwrap();
    let next = "99999999-0b9d-4c8e-9a57-d3a1f0c2b4e6";
    host.pod(next, "default_web-2");
    host.cgroup(&format!("kubepods/besteffort/pod{next}"));
    workloads.look_again().unwrap();
    assert_eq!(found(&workloads).len(), 2);
}

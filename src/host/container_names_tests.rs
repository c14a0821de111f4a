// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Names from trees of files like those that the runtimes write. The files are
//! fixtures, written after the runtimes' sources, and shortened.

use std::os::unix::fs::symlink;

use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const UID: &str = "5f1c7a3e-0b9d-4c8e-9a57-d3a1f0c2b4e6";
const SLICES: &str = "kubepods.slice/kubepods-besteffort.slice/\
                      kubepods-besteffort-pod5f1c7a3e_0b9d_4c8e_9a57_d3a1f0c2b4e6.slice";

/// A tree of files, which ends with this value.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Tree {
        let root = format!("nsl-containers-{name}-{}", std::process::id());
        let tree = Tree(std::env::temp_dir().join(root));
        for (path, contents) in files {
            tree.write(path, contents);
        }
        tree
    }

    /// A path that ends in '/' is a directory.
    fn write(&self, path: &str, contents: &str) {
        let path = self.0.join(path.trim_start_matches('/'));
        if path.display().to_string().ends_with('/') {
            return fs::create_dir_all(path).unwrap();
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    fn names(&self) -> ContainerNames {
        ContainerNames::below(&self.0)
    }

    fn container(&self, path: &str) -> Option<String> {
        self.names().container(path).map(|known| known.label)
    }

    fn pod(&self, path: &str) -> Option<String> {
        self.names().pod(path).map(|known| known.label)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn without_files_the_id_is_shown() {
    let tree = Tree::new("none", &[("etc/", "")]);
    let docker = format!("docker/{A}");
    assert_eq!(tree.container(&docker).as_deref(), Some("aaaaaaaaaaaa"));
    let in_pod = format!("{SLICES}/cri-containerd-{A}.scope");
    assert_eq!(tree.pod(&in_pod).as_deref(), Some(UID));
    let label = format!("{UID}/aaaaaaaaaaaa");
    assert_eq!(tree.container(&in_pod), Some(label));
    let pod = format!("machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope");
    assert_eq!(tree.pod(&pod).as_deref(), Some("0123456789ab"));
    assert_eq!(tree.container(&pod).as_deref(), Some("aaaaaaaaaaaa"));
    assert_eq!(tree.container("system.slice/nginx.service"), None);
    assert_eq!(tree.pod(&docker), None);
}

#[test]
fn docker() {
    let config = r#"{"StreamConfig":{},"State":{"Running":true},"ID":"ID","Name":"/web",
                     "Config":{"Hostname":"x","Labels":{}}}"#;
    let file = format!("var/lib/docker/containers/{A}/config.v2.json");
    let tree = Tree::new("docker", &[(&file, config)]);
    let path = format!("system.slice/docker-{A}.scope");
    assert_eq!(tree.container(&path).as_deref(), Some("web"));
    assert_eq!(
        tree.container(&format!("docker/{A}/init")).as_deref(),
        Some("web")
    );
    // Kubernetes by cri-dockerd: the path does not say who made the container.
    let name = format!(r#"{{"Name":"/k8s_nginx_web-1_default_{UID}_0"}}"#);
    tree.write(&file, &name);
    let cgroupfs = format!("kubepods/besteffort/pod{UID}/{A}");
    let label = tree.container(&cgroupfs);
    assert_eq!(label.as_deref(), Some("default/web-1/nginx"));
    // Elsewhere, as the administrator says.
    let moved = Tree::new(
        "docker-moved",
        &[
            ("etc/docker/daemon.json", r#"{"data-root":"/srv/docker"}"#),
            (&format!("srv/docker/containers/{A}/config.v2.json"), config),
        ],
    );
    assert_eq!(moved.container(&path).as_deref(), Some("web"));
}

#[test]
fn rootless_docker_and_podman() {
    let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n";
    let docker = format!("home/ann/.local/share/docker/containers/{A}/config.v2.json");
    let podman = "home/ann/.local/share/containers/storage/overlay-containers/containers.json";
    let tree = Tree::new(
        "rootless",
        &[
            ("etc/passwd", passwd),
            (&docker, r#"{"Name":"/web"}"#),
            (podman, &format!(r#"[{{"id":"{B}","names":["db"]}}]"#)),
        ],
    );
    let user = "user.slice/user-1000.slice/user@1000.service/user.slice";
    let of = |part: String| tree.container(&format!("{user}/{part}"));
    assert_eq!(of(format!("docker-{A}.scope")).as_deref(), Some("web"));
    assert_eq!(
        of(format!("libpod-{B}.scope/container")).as_deref(),
        Some("db")
    );
    // Not of somebody else.
    let other = format!("user.slice/user-1001.slice/libpod-{B}.scope");
    assert_eq!(tree.container(&other).as_deref(), Some("0123456789ab"));
}

#[test]
fn podman_of_root() {
    let list = format!(
        r#"[{{"id":"{A}","names":["web"],"image":"i","layer":"l",
             "metadata":"{{\"image-name\":\"x\",\"name\":\"web\"}}","created":"2026-01-01T00:00:00Z",
             "flags":{{"MountLabel":""}}}},{{"id":"x"}}]"#
    );
    let volatile = format!(r#"[{{"id":"{B}","names":["once"]}}]"#);
    let storage = "var/lib/containers/storage/overlay-containers";
    let tree = Tree::new(
        "podman",
        &[
            (&format!("{storage}/containers.json"), &list),
            (&format!("{storage}/volatile-containers.json"), &volatile),
        ],
    );
    let of = |id: &str| tree.container(&format!("machine.slice/libpod-{id}.scope/container"));
    assert_eq!(of(A).as_deref(), Some("web"));
    assert_eq!(of(B).as_deref(), Some("once"));
    let cgroupfs = format!("libpod_parent/libpod-{A}");
    assert_eq!(tree.container(&cgroupfs).as_deref(), Some("web"));
}

#[test]
fn containerd() {
    let of_pod = r#"{"ociVersion":"1.1.0","process":{"args":["nginx"]},"annotations":{
        "io.kubernetes.cri.container-name":"nginx","io.kubernetes.cri.container-type":"container",
        "io.kubernetes.cri.sandbox-name":"web-1","io.kubernetes.cri.sandbox-namespace":"default"}}"#;
    let sandbox = r#"{"annotations":{"io.kubernetes.cri.container-type":"sandbox",
        "io.kubernetes.cri.sandbox-name":"web-1","io.kubernetes.cri.sandbox-namespace":"default"}}"#;
    let path = format!("{SLICES}/cri-containerd-{A}.scope");
    let pause = format!("{SLICES}/cri-containerd-{B}.scope");
    for state in CONTAINERD {
        let bundle = format!("{state}/io.containerd.runtime.v2.task/k8s.io");
        let tree = Tree::new(
            "containerd",
            &[
                (&format!("{bundle}/{A}/config.json"), of_pod),
                (&format!("{bundle}/{B}/config.json"), sandbox),
            ],
        );
        let label = tree.container(&path);
        assert_eq!(label.as_deref(), Some("default/web-1/nginx"), "{state}");
        assert_eq!(tree.pod(&path).as_deref(), Some("default/web-1"));
        // The container that holds the pod's namespaces has no name.
        let label = tree.container(&pause);
        assert_eq!(label, Some(format!("{UID}/0123456789ab")));
    }
    let nerdctl = r#"{"annotations":{"nerdctl/name":"web","nerdctl/namespace":"default"}}"#;
    let file = format!("run/containerd/io.containerd.runtime.v2.task/default/{A}/config.json");
    let tree = Tree::new("nerdctl", &[(&file, nerdctl)]);
    let path = format!("system.slice/nerdctl-{A}.scope");
    assert_eq!(tree.container(&path).as_deref(), Some("web"));
}

#[test]
fn cri_o() {
    let list = format!(
        r#"[{{"id":"{A}","names":["k8s_nginx_web-1_default_{UID}_2"],"metadata":"{{}}"}},
            {{"id":"{B}","names":["k8s_POD_web-1_default_{UID}_0","k8s_web-1_default_{UID}_0"]}}]"#
    );
    let file = "var/lib/containers/storage/overlay-containers/volatile-containers.json";
    let tree = Tree::new("cri-o", &[(file, &list)]);
    for driver in [
        format!("{SLICES}/crio-{A}.scope/container"),
        format!("kubepods/pod{UID}/crio-{A}"),
    ] {
        assert_eq!(
            tree.container(&driver).as_deref(),
            Some("default/web-1/nginx")
        );
        assert_eq!(tree.pod(&driver).as_deref(), Some("default/web-1"));
    }
    let pause = tree.container(&format!("{SLICES}/crio-{B}.scope"));
    assert_eq!(pause.as_deref(), Some("default/web-1/POD"));
}

#[test]
fn the_kubelet() {
    let tree = Tree::new(
        "kubelet",
        &[
            (&format!("var/log/pods/default_web-1_{UID}/nginx/0.log"), ""),
            ("var/log/pods/not-a-pod/", ""),
            (
                &format!("var/log/containers/web-1_default_nginx-{A}.log"),
                "",
            ),
        ],
    );
    // The files of whatever runs the containers may not be read.
    for path in [
        format!("{SLICES}/cri-containerd-{A}.scope"),
        format!("{SLICES}/crio-{A}.scope"),
        format!("kubepods/besteffort/pod{UID}/{A}"),
    ] {
        assert_eq!(
            tree.container(&path).as_deref(),
            Some("default/web-1/nginx")
        );
    }
    assert_eq!(tree.pod(SLICES).as_deref(), Some("default/web-1"));
}

#[test]
fn a_name_is_kept_when_its_files_are_gone() {
    let file = format!("var/lib/docker/containers/{A}/config.v2.json");
    let pod = format!("var/log/pods/default_web-1_{UID}/");
    let tree = Tree::new("kept", &[(&file, r#"{"Name":"/web"}"#), (&pod, "")]);
    let mut names = tree.names();
    let path = format!("docker/{A}");
    for _ in 0..2 {
        assert_eq!(names.container(&path).unwrap().label, "web");
        assert_eq!(names.pod(SLICES).unwrap().label, "default/web-1");
        let _ = fs::remove_dir_all(tree.0.join("var"));
    }
    // And one that is found later is not missed.
    let mut names = tree.names();
    assert_eq!(names.container(&path).unwrap().name, None);
    tree.write(&file, r#"{"Name":"/web"}"#);
    assert_eq!(names.container(&path).unwrap().label, "web");
}

/// Users can write what they like into their own files.
#[test]
fn files_that_are_no_files_and_no_json() {
    let file = format!("var/lib/docker/containers/{A}/config.v2.json");
    let path = format!("docker/{A}");
    let tree = Tree::new("bad", &[]);
    for contents in [
        "",
        "null",
        "[]",
        "{\"Name\":7}",
        "\u{0}",
        &"[".repeat(100_000),
    ] {
        tree.write(&file, contents);
        assert_eq!(tree.container(&path).as_deref(), Some("aaaaaaaaaaaa"));
    }
    let large = format!(
        r#"{{"Name":"/web","x":"{}"}}"#,
        "x".repeat(MOST_BYTES as usize)
    );
    tree.write(&file, &large);
    assert_eq!(tree.container(&path).as_deref(), Some("aaaaaaaaaaaa"));
    let file = tree.0.join(file);
    fs::remove_file(&file).unwrap();
    symlink("/dev/zero", &file).unwrap();
    assert_eq!(tree.container(&path).as_deref(), Some("aaaaaaaaaaaa"));
    fs::remove_file(&file).unwrap();
    // A pipe that nobody writes to.
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(tree.container(&path).as_deref(), Some("aaaaaaaaaaaa"));
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Real containers, of Podman and of containerd: the runtimes make the cgroups and
//! the files that the tool finds names by. There is no systemd in the guest, so
//! they use cgroupfs; and no kubelet: the test says to containerd what its CRI
//! would say, and makes the directory of the pod's logs.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use testlab::hooks::{recorded_with_socket, with_socket};
use testlab::tool::Tool;
use testlab::{Ns, PATIENCE, wait_until};

const ROOT: &str = "/srv/nsl-root";

/// The containers' root has the programs of the guest.
fn install() {
    if Path::new(ROOT).exists() {
        return;
    }
    // Libraries that the guest has already are the same: of the same machine.
    run(
        "tar",
        &["-xf", "/usr/local/share/containers.tar", "-C", "/"],
    );
    fs::create_dir_all("/etc/containers").expect("a directory");
    // A root file system in memory cannot be left by pivot_root(2).
    let engine = "[engine]\ncgroup_manager = \"cgroupfs\"\nno_pivot_root = true\n\
                  events_logger = \"none\"\nruntime = \"crun\"\n";
    fs::write("/etc/containers/containers.conf", engine).expect("a file");
    let storage = "[storage]\ndriver = \"vfs\"\nrunroot = \"/run/containers/storage\"\n\
                   graphroot = \"/var/lib/containers/storage\"\n";
    fs::write("/etc/containers/storage.conf", storage).expect("a file");
    for name in ["usr", "etc", "proc", "sys", "dev", "tmp", "run"] {
        fs::create_dir_all(Path::new(ROOT).join(name)).expect("a directory");
    }
    run("mount", &["--bind", "/usr", &format!("{ROOT}/usr")]);
    for name in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), Path::new(ROOT).join(name)).expect("a link");
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    let command = command.args(args).stdin(Stdio::null());
    let done = command.output().expect("it is in the guest");
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{program} {args:?}: {text}");
    String::from_utf8(done.stdout).expect("UTF-8").trim().into()
}

fn podman(args: &[&str]) -> String {
    run("podman", args)
}

/// Where a container sends its first datagram, and what it then runs.
fn receiver() -> (UdpSocket, String) {
    install();
    let tx = Ns::Right.run(|| UdpSocket::bind("127.0.0.1:0").expect("bind"));
    tx.set_read_timeout(Some(PATIENCE)).expect("SO_RCVTIMEO");
    let port = tx.local_addr().expect("bound").port();
    let script =
        format!("exec 3<>/dev/udp/127.0.0.1/{port}; echo >&3; exec dd bs=64 <&3 >/dev/null");
    (tx, script)
}

fn send(from: &UdpSocket, to: SocketAddr, datagrams: u64) {
    for number in 0..datagrams {
        from.send_to(&number.to_ne_bytes(), to).expect("send");
    }
}

/// A container in the right namespace that reads datagrams.
struct Container {
    name: &'static str,
    id: String,
    tx: UdpSocket,
    at: SocketAddr,
}

impl Container {
    fn start(name: &'static str) -> Container {
        let (tx, script) = receiver();
        let id = podman(&[
            "run",
            "--detach",
            "--name",
            name,
            "--network=ns:/run/netns/right",
            "--rootfs",
            ROOT,
            "/usr/bin/bash",
            "-c",
            &script,
        ]);
        let (_, at) = tx.recv_from(&mut [0; 8]).expect("it has a socket");
        Container { name, id, tx, at }
    }

    fn send(&self, datagrams: u64) {
        send(&self.tx, self.at, datagrams);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        podman(&["rm", "--force", "--time", "0", self.name]);
    }
}

#[test]
fn podman_grouped_by_name() {
    let (web, db) = (Container::start("nsl-web"), Container::start("nsl-db"));
    let tool = Tool::start(&["-r", "100ms", "--by", "container"]);
    let warm = tool.warm_up();
    web.send(100);
    db.send(50);
    let all = 150 + warm.with;
    wait_until(PATIENCE, "all is read", || {
        tool.totals_up_to_now()["udp-socket-read"].count >= all
    });
    let run = tool.finish();
    for hook in with_socket() {
        let groups = run.groups(hook.name());
        println!("{hook}: {groups:?}");
        let of = |name: &str| groups[&vec![name.to_owned()]];
        assert_eq!(
            (of("nsl-web"), of("nsl-db"), of("none")),
            (100, 50, warm.with),
            "{hook}"
        );
    }
}

#[test]
fn podman_filtered_by_name_also_when_started_again() {
    let (web, db) = (Container::start("nsl-web"), Container::start("nsl-db"));
    let by_id = &db.id[..12];
    for (choice, wanted) in [("nsl-web", 100), (by_id, 50)] {
        let tool = Tool::start(&["-r", "100ms", "--container", choice]);
        let warm = tool.warm_up();
        web.send(100);
        db.send(50);
        wait_until(PATIENCE, "all is read", || {
            let reads = &tool.totals_up_to_now()["udp-socket-read"];
            reads.runs() + reads.missed >= 150 + warm.with + warm.without
        });
        let run = tool.finish();
        recorded_with_socket(&run, choice, wanted);
    }
    let tool = Tool::start(&["-r", "100ms", "--container", "nsl-web"]);
    tool.warm_up();
    let old = web.id.clone();
    drop(web);
    let web = Container::start("nsl-web");
    assert_ne!(web.id, old);
    // It takes Podman long to start it: it has been found.
    web.send(100);
    db.send(50);
    wait_until(PATIENCE, "all is read", || {
        tool.totals_up_to_now()["udp-socket-read"].count >= 100
    });
    let run = tool.finish();
    recorded_with_socket(&run, "started again", 100);
}

/// A daemon that runs until dropped.
struct Daemon(Child);

impl Daemon {
    fn containerd() -> Daemon {
        install();
        fs::create_dir_all("/etc/containerd").expect("a directory");
        // What is not in the guest, and would only be waited for.
        let config = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
        fs::write("/etc/containerd/config.toml", config).expect("a file");
        let mut command = Command::new("containerd");
        command.args(["--log-level", "error"]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = Daemon(command.spawn().expect("containerd is in the guest"));
        let answers = || {
            let mut command = Command::new("ctr");
            command
                .arg("version")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        wait_until(PATIENCE, "containerd answers", answers);
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As in a pod of Kubernetes.
#[test]
fn containerd_by_pod_and_container() {
    const UID: &str = "5f1c7a3e-0b9d-4c8e-9a57-d3a1f0c2b4e6";
    let id = "a".repeat(64);
    let logs = format!("/var/log/pods/default_web-1_{UID}/nginx");
    fs::create_dir_all(&logs).expect("a directory");
    let _daemon = Daemon::containerd();
    let (tx, script) = receiver();
    let cgroup = format!("kubepods/besteffort/pod{UID}/{id}");
    let annotation = |name: &str, value: &str| format!("io.kubernetes.cri.{name}={value}");
    let annotations = [
        annotation("container-name", "nginx"),
        annotation("sandbox-name", "web-1"),
        annotation("sandbox-namespace", "default"),
    ];
    let mut args = vec![
        "--namespace",
        "k8s.io",
        "run",
        "--detach",
        "--no-pivot",
        "--rootfs",
    ];
    args.extend(["--with-ns", "network:/run/netns/right", "--cgroup", &cgroup]);
    args.extend(annotations.iter().flat_map(|it| ["--annotation", it]));
    args.extend([ROOT, &id, "/usr/bin/bash", "-c", &script]);
    run("ctr", &args);
    let (_, at) = tx.recv_from(&mut [0; 8]).expect("it has a socket");
    for (options, group) in [
        (
            ["--by", "container,pod"],
            Some(["default/web-1/nginx", "default/web-1"]),
        ),
        (["--container", "nginx"], None),
        (["--pod", "default/web-1"], None),
    ] {
        let tool = Tool::start(&[&["-r", "100ms"][..], &options[..]].concat());
        tool.warm_up();
        send(&tx, at, 100);
        wait_until(PATIENCE, "all is read", || {
            tool.totals_up_to_now()["udp-socket-read"].count >= 100
        });
        let run = tool.finish();
        for hook in with_socket() {
            let count = match group {
                Some(names) => run.groups(hook.name())[&names.map(String::from).to_vec()],
                None => run.hook(hook.name()).count,
            };
            println!("{options:?}, {hook}: {count}");
            assert_eq!(count, 100, "{options:?}, {hook}");
        }
    }
    run(
        "ctr",
        &[
            "--namespace",
            "k8s.io",
            "task",
            "kill",
            "--signal",
            "SIGKILL",
            &id,
        ],
    );
    fs::remove_dir_all(Path::new(&logs).parent().expect("one")).expect("it is there");
}

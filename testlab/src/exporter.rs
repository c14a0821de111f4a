// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The real ebpf_exporter as a child process.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::counters::missed_by;
use crate::scrape::Scrape;
use crate::tool::wait_for_exit;
use crate::{PATIENCE, at_full_length, has_recvmsg_locked, prepare, udp, wait_until};

/// Where it listens.
#[derive(Clone, Debug)]
pub enum Listen {
    /// On a port of the root namespace.
    Port(u16),
    /// On a socket of ours that it is handed as systemd does. It is not one of
    /// IP: scrapes add no packets to those that are counted.
    Handed(PathBuf),
}

/// A running ebpf_exporter that serves.
pub struct Exporter {
    child: Child,
    listen: Listen,
    log: PathBuf,
}

/// The config directory for this kernel, as `tools/vm/test` puts it there.
pub fn config() -> PathBuf {
    let directory = Path::new("/usr/local/share/netstacklat");
    if has_recvmsg_locked() {
        directory.into()
    } else {
        directory.join("before-5.19")
    }
}

impl Exporter {
    /// With our object and its config, scraped without packets.
    pub fn start() -> Exporter {
        Exporter::start_with(&config(), "netstacklat", Exporter::handed("exporter"))
    }

    pub fn handed(name: &str) -> Listen {
        Listen::Handed(format!("/run/{name}.socket").into())
    }

    /// With the configs of these names, separated by commas.
    pub fn start_with(directory: &Path, names: &str, listen: Listen) -> Exporter {
        prepare();
        // At its start it reads all of /proc/kallsyms for a decoder that our
        // config does not use: three quarters of the work of the start. So it
        // sees an empty one, but for `make test-all`.
        let symbols = if at_full_length() {
            ""
        } else {
            "mount --bind /dev/null /proc/kallsyms;"
        };
        // $$ stays the process's number when it becomes another program.
        let script = format!("{symbols} LISTEN_PID=$$ exec ebpf_exporter \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["-m", "bash", "-c", &script, "bash", "--config.strict"]);
        command.arg(format!("--config.dir={}", directory.display()));
        command.arg(format!("--config.names={names}"));
        // It would send what it has traced of itself when it ends.
        command.env("OTEL_TRACES_EXPORTER", "none");
        let log;
        match &listen {
            Listen::Port(port) => {
                log = format!("/run/exporter-{port}.log");
                command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            }
            Listen::Handed(path) => {
                log = format!("{}.log", path.display());
                let _ = fs::remove_file(path);
                let socket = UnixListener::bind(path).expect("a socket");
                command.arg("--web.listen-address=fd://0");
                command.env("LISTEN_FDS", "1");
                // SAFETY: it makes system calls, and allocates nothing. The
                // socket goes with the command, which is after the fork.
                unsafe { command.pre_exec(move || hand_over(&socket)) };
            }
        }
        let file = File::create(&log).expect("a log");
        command
            .stdout(file.try_clone().expect("a log"))
            .stderr(file);
        let child = command.stdin(Stdio::null()).spawn().expect("bash");
        let mut exporter = Exporter {
            child,
            listen,
            log: log.into(),
        };
        exporter.wait_until_it_serves();
        exporter
    }

    /// What it says of an object that this kernel does not take.
    pub fn refused(directory: &Path, names: &str) -> String {
        let mut command = Command::new("ebpf_exporter");
        command.args(["--config.check", "--config.names", names]);
        command.arg(format!("--config.dir={}", directory.display()));
        let output = command.output().expect("ebpf_exporter is in the guest");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    fn wait_until_it_serves(&mut self) {
        wait_until(PATIENCE, "ebpf_exporter serves", || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("ebpf_exporter: {status}:\n{}", self.log());
            }
            // It says so just before it does.
            let says = self.log().contains("Listening on ");
            says && match &self.listen {
                Listen::Port(port) => TcpStream::connect(("127.0.0.1", *port)).is_ok(),
                Listen::Handed(_) => true,
            }
        });
        self.scrape();
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("its log")
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// What it serves now.
    pub fn scrape(&self) -> Scrape {
        match &self.listen {
            Listen::Port(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port)).expect("it listens");
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                self.get(stream)
            }
            Listen::Handed(path) => {
                let stream = UnixStream::connect(path).expect("it listens");
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                self.get(stream)
            }
        }
    }

    fn get(&self, stream: impl Read + Write) -> Scrape {
        let scrape = get(stream);
        scrape.unwrap_or_else(|error| panic!("{error}:\n{}", self.log()))
    }

    /// How many datagrams' reads the kernel has left out: their reader ran while
    /// another, preempted, was inside the program on that CPU.
    pub fn missed_reads(&self) -> u64 {
        self.missed_reads_of("netstacklat")
    }

    /// The same of one of several configs.
    pub fn missed_reads_of(&self, config: &str) -> u64 {
        missed_by(self.scrape().program_id(config, "nsl_skb_consume_udp"))
    }

    /// Waits until the clock is known and packets are stamped, which something
    /// else must have asked for.
    pub fn measures(&self) {
        udp::until_stamped(true);
        wait_until(PATIENCE, "the clock is known", || {
            self.scrape().value("clock_updates_total") > 0
        });
    }

    /// As `systemctl stop` does it: it must end well.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = wait_for_exit(&mut self.child);
        assert_eq!(status.code(), Some(0), "{status}:\n{}", self.log());
    }
}

/// What an ebpf_exporter serves over this connection.
pub fn get(mut stream: impl Read + Write) -> std::io::Result<Scrape> {
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.0 200 "), "{head}\n{body}");
    Ok(Scrape::parse(body.to_owned()))
}

/// A failed test leaves no exporter to disturb the next.
impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// systemd hands sockets over as descriptors 3 and up.
fn hand_over(socket: &UnixListener) -> std::io::Result<()> {
    const FIRST: i32 = 3;
    let fd = socket.as_raw_fd();
    // SAFETY: they take descriptors, and no memory.
    let status = unsafe {
        match fd {
            FIRST => libc::fcntl(fd, libc::F_SETFD, 0),
            _ => libc::dup2(fd, FIRST),
        }
    };
    Errno::result(status)?;
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! netstacklat as people run it: a greeting on standard error, reports as text.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::tool::wait_for_exit;
use crate::{PATIENCE, prepare, wait_until};

/// A running netstacklat whose output is being read.
pub struct TextTool {
    child: Child,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
}

/// What has been written up to now.
struct Stream {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn read(pipe: impl Read + Send + 'static) -> Stream {
        let text = Arc::<Mutex<String>>::default();
        let shared = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let line = line.expect("UTF-8");
                let mut text = shared.lock().expect("no panic");
                text.push_str(&line);
                text.push('\n');
            }
        });
        Stream { text, reader }
    }

    fn so_far(&self) -> String {
        self.text.lock().expect("no panic").clone()
    }

    fn whole(self) -> String {
        self.reader.join().expect("UTF-8");
        let text = self.text.lock().expect("no panic");
        text.clone()
    }
}

impl TextTool {
    /// Starts it and returns when it has said that it is attached.
    pub fn start(args: &[&str]) -> TextTool {
        TextTool::start_hiding("", args)
    }

    /// The same without the kernel functions in `hidden`.
    pub fn start_hiding(hidden: &str, args: &[&str]) -> TextTool {
        prepare();
        let mut command = Command::new("netstacklat");
        command.args(args).env("NETSTACKLAT_TEST_HIDE", hidden);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("netstacklat is in the guest");
        let stdout = Stream::read(child.stdout.take().expect("piped"));
        let stderr = Stream::read(child.stderr.take().expect("piped"));
        wait_until(PATIENCE, "it is attached", || {
            stderr.so_far().contains("netstacklat: measuring at ")
        });
        TextTool {
            child,
            stdout: Some(stdout),
            stderr: Some(stderr),
        }
    }

    /// Standard output up to now.
    pub fn stdout(&self) -> String {
        let stdout = self.stdout.as_ref();
        stdout.expect("not taken yet").so_far()
    }

    /// Ctrl-C: standard output and standard error, whole.
    pub fn finish(mut self) -> (String, String) {
        let pid = Pid::from_raw(self.child.id() as i32);
        kill(pid, Signal::SIGINT).expect("it runs");
        let status = wait_for_exit(&mut self.child);
        let whole = |stream: &mut Option<Stream>| stream.take().expect("taken once").whole();
        let (stdout, stderr) = (whole(&mut self.stdout), whole(&mut self.stderr));
        assert_eq!(status.code(), Some(0), "{stderr}");
        (stdout, stderr)
    }
}

/// A failed test leaves no netstacklat to disturb the next.
impl Drop for TextTool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

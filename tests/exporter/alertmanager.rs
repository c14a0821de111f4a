// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `exporter/alertmanager.yml`, by amtool and by the real Alertmanager.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ALERTS, said_by};

const CONFIG: &str = "alertmanager.yml";

fn amtool(args: &[&str]) -> String {
    said_by("amtool", args)
}

#[test]
fn alertmanager_takes_the_configuration() {
    amtool(&["check-config", CONFIG]);
}

/// Each alert with its severity, as alerts.yml has them.
fn alerts() -> Vec<(String, String)> {
    let mut names = Vec::new();
    let mut found = Vec::new();
    for line in ALERTS.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            names.push(name.to_owned());
        } else if let Some(severity) = line.strip_prefix("severity: ") {
            found.push((names.last().expect("an alert").clone(), severity.to_owned()));
        }
    }
    assert_eq!(found.len(), names.len());
    found
}

#[test]
fn what_only_explains_is_sent_to_nobody() {
    let mut receivers = std::collections::BTreeSet::new();
    for (name, severity) in alerts() {
        let (name, level) = (format!("alertname={name}"), format!("severity={severity}"));
        let config = format!("--config.file={CONFIG}");
        let args = ["config", "routes", "test", &config, &name, &level];
        let said = amtool(&args);
        let receiver = said.lines().next().expect("a receiver").to_owned();
        let expected = if severity == "info" {
            "nobody"
        } else {
            "network"
        };
        assert_eq!(receiver, expected, "{name}");
        receivers.insert(receiver);
    }
    assert_eq!(receivers.len(), 2);
}

/// A running Alertmanager, in a directory of its own.
struct Alertmanager {
    child: Child,
    port: u16,
}

impl Alertmanager {
    fn start() -> Alertmanager {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("alertmanager");
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("ours");
        // Below those that the kernel gives to connections: to connect to one of
        // those, nobody listening, can be to connect to oneself.
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let port = (19_093..19_193).find(is_free).expect("a free port");
        let config = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("exporter")
            .join(CONFIG);
        let log = std::fs::File::create(directory.join("log")).expect("ours");
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", directory.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("no Alertmanager here: run tools/install-deps exporter");
        let manager = Alertmanager { child, port };
        let deadline = Instant::now() + Duration::from_secs(60);
        while manager.ask("GET", "/-/ready", None).is_none() {
            assert!(Instant::now() < deadline, "it does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        manager
    }

    /// The body of an answer.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a timeout");
        let body = body.map(Value::to_string).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }

    /// Sends alerts, and tells which of them are inhibited, when that has not changed for
    /// some time: Alertmanager learns of one alert after the other.
    fn inhibited(&self, alerts: &[Value]) -> Vec<String> {
        const SETTLED: Duration = Duration::from_secs(3);
        let alerts: Vec<Value> = alerts
            .iter()
            .map(|labels| json!({"labels": labels}))
            .collect();
        let sent = Value::from(alerts.clone());
        self.ask("POST", "/api/v2/alerts", Some(&sent))
            .expect("it takes alerts");
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut last: Option<(Vec<String>, Instant)> = None;
        loop {
            let answer = self.ask("GET", "/api/v2/alerts", None).expect("it answers");
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            let answer = answer.as_array().expect("a list");
            if answer.len() == alerts.len()
                && answer
                    .iter()
                    .all(|alert| alert["status"]["state"] != "unprocessed")
            {
                let mut names: Vec<String> = answer
                    .iter()
                    .filter(|alert| alert["status"]["inhibitedBy"] != json!([]))
                    .map(|alert| {
                        let label =
                            |name: &str| alert["labels"][name].as_str().unwrap_or("-").to_owned();
                        format!("{} on {}", label("alertname"), label("instance"))
                    })
                    .collect();
                names.sort();
                match &last {
                    Some((before, since)) if *before == names => {
                        if since.elapsed() >= SETTLED {
                            return names;
                        }
                    }
                    _ => last = Some((names, Instant::now())),
                }
            }
            assert!(Instant::now() < deadline, "{answer:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_follows_from_another_alert_is_not_said() {
    let alert = |name: &str, instance: &str| json!({"alertname": name, "job": "netstacklat", "instance": instance, "severity": "warning"});
    let of_reason = |instance: &str, reason: &str| {
        let mut labels = alert("NetstacklatSamplesLost", instance);
        labels["reason"] = json!(reason);
        labels
    };
    let manager = Alertmanager::start();
    let inhibited = manager.inhibited(&[
        alert("NetstacklatTargetDown", "down"),
        alert("NetstacklatStackSlow", "down"),
        alert("NetstacklatStackSlow", "slow"),
        alert("NetstacklatServiceSlow", "slow"),
        alert("NetstacklatServiceSlow", "service"),
        alert("NetstacklatNotStamped", "unstamped"),
        of_reason("unstamped", "negative"),
        of_reason("lost", "negative"),
        // A clock that is stepped all the time is told of.
        alert("NetstacklatClockStepped", "stepped"),
        of_reason("stepped", "clock-step"),
        // One program of a hook says nothing of the others.
        alert("NetstacklatProgramNotAttached", "half"),
        of_reason("half", "map-full"),
    ]);
    let expected = [
        "NetstacklatSamplesLost on unstamped",
        "NetstacklatServiceSlow on slow",
        "NetstacklatStackSlow on down",
    ];
    assert_eq!(inhibited, expected);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The real Prometheus as a child process, with our configuration and rules.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{PATIENCE, wait_until};

const CONFIG: &str = include_str!("../../exporter/prometheus.yml");
const RULES: &str = include_str!("../../exporter/alerts.yml");
const DIRECTORY: &str = "/run/prometheus";
const PORT: u16 = 9090;

pub struct Prometheus {
    child: Child,
}

/// What makes a series, its name among them as `__name__`.
pub type Labels = BTreeMap<String, String>;

/// A series and its value.
#[derive(Clone, Debug, Deserialize)]
pub struct Sample {
    pub metric: Labels,
    value: (f64, String),
}

impl Sample {
    pub fn value(&self) -> f64 {
        let (_, text) = &self.value;
        text.parse().expect("a number")
    }
}

/// A series and its values over time.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Series {
    pub metric: Labels,
    /// Unix time in seconds, and a number as text.
    pub values: Vec<(f64, String)>,
}

/// A rule as Prometheus has understood it.
#[derive(Clone, Debug, Deserialize)]
pub struct Rule {
    pub name: String,
    pub query: String,
    /// "recording" or "alerting"
    #[serde(rename = "type")]
    pub kind: String,
    /// "ok" once it has been evaluated without an error
    pub health: String,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Vector {
    result: Vec<Sample>,
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

impl Prometheus {
    /// With the files as they are, but for the intervals: a scrape, which under
    /// emulation takes up to a second, must end within one.
    pub fn start() -> Prometheus {
        Prometheus::with_rules(RULES)
    }

    /// The same with the rules of an object that counts by other keys.
    pub fn with_rules(rules: &str) -> Prometheus {
        let directory = Path::new(DIRECTORY);
        // What another test has had scraped is not this one's.
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory).expect("a directory");
        let config = CONFIG.replace("_interval: 15s", "_interval: 3s");
        assert_eq!(config.matches("_interval: 3s").count(), 2);
        fs::write(directory.join("prometheus.yml"), config).expect("a configuration");
        fs::write(directory.join("alerts.yml"), rules).expect("rules");
        let log = File::create(directory.join("log")).expect("a log");
        let child = Command::new("prometheus")
            .current_dir(directory)
            .arg(format!("--web.listen-address=127.0.0.1:{PORT}"))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus is in the guest");
        let mut prometheus = Prometheus { child };
        wait_until(PATIENCE, "Prometheus is ready", || {
            sleep(Duration::from_millis(100));
            let ended = prometheus.child.try_wait().expect("a child");
            assert!(ended.is_none(), "Prometheus has ended:\n{}", log_text());
            get("/-/ready").is_some_and(|(head, _)| head.contains(" 200 "))
        });
        prometheus
    }

    /// What an expression gives now. One that it does not take is a failure.
    pub fn query(&self, expression: &str) -> Vec<Sample> {
        let vector: Vector = api(&format!("query?query={}", encode(expression)));
        vector.result
    }

    /// What an expression gave over the last `seconds`, every `step` seconds.
    pub fn range(&self, expression: &str, seconds: u64, step: u64) -> Vec<Series> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs();
        let (query, start) = (encode(expression), now - seconds);
        let matrix: Matrix = api(&format!(
            "query_range?query={query}&start={start}&end={now}&step={step}"
        ));
        matrix.result
    }

    /// Waits until an expression gives something.
    pub fn wait_for(&self, expression: &str) -> Vec<Sample> {
        let mut found = Vec::new();
        wait_until(PATIENCE, expression, || {
            found = self.query(expression);
            if found.is_empty() {
                // It costs more than what it waits for.
                sleep(Duration::from_millis(300));
            }
            !found.is_empty()
        });
        found
    }

    /// The only value of an expression.
    pub fn value(&self, expression: &str) -> f64 {
        match &self.query(expression)[..] {
            [one] => one.value(),
            other => panic!("{expression}: {other:?}"),
        }
    }

    /// The values that a label has in the series of a selector.
    pub fn label_values(&self, label: &str, selector: &str) -> Vec<String> {
        api(&format!(
            "label/{label}/values?match[]={}",
            encode(selector)
        ))
    }

    /// All that was ever stored of a selector.
    pub fn series(&self, selector: &str) -> Vec<Labels> {
        api(&format!("series?match[]={}", encode(selector)))
    }

    /// In the order of the file.
    pub fn rules(&self) -> Vec<Rule> {
        let answer: Groups = api("rules");
        answer.groups.into_iter().flat_map(|g| g.rules).collect()
    }
}

/// A failed test leaves none to disturb the next.
impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_text() -> String {
    fs::read_to_string(Path::new(DIRECTORY).join("log")).expect("its log")
}

fn api<T: DeserializeOwned>(path: &str) -> T {
    let (head, body) = get(&format!("/api/v1/{path}")).expect("it listens");
    assert!(head.contains(" 200 "), "{path}: {head}\n{body}");
    let answer: Result<Answer<T>, _> = serde_json::from_str(&body);
    let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
    answer.data
}

/// Head and body, where somebody listens.
fn get(path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", PORT)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    Some((head.to_owned(), body.to_owned()))
}

fn encode(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escaped).collect()
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Some minutes of a host, and what each panel of the dashboard asks Prometheus
//! about them: a line of JSON each, for `make dashboard-picture` to draw.

use std::time::{Duration, Instant};

use serde_json::json;

use super::dashboard::Dashboard;
use super::groups::{Cgroup, flow};
use super::snippet;
use testlab::exporter::{Exporter, Listen, config};
use testlab::load::{Background, Rate};
use testlab::prometheus::Prometheus;
use testlab::udp::{Flow, exchange};
use testlab::{Family, Ns, sh};

/// How long that is, and between scrapes: `Prometheus::start` has 3 s.
const SHOWN: Duration = Duration::from_secs(120);
const STEP_S: u64 = 3;
/// What Grafana makes of such a scrape interval: four times that.
const INTERVAL: &str = "12s";

#[test]
fn panels() {
    sh("ip link set lo up");
    let both = "netstacklat,netstacklat-groups";
    let exporter = Exporter::start_with(&config(), both, Listen::Port(snippet::PORT));
    let prometheus = Prometheus::start();
    let _stamping = Flow::open(Family::V4, 8790).with_stamps();
    let began = Instant::now();
    let traffic = Background::start(Rate::Moderate, 8800);
    let services = ["web.service", "db.service", "dns.service"];
    let flows: Vec<Flow> = services
        .into_iter()
        .zip(8900..)
        .map(|(name, port)| {
            let cgroup = Cgroup::enter(name);
            let flow = flow(Ns::Root, &format!("127.0.0.1:{port}"));
            cgroup.leave();
            flow
        })
        .collect();
    // Each has its own share, and one comes later.
    let mut turn = 0;
    while began.elapsed() < SHOWN {
        turn += 1;
        for (place, one) in flows.iter().enumerate() {
            if place < 2 || began.elapsed() > SHOWN / 2 {
                exchange(std::slice::from_ref(one), 20 >> place);
            }
        }
        // A reader that is late now and then.
        if turn % 20 == 0 {
            flows[0].send(0);
            std::thread::sleep(Duration::from_millis(60));
            flows[0].receive();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let dashboard = Dashboard::open(&prometheus);
    let hooks = [
        "tcp-start",
        "tcp-socket-read",
        "udp-start",
        "udp-socket-read",
    ];
    let range = format!("{}s", SHOWN.as_secs());
    let mut drawn = 0;
    for query in dashboard.queries(&hooks, INTERVAL, &range) {
        let series = if query.instant {
            let samples = prometheus.query(&query.expression).into_iter();
            let samples = samples.map(|sample| json!({"metric": sample.metric, "values": [[0, sample.value().to_string()]]}));
            samples.collect()
        } else {
            json!(prometheus.range(&query.expression, SHOWN.as_secs(), STEP_S))
        };
        let line = json!({
            "panel": query.panel,
            "hook": query.hook,
            "letter": query.letter,
            "series": series,
        });
        drawn += usize::from(line["series"] != json!([]));
        println!("PANEL {line}");
    }
    assert!(drawn > 50, "{drawn} queries with an answer");
    traffic.stop_ignoring_loss();
    exporter.stop();
}

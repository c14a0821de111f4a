// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! ebpf_exporter asks for no stamps. Until something does, nothing is measured,
//! and the counter of skips says so, packet by packet.

use netstacklat::model::hooks::Hook;

use testlab::exporter::Exporter;
use testlab::hooks::{hooks_of, left_out};
use testlab::scrape::Scrape;
use testlab::udp::{Flow, exchange, until_stamped};
use testlab::{Family, PATIENCE, wait_until};

/// What was served, and how many reads the kernel had left out by then.
struct At {
    scrape: Scrape,
    missed_reads: u64,
}

impl At {
    fn now(exporter: &Exporter) -> At {
        At {
            scrape: exporter.scrape(),
            missed_reads: exporter.missed_reads(),
        }
    }

    /// Samples, datagrams without a stamp, and reads left out.
    fn counted(&self, hook: Hook) -> [u64; 3] {
        let mut skipped = self.scrape.skipped(hook.name());
        let without = skipped.remove("no-timestamp").unwrap_or(0);
        assert!(skipped.is_empty(), "{hook}: {skipped:?}");
        let missed = left_out(hook, self.missed_reads);
        [self.scrape.histogram(hook.name()).count(), without, missed]
    }

    /// So many came since with a stamp, and without.
    fn holds_since(&self, earlier: &At, with: u64, without: u64) {
        for hook in hooks_of("UDP") {
            let (now, then) = (self.counted(hook), earlier.counted(hook));
            let [recorded, unstamped, missed] = [0, 1, 2].map(|i| now[i] - then[i]);
            println!("{hook}: {recorded} and {unstamped}, sent {with} and {without}");
            assert!(recorded <= with && unstamped <= without, "{hook}");
            assert_eq!(recorded + unstamped + missed, with + without, "{hook}");
        }
    }
}

#[test]
fn absent_then_present() {
    const N: u64 = 500;
    let flows = |port| Flow::several(Family::V4, port..port + 4);
    let exporter = Exporter::start();
    wait_until(PATIENCE, "the clock is known", || {
        exporter.scrape().value("clock_updates_total") > 0
    });
    until_stamped(false);

    let before = At::now(&exporter);
    exchange(&flows(6210), N);
    let absent = At::now(&exporter);
    let stamping = Flow::open(Family::V6, 6220).with_stamps();
    let warm = until_stamped(true);
    exchange(&flows(6230), N);
    let present = At::now(&exporter);
    drop(stamping);
    until_stamped(false);
    let last = At::now(&exporter);
    exchange(&flows(6240), N);
    let absent_again = At::now(&exporter);

    absent.holds_since(&before, 0, N);
    present.holds_since(&absent, warm.with + N, warm.without);
    absent_again.holds_since(&last, 0, N);
}

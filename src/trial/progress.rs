// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How far a comparison is: a line on a terminal, nothing elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the line is drawn anew.
pub const TICK: Duration = Duration::from_millis(500);

/// The line.
pub struct Progress {
    bar: ProgressBar,
    begun: Instant,
    /// Without commands.
    planned: Duration,
    /// What commands have taken, over the periods that are done.
    commands: Duration,
    periods: u32,
    done: u32,
}

impl Progress {
    /// For so many periods, which take `planned` without their commands. Draws
    /// nothing yet.
    pub fn new(periods: u32, planned: Duration) -> Progress {
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(1000), target);
        let style = ProgressStyle::with_template("{prefix} [{bar:24}] {msg}");
        bar.set_style(style.expect("well-formed").progress_chars("=> "));
        Progress {
            bar,
            begun: Instant::now(),
            planned,
            commands: Duration::ZERO,
            periods,
            done: 0,
        }
    }

    /// For what needs none.
    pub fn none() -> Progress {
        let progress = Progress::new(1, Duration::ZERO);
        progress.bar.set_draw_target(ProgressDrawTarget::hidden());
        progress
    }

    /// Whether there is anything to draw.
    pub fn shown(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// What it is about now.
    pub fn now_in(&self, what: String) {
        self.bar.set_prefix(what);
        self.tick();
    }

    /// So long a command has taken.
    pub fn command_took(&mut self, time: Duration) {
        self.commands += time;
    }

    /// A period is over.
    pub fn period_done(&mut self) {
        self.done += 1;
    }

    /// Draws it as it is now.
    pub fn tick(&self) {
        let passed = self.begun.elapsed();
        let commands = match self.done {
            0 => self.commands,
            done => self.commands * self.periods / done,
        };
        let left = (self.planned + commands).saturating_sub(passed);
        let share = passed.as_secs_f64() / (passed + left).as_secs_f64().max(1e-9);
        self.bar.set_position((share * 1000.0) as u64);
        self.bar.set_message(time_left(left));
    }

    /// Says something, above the line where there is one.
    pub fn say(&self, text: &str) {
        // Nobody may be reading; that is no reason to stop.
        self.bar.suspend(|| {
            let _ = std::io::stderr().write_all(text.as_bytes());
        });
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn time_left(left: Duration) -> String {
    let seconds = left.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s left"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s left"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_short() {
        let at = |seconds| time_left(Duration::from_secs(seconds));
        assert_eq!(at(0), "0s left");
        assert_eq!(at(59), "59s left");
        assert_eq!(at(61), "1m 01s left");
        assert_eq!(at(7380), "2h 03m left");
    }
}

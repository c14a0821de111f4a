// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Shows how far a comparison is: a line on a terminal, nothing elsewhere.

use std::time::{Duration, Instant};

use crate::runtime::messages::Messages;
use crate::text::one_line;

/// How often the line is redrawn.
pub(crate) const REDRAW_INTERVAL: Duration = Duration::from_millis(500);
/// Columns of the bar.
const BAR: usize = 24;

/// The progress line of a comparison.
pub struct Progress {
    messages: Messages,
    what: String,
    begun: Instant,
    /// Planned time, without commands.
    planned: Duration,
    /// Time that commands took in the periods that are done.
    commands: Duration,
    periods: u32,
    done: u32,
}

impl Progress {
    /// For a comparison of `periods` periods. Draws nothing yet.
    pub fn new(messages: Messages, periods: u32) -> Progress {
        Progress {
            messages,
            what: String::new(),
            begun: Instant::now(),
            planned: Duration::ZERO,
            commands: Duration::ZERO,
            periods,
            done: 0,
        }
    }

    /// Starts the estimate: from now on all periods take `planned`, without
    /// their commands.
    pub(crate) fn set_planned(&mut self, planned: Duration) {
        self.begun = Instant::now();
        self.planned = planned;
    }

    /// Sets the text that names the current step.
    pub(crate) fn set_current_step(&mut self, what: String) {
        self.what = what;
        self.draw();
    }

    /// Adds the time that a command took.
    pub(crate) fn add_command_time(&mut self, time: Duration) {
        self.commands += time;
    }

    /// Counts a finished period.
    pub(crate) fn period_done(&mut self) {
        self.done += 1;
    }

    pub(crate) fn draw(&self) {
        if !self.messages.is_terminal() {
            return;
        }
        let passed = self.begun.elapsed();
        let commands = match self.done {
            0 => self.commands,
            done => self.commands * self.periods / done,
        };
        let left = (self.planned + commands).saturating_sub(passed);
        let share = passed.as_secs_f64() / (passed + left).as_secs_f64().max(1e-9);
        let columns = terminal_size::terminal_size_of(std::io::stderr());
        let columns = columns.map_or(80, |(width, _)| usize::from(width.0));
        self.messages
            .set_progress(line(&self.what, share, left, columns));
    }

    pub(crate) fn finish(&self) {
        self.messages.set_progress(String::new());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A line of fewer than `columns` characters: a full line would wrap, and could
/// not be redrawn in place.
fn line(what: &str, share: f64, left: Duration, columns: usize) -> String {
    let full = ((BAR as f64 * share) as usize).min(BAR);
    let tip = if full < BAR { ">" } else { "" };
    let bar = format!("{}{tip}", "=".repeat(full));
    let text = format!("{what} [{bar:BAR$}] {}", time_left(left));
    let room = columns.saturating_sub(1);
    one_line(&text, usize::MAX).chars().take(room).collect()
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

    #[test]
    fn the_line_fits_the_terminal() {
        let left = Duration::from_secs(8);
        let half = line("round 3 of 6: B", 0.5, left, 80);
        assert_eq!(half, "round 3 of 6: B [============>           ] 8s left");
        let all = line("x", 1.0, left, 80);
        assert_eq!(all, "x [========================] 8s left");
        assert_eq!(line("a long name\n", 0.5, left, 13), "a long name ");
        assert_eq!(line("x", 0.5, left, 0), "");
    }
}

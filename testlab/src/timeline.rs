// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the wall clock has done, and what follows for each packet that a
//! receiver has read: how long it waited, and whether the tool must have
//! recorded it, or refused to.

use crate::lines::{Counts, MAX_NS};

/// The clocks of two CPUs may differ by this (NETSTACKLAT_CLOCK_LAG_NS), and
/// the offset between two clocks is known to some microseconds.
const LAG_NS: i64 = 20_000;

/// A time on CLOCK_MONOTONIC that lies between two readings, ns.
pub type Between = (i64, i64);

/// The wall clock changed at once.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub at: Between,
    /// ns, exact
    pub by: i64,
    /// When the tool has certainly noticed, on CLOCK_MONOTONIC.
    pub noticed: i64,
}

/// A packet as its receiver sees it.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// CLOCK_REALTIME as it was on arrival.
    pub stamp: i64,
    /// Before and after the call that read it.
    pub at: Between,
}

/// What the tool must have made of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// With a latency between these two.
    Recorded(Between),
    Refused,
    /// It was too close to a step to tell; if recorded, then so.
    Either(Between),
}

/// The wall clock from the beginning of a test to its end.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// CLOCK_REALTIME - CLOCK_MONOTONIC at the beginning.
    offset: i64,
    steps: Vec<Step>,
    /// Times at which the tool may refuse everything.
    closed: Vec<Between>,
    /// Share of its good reads that it may refuse at any time.
    tolerance: f64,
    /// By how much its latencies may be wrong.
    error_ns: i64,
}

impl Timeline {
    pub fn new(offset: i64, tolerance: f64) -> Timeline {
        Timeline {
            offset,
            tolerance,
            error_ns: LAG_NS,
            steps: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// The clock is stepped by so little that nothing is refused, and latencies
    /// may be wrong by that.
    pub fn wrong_by(mut self, ns: i64) -> Timeline {
        self.error_ns += ns;
        self
    }

    pub fn stepped(&mut self, step: Step) {
        self.closed.push((step.at.0, step.noticed));
        self.steps.push(step);
    }

    pub fn closed(&mut self, from: i64, to: i64) {
        self.closed.push((from, to));
    }

    pub fn steps(&self) -> u64 {
        self.steps.len() as u64
    }

    /// From the step before it, if any, to the one after it.
    fn epoch(&self, number: usize) -> (Between, Between) {
        let never = (i64::MIN / 2, i64::MIN / 2);
        let begin = number.checked_sub(1).map_or(never, |n| self.steps[n].at);
        let end = self
            .steps
            .get(number)
            .map_or((i64::MAX, i64::MAX), |s| s.at);
        (begin, end)
    }

    fn offset_in(&self, epoch: usize) -> i64 {
        let steps = self.steps[..epoch].iter().map(|step| step.by);
        self.offset + steps.sum::<i64>()
    }

    /// The documented rule: which stamps are refused in this epoch. Those from
    /// before the step, by the new clock and by the old one; but not by an old
    /// one so far ahead that its stamps cannot be mistaken.
    fn refused_before(&self, epoch: usize) -> Between {
        let range = MAX_NS as i64;
        let mut bound = (i64::MIN, i64::MIN);
        for (number, step) in self.steps[..epoch].iter().enumerate() {
            let on = |offset: i64| (step.at.0 + offset, step.noticed + offset);
            let (old, new) = (on(self.offset_in(number)), on(self.offset_in(number + 1)));
            if bound.0 > new.1 + range {
                bound = new;
            }
            if old.0 <= new.0 + range {
                bound = (bound.0.max(old.0), bound.1.max(old.1));
            }
            bound = (bound.0.max(new.0), bound.1.max(new.1));
        }
        bound
    }

    fn verdict_in(&self, epoch: usize, read: &Read) -> Verdict {
        let (begin, _) = self.epoch(epoch);
        let arrived = read.stamp - self.offset_in(epoch);
        let of_another = arrived < begin.0 - self.error_ns || arrived > read.at.1 + self.error_ns;
        let refused = self.refused_before(epoch);
        if of_another || read.stamp < refused.0.saturating_sub(self.error_ns) {
            return Verdict::Refused;
        }
        let waited = (read.at.0 - arrived, read.at.1 - arrived);
        let overlaps = |closed: &Between| read.at.1 >= closed.0 && read.at.0 <= closed.1;
        let clear = arrived > begin.1.saturating_add(self.error_ns)
            && read.stamp > refused.1.saturating_add(self.error_ns)
            && !self.closed.iter().any(overlaps);
        if clear {
            Verdict::Recorded(waited)
        } else {
            Verdict::Either(waited)
        }
    }

    /// The epochs in which it may have been read.
    fn epochs_of(&self, read: &Read) -> impl Iterator<Item = usize> {
        (0..=self.steps.len()).filter(move |&number| {
            let (begin, end) = self.epoch(number);
            read.at.1 >= begin.0 && read.at.0 <= end.1
        })
    }

    fn verdict(&self, read: &Read) -> Verdict {
        let verdicts = self.epochs_of(read).map(|n| self.verdict_in(n, read));
        let of_two = |a, b| match (a, b) {
            (a, b) if a == b => a,
            (Verdict::Refused, other) | (other, Verdict::Refused) => {
                Verdict::Either(other.waited().expect("not refused"))
            }
            (a, b) => {
                let (a, b) = (a.waited().expect("not"), b.waited().expect("refused"));
                Verdict::Either((a.0.min(b.0), a.1.max(b.1)))
            }
        };
        verdicts.reduce(of_two).expect("some epoch")
    }

    /// The longest that a packet can have been on its way when it was read.
    fn longest(&self, read: &Read) -> i64 {
        let arrivals = (0..=self.steps.len()).filter_map(|number| {
            let (begin, end) = self.epoch(number);
            let arrived = read.stamp - self.offset_in(number);
            let here = arrived >= begin.0 - self.error_ns
                && arrived <= end.1.saturating_add(self.error_ns)
                && arrived <= read.at.1 + self.error_ns;
            here.then_some(read.at.1 - arrived)
        });
        arrivals.max().expect("a stamp of some epoch")
    }

    /// Holds what a hook says against what its receiver knows: how many were
    /// recorded, how many refused, and at each bucket's bound how many waited
    /// no longer.
    pub fn judge(&self, hook: &str, reads: &[Read], counts: &Counts) {
        let verdicts: Vec<_> = reads.iter().map(|read| self.verdict(read)).collect();
        self.enough_of_each(hook, reads, &verdicts);
        let number = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|v| is(v)).count() as u64;
        let recorded = number(|v| matches!(v, Verdict::Recorded(_)));
        let refused = number(|v| *v == Verdict::Refused);
        let either = number(|v| matches!(v, Verdict::Either(_)));
        let tolerated = (recorded as f64 * self.tolerance) as u64;
        println!(
            "{hook}: {} recorded, {:?}; in truth {recorded} good, {refused} to be refused, {either} either",
            counts.count, counts.skipped
        );
        let steps = counts.skip("clock-step");
        assert_eq!(counts.count + steps, reads.len() as u64, "{hook}");
        assert!(steps >= refused, "{hook}: bogus samples");
        assert!(
            steps <= refused + either + tolerated,
            "{hook}: good ones refused"
        );
        for &(lo, hi) in counts.buckets.keys() {
            let (said, _) = counts.at_or_below(hi);
            let hi = hi as i64;
            let least = verdicts.iter().filter(|verdict| match verdict {
                Verdict::Recorded((_, most)) => *most <= hi - self.error_ns,
                _ => false,
            });
            let most = verdicts.iter().filter(|verdict| {
                let waited = verdict.waited();
                waited.is_some_and(|(least, _)| least <= hi + self.error_ns)
            });
            let least = (least.count() as u64).saturating_sub(tolerated);
            let most = most.count() as u64;
            assert!(
                (least..=most).contains(&said),
                "{hook}: ({lo}, {hi}]: {said} at or below, in truth {least} to {most}"
            );
        }
    }

    /// Else the comparison would say nothing about some step.
    fn enough_of_each(&self, hook: &str, reads: &[Read], verdicts: &[Verdict]) {
        for number in 0..=self.steps.len() {
            let in_epoch = |is: fn(&Verdict) -> bool| {
                let pairs = reads.iter().zip(verdicts);
                let found = pairs.filter(|(read, verdict)| {
                    is(verdict) && self.epochs_of(read).eq(std::iter::once(number))
                });
                found.count()
            };
            let good = in_epoch(|v| matches!(v, Verdict::Recorded(_)));
            let refused = in_epoch(|v| *v == Verdict::Refused);
            assert!(good >= 10, "{hook}: {good} good reads after step {number}");
            assert!(
                number == 0 || refused >= 5,
                "{hook}: {refused} queued reads over step {number}"
            );
        }
    }

    /// A hook that the same packets pass before they are read: no more of
    /// them can have been later there than when they were read.
    pub fn judge_earlier(&self, hook: &str, reads: &[Read], counts: &Counts) {
        let longest: Vec<_> = reads.iter().map(|read| self.longest(read)).collect();
        for &(lo, hi) in counts.buckets.keys() {
            let said = counts.above(lo);
            let bound = lo as i64 - self.error_ns;
            let most = longest.iter().filter(|longest| **longest >= bound).count();
            assert!(
                said <= most as u64,
                "{hook}: {said} above {lo} of ({lo}, {hi}], in truth at most {most}"
            );
        }
    }
}

impl Verdict {
    fn waited(self) -> Option<Between> {
        match self {
            Verdict::Recorded(waited) | Verdict::Either(waited) => Some(waited),
            Verdict::Refused => None,
        }
    }
}

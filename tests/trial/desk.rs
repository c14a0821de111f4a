// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Where comparisons are made that measure nothing.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Result, bail};
use netstacklat::event_loop::EventLoop;
use netstacklat::model::comparison::{Comparison, Place, Side};
use netstacklat::model::histogram::Resolution;
use netstacklat::model::hooks::HookSet;
use netstacklat::model::snapshot::Snapshot;
use netstacklat::trial::progress::Progress;
use netstacklat::trial::shell::Shell;
use netstacklat::trial::stage::{Measure, Stage};
use netstacklat::trial::state::{State, Store};
use netstacklat::trial::turns::{Ending, Trial};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Signals come to all event loops of a process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Counts nothing, and fails or panics at the snapshot of that number.
#[derive(Default)]
pub(crate) struct NoPackets {
    pub(crate) snapshots: u32,
    pub(crate) fails_at: Option<u32>,
    pub(crate) panics_at: Option<u32>,
}

impl Measure for NoPackets {
    fn snapshot(&mut self) -> Result<Snapshot> {
        self.snapshots += 1;
        if Some(self.snapshots) == self.fails_at {
            bail!("the kernel says no");
        }
        assert_ne!(Some(self.snapshots), self.panics_at, "as was asked for");
        let hooks = HookSet::ALL;
        Ok(Snapshot::empty(Resolution::FINE, hooks, 0, UNIX_EPOCH))
    }

    fn clock_changed(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A comparison in a directory of its own, whose commands log what they do.
pub(crate) struct Desk {
    _alone: MutexGuard<'static, ()>,
    pub(crate) path: PathBuf,
    pub(crate) comparison: Comparison,
    pub(crate) limit: Duration,
    pub(crate) measure: NoPackets,
    pub(crate) kept: Vec<Place>,
}

impl Desk {
    pub(crate) fn new(name: &str) -> Desk {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let path = std::env::temp_dir().join(format!("trial-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).expect("a new directory");
        let mut desk = Desk {
            _alone: alone,
            path,
            comparison: Comparison {
                a: Side::default(),
                b: Side::default(),
                load: None,
                rounds: 6,
                period: MS,
                settle: MS,
                // B comes first.
                seed: 1,
            },
            limit: Duration::from_secs(60),
            measure: NoPackets::default(),
            kept: Vec::new(),
        };
        desk.comparison.a = desk.side("a");
        desk.comparison.b = desk.side("b");
        desk
    }

    pub(crate) fn side(&self, name: &str) -> Side {
        Side {
            name: name.into(),
            start: Some(self.logging(&format!("{name}-start"))),
            stop: Some(self.logging(&format!("{name}-stop"))),
        }
    }

    pub(crate) fn logging(&self, word: &str) -> String {
        format!("echo {word} >>{}/log", self.path.display())
    }

    pub(crate) fn store(&self) -> Result<Store> {
        Store::lock_at(self.path.join("state"))
    }

    pub(crate) fn run(&mut self) -> Ending {
        let store = self.store().expect("the state");
        let state = State::here(&self.path).expect("where we are");
        let events = EventLoop::for_undoing(None, std::iter::empty()).expect("events");
        let stage = Stage::new(
            events,
            Some(&mut self.measure),
            Shell::new(),
            Progress::none(),
        );
        let stage = stage.expect("a pipe");
        let trial = Trial::new(&self.comparison, self.limit, stage, &store, state);
        let kept = &mut self.kept;
        trial.run(&mut |place, _| {
            kept.push(place);
            Ok(None)
        })
    }

    pub(crate) fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path.join("log")).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Nothing is left, and nothing says that there is.
    pub(crate) fn is_clean(&self, ending: &Ending) {
        assert!(ending.left_behind.is_none(), "{ending:?}");
        assert!(!self.path.join("state/compare.json").exists());
        let log = self.log();
        let count = |end: &str| log.iter().filter(|word| word.ends_with(end)).count();
        assert_eq!(count("-start"), count("-stop"), "{log:?}");
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Comparisons with real commands and no measurements.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Result, bail};
use netstacklat::experiment::guardian::{Guardian, GuardianConfig};
use netstacklat::experiment::journal::Journal;
use netstacklat::experiment::progress::Progress;
use netstacklat::experiment::recover::{self, Leftovers};
use netstacklat::experiment::runner::{Ending, Runner};
use netstacklat::experiment::state::State;
use netstacklat::experiment::supervisor::{Measure, Resources, Supervisor};
use netstacklat::model::comparison::{Comparison, Place, Side};
use netstacklat::model::histogram::Resolution;
use netstacklat::model::hooks::HookSet;
use netstacklat::model::snapshot::Snapshot;
use netstacklat::process::rlimits::Limits;
use netstacklat::runtime::event_loop::EventLoop;
use netstacklat::runtime::messages::Messages;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_netstacklat");
pub(crate) const MS: Duration = Duration::from_millis(1);

/// All event loops of a process receive its signals, so only one test may run
/// at a time.
static ONE_TEST_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Counts nothing. Fails or panics at the given snapshot, counted from 1.
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

    fn host_changed(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A comparison in its own directory, whose commands write to a log.
pub(crate) struct Workdir {
    _one_test_at_a_time: MutexGuard<'static, ()>,
    pub(crate) path: PathBuf,
    pub(crate) comparison: Comparison,
    pub(crate) limit: Duration,
    pub(crate) measure: NoPackets,
    pub(crate) kept: Vec<Place>,
}

impl Workdir {
    pub(crate) fn new(name: &str) -> Workdir {
        let guard = ONE_TEST_AT_A_TIME
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let path = std::env::temp_dir().join(format!("experiment-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).expect("a new directory");
        let mut workdir = Workdir {
            _one_test_at_a_time: guard,
            path,
            comparison: Comparison {
                a: Side::default(),
                b: Side::default(),
                load: None,
                rounds: 6,
                auto_rounds: false,
                period: MS,
                settle: MS,
                // With this seed B comes first.
                seed: 1,
            },
            limit: Duration::from_secs(60),
            measure: NoPackets::default(),
            kept: Vec::new(),
        };
        workdir.comparison.a = workdir.side("a");
        workdir.comparison.b = workdir.side("b");
        workdir
    }

    pub(crate) fn side(&self, name: &str) -> Side {
        Side {
            name: name.into(),
            start: Some(self.log_command(&format!("{name}-start"))),
            stop: Some(self.log_command(&format!("{name}-stop"))),
        }
    }

    pub(crate) fn log_command(&self, word: &str) -> String {
        format!("echo {word} >>{}/log", self.path.display())
    }

    /// The directory of journals.
    pub(crate) fn place(&self) -> PathBuf {
        self.path.join("state")
    }

    pub(crate) fn journal(&self) -> Result<Journal> {
        Journal::create(&self.place())
    }

    pub(crate) fn state(&self) -> State {
        State::here(&self.path, self.limit).expect("where we are")
    }

    /// What comparisons have left.
    pub(crate) fn leftovers(&self) -> Leftovers {
        recover::find_in(vec![self.place()]).expect("/proc")
    }

    /// Whether a journal exists.
    pub(crate) fn has_state(&self) -> bool {
        std::fs::read_dir(self.place()).is_ok_and(|mut entries| entries.next().is_some())
    }

    pub(crate) fn run(&mut self) -> Ending {
        self.run_watched(|_| {})
    }

    /// Like `run`. `see` gets the guardian's PID before the first round.
    pub(crate) fn run_watched(&mut self, see: impl FnOnce(u32)) -> Ending {
        let journal = self.journal().expect("the journal");
        let state = self.state();
        journal.write(&state).expect("written");
        let config = GuardianConfig {
            program: PROGRAM.into(),
            limits: Limits::current(),
            command_env: None,
        };
        let guardian = Guardian::start(&config, &journal, None).expect("a process");
        see(guardian.pid());
        let messages = Messages::discarded().expect("a thread");
        let mut events = EventLoop::uninterruptible(None).expect("events");
        let host = events.watch([], "no clock").expect("a source");
        let supervisor = Supervisor::new(Resources {
            events: &mut events,
            measure: &mut self.measure,
            host,
            guardian,
            guardian_config: config,
            journal: &journal,
            state,
            progress: Progress::new(messages.clone(), 1),
            messages,
        });
        let mut supervisor = supervisor.expect("epoll");
        let load_started = match &self.comparison.load {
            Some(load) => supervisor.start_load(load),
            None => Ok(()),
        };
        let runner = Runner::new(&self.comparison, supervisor, &journal);
        let kept = &mut self.kept;
        let mut on_period = |place, _: &_| {
            kept.push(place);
            Ok(None)
        };
        runner.run(load_started, &mut on_period, &mut |_| false)
    }

    pub(crate) fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path.join("log")).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Asserts that nothing is left to undo and that no journal is left.
    pub(crate) fn assert_restored(&self, ending: &Ending) {
        assert!(ending.left_behind.is_none(), "{ending:?}");
        assert!(!self.has_state());
        let log = self.log();
        let count = |end: &str| log.iter().filter(|word| word.ends_with(end)).count();
        assert_eq!(count("-start"), count("-stop"), "{log:?}");
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

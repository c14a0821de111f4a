// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The only room that calls libbpf: start, snapshot, stop.
//!
//! [`plan`] ([`hook_plan`] of each hook) decides from facts about the host
//! ([`crate::host`]) what to load, and [`layout`] where the counters are;
//! [`object`] opens, configures, loads and attaches the BPF object (`skeleton`,
//! `map_sizes`, `load_log`);
//! `selection` tells the programs which packets are wanted; [`maps`] turns the
//! maps into snapshots; [`clock`] ([`shared_clock`]) and [`timestamping`] are
//! what the loader keeps right while it runs; [`bpf_stats`] has the kernel
//! measure the programs, on request.

pub mod bpf_stats;
pub mod clock;
mod cpu_waits;
mod group_places;
mod group_reader;
pub mod hook_plan;
pub mod layout;
mod load_log;
mod map_sizes;
pub mod maps;
pub mod object;
mod packet_notes;
pub mod plan;
mod process_names;
mod reader;
mod selection;
pub mod shared_clock;
mod shared_state;
mod skeleton;
mod slow_limits;
mod slow_plan;
mod slow_reader;
mod slow_sent;
mod socket_readers;
pub mod stage_layout;
pub mod timestamping;

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::timerfd::TimerFd;
use nix::time::{ClockId, clock_gettime};

use crate::capture::bpf_stats::BpfStats;
use crate::capture::clock::{Clock, tick_timer};
use crate::capture::maps::Maps;
use crate::capture::object::Loaded;
use crate::capture::plan::{ClockSource, Plan};
use crate::capture::process_names::ProcessNames;
use crate::capture::slow_reader::SlowReader;
use crate::capture::timestamping::TimestampingSocket;
use crate::host::packets::Packets;
use crate::host::start_error::{StartError, StartErrorKind};
use crate::model::grouping::Grouping;
use crate::model::histogram::Histogram;
use crate::model::hooks::HookSet;
use crate::model::packet_choice::PacketChoice;
use crate::model::skips::SkipReason;
use crate::model::snapshot::Snapshot;
use crate::model::stage::Cause;
use crate::runtime::messages::Messages;

/// A running measurement. Nothing is pinned: programs, maps and timestamping
/// vanish with this value, or with the process.
pub struct Capture {
    // Dropped in this order: first the programs, then what they rely on.
    loaded: Loaded,
    maps: Maps,
    clock: Clock,
    _timestamping: TimestampingSocket,
    statistics: Option<BpfStats>,
    enabled: HookSet,
    plan: Plan,
    packets: Packets,
    process_names: Option<ProcessNames>,
    /// The slowest packets, if they are looked for.
    slow: Option<RefCell<SlowReader>>,
    /// Once a second, to read them.
    slow_timer: Option<TimerFd>,
    /// Where warnings go that come up while it measures.
    messages: Option<Messages>,
}

impl Capture {
    /// Loads and attaches what `plan` says, for all packets in one, and turns on
    /// RX timestamping for the whole host. With `statistics`, snapshots tell what
    /// programs cost.
    ///
    /// # Errors
    ///
    /// What was attempted, what the kernel said, and what to do about it.
    pub fn start(plan: Plan, statistics: Option<BpfStats>) -> Result<Capture> {
        let all = Packets::resolve(&PacketChoice::default())?;
        Capture::start_for(plan, all, None, statistics)
    }

    /// The same for some packets, or counted apart.
    ///
    /// # Errors
    ///
    /// As of [`Capture::start`].
    pub fn start_for(
        plan: Plan,
        packets: Packets,
        grouping: Option<Grouping>,
        statistics: Option<BpfStats>,
    ) -> Result<Capture> {
        let names = grouping.as_ref().map(|grouping| packets.names(grouping));
        let names = names.transpose()?;
        let mut plan = plan.of_packets(packets.filter().clone(), grouping);
        raise_open_files();
        let mut loaded = Loaded::load(&mut plan)?;
        // Before attaching, so that most packets are timestamped from the start.
        let timestamping = TimestampingSocket::open()?;
        let clock = match Clock::start(&mut loaded, &plan) {
            Err(error)
                if plan.clock == ClockSource::UpdateVsyscall
                    && plan.use_tai(&format!("{error:#}")) =>
            {
                // Where the clock comes from is fixed at load.
                loaded = Loaded::load(&mut plan)?;
                Clock::start(&mut loaded, &plan).map_err(|error| no_clock(&plan, error))?
            }
            other => other.map_err(|error| no_clock(&plan, error))?,
        };
        // Before packets come.
        selection::fill(&loaded, &plan)?;
        let slow = plan.slow.as_ref().map(|slow| {
            let names = packets.names_of_packets(slow.redact);
            let reader = SlowReader::new(&loaded, slow, plan.layout.cpus, names)?;
            anyhow::Ok(RefCell::new(reader))
        });
        let slow = slow.transpose()?;
        let slow_timer = slow.as_ref().map(|_| tick_timer());
        let slow_timer = slow_timer
            .transpose()
            .context("starting a one-second timer")?;
        loaded.attach_hooks(&mut plan)?;
        let maps = Maps::map(&loaded, &plan, names)?;
        let comms = &plan.filter.comms;
        let judge = (!comms.is_empty()).then(|| ProcessNames::judge_by(&loaded, comms));
        Ok(Capture {
            process_names: judge.transpose()?,
            messages: None,
            slow,
            slow_timer,
            loaded,
            maps,
            clock,
            _timestamping: timestamping,
            statistics,
            enabled: plan.enabled(),
            plan,
            packets,
        })
    }

    /// What is attached, and what is not and why.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The clock, to watch for changes.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// CLOCK_TAI - CLOCK_REALTIME that is in use, in seconds.
    pub fn tai_offset_s(&self) -> i64 {
        self.clock.tai_offset_s(&self.loaded)
    }

    /// The packets that are measured.
    pub fn packets(&self) -> &Packets {
        &self.packets
    }

    /// What becomes readable when [`Capture::host_changed`] must be called.
    pub fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let timers = self.clock.timers().chain(self.packets.watched());
        let timers = timers.chain(self.slow_timer.iter().map(AsFd::as_fd));
        timers.chain(self.process_names.iter().map(ProcessNames::as_fd))
    }

    /// Has warnings printed that come up from now on.
    pub fn warn_to(&mut self, messages: Messages) {
        self.messages = Some(messages);
    }

    /// Takes over a change of the system clock (TAI path only), of interfaces,
    /// of cgroups, and of what processes are called; and reads slow packets, once a
    /// second.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell its clock state, the new interfaces, new cgroups,
    /// names of processes, or slow packets.
    pub fn host_changed(&mut self) -> Result<()> {
        self.clock.update(&self.loaded)?;
        if self.packets.look_again()? {
            selection::update(&self.loaded, self.packets.filter())?;
        }
        if let Some(names) = &self.process_names {
            names.judge()?;
        }
        if let (Some(slow), Some(timer)) = (&mut self.slow, &self.slow_timer)
            // It does not wait: other things change, too.
            && nix::unistd::read(timer, &mut [0; 8]).is_ok()
        {
            let (maps, empty) = (&self.maps, Histogram::new(self.plan.resolution));
            slow.get_mut().look(&self.loaded, |hook| {
                maps.histogram(hook).unwrap_or_else(|| empty.clone())
            })?;
        }
        if let (Some(messages), Some(text)) = (&self.messages, self.packets.overflow()) {
            messages.print(&format!("netstacklat: {text}.\n"));
        }
        Ok(())
    }

    fn empty_snapshot(&self) -> Result<Snapshot> {
        let mono = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        Ok(Snapshot::empty(
            self.plan.resolution,
            self.enabled,
            mono.as_nanos() as u64,
            SystemTime::now(),
        ))
    }

    /// All counters since the programs were attached, one after the other:
    /// intervals and totals start from a snapshot, not from zero.
    ///
    /// # Errors
    ///
    /// If the kernel refuses information about a program.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut snapshot = self.empty_snapshot()?;
        let counters = &mut snapshot.counters;
        counters.sampling = self.plan.sampling;
        counters.clock_steps = self.clock.steps(&self.loaded);
        counters.small_steps = self.loaded.small_steps();
        counters.clock_updates = self.loaded.clock_updates();
        self.maps.read(counters)?;
        if let Some(selection) = self.loaded.selection() {
            for hook in self.enabled.iter() {
                let left_out = selection.filtered(hook, self.plan.layout.cpus);
                counters
                    .hook_mut(hook)
                    .skips
                    .add(SkipReason::FILTERED, left_out);
            }
        }
        if let Some(sampled_out) = self.loaded.sampled_out() {
            for hook in self.enabled.iter() {
                let left_out = sampled_out.of(hook, self.plan.layout.cpus);
                let skips = &mut counters.hook_mut(hook).skips;
                skips.add(SkipReason::SAMPLED_OUT, left_out);
            }
        }
        if let (Some(_), Some(causes)) = (&self.plan.stages, self.loaded.stageless()) {
            for (cause, counts) in Cause::all().zip(causes) {
                for hook in self.enabled.iter() {
                    let packets = counts.of(hook, self.plan.layout.cpus);
                    counters.hook_mut(hook).stageless.add(cause, packets);
                }
            }
        }
        if let Some(slow) = &self.slow {
            let counted = |hook| counters.hook(hook).histogram.clone();
            counters.slow = slow.borrow_mut().report(&self.loaded, counted)?;
        }
        for (hook, runs) in self.loaded.runs()? {
            let stats = counters.hook_mut(hook);
            stats.missed += runs.missed;
            if self.statistics.is_some() {
                stats.cost += runs.cost;
            }
        }
        if self.statistics.is_some() {
            counters.clock_cost = Some(self.loaded.clock_runs()?.cost);
        }
        Ok(snapshot)
    }
}

fn no_clock(plan: &Plan, error: anyhow::Error) -> StartError {
    let cause = match &plan.clock_reason {
        None => "the program that follows the kernel's clock does not work here".into(),
        Some(why) => format!("the kernel's own offset is not to be had ({why}), nor CLOCK_TAI's"),
    };
    let remedy = "another kernel; please report this one";
    StartError::new(StartErrorKind::Clock, format!("{error:#}"), cause, remedy)
}

/// Up to what this process may have: each program, link and map takes one.
fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // If it fails, the first descriptor too many says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

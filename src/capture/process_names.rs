// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Says to the programs which names of processes are wanted
//! (`process_name.bpf.h`): at the start those that there are, later each name
//! that comes up.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use anyhow::{Context as _, Result};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, RingBuffer, RingBufferBuilder};
use nix::errno::Errno;

use crate::capture::object::Loaded;
use crate::host::processes;
use crate::model::names;
use crate::model::owner_choice::CommChoice;
use crate::model::tables;

/// Judges names that come up.
pub(super) struct ProcessNames {
    questions: RingBuffer<'static>,
    /// How many may still be judged before others have their turn.
    left: Rc<Cell<u32>>,
}

/// Any user can make up names as fast as they are judged.
const AT_ONCE: u32 = 1024;
/// What ends the reading of a ring buffer: any negative number.
const TURN_IS_OVER: i32 = -(Errno::EAGAIN as i32);

/// Judges the names of the processes that there are.
///
/// # Errors
///
/// What the kernel said to a write.
pub(super) fn fill(loaded: &Loaded, wanted: &[CommChoice]) -> Result<()> {
    for comm in processes::comms() {
        let name = processes::padded(&comm);
        let verdict = verdict(wanted, &name).to_ne_bytes();
        loaded.write(names::PROCESS_NAMES_MAP, &name, &verdict)?;
    }
    Ok(())
}

fn verdict(wanted: &[CommChoice], name: &[u8]) -> u32 {
    let end = name.iter().position(|c| *c == 0).unwrap_or(name.len());
    if wanted.iter().any(|choice| choice.is(&name[..end])) {
        tables::NAME_WANTED
    } else {
        tables::NAME_UNWANTED
    }
}

impl ProcessNames {
    /// # Errors
    ///
    /// If there is no descriptor left, or no memory.
    pub(super) fn judge_by(loaded: &Loaded, wanted: &[CommChoice]) -> Result<ProcessNames> {
        let answers: MapHandle = loaded.map_handle(names::PROCESS_NAMES_MAP)?;
        let questions = loaded.map_handle(names::NEW_NAMES_MAP)?;
        let wanted = wanted.to_vec();
        let mut builder = RingBufferBuilder::new();
        let left: Rc<Cell<u32>> = Rc::default();
        let left_here = Rc::clone(&left);
        let judge = move |name: &[u8]| {
            let verdict = verdict(&wanted, name).to_ne_bytes();
            if answers.update(name, &verdict, MapFlags::ANY).is_err() {
                // The program asks again when it does not find the name.
                let _ = answers.delete(name);
            }
            left_here.set(left_here.get().saturating_sub(1));
            if left_here.get() > 0 { 0 } else { TURN_IS_OVER }
        };
        builder
            .add(&questions, judge)
            .context("mapping the BPF ring buffer of names")?;
        let questions = builder
            .build()
            .context("watching the BPF ring buffer of names")?;
        Ok(ProcessNames { questions, left })
    }

    /// Judges names that have come up. What is left wakes the loader again.
    ///
    /// # Errors
    ///
    /// Those of libbpf.
    pub(super) fn judge(&self) -> Result<()> {
        self.left.set(AT_ONCE);
        match self.questions.consume_raw() {
            0.. | TURN_IS_OVER => Ok(()),
            error => Err(Errno::from_raw(-error))
                .context("reading names of processes from a BPF ring buffer"),
        }
    }
}

/// Readable when a name is to be judged.
impl AsFd for ProcessNames {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is that of the ring buffer, which self keeps.
        unsafe { BorrowedFd::borrow_raw(self.questions.epoll_fd()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_its_first_zero() {
        let wanted = [
            "nginx*".parse().unwrap(),
            "fifteen-letters".parse().unwrap(),
        ];
        let of = |name: &[u8; 16]| verdict(&wanted, name);
        assert_eq!(of(b"nginx\0\0\0\0\0\0\0\0\0\0\0"), tables::NAME_WANTED);
        assert_eq!(of(b"nginx-2\0leftover"), tables::NAME_WANTED);
        assert_eq!(of(b"fifteen-letters\0"), tables::NAME_WANTED);
        assert_eq!(of(b"ngin\0\0\0\0\0\0\0\0\0\0\0\0"), tables::NAME_UNWANTED);
    }
}

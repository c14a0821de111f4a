// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a comparison measures with, outside of tests: the programs in the kernel.

use anyhow::Result;

use crate::capture::Capture;
use crate::experiment::supervisor::Measure;
use crate::model::snapshot::Snapshot;

impl Measure for Capture {
    fn snapshot(&mut self) -> Result<Snapshot> {
        Capture::snapshot(self)
    }

    fn host_changed(&mut self) -> Result<()> {
        Capture::host_changed(self)
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of `diff`.

use std::ffi::OsString;

use clap::Args;

use crate::cli::findings::FindingsArgs;

pub(super) const HELP: &str = "\
Files are run files of `record`, of `compare`, or saved --json output. Two of
one name are two recordings of one side; the first name is side A. From three
files a side on it can tell how sure a difference is; a file of `compare` has
both sides and can tell alone.

Examples:
  netstacklat diff base.nsl new.nsl
  netstacklat diff old=1.nsl old=2.nsl old=3.nsl new=4.nsl new=5.nsl new=6.nsl
  netstacklat diff compare.nsl --fail-if 'any:p99>+25%'

Exit code: 0 compared, 1 could not, 2 bad usage, 3 a --fail-if limit is exceeded.";

/// Options of `diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// Run files, each with the name of its side, if it is not to be the one
    /// given to `record`, else the file's
    #[arg(value_name = "[NAME=]FILE", required = true)]
    pub files: Vec<OsString>,

    /// What to do with what is found.
    #[command(flatten)]
    pub findings: FindingsArgs,
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of `diff`.

use std::ffi::OsString;

use clap::Args;

use crate::cli::findings::FindingsArgs;
use crate::cli::listing::top_parser;
use crate::model::grouping::GroupKey;

pub(super) const HELP: &str = "\
FILE is a run file of `record` or `compare`, or saved --json output. Files with
the same name are recordings of the same side; the first name is side A. With
three files a side or more, verdicts say how sure a difference is. A file of
`compare` has both sides; give it alone.

Examples:
  netstacklat diff base.nsl new.nsl
  netstacklat diff old=1.nsl old=2.nsl old=3.nsl new=4.nsl new=5.nsl new=6.nsl
  netstacklat diff before.nsl after.nsl --by process
  netstacklat diff compare.nsl --fail-if 'any:p99>+25%'

Exit code: 0 compared, 1 could not compare, 2 usage error, 3 a --fail-if limit
is exceeded.";

/// Options of `diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// Run files. NAME is the side; default: the name given to `record`, else
    /// the file's name
    #[arg(value_name = "[NAME=]FILE", required = true)]
    pub files: Vec<OsString>,

    /// Also compare group by group, by these of the keys that were recorded
    /// (`--by` of `record` and `compare`)
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub by: Vec<GroupKey>,

    /// With --by: compare the N groups with most packets [default: 10]
    #[arg(long, value_name = "N", value_parser = top_parser())]
    pub top: Option<u32>,

    /// What to do with what is found.
    #[command(flatten)]
    pub findings: FindingsArgs,
}

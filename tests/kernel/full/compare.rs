// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `compare`: each packet in the period it arrived in and no other, and the
//! host as it was, however it ends.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use netstacklat::stats::rounds::orders;
use nix::sys::signal::Signal;

use crate::lab::compare::{Desk, STATE, sorted};
use crate::lab::lines::totals;
use crate::lab::{Family, sh, udp, wait_until};

/// Hooks that attach fast, and a side that logs what is done to it.
const QUICK: [&str; 2] = ["-e", "udp-start"];
const LOGGED: [&str; 4] = [
    "--b-start",
    "echo start >>log",
    "--b-stop",
    "echo stop >>log",
];

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&QUICK[..], args].concat()
}

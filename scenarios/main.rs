// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What `make scenario` runs in a guest: a change of the host, a comparison of
//! the host with and without it, and whether that found what it must. Or
//! recordings, and whether they agree with what others have counted.

#![allow(unreachable_pub, reason = "the modules of one program")]

mod ask;
mod batching;
mod burn;
mod checks;
mod finding;
mod forward;
mod keepalive;
mod kube;
mod kube_proxy;
mod nginx;
mod pace;
mod requests;
mod rules;
mod scenarios;
mod serve;
mod traffic;
mod trial;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A scenario, in a guest with a pair of cards
    Run { name: scenarios::Scenario },
    /// Traffic between the namespaces left and right, until it is killed
    Traffic(traffic::Traffic),
    /// A TCP forwarder in the namespace right and what it forwards, until it is
    /// killed
    Forward { kind: forward::Kind },
    /// Rules that no packet matches, on standard output
    Rules { format: rules::Format, count: u32 },
    /// Requests from the namespace left to a web server in the right one
    Requests(requests::Requests),
    /// A UDP server with many sockets
    Serve(serve::Serve),
    /// Requests to it
    Ask(ask::Ask),
    /// What clients send to services of Kubernetes
    Clients(kube::Clients),
    /// Takes a CPU, until it is killed
    Hog,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scenario: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Run { name } => name.run(),
        Command::Traffic(traffic) => traffic.run(),
        Command::Forward { kind } => forward::run(kind),
        Command::Rules { format, count } => rules::write(format, count),
        Command::Requests(requests) => requests.run(),
        Command::Clients(clients) => clients.run(),
        Command::Serve(serve) => serve.run(),
        Command::Ask(ask) => ask.run(),
        Command::Hog => burn::hog(),
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Firewall rules that every packet is compared with, one after the other, and
//! none matches.

use std::io::Write as _;
use std::net::Ipv4Addr;

use anyhow::Result;
use clap::ValueEnum;

/// For which program.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// Rules of INPUT, for iptables-restore
    Iptables,
    /// A chain with rules, and one that could jump there, for nft -f
    Nft,
}

/// Writes them to standard output.
pub fn write(format: Format, count: u32) -> Result<()> {
    let (begin, rule, verdict, end) = match format {
        Format::Iptables => (
            "*filter\n:INPUT ACCEPT [0:0]",
            "-A INPUT -s",
            "-j DROP",
            "COMMIT",
        ),
        Format::Nft => (
            "table ip scenario {\nchain rules {",
            "ip saddr",
            "drop",
            "}\nchain input { type filter hook input priority 0; }\n}",
        ),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    writeln!(out, "{begin}")?;
    // 198.18.0.0/15 is for tests of networks (RFC 2544): nobody's address.
    let first = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    for n in 0..count {
        let source = Ipv4Addr::from(first + n % (1 << 17));
        writeln!(out, "{rule} {source} {verdict}")?;
    }
    writeln!(out, "{end}")?;
    Ok(out.flush()?)
}

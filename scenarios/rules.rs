// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Firewall rules that every packet is compared with and none matches.

use std::io::Write as _;
use std::net::Ipv4Addr;

use anyhow::Result;

/// Writes what `iptables-restore` reads.
pub fn write(count: u32) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    writeln!(out, "*filter\n:INPUT ACCEPT [0:0]")?;
    // 198.18.0.0/15 is for tests of networks (RFC 2544): nobody's address.
    let first = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    for n in 0..count {
        let source = Ipv4Addr::from(first + n % (1 << 17));
        writeln!(out, "-A INPUT -s {source} -j DROP")?;
    }
    writeln!(out, "COMMIT")?;
    Ok(out.flush()?)
}

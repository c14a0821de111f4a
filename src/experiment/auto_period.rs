// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How long `--period auto` measures each period.

use std::time::Duration;

use crate::analysis::outlook::period_for;
use crate::model::quantity::Quantity;

/// How long the packet rate is measured first.
pub(crate) const RATE_MEASURED: Duration = Duration::from_secs(3);
/// A shorter period would be mostly settling.
pub(crate) const SHORTEST: Duration = Duration::from_secs(3);

/// A period, and what it could not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// How long each period is measured.
    pub(crate) period: Duration,
    /// How long a p99 needs, if there is no time for that.
    pub(crate) wanted: Option<Duration>,
}

/// Long enough for a p99 at the hook with the most packets, of which so many
/// were counted in [`RATE_MEASURED`]; at most `longest`, which is at least
/// [`SHORTEST`].
pub(crate) fn choose(packets: u64, longest: Duration) -> Chosen {
    let wanted = period_for(Quantity::P99, packets, RATE_MEASURED);
    let wanted = wanted.unwrap_or(SHORTEST).max(SHORTEST);
    Chosen {
        period: wanted.min(longest),
        wanted: (wanted > longest).then_some(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many packets in [`RATE_MEASURED`] that a p99 needs a period of this
    /// length, as [`period_for`] has it.
    #[test]
    fn a_period_is_as_long_as_a_p99_needs_within_bounds() {
        let minute = Duration::from_secs(60);
        let busy = choose(1_000_000, minute);
        assert_eq!((busy.period, busy.wanted), (SHORTEST, None));
        let silent = choose(0, minute);
        assert_eq!((silent.period, silent.wanted), (SHORTEST, None));
        let calm = choose(1000, minute);
        let needed = period_for(Quantity::P99, 1000, RATE_MEASURED).expect("packets");
        assert_eq!((calm.period, calm.wanted), (needed, None));
        assert!(SHORTEST < needed && needed < minute, "{needed:?}");
        let slow = choose(10, minute);
        assert_eq!(slow.period, minute);
        assert!(slow.wanted > Some(minute));
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Latencies of single packets, around the level of a simulated host.

use netstacklat::model::histogram::Histogram;
use netstacklat::model::side::PerSide;
use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::{Setup, Shape};

/// The latencies to draw from, relative to the level of the host, sorted.
pub(super) struct Packets {
    shape: Shape,
    by_rank: Vec<f64>,
}

const RANK_BITS: u32 = 16;

impl Packets {
    pub(super) fn new(setup: &Setup, effect: f64) -> Packets {
        let normal = Normal::standard();
        let all = 1 << RANK_BITS;
        let by_rank = (0..all).map(|place| {
            let rank = (f64::from(place) + 0.5) / f64::from(all);
            let slower = if rank > 1.0 - setup.of_slowest {
                effect
            } else {
                0.0
            };
            let own = normal.inverse_cdf(rank);
            let value = match setup.shape {
                Shape::LogNormal(width) => (width * own).exp(),
                Shape::Mixture if rank < 0.9 => (0.3 * normal.inverse_cdf(rank / 0.9)).exp(),
                Shape::Mixture => 8.0 * (0.8 * normal.inverse_cdf((rank - 0.9) / 0.1)).exp(),
                Shape::Pareto => (1.0 - rank).powf(-1.0 / 1.1),
                Shape::Bimodal => (0.15 * own).exp(),
                Shape::Heaped => ((0.4 * own).exp() * 8.0).ceil() / 8.0,
            };
            value * slower.exp()
        });
        Packets {
            shape: setup.shape,
            by_rank: by_rank.collect(),
        }
    }

    /// Adds `count` latencies on average. `level` is the level of the host, as ln of ns.
    pub(super) fn draw(
        &self,
        into: &mut Histogram,
        rng: &mut Xoshiro256PlusPlus,
        count: f64,
        level: f64,
        upper: f64,
    ) {
        let level = level.exp();
        let whole = count as usize + usize::from(rng.random::<f64>() < count.fract());
        for _ in 0..whole {
            let drawn = rng.random::<u32>() >> (u32::BITS - RANK_BITS);
            let mut ns = level * self.by_rank[drawn as usize];
            if self.shape == Shape::Bimodal && rng.random::<f64>() < upper {
                ns *= 6.0;
            }
            into.record((ns as u64).min(1 << 33));
        }
    }
}

/// The packets at a hook on a side.
pub(crate) struct Traffic {
    pub(super) of: PerSide<Packets>,
}

impl Traffic {
    pub(crate) fn new(setup: &Setup) -> Traffic {
        Traffic {
            of: PerSide {
                a: Packets::new(setup, 0.0),
                b: Packets::new(setup, setup.effect),
            },
        }
    }
}

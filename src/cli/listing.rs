// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which groups are listed: the options that commands which list groups share.

use clap::Args;
use clap::builder::{PossibleValuesParser, RangedI64ValueParser, TypedValueParser};

use crate::model::group::MAX_GROUPS;
use crate::model::listing::{GroupSort, Listing};
use crate::model::selection::Selection;

/// Which groups to list, of a run file.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ListingArgs {
    /// List the first N groups [default: as recorded, otherwise 10]
    #[arg(long, value_name = "N", value_parser = top_parser())]
    pub top: Option<u32>,

    /// Order of the groups: slow (largest share of packets above the p99 of all
    /// packets), p99, p50, count or name [default: as recorded, otherwise slow]
    #[arg(long, value_name = "ORDER", hide_possible_values = true, value_parser = sort_parser())]
    pub sort: Option<GroupSort>,
}

/// Reads a number of groups.
pub(super) fn top_parser() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=MAX_GROUPS as i64)
}

/// Reads an order of groups. Shells complete it.
pub(super) fn sort_parser() -> impl TypedValueParser<Value = GroupSort> {
    PossibleValuesParser::new(GroupSort::ALL.map(GroupSort::name))
        .map(|name| GroupSort::find(&name).expect("it is one of them"))
}

impl ListingArgs {
    /// What to list of what is measured now.
    pub fn listing(&self) -> Listing {
        self.or(Listing::default())
    }

    /// What to list of a run file: as it was recorded, unless the user says
    /// otherwise.
    pub fn listing_of(&self, recorded: &Selection) -> Listing {
        let value = |name: &str| recorded.options.get(name)?.first();
        let top = value("top").and_then(|text| text.parse().ok());
        let sort = value("sort").and_then(|name| GroupSort::find(name));
        self.or(Listing {
            top: top.map_or(Listing::TOP, |top: u32| top as usize),
            sort: sort.unwrap_or_default(),
        })
    }

    fn or(&self, other: Listing) -> Listing {
        Listing {
            top: self.top.map_or(other.top, |top| top as usize),
            sort: self.sort.unwrap_or(other.sort),
        }
    }
}

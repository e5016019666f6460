//! Everybody's segment and revenue at one moment, from the committed states.
//!
//! Insists that the topic of changes tells the same. Next: `report.rs`, which shows it.

use crate::demo::journal::Journal;
use crate::domain::dimension::Dimension;
use crate::domain::id::partition_of;
use crate::domain::publish::profile::profile;
use crate::runtime::stores::{Stores, TaskStates};
use crate::task::store::look_up;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// Customers in a segment, and what they are worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Share {
    pub(super) customers: u64,
    pub(super) net_minor: i64,
}

/// Segments by value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Census {
    pub(super) rfm: BTreeMap<String, Share>,
    pub(super) lifecycle: BTreeMap<String, Share>,
}

impl Census {
    /// Counts these people.
    ///
    /// # Errors
    /// When somebody is missing, or when state and topic differ.
    pub(super) fn take<'a>(
        people: impl Iterator<Item = &'a str>,
        stores: &Stores,
        partitions: u32,
        journal: &Journal,
    ) -> Result<Self> {
        let mut census = Self::default();
        for id in people {
            let partition = partition_of(id, partitions);
            let TaskStates { states, rules } =
                stores.get(partition).context("a task has no states")?;
            let rules = &*rules;
            let customer = look_up(&states, id, rules)?
                .with_context(|| format!("customer \"{id}\" has no state"))?;
            let profile = profile(&customer, rules, customer.evaluated_at);
            for (dimension, shares) in
                [(Dimension::Rfm, &mut census.rfm), (Dimension::Lifecycle, &mut census.lifecycle)]
            {
                let value = dimension.value_name(customer.published(dimension).value, rules);
                let initial = dimension.value_name(crate::domain::dimension::INITIAL, rules);
                let told = journal.value(id, dimension.built_in_name()).unwrap_or(&initial);
                if told != value.as_str() {
                    bail!(
                        "customer \"{id}\" is \"{value}\" in the state and \"{told}\" in the topic"
                    );
                }
                let share = shares.entry(value.to_string()).or_default();
                share.customers += 1;
                share.net_minor += profile.facts.net_minor;
            }
        }
        Ok(census)
    }
}

//! Where everybody stands in every dimension, and their revenue, from the committed states.
//!
//! Insists that the topic of changes tells the same. Next: `report.rs` and `journey_matrix.rs`,
//! which show it.

use crate::demo::journal::Journal;
use crate::domain::dimension::{Dimension, INITIAL};
use crate::domain::id::partition_of;
use crate::domain::publish::profile::profile;
use crate::domain::subject::Subject;
use crate::runtime::stores::{Stores, TaskStates};
use crate::task::store::look_up;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// Customers of a value, and what they are worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Share {
    pub(super) customers: u64,
    pub(super) net_minor: i64,
}

impl Share {
    /// Adds customers and their revenue.
    pub(super) const fn add(&mut self, other: Self) {
        self.customers += other.customers;
        self.net_minor += other.net_minor;
    }
}

/// Customers by value, of one dimension.
pub(super) type Shares = BTreeMap<String, Share>;

/// Customers by value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Census {
    /// By the name of the dimension.
    pub(super) by_dimension: BTreeMap<String, Shares>,
    /// By lifecycle stage and value mode.
    pub(super) matrix: BTreeMap<(String, String), Share>,
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
            let TaskStates { states, rules, .. } =
                stores.get(partition).context("a task has no states")?;
            let rules = &*rules;
            let customer = look_up(&states, id, rules)?
                .with_context(|| format!("customer \"{id}\" has no state"))?;
            let profile = profile(&customer, rules, customer.evaluated_at);
            let share = Share { customers: 1, net_minor: profile.facts.net_minor };
            let audiences = rules.audiences.iter().map(|it| Dimension::Audience(it.number));
            let mut values = BTreeMap::new();
            for dimension in Dimension::all_of(Subject::Customer).chain(audiences) {
                let name = dimension.name(rules).to_string();
                let value = dimension.value_name(customer.published(dimension).value, rules);
                let initial = dimension.value_name(INITIAL, rules);
                let told = journal.value(id, &name).unwrap_or(&initial);
                if told != value.as_str() {
                    bail!(
                        "customer \"{id}\" is \"{value}\" in the state and \"{told}\" in the topic"
                    );
                }
                let shares = census.by_dimension.entry(name.clone()).or_default();
                shares.entry(value.to_string()).or_default().add(share);
                values.insert(name, value.to_string());
            }
            let cell = ["lifecycle", "value_mode"].map(|name| values.remove(name));
            if let [Some(stage), Some(mode)] = cell {
                census.matrix.entry((stage, mode)).or_default().add(share);
            }
        }
        Ok(census)
    }

    /// Customers by value, of one dimension.
    pub(super) fn of(&self, dimension: &str) -> Shares {
        self.by_dimension.get(dimension).cloned().unwrap_or_default()
    }
}

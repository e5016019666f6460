//! Where the committed states of the tasks of this process can be read.
//!
//! Readers see committed states only. Next: `task/store.rs`.

use crate::task::store::CommittedStates;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Committed states by partition.
#[derive(Debug, Default)]
pub struct Stores {
    stores: RwLock<BTreeMap<u32, Arc<CommittedStates>>>,
}

impl Stores {
    /// Shows a task's states to readers.
    pub fn insert(&self, partition: u32, states: Arc<CommittedStates>) {
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        stores.insert(partition, states);
    }

    /// Hides a task's states.
    pub fn remove(&self, partition: u32) {
        self.stores.write().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    /// The states of a task that runs here.
    #[must_use]
    pub fn get(&self, partition: u32) -> Option<Arc<CommittedStates>> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        stores.get(&partition).cloned()
    }
}

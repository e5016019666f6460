//! Where the committed states of the tasks of this process can be read.
//!
//! Readers see committed states only. Next: `task/store.rs`.

use crate::domain::rules::Rules;
use crate::task::marks::CommittedMarks;
use crate::task::store::CommittedStates;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The committed states of a task, and the rules that know the names in them.
#[derive(Clone, Debug)]
pub struct TaskStates {
    /// The states.
    pub states: Arc<CommittedStates>,
    /// Who is gone, and where to.
    pub marks: Arc<CommittedMarks>,
    /// The rules.
    pub rules: Arc<Rules>,
}

/// Committed states by partition.
#[derive(Debug, Default)]
pub struct Stores {
    stores: RwLock<BTreeMap<u32, TaskStates>>,
}

impl Stores {
    /// Shows a task's states to readers.
    pub fn insert(&self, partition: u32, states: TaskStates) {
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        stores.insert(partition, states);
    }

    /// Hides a task's states.
    pub fn remove(&self, partition: u32) {
        self.stores.write().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    /// The states of a task that runs here.
    #[must_use]
    pub fn get(&self, partition: u32) -> Option<TaskStates> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        stores.get(&partition).cloned()
    }
}

//! Raw values become published ones: what is told, when, and in which words.
//!
//! Reading order: `context`, `evaluate`, `anti_flap`, `ahead`, `steady`, `compose`, `summary`,
//! `profile`.

pub mod ahead;
pub mod anti_flap;
pub mod close;
mod compose;
pub mod consent;
pub mod context;
pub mod evaluate;
pub mod holdout;
pub mod labels;
pub mod profile;
pub mod steady;
pub mod summary;

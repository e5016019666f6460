//! Raw values become published ones: what is told, when, and in which words.
//!
//! Reading order: `evaluate`, `anti_flap`, `holdout`, `summary`, `profile`.

pub mod anti_flap;
pub mod evaluate;
pub mod holdout;
pub mod profile;
pub mod summary;

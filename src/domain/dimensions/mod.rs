//! The dimensions of a customer: each file judges facts at an instant, and looks ahead.
//!
//! A dimension has `measure` (the raw value and the numbers behind it), `next_change` (when time
//! alone changes it), `evidence` and `direction`. Nothing here knows what was published.
//! Reading order: `view`, `activity`, `value_mode`, `rfm`, `lifecycle`, then the others.

pub mod activity;
pub mod contacts;
pub mod engagement;
pub mod lifecycle;
pub mod qualification;
pub mod rfm;
pub mod rfm_map;
pub mod satisfaction;
mod spend;
pub mod value_mode;
pub mod value_tier;
pub mod view;

//! Runs in which facts belong to another key than the one whose event tells of them: records in
//! any partition, visitors who become known, merges, referrals, accounts, erases.
//!
//! Next: `crossing/play.rs`, one run; `crossing/oracle.rs`, what must come of it.

mod naive;
mod oracle;
mod play;
mod told;
mod workload;

pub(crate) use play::{Clocks, end_of, play};

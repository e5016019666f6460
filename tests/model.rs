//! Properties of the customer model and the task, against a naive reference.
//!
//! `PROPTEST_CASES` raises the number of cases. Next: `model/reference.rs`.

#[path = "model/fixture.rs"]
mod fixture;
#[path = "model/predict.rs"]
mod predict;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/workload.rs"]
mod workload;

#[path = "model/late.rs"]
mod late;
#[path = "model/order.rs"]
mod order;
#[path = "model/packing.rs"]
mod packing;
#[path = "model/published.rs"]
mod published;
#[path = "model/restart.rs"]
mod restart;
#[path = "model/tables.rs"]
mod tables;

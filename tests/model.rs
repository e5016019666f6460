//! Properties of the customer model and the task, against a naive reference.
//!
//! `PROPTEST_CASES` raises the number of cases. Next: `model/reference.rs`.

#[path = "model/absorb.rs"]
mod absorb;
#[path = "model/absorb_bounds.rs"]
mod absorb_bounds;
#[path = "model/activity.rs"]
mod activity;
#[path = "model/bad_input.rs"]
mod bad_input;
#[path = "model/engagement.rs"]
mod engagement;
#[path = "model/erase.rs"]
mod erase;
#[path = "model/evicted.rs"]
mod evicted;
#[path = "model/expressions.rs"]
mod expressions;
#[path = "model/facts.rs"]
mod facts;
#[path = "model/fixture.rs"]
mod fixture;
#[path = "model/identity.rs"]
mod identity;
#[path = "model/judged.rs"]
mod judged;
#[path = "model/known.rs"]
mod known;
#[path = "model/network.rs"]
mod network;
#[path = "model/predict.rs"]
mod predict;
#[path = "model/qualification.rs"]
mod qualification;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/satisfaction.rs"]
mod satisfaction;
#[path = "model/stages.rs"]
mod stages;
#[path = "model/value_mode.rs"]
mod value_mode;
#[path = "model/value_tier.rs"]
mod value_tier;
#[path = "model/workload.rs"]
mod workload;

#[path = "model/contacts.rs"]
mod contacts;
#[path = "model/hearsay.rs"]
mod hearsay;
#[path = "model/largest.rs"]
mod largest;
#[path = "model/late.rs"]
mod late;
#[path = "model/order.rs"]
mod order;
#[path = "model/packing.rs"]
mod packing;
#[path = "model/predicates.rs"]
mod predicates;
#[path = "model/published.rs"]
mod published;
#[path = "model/restart.rs"]
mod restart;
#[path = "model/resting.rs"]
mod resting;
#[path = "model/said.rs"]
mod said;
#[path = "model/shift.rs"]
mod shift;
#[path = "model/steady.rs"]
mod steady;
#[path = "model/subjects.rs"]
mod subjects;
#[path = "model/subscriptions.rs"]
mod subscriptions;
#[path = "model/tables.rs"]
mod tables;
#[path = "model/tied.rs"]
mod tied;
#[path = "model/untold.rs"]
mod untold;
#[path = "model/visits.rs"]
mod visits;
#[path = "model/waiting.rs"]
mod waiting;

//! Makes a metric, names it `ebbflow_...` and registers it, in one call.
//!
//! Next: `mod.rs`, which calls these once for each metric.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

pub(super) fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("ebbflow")
}

pub(super) fn register<C: Collector + Clone + 'static>(
    to: &Registry,
    metric: C,
) -> prometheus::Result<C> {
    to.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(super) fn counter(to: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    register(to, IntCounter::with_opts(options(name, help))?)
}

pub(super) fn counters(
    to: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    register(to, IntCounterVec::new(options(name, help), labels)?)
}

pub(super) fn gauge(to: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    register(to, IntGauge::with_opts(options(name, help))?)
}

pub(super) fn gauges(
    to: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntGaugeVec> {
    register(to, IntGaugeVec::new(options(name, help), labels)?)
}

pub(super) fn gauges_f64(
    to: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<GaugeVec> {
    register(to, GaugeVec::new(options(name, help), labels)?)
}

pub(super) fn histogram(
    to: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
) -> prometheus::Result<Histogram> {
    let options = HistogramOpts::new(name, help).namespace("ebbflow").buckets(buckets.to_vec());
    register(to, Histogram::with_opts(options)?)
}

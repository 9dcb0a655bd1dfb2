//! Counters of the server and figures of the registry, as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use crate::registry::{Registry, RegistryError};

/// Upper bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 8] = [0.000_1, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5];

/// What has been counted since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<(&'static str, u16), u64>,
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

impl Metrics {
    /// Counts an answered request.
    pub(super) fn count(&self, route: &'static str, status: u16, took: Duration) {
        let mut counts = self.lock();
        *counts.requests.entry((route, status)).or_default() += 1;
        let seconds = took.as_secs_f64();
        for (bucket, bound) in counts.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        counts.count += 1;
        counts.seconds += seconds;
    }

    /// The Prometheus text.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub(super) fn text(
        &self,
        registry: &Registry,
        stale_after: Duration,
    ) -> Result<String, RegistryError> {
        let mut text = String::new();
        self.put_requests(&mut text);
        put(
            &mut text,
            "hps_vms",
            "gauge",
            "VMs by state; seen too long ago is unknown",
        );
        for (state, count) in registry.count_by_state(stale_after)? {
            line(
                &mut text,
                "hps_vms",
                &[("state", state.as_str())],
                &count.to_string(),
            );
        }
        put(
            &mut text,
            "hps_operations",
            "gauge",
            "operations in the journal by verb and result",
        );
        for (verb, result, count) in registry.count_operations()? {
            line(
                &mut text,
                "hps_operations",
                &[("verb", verb.as_str()), ("result", &result)],
                &count.to_string(),
            );
        }
        put(
            &mut text,
            "hps_build_info",
            "gauge",
            "version of this program",
        );
        line(
            &mut text,
            "hps_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))],
            "1",
        );
        Ok(text)
    }

    fn put_requests(&self, text: &mut String) {
        let counts = self.lock();
        put(
            text,
            "hps_http_requests_total",
            "counter",
            "answered requests by route and status",
        );
        for ((route, status), count) in &counts.requests {
            let labels = [("route", *route), ("status", &status.to_string())];
            line(text, "hps_http_requests_total", &labels, &count.to_string());
        }
        put(
            text,
            "hps_http_request_seconds",
            "histogram",
            "time from a request read to its answer written",
        );
        for (bucket, bound) in counts.buckets.iter().zip(BOUNDS) {
            line(
                text,
                "hps_http_request_seconds_bucket",
                &[("le", &bound.to_string())],
                &bucket.to_string(),
            );
        }
        line(
            text,
            "hps_http_request_seconds_bucket",
            &[("le", "+Inf")],
            &counts.count.to_string(),
        );
        line(
            text,
            "hps_http_request_seconds_sum",
            &[],
            &counts.seconds.to_string(),
        );
        line(
            text,
            "hps_http_request_seconds_count",
            &[],
            &counts.count.to_string(),
        );
    }

    /// A worker that panicked while counting left numbers that are still numbers.
    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn put(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &[(&str, &str)], value: &str) {
    let labels: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    let labels = if labels.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", labels.join(","))
    };
    let _ = writeln!(text, "{name}{labels} {value}");
}

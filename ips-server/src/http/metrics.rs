//! `GET /metrics`: counters of the server and figures of the registry, in the text format of
//! Prometheus and OpenMetrics.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Exposition;

use super::call::Call;
use super::reply::{Answer, Reply};
use crate::registry::{Registry, RegistryError};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Upper bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 8] = [0.000_1, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5];

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let figures = figures(call.registry, call.server.settings.stale_after)?;
    let text = text(&[&call.server.metrics.exposition, &figures]);
    Ok(Reply::ok(CONTENT_TYPE, text))
}

/// What was counted since the start.
#[derive(Debug)]
pub(super) struct Metrics {
    exposition: Exposition,
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

impl Default for Metrics {
    fn default() -> Self {
        let (requests, seconds) = (Family::default(), Histogram::new(BOUNDS));
        let mut exposition = Exposition::default();
        exposition.register(
            // The format adds `_total`.
            "hps_http_requests",
            "answered requests by route and status",
            Family::clone(&requests),
        );
        exposition.register(
            "hps_http_request_seconds",
            "time from a request read to its answer made",
            seconds.clone(),
        );
        Self {
            exposition,
            requests,
            seconds,
        }
    }
}

impl Metrics {
    /// Counts an answered request.
    pub(super) fn count(&self, route: &'static str, status: u16, took: Duration) {
        self.requests
            .get_or_create(&RequestLabels { route, status })
            .inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    verb: String,
    result: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// What the registry holds now.
fn figures(registry: &Registry, stale_after: Duration) -> Result<Exposition, RegistryError> {
    let states = registry.count_by_state(stale_after)?;
    let operations = registry.count_operations()?;
    let mut exposition = Exposition::default();
    register(
        &mut exposition,
        "hps_vms",
        "VMs by state; unknown where last seen too long ago",
        states.into_iter().map(|(state, count)| {
            let state = state.as_str().to_owned();
            (StateLabels { state }, count)
        }),
    );
    register(
        &mut exposition,
        "hps_operations",
        "operations in the journal by verb and result",
        operations.into_iter().map(|(verb, result, count)| {
            let verb = verb.as_str().to_owned();
            (OperationLabels { verb, result }, count)
        }),
    );
    let version = env!("CARGO_PKG_VERSION");
    register(
        &mut exposition,
        "hps_build_info",
        "version of this program",
        [(BuildLabels { version }, 1)],
    );
    Ok(exposition)
}

/// Adds a family of gauges with their present values.
fn register<L>(
    exposition: &mut Exposition,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, u32)>,
) where
    L: Clone + Debug + Eq + Hash + EncodeLabelSet + Send + Sync + 'static,
{
    let family = Family::<L, Gauge>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(i64::from(value));
    }
    exposition.register(name, help, family);
}

fn text(expositions: &[&Exposition]) -> String {
    let mut text = String::new();
    for exposition in expositions {
        // Writing to a String cannot fail.
        let _ = encode_registry(&mut text, exposition);
    }
    let _ = encode_eof(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_label_values_are_escaped() {
        let mut exposition = Exposition::default();
        let hostile = [
            "quote\"} 7\nhps_vms{state=\"fake\"} 1",
            "back\\slash",
            "\\\"",
            "tab\tand é\u{202e}",
        ];
        let values = hostile.map(|state| {
            let state = state.to_owned();
            (StateLabels { state }, 1)
        });
        register(&mut exposition, "hps_vms", "help", values);
        let text = text(&[&exposition]);
        // https://prometheus.io/docs/instrumenting/exposition_formats: only `\`, `"` and a line
        // feed are escaped; all else is UTF-8 as it is.
        let mut samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        samples.sort_unstable();
        assert_eq!(
            samples,
            [
                r#"hps_vms{state="\\\""} 1"#,
                r#"hps_vms{state="back\\slash"} 1"#,
                r#"hps_vms{state="quote\"} 7\nhps_vms{state=\"fake\"} 1"} 1"#,
                "hps_vms{state=\"tab\tand é\u{202e}\"} 1",
            ]
        );
    }

    #[test]
    fn names_and_types_are_the_documented_ones() {
        let metrics = Metrics::default();
        metrics.count("vms", 200, Duration::from_millis(3));
        metrics.count("vms", 200, Duration::from_secs(9));
        let text = text(&[&metrics.exposition]);
        for line in [
            "# TYPE hps_http_requests counter",
            "hps_http_requests_total{route=\"vms\",status=\"200\"} 2",
            "# TYPE hps_http_request_seconds histogram",
            "hps_http_request_seconds_bucket{le=\"0.001\"} 0",
            "hps_http_request_seconds_bucket{le=\"0.005\"} 1",
            "hps_http_request_seconds_bucket{le=\"+Inf\"} 2",
            "hps_http_request_seconds_count 2",
            "# EOF",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}

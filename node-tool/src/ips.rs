//! The IPS command interface, as installed nodes use it: POST, everything in the query. No
//! redirect is followed and no proxy of the environment is used, because the answer is
//! trusted: it must come from the address of the request.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hps_core::percent::encode_query;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::{StatusCode, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::route;
use crate::settings::Settings;
use crate::task::Task;

/// The path all commands go to.
const PATH: &str = "/cgi-bin/boot_manager.sh";
/// Largest answer that is read, in bytes.
const MOST: u64 = 16 * 1024 * 1024;

/// The IPS as this node reaches it.
#[derive(Debug)]
pub(crate) struct Ips {
    /// Without the path and without a trailing slash.
    base: String,
    /// The address in `base`, unless it has a name that must be resolved.
    address: Option<SocketAddr>,
    /// Sent as `Authorization: Bearer`; never logged.
    token: Option<String>,
    /// Limit for a connection, within the limit of the request.
    connect_timeout: Duration,
    #[cfg(feature = "tls")]
    tls: ureq::tls::TlsConfig,
}

/// An answer of the IPS, of any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
    /// Where a redirect would lead.
    pub location: Option<String>,
}

/// No answer from the IPS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IpsError {
    /// A node with an `ips` setting does not need a gateway.
    #[error("the address of the IPS is unknown: no `ips` in the settings, and no default gateway")]
    NoGateway,
    /// Not reachable, not HTTP, or not in time.
    #[error("{url} did not answer: {reason}")]
    NoAnswer { url: String, reason: String },
    /// More than is read: a config has a limit, and memory has one.
    #[error("{url} answered more than {most} bytes")]
    TooLong { url: String, most: u64 },
    /// A refusal of the IPS, or a redirect, which is not followed.
    #[error("{url} answered {status}{}", reason(*.status, .text))]
    Status {
        url: String,
        status: u16,
        text: String,
    },
    #[error("interrupted")]
    Interrupted,
    #[cfg(feature = "tls")]
    #[error("TLS file {}: {reason}", path.display())]
    Tls {
        path: std::path::PathBuf,
        reason: String,
    },
}

impl IpsError {
    /// The exit codes of the old functions: 1 no gateway, 2 no connection, 3 a status of 300
    /// and above.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NoGateway => 1,
            #[cfg(feature = "tls")]
            Self::Tls { .. } => 1,
            Self::NoAnswer { .. } | Self::TooLong { .. } | Self::Interrupted => 2,
            Self::Status { .. } => 3,
        }
    }
}

impl Ips {
    /// Finds the IPS: the setting, else the default gateway.
    pub(crate) fn find(settings: &Settings, task: &Task) -> Result<Self, IpsError> {
        let (base, address) = match &settings.ips {
            Some(base) => (base.clone(), literal(base)),
            None => {
                let gateway = route::default_gateway().ok_or(IpsError::NoGateway)?;
                (url_of(&gateway), Some(gateway))
            }
        };
        Ok(Self {
            base,
            address,
            token: task.token.clone(),
            connect_timeout: settings.connect_timeout,
            #[cfg(feature = "tls")]
            tls: crate::tls::config(&settings.tls)?,
        })
    }

    /// Sends one command; the answer may have any status.
    pub(crate) fn post(
        &self,
        query: &[(&str, &str)],
        body: &[u8],
        within: Duration,
    ) -> Result<Answer, IpsError> {
        self.post_at_most(query, body, within, MOST)
    }

    /// As [`Ips::post`], with its own bound on the answer.
    pub(crate) fn post_at_most(
        &self,
        query: &[(&str, &str)],
        body: &[u8],
        within: Duration,
        most: u64,
    ) -> Result<Answer, IpsError> {
        let url = format!("{}{PATH}?{}", self.base, query_text(query));
        let mut request = self.agent(within).post(&url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.send(body).map_err(|error| self.no_answer(&error))?;
        let location = response.headers().get("location");
        let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let read = response.body_mut().with_config().limit(most).read_to_vec();
        Ok(Answer {
            status: response.status(),
            body: read.map_err(|error| self.unread(&error, most))?,
            location,
        })
    }

    /// A new one for each request: its limit on the whole exchange differs.
    fn agent(&self, within: Duration) -> Agent {
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .http_status_as_error(false)
            .timeout_connect(Some(self.connect_timeout.min(within)))
            .timeout_global(Some(within))
            .user_agent(concat!("n_vm/", env!("CARGO_PKG_VERSION")));
        #[cfg(feature = "tls")]
        let config = config.tls_config(self.tls.clone());
        let config = config.build();
        let resolver = Known(self.address, DefaultResolver::default());
        Agent::with_parts(config, DefaultConnector::default(), resolver)
    }

    fn unread(&self, error: &ureq::Error, most: u64) -> IpsError {
        if let ureq::Error::BodyExceedsLimit(_) = error {
            let url = self.base.clone();
            return IpsError::TooLong { url, most };
        }
        self.no_answer(error)
    }

    /// Everything that is not an answer is one failure: the node cannot act on the difference.
    fn no_answer(&self, error: &ureq::Error) -> IpsError {
        IpsError::NoAnswer {
            url: self.base.clone(),
            reason: error.to_string(),
        }
    }

    /// The answer where its status is 2xx.
    pub(crate) fn accepted(&self, answer: Answer) -> Result<Vec<u8>, IpsError> {
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let text = match answer.location {
            Some(location) if answer.status.is_redirection() => format!("redirect to {location}"),
            _ => String::from_utf8_lossy(&answer.body).into_owned(),
        };
        Err(IpsError::Status {
            url: self.base.clone(),
            status: answer.status.as_u16(),
            text,
        })
    }
}

/// `http://192.0.2.1` of port 80 of that address.
fn url_of(address: &SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("http://{ip}"),
        IpAddr::V6(ip) => format!("http://[{ip}]"),
    }
}

/// The address in a URL that needs no resolver.
fn literal(base: &str) -> Option<SocketAddr> {
    let authority = base.strip_prefix("http://")?.split('/').next()?;
    let bare = authority.trim_start_matches('[').trim_end_matches(']');
    let with_port = authority.parse().ok();
    with_port.or_else(|| Some(SocketAddr::new(bare.parse().ok()?, 80)))
}

/// A known address, or the system's resolver.
#[derive(Debug)]
struct Known(Option<SocketAddr>, DefaultResolver);

impl Resolver for Known {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let Some(address) = self.0 else {
            return self.1.resolve(uri, config, timeout);
        };
        let mut all = self.empty();
        all.push(address);
        Ok(all)
    }
}

/// `: no such VM` of the body `error=no such VM`, or of the first line of any other body.
fn reason(status: u16, text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or_default().trim();
    let line = line.strip_prefix("error=").unwrap_or(line);
    let what: String = hps_core::kv::one_line(line).chars().take(300).collect();
    match (what.is_empty(), status) {
        (false, 300..=399) => format!(" ({what}), which is not followed"),
        (false, _) => format!(": {what}"),
        (true, 300..=399) => " (a redirect), which is not followed".to_owned(),
        (true, _) => String::new(),
    }
}

/// `cmd=vm&vm_id=a%20b`.
fn query_text(query: &[(&str, &str)]) -> String {
    let pairs = query
        .iter()
        .map(|(key, value)| encode_query(key) + "=" + &encode_query(value));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_encoded() {
        assert_eq!(
            query_text(&[("message", "a b&c=d+é%\n"), ("cmd", "vm")]),
            "message=a%20b%26c%3Dd%2B%C3%A9%25%0A&cmd=vm"
        );
    }

    #[test]
    fn an_address_in_a_url_needs_no_resolver() {
        for (base, want) in [
            ("http://192.0.2.1", Some("192.0.2.1:80")),
            ("http://192.0.2.1:8068/x", Some("192.0.2.1:8068")),
            ("http://[2001:db8::1]", Some("[2001:db8::1]:80")),
            ("http://[2001:db8::1]:81", Some("[2001:db8::1]:81")),
            ("http://ips", None),
            ("http://localhost:80", None),
        ] {
            assert_eq!(
                literal(base),
                want.map(|text| text.parse().unwrap()),
                "{base}"
            );
        }
    }
}

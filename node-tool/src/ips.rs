//! The IPS command interface, asked as installed nodes ask it: POST, everything in
//! the query. No redirect is followed and no proxy of the environment is used: the
//! answer is trusted, so it must come from where we asked.

use std::time::Duration;

use ureq::Agent;
use ureq::http::StatusCode;

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
    base: String,
    token: Option<String>,
    connect_timeout: Duration,
}

/// What the IPS answered, whatever the status.
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
    #[error("the IPS is not known: no `ips` in the settings, and no default gateway")]
    NoGateway,
    #[error("{url} did not answer: {reason}")]
    NoAnswer { url: String, reason: String },
    #[error("{url} answered more than {most} bytes")]
    TooLong { url: String, most: u64 },
    #[error("{url} answered {status}{}", said(*.status, .text))]
    Status {
        url: String,
        status: u16,
        text: String,
    },
    #[error("fetching was ended by a signal")]
    Interrupted,
}

impl Ips {
    /// Finds the IPS: the setting, else the default gateway.
    pub(crate) fn find(settings: &Settings, task: &Task) -> Result<Self, IpsError> {
        let gateway = || route::default_gateway().map(|host| format!("http://{host}"));
        Ok(Self {
            base: settings
                .ips
                .clone()
                .or_else(gateway)
                .ok_or(IpsError::NoGateway)?,
            token: task.token.clone(),
            connect_timeout: settings.connect_timeout,
        })
    }

    /// Asks one command; the answer may have any status.
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
        let mut request = agent(self.connect_timeout.min(within), within).post(&url);
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

    fn unread(&self, error: &ureq::Error, most: u64) -> IpsError {
        if let ureq::Error::BodyExceedsLimit(_) = error {
            let url = self.base.clone();
            return IpsError::TooLong { url, most };
        }
        self.no_answer(error)
    }

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

fn agent(connect: Duration, within: Duration) -> Agent {
    Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .http_status_as_error(false)
        .timeout_connect(Some(connect))
        .timeout_global(Some(within))
        .user_agent(concat!("n_vm/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// `: no such VM` of the body `error=no such VM`, or of the first line of any other body.
fn said(status: u16, text: &str) -> String {
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
        .map(|(key, value)| encoded(key) + "=" + &encoded(value));
    pairs.collect::<Vec<_>>().join("&")
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reserved_byte_is_encoded() {
        assert_eq!(
            query_text(&[("message", "a b&c=d+é%\n"), ("cmd", "vm")]),
            "message=a%20b%26c%3Dd%2B%C3%A9%25%0A&cmd=vm"
        );
    }
}

//! Who may ask the server for what (design: contract 2, Who may ask). Decides; it neither
//! reads requests nor logs.

use std::net::IpAddr;

use hps_core::names::VmId;

use crate::model::token;
use crate::registry::tokens::Grant;
use crate::registry::{Registry, RegistryError};
use crate::settings::{Auth, Network, Settings};

/// Who asks.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where the request comes from, past the trusted proxy.
    pub address: IpAddr,
    /// The bearer token it shows.
    pub token: Option<String>,
}

/// Why somebody is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No token, or one that opens nothing: 401.
    NoToken,
    /// A good token for something else: 403.
    OtherVm,
    /// A good token from a wrong address: 403.
    OtherAddress,
    /// Not from an allowed network: 403.
    OtherNetwork,
}

impl Denied {
    /// What the client is told.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoToken => "no token, or none of an open operation",
            Self::OtherVm => "the token is for something else",
            Self::OtherAddress => "the token is for another node's address",
            Self::OtherNetwork => "this address is not allowed",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::NoToken => 401,
            Self::OtherVm | Self::OtherAddress | Self::OtherNetwork => 403,
        }
    }
}

/// What a check came to: the grant, where a token was needed, or a denial.
pub type Checked<T> = Result<Result<T, Denied>, RegistryError>;

/// The address a request comes from: the last hop that our own proxy wrote down, or the peer.
#[must_use]
pub fn client_address(
    peer: Option<IpAddr>,
    forwarded_for: Option<&str>,
    trusted: &[Network],
) -> IpAddr {
    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    // A peer without an address is on our own unix socket.
    let is_proxy = peer.is_none_or(|peer| trusted.iter().any(|network| network.contains(peer)));
    let last_hop = forwarded_for
        .and_then(|hops| hops.rsplit(',').next())
        .map(str::trim);
    let address = match (is_proxy, last_hop) {
        // What the proxy wrote and we cannot read is nobody we know.
        (true, Some(hop)) => hop
            .parse()
            .unwrap_or(IpAddr::V4(std::net::Ipv4Addr::BROADCAST)),
        (true, None) | (false, _) => peer.unwrap_or(LOOPBACK),
    };
    address.to_canonical()
}

/// May this client read what is for people and monitoring?
///
/// # Errors
/// It may not.
pub fn people(client: &Client, settings: &Settings) -> Result<(), Denied> {
    let allowed = client.address.is_loopback() || in_allow(client, settings);
    if allowed {
        Ok(())
    } else {
        Err(Denied::OtherNetwork)
    }
}

/// May this client fetch the config of a VM?
///
/// # Errors
/// The registry cannot be read.
pub fn config(client: &Client, vm: &VmId, settings: &Settings, registry: &Registry) -> Checked<()> {
    if settings.auth == Auth::Off && in_allow(client, settings) {
        return Ok(Ok(()));
    }
    let grant = match token(client, registry)? {
        Ok(grant) => grant,
        // Without tokens it is the network that was wrong.
        Err(Denied::NoToken) if settings.auth == Auth::Off => {
            return Ok(Err(Denied::OtherNetwork));
        }
        Err(denied) => return Ok(Err(denied)),
    };
    Ok(if grant.vm.as_ref() == Some(vm) {
        Ok(())
    } else {
        Err(Denied::OtherVm)
    })
}

/// May this client write into the log?
///
/// # Errors
/// The registry cannot be read.
pub fn log(client: &Client, settings: &Settings, registry: &Registry) -> Checked<Option<Grant>> {
    if in_allow(client, settings) {
        return Ok(Ok(None));
    }
    Ok(token(client, registry)?.map(Some))
}

/// What the client's token opens from where it is.
///
/// # Errors
/// The registry cannot be read.
pub fn token(client: &Client, registry: &Registry) -> Checked<Grant> {
    let Some(shown) = &client.token else {
        return Ok(Err(Denied::NoToken));
    };
    let Some(grant) = registry.token(token::hash(shown))? else {
        return Ok(Err(Denied::NoToken));
    };
    let bound = grant.addresses.as_deref();
    let fits = bound.is_none_or(|all| {
        all.split(' ')
            .filter_map(|one| one.parse::<IpAddr>().ok())
            .any(|one| one.to_canonical() == client.address)
    });
    Ok(if fits {
        Ok(grant)
    } else {
        Err(Denied::OtherAddress)
    })
}

fn in_allow(client: &Client, settings: &Settings) -> bool {
    settings
        .allow
        .iter()
        .any(|network| network.contains(client.address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_trusted_proxy_is_believed_about_addresses_and_only_its_own_hop() {
        let trusted = ["127.0.0.1".parse().unwrap()];
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (peer, forwarded, want) in [
            (Some("127.0.0.1"), Some("6.6.6.6, 10.1.1.1"), "10.1.1.1"),
            (Some("127.0.0.1"), None, "127.0.0.1"),
            (Some("10.1.1.2"), Some("127.0.0.1"), "10.1.1.2"),
            (None, Some("10.1.1.1"), "10.1.1.1"),
            (None, None, "127.0.0.1"),
            (Some("127.0.0.1"), Some("rubbish"), "255.255.255.255"),
        ] {
            assert_eq!(
                client_address(peer.map(ip), forwarded, &trusted),
                ip(want),
                "{peer:?} {forwarded:?}"
            );
        }
    }
}

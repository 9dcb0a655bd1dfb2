//! Which client may use which endpoint (design: contract 2, Who may ask). Decides only: it
//! neither reads requests nor logs.

use std::net::IpAddr;

use crate::model::token;
use crate::registry::tokens::Grant;
use crate::registry::{Registry, RegistryError};
use crate::settings::{Auth, Network, Settings};

/// The sender of a request.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// Where the request comes from, past the trusted proxy.
    pub(super) address: IpAddr,
    /// Its bearer token.
    pub(super) token: Option<String>,
}

/// Why a client is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// No token, or an unknown one: 401.
    NoToken,
    /// A valid token for another VM, node or purpose: 403.
    OtherVm,
    /// A valid token from another node's address: 403.
    OtherAddress,
    /// An address in no allowed network: 403.
    OtherNetwork,
}

impl Denied {
    /// For the client and the log.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::NoToken => "missing token, or its operation has ended",
            Self::OtherVm => "the token is for something else",
            Self::OtherAddress => "the token is for another node's address",
            Self::OtherNetwork => "this address is not allowed",
        }
    }

    /// The HTTP status.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::NoToken => 401,
            Self::OtherVm | Self::OtherAddress | Self::OtherNetwork => 403,
        }
    }
}

/// The address a request comes from: the last hop in a trusted proxy's X-Forwarded-For, else
/// the peer.
pub(super) fn client_address(
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
        // An address that cannot be parsed matches no network.
        (true, Some(hop)) => hop
            .parse()
            .unwrap_or(IpAddr::V4(std::net::Ipv4Addr::BROADCAST)),
        (true, None) | (false, _) => peer.unwrap_or(LOOPBACK),
    };
    address.to_canonical()
}

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// This machine, and allowed networks.
    People,
    /// A token; with `auth = off` allowed networks instead. The handler checks the VM.
    Config,
    /// A token; the handler checks the report against it.
    Operation,
    /// The token of an inventory; the handler checks the node.
    Inventory,
    /// Allowed networks, or any token.
    Log,
}

/// The grant of the client's token; none where its network suffices.
pub(super) type Authorized = Result<Option<Grant>, Denied>;

/// Whether a client may use an endpoint.
///
/// # Errors
/// The registry cannot be read.
pub(super) fn authorize(
    access: Access,
    client: &Client,
    settings: &Settings,
    registry: &Registry,
) -> Result<Authorized, RegistryError> {
    let is_allowed = in_allow(client, settings);
    Ok(match access {
        Access::People if client.address.is_loopback() || is_allowed => Ok(None),
        Access::People => Err(Denied::OtherNetwork),
        Access::Config if settings.auth == Auth::Off && is_allowed => Ok(None),
        // Without tokens it is the network that was wrong.
        Access::Config if settings.auth == Auth::Off => match grant(client, registry)? {
            Err(Denied::NoToken) => Err(Denied::OtherNetwork),
            granted => granted.map(Some),
        },
        Access::Log if is_allowed => Ok(None),
        Access::Config | Access::Operation | Access::Inventory | Access::Log => {
            grant(client, registry)?.map(Some)
        }
    })
}

/// What the client's token grants from its address.
fn grant(client: &Client, registry: &Registry) -> Result<Result<Grant, Denied>, RegistryError> {
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
    fn only_a_trusted_proxys_last_hop_counts_as_the_address() {
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

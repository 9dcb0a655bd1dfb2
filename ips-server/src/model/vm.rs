//! A VM as the registry knows it.

use std::str::FromStr;
use std::time::Duration;

use hps_core::config::VmConfig;
use hps_core::names::{NodeName, VmId};
use hps_core::state::VmState;
use uuid::Uuid;

use super::time::Timestamp;

/// A VM of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// The id that the IPS issued.
    pub id: VmId,
    /// Its definition.
    pub config: VmConfig,
    /// The UUID of its domain, stated or derived from the id.
    pub uuid: Uuid,
    /// The node that has, or may have, the domain.
    pub owner: Option<NodeName>,
    /// Its desired state.
    pub desired: Desired,
    /// Its state when it was last seen; see [`Vm::shown_state`].
    pub state: VmState,
    /// When a node reported that state.
    pub seen_at: Option<Timestamp>,
    /// Address and port of its VNC console on the owner.
    pub vnc: Option<String>,
}

/// The desired state of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// Running: it is created again where its node lost it.
    Running,
    /// Off.
    Off,
}

impl Desired {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Off => "off",
        }
    }
}

impl FromStr for Desired {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "running" => Ok(Self::Running),
            "off" => Ok(Self::Off),
            _ => Err(format!("{text:?}: want running or off")),
        }
    }
}

impl Vm {
    /// The state to show: one that was seen longer ago than this is unknown.
    #[must_use]
    pub fn shown_state(&self, stale_after: Duration) -> VmState {
        let stale = self.seen_at.is_none_or(|at| at.is_stale(stale_after));
        if self.owner.is_some() && stale {
            VmState::Unknown
        } else {
            self.state
        }
    }

    /// The same VM when its node did not answer.
    #[must_use]
    pub fn doubted(self) -> Self {
        Self {
            state: VmState::Unknown,
            ..self
        }
    }
}

//! A node of the cluster, and whether verbs may be sent to it.

use hps_core::names::NodeName;
use uuid::Uuid;

use super::time::Timestamp;

/// A node, as the engine knows it now.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name in the cluster.
    pub name: NodeName,
    /// Whether verbs may be sent to it.
    pub health: Health,
    /// Its labels, by key.
    pub labels: Vec<(String, String)>,
    /// Load average of 15 minutes.
    pub load_15m: Option<f64>,
    /// Its memory in MiB.
    pub memory_mb: Option<u64>,
}

/// Whether verbs may be sent to a node; the text is the reason why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// They may.
    Healthy,
    /// The cluster does not have this node.
    NotInCluster,
    /// Its daemon does not answer, or is not ready.
    NotReachable(String),
    /// An administrator froze it.
    Frozen(String),
}

impl Health {
    /// The word for it in JSON and tables.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::NotInCluster => "not-in-cluster",
            Self::NotReachable(_) => "not-reachable",
            Self::Frozen(_) => "frozen",
        }
    }

    /// Whether its daemon answers.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Healthy | Self::Frozen(_))
    }

    /// Why it is not healthy.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Healthy | Self::NotInCluster => None,
            Self::NotReachable(reason) | Self::Frozen(reason) => Some(reason),
        }
    }
}

/// A node that has reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its name.
    pub name: NodeName,
    /// Boot id of its kernel.
    pub boot_id: Option<Uuid>,
    /// Version of its `n_vm`.
    pub version: Option<String>,
    /// Its CPUs.
    pub cpus: Option<u32>,
    /// Its memory in MiB.
    pub memory_mb: Option<u64>,
    /// When it last reported.
    pub seen_at: Option<Timestamp>,
}

//! The states of a VM, in the words of the registry, of reports and of `--json`.

use std::fmt;
use std::str::FromStr;

/// State of a VM: libvirt's words, and two of ours. `Unknown` is doubt, never a synonym of
/// off or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VmState {
    /// Its CPUs run.
    Running,
    /// In memory; its CPUs do not run.
    Paused,
    /// Defined, not in memory.
    ShutOff,
    /// The guest failed; defined, not in memory.
    Crashed,
    /// The guest suspended itself.
    PmSuspended,
    /// The node answered, and has no such domain.
    Absent,
    /// The state could not be determined.
    Unknown,
}

impl VmState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Paused,
        Self::ShutOff,
        Self::Crashed,
        Self::PmSuspended,
        Self::Absent,
        Self::Unknown,
    ];

    /// Whether the domain exists, in any state.
    #[must_use]
    pub fn is_there(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::ShutOff | Self::Crashed | Self::PmSuspended => {
                true
            }
            Self::Absent | Self::Unknown => false,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::ShutOff => "shut-off",
            Self::Crashed => "crashed",
            Self::PmSuspended => "pmsuspended",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for VmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is not a VM state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("VM state {0:?}: want running, paused, shut-off, crashed, pmsuspended, absent or unknown")]
pub struct NoSuchState(String);

impl FromStr for VmState {
    type Err = NoSuchState;

    fn from_str(text: &str) -> Result<Self, NoSuchState> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| NoSuchState(text.chars().take(80).collect()))
    }
}

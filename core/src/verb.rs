//! The verbs that an operation carries to a node.

use std::fmt;
use std::str::FromStr;

/// A verb that changes a VM on a node, or asks for its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Verb {
    Create,
    Start,
    Stop,
    Pause,
    Unpause,
    Destroy,
    Status,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 7] = [
        Self::Create,
        Self::Start,
        Self::Stop,
        Self::Pause,
        Self::Unpause,
        Self::Destroy,
        Self::Status,
    ];

    /// The word for it, on every command line and in every record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Destroy => "destroy",
            Self::Status => "status",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no verb.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("verb {0:?}: want create, start, stop, pause, unpause, destroy or status")]
pub struct NoSuchVerb(String);

impl FromStr for Verb {
    type Err = NoSuchVerb;

    fn from_str(text: &str) -> Result<Self, NoSuchVerb> {
        let found = Self::ALL.into_iter().find(|verb| verb.as_str() == text);
        found.ok_or_else(|| NoSuchVerb(text.chars().take(80).collect()))
    }
}

//! The secret a node shows to fetch a config and to report: 256 random bits, hex.
//! Only its SHA-256 is kept, so a registry that leaks gives no token away, and looking
//! one up by its hash tells nothing by its timing.

use sha2::{Digest, Sha256};

/// A token in the clear. It has no `Display`, and its `Debug` says nothing.
pub struct Token(String);

impl Token {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        // Two v4 UUIDs have 244 random bits; hashing three gives 256 that depend on 366.
        let mut hash = Sha256::new();
        for _ in 0..3 {
            hash.update(uuid::Uuid::new_v4().as_bytes());
        }
        Self(hex(&hash.finalize()))
    }

    /// The text itself: for the node's environment or the operator's terminal only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the registry keeps of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

impl Default for Token {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// What the registry keeps of a token that somebody showed.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

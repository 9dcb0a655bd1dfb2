//! The secret that a node presents to fetch a config and to report: 256 random bits, hex.
//! Only its SHA-256 is stored, so a leaked registry gives no token away, and the time of a
//! look-up by hash depends on no secret.

use sha2::{Digest, Sha256};

/// A token in the clear. It has no `Display`, and its `Debug` hides it.
pub struct Token(String);

/// The kernel gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("make a token: the kernel gave no random bytes")]
pub struct TokenError(#[from] getrandom::Error);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn new() -> Result<Self, TokenError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hex(&bytes)))
    }

    /// The text itself: for the node's environment or the operator's terminal only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its hash, which the registry stores.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// The hash of a token that a client presented.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

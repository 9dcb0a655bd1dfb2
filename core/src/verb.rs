//! The name of a verb: open, because each program has its own table of verbs.

use std::fmt;
use std::str::FromStr;

/// The longest name of a verb, in bytes.
const NAME_LIMIT: usize = 23;

/// The name of a verb on command lines, in reports and in the journal:
/// `[a-z][a-z-]{0,22}`. Which verbs exist is each program's own table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VerbName {
    bytes: [u8; NAME_LIMIT],
    length: u8,
}

impl VerbName {
    /// The name of a verb that this program has: `const NAME: VerbName = VerbName::of("start");`.
    ///
    /// # Panics
    /// The text is not a valid name; in a constant that is an error of the compiler.
    #[must_use]
    pub const fn of(text: &str) -> Self {
        match Self::new(text.as_bytes()) {
            Some(name) => name,
            #[expect(clippy::panic, reason = "in a constant: the compiler's error")]
            None => panic!("not a valid verb name"),
        }
    }

    const fn new(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > NAME_LIMIT || text[0] == b'-' {
            return None;
        }
        let mut bytes = [0; NAME_LIMIT];
        let mut length = 0;
        while (length as usize) < text.len() {
            let byte = text[length as usize];
            if !byte.is_ascii_lowercase() && byte != b'-' {
                return None;
            }
            bytes[length as usize] = byte;
            length += 1;
        }
        Some(Self { bytes, length })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.length));
        text.and_then(|text| std::str::from_utf8(text).ok())
            .unwrap_or_default()
    }
}

impl fmt::Display for VerbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for VerbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is not a verb's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid verb name: {0:?}")]
pub struct InvalidVerbName(String);

impl FromStr for VerbName {
    type Err = InvalidVerbName;

    fn from_str(text: &str) -> Result<Self, InvalidVerbName> {
        Self::new(text.as_bytes()).ok_or_else(|| InvalidVerbName(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_name_is_lower_case_letters_and_dashes() {
        assert_eq!("reboot-groups".parse(), Ok(VerbName::of("reboot-groups")));
        assert_eq!(VerbName::of("start").to_string(), "start");
        for bad in ["", "-a", "Start", "a b", "é", "abcdefghijklmnopqrstuvwx"] {
            assert!(bad.parse::<VerbName>().is_err(), "{bad}");
        }
    }
}

//! The word `force` of stop and reboot.

use std::str::FromStr;

/// The word `force`.
#[derive(Debug)]
pub(crate) struct Force;

impl FromStr for Force {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "force" => Ok(Self),
            _ => Err(format!("{text:?} is not `force`")),
        }
    }
}

//! What the verbs share: settings, registry and engine (`env`), output, signals, help.
//! Nothing here knows a verb.

pub mod env;
pub mod help;
pub mod output;
pub mod signals;

pub use env::Env;

pub use crate::operation::Error;

/// The error of something that was given and cannot be used.
pub fn usage_error(why: impl Into<String>) -> Error {
    Error::Usage(why.into())
}

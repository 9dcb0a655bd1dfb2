//! What the verbs share: settings, registry and engine (`env`), output, signals, and the
//! error of the verbs that are no operation. Nothing here knows a verb.

pub mod env;
pub mod error;
pub mod help;
pub mod output;
pub mod signals;

pub use env::Env;
pub use error::Error;

//! `n_vm remote-log`, which is `n_remote_log`: a line for the IPS log.

use crate::app::App;
use crate::ips::IpsError;
use crate::notify;

/// Sends a line; `function` says which function of the caller it is about.
pub(crate) fn remote_log(app: &App, message: &str, function: &str) -> Result<Vec<u8>, IpsError> {
    notify::log_message(&app.ips()?, message, function, app.settings.fetch_timeout)
}

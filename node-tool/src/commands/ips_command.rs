//! `n_vm ips-command`, which is `n_ips_command`: any command of the IPS, its answer on
//! stdout. Exit codes are those of the old function.

use crate::app::App;
use crate::ips::IpsError;

/// Asks the IPS. A bare parameter is sent as `name=name`.
pub(crate) fn ips_command(
    app: &App,
    command: &str,
    params: &[String],
) -> Result<Vec<u8>, IpsError> {
    let ips = app.ips()?;
    let mut query = vec![("cmd", command)];
    query.extend(params.iter().map(|param| match param.split_once('=') {
        Some(pair) => pair,
        None => (param.as_str(), param.as_str()),
    }));
    ips.accepted(ips.post(&query, b"", app.settings.fetch_timeout)?)
}

/// 0, 1 no gateway, 2 no connection, 3 a status of 300 and above.
pub(crate) fn exit_code(error: &IpsError) -> u8 {
    match error {
        IpsError::NoGateway => 1,
        #[cfg(feature = "tls")]
        IpsError::Tls { .. } => 1,
        IpsError::NoAnswer { .. } | IpsError::TooLong { .. } | IpsError::Interrupted => 2,
        IpsError::Status { .. } => 3,
    }
}

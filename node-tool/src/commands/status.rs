//! `n_vm status`: one domain, by one look.

use hps_core::names::VmName;

use crate::app::App;
use crate::error::{Error, Hint};
use crate::show::Row;

/// The domain as it is now.
pub(crate) fn status(app: &App, name: &VmName) -> Result<Row, Error> {
    let uuid = app.resolve(name)?.ok_or(Error::NoSuchDomain(Hint::None))?;
    let info = app.dominfo(uuid)?.ok_or(Error::NoSuchDomain(Hint::None))?;
    let screen = super::list::screens(app, &[(uuid, info.state)])?.pop();
    Ok(Row {
        name: name.to_string(),
        uuid,
        state: info.state,
        vcpus: info.vcpus,
        memory_mb: info.memory_mb,
        vnc: screen.map(|(_, at)| at),
    })
}

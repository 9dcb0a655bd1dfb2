//! `n_vm status`: one domain, by one look.

use argh::FromArgs;
use hps_core::names::VmName;

use super::{Command, Done, list};
use crate::app::App;
use crate::error::{Error, Hint};
use crate::show::{self, Row};
use crate::spec::{Address, Effect, Spec};

/// Show one VM.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "status", help_triggers("--help", "-h"))]
pub(crate) struct Status {
    /// one JSON object
    #[argh(switch)]
    json: bool,
    /// the VM
    #[argh(positional)]
    name: VmName,
}

impl Command for Status {
    const SPEC: Spec = Spec {
        vm: Address::Name,
        effect: Effect::Observes,
        ..Spec::new("status")
    };

    fn vm(&self) -> &str {
        self.name.as_str()
    }

    fn run(&self, app: &App) -> Result<Done, Error> {
        let row = observe(app, &self.name)?;
        let text = if self.json {
            show::json_object(&row)
        } else {
            show::table(std::slice::from_ref(&row))
        };
        let (output, state) = (text.into_bytes(), row.state);
        Ok(Done::Shown { output, state })
    }
}

fn observe(app: &App, name: &VmName) -> Result<Row, Error> {
    let uuid = app.resolve(name)?.ok_or(Error::NoSuchDomain(Hint::None))?;
    let info = app.dominfo(uuid)?.ok_or(Error::NoSuchDomain(Hint::None))?;
    let console = list::consoles(app, &[(uuid, info.state)])?.pop();
    Ok(Row {
        name: name.to_string(),
        uuid,
        state: info.state,
        vcpus: info.vcpus,
        memory_mb: info.memory_mb,
        vnc: console.map(|(_, address)| address),
    })
}

//! `o_vm define`: adds a VM to the registry, from a VM config or from options. It creates
//! nothing on any node.

use std::fmt::Write as _;
use std::io::Read;

use argh::FromArgs;
use hps_core::config::VmConfig;
use hps_core::names::VmId;

use super::finish;
use crate::cli::output::print;
use crate::cli::{Env, Error, usage_error};
use crate::error::chain;
use crate::model::exit::Exit;

/// Define a VM; prints its vm_id.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "define", help_triggers("--help", "-h"))]
pub struct Define {
    /// a VM config (key=value lines); `-` is standard input
    #[argh(positional)]
    file: Option<String>,
    /// vm_id (default: a new UUID)
    #[argh(option)]
    id: Option<VmId>,
    /// name of the VM
    #[argh(option)]
    name: Option<String>,
    /// number of CPUs
    #[argh(option)]
    cpus: Option<String>,
    /// memory in MiB
    #[argh(option)]
    ram: Option<String>,
    /// PATH or PATH,SECOND_PATH; repeat for each disk
    #[argh(option, arg_name = "a[,b]")]
    disk: Vec<String>,
    /// VXLAN network and its bridge; repeat for each network
    #[argh(option, arg_name = "vni=bridge")]
    net: Vec<String>,
    /// title
    #[argh(option)]
    title: Option<String>,
    /// description
    #[argh(option)]
    description: Option<String>,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Define {
    /// Defines it.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("define", self.define(env))
    }

    fn define(&self, env: &Env) -> Result<(), Error> {
        let (origin, text) = self.text()?;
        let parsed = VmConfig::parse(&text)
            .map_err(|error| usage_error(format!("{origin}: {}", chain(&error))))?;
        if let Some(key) = parsed.unknown_keys.first() {
            return Err(usage_error(format!("{origin}: unknown key {key}")));
        }
        let new = || uuid::Uuid::new_v4().to_string().parse();
        let id = match &self.id {
            Some(id) => id.clone(),
            None => {
                new().map_err(|error: hps_core::names::NameError| usage_error(error.to_string()))?
            }
        };
        let author = env.author(self.reason.as_deref());
        let vms = [(id.clone(), parsed.config)];
        env.registry()?.define(&author, &vms)?;
        print(id.as_str());
        Ok(())
    }

    /// The config's text and where it came from.
    fn text(&self) -> Result<(String, Vec<u8>), Error> {
        let options = self.options_text()?;
        match (&self.file, options) {
            (Some(_), Some(_)) => Err(usage_error("give a file or options, not both")),
            (None, None) => Err(usage_error("give a file, '-', or --name, --cpus and --ram")),
            (None, Some(text)) => Ok(("options".to_owned(), text.into_bytes())),
            (Some(file), None) => Ok((file.clone(), read(file)?)),
        }
    }

    fn options_text(&self) -> Result<Option<String>, Error> {
        let mut text = String::new();
        let single = [
            ("name", &self.name),
            ("cpu_count", &self.cpus),
            ("ram_mb", &self.ram),
            ("title", &self.title),
            ("description", &self.description),
        ];
        for (key, value) in single {
            if let Some(value) = value {
                put(&mut text, key, value)?;
            }
        }
        for (number, disk) in (1..).zip(&self.disk) {
            let (a, b) = disk
                .split_once(',')
                .map_or((disk.as_str(), None), |(a, b)| (a, Some(b)));
            put(&mut text, &format!("disk_{number}_a"), a)?;
            if let Some(b) = b {
                put(&mut text, &format!("disk_{number}_b"), b)?;
            }
        }
        for net in &self.net {
            let (vni, bridge) = net
                .split_once('=')
                .ok_or_else(|| usage_error(format!("--net {net:?}: not VNI=BRIDGE")))?;
            put(&mut text, &format!("vxlan_{vni}"), bridge)?;
        }
        if text.is_empty() {
            return Ok(None);
        }
        put(&mut text, "provision_method", "virt-install")?;
        Ok(Some(text))
    }
}

/// Adds a line. A value with a line end is refused, not altered.
fn put(text: &mut String, key: &str, value: &str) -> Result<(), Error> {
    if value.contains(char::is_control) {
        return Err(usage_error(format!(
            "{key}: control character in {value:?}"
        )));
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{key}={value}");
    Ok(())
}

/// Reads a file; at most one byte more than a config may have.
pub(super) fn read(file: &str) -> Result<Vec<u8>, Error> {
    let most = u64::try_from(hps_core::kv::MAX_BYTES).unwrap_or(u64::MAX) + 1;
    read_at_most(file, most)
}

/// Reads a file.
pub(super) fn read_at_most(file: &str, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file).and_then(|open| open.take(most).read_to_end(&mut bytes));
    read.map_err(|error| usage_error(format!("read {file}: {error}")))?;
    Ok(bytes)
}

//! `virt-install`: the argv that creates a VM exactly by its config. Its options have a
//! comma syntax of their own, read by Python's shlex (virtinst/cli.py,
//! `parse_optstr_tuples`): `quoted` writes it.

use std::fs::File;
use std::net::IpAddr;
use std::time::Duration;

use hps_core::config::{BootDevice, Firmware, VmConfig};
use hps_core::exec::{Command, ExecError, Output};
use hps_core::names::Word;
use uuid::Uuid;

const PROGRAM: &str = "virt-install";

/// All that determines the argv.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// `--connect`.
    pub connect: &'a str,
    /// `--virt-type`; `None`: virt-install decides.
    pub virt_type: Option<&'a Word>,
    /// Where the console listens.
    pub vnc_listen: IpAddr,
    /// Always given: it is the identity of the VM.
    pub uuid: Uuid,
    pub config: &'a VmConfig,
    /// Of each of `config.disk_paths()`, in their order.
    pub serials: &'a [String],
    /// Whether this host knows `config.os_variant`.
    pub os_known: bool,
}

/// A value that virt-install would change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: virt-install would change {character:?} in it")]
pub(crate) struct CannotCarry {
    key: String,
    character: char,
}

impl Plan<'_> {
    /// The argv, `virt-install` itself first.
    pub(crate) fn argv(&self) -> Result<Vec<String>, CannotCarry> {
        let config = self.config;
        let mut argv: Vec<String> = [PROGRAM, "--connect", self.connect]
            .map(str::to_owned)
            .into();
        let mut put = |option: &str, value: String| argv.extend([option.to_owned(), value]);
        if let Some(virt_type) = self.virt_type {
            put("--virt-type", virt_type.to_string());
        }
        put("--name", config.name.to_string());
        put("--uuid", self.uuid.to_string());
        put("--memory", config.memory.to_string());
        put("--vcpus", config.vcpus.to_string());
        if let Some(model) = &config.cpu_model {
            put("--cpu", format!("model={model}"));
        }
        for disk in self.disks()? {
            put("--disk", disk);
        }
        for network in self.networks()? {
            put("--network", network);
        }
        put("--graphics", format!("vnc,listen={}", self.vnc_listen));
        put("--boot", self.boot());
        put("--osinfo", self.osinfo());
        if let Some(metadata) = self.metadata() {
            put("--metadata", metadata);
        }
        argv.extend(["--import".to_owned(), "--noautoconsole".to_owned()]);
        Ok(argv)
    }

    /// All first paths, then all second ones, as the specification has them. `bus` and `serial`
    /// are given, so that a guest sees the same disk after every creation.
    fn disks(&self) -> Result<Vec<String>, CannotCarry> {
        let each = self.config.disk_paths().zip(self.serials);
        let disks = each
            .map(|((key, path), serial)| {
                let path = carried(key, path.as_str())?;
                Ok(format!("path={},bus=virtio,serial={serial}", quoted(path)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(or_none(disks))
    }

    /// One interface a network, in the order of the config.
    fn networks(&self) -> Result<Vec<String>, CannotCarry> {
        let networks = self
            .config
            .networks
            .iter()
            .map(|network| {
                let bridge = carried(format!("vxlan_{}", network.vni), network.bridge.as_str())?;
                Ok(format!("bridge={},model=virtio", quoted(bridge)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(or_none(networks))
    }

    /// The order of the config, else network then hd.
    fn boot(&self) -> String {
        let default = [BootDevice::Network, BootDevice::Hd];
        let order = if self.config.boot.is_empty() {
            &default[..]
        } else {
            &self.config.boot
        };
        let order: Vec<_> = order.iter().map(|device| device.as_str()).collect();
        let order = order.join(",");
        match self.config.firmware {
            Some(Firmware::Uefi) => order + ",uefi",
            Some(Firmware::Bios) | None => order,
        }
    }

    /// A distribution's osinfo-db lags behind guest systems: an unknown variant must not
    /// prevent a VM.
    fn osinfo(&self) -> String {
        match &self.config.os_variant {
            Some(variant) if self.os_known => format!("name={variant}"),
            Some(_) | None => "detect=on,require=off".to_owned(),
        }
    }

    /// Title and description, where there is one.
    fn metadata(&self) -> Option<String> {
        let config = self.config;
        let pairs = [
            ("title", &config.title),
            ("description", &config.description),
        ];
        let pairs: Vec<_> = pairs
            .into_iter()
            .filter_map(|(key, text)| Some(format!("{key}={}", quoted(text.as_ref()?.as_str()))))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join(","))
    }
}

/// Runs it. It is never interrupted, and holds the locks until it ends.
pub(crate) fn run(
    argv: &[String],
    deadline: Duration,
    locks: &[&File],
) -> Result<Output, ExecError> {
    let mut command = Command::new(PROGRAM, deadline).args(argv.iter().skip(1));
    for lock in locks {
        command = command.inherit(lock);
    }
    command.run()
}

/// Whether libosinfo on this host knows the OS variant. It takes half a second.
pub(crate) fn knows_os(variant: &Word, deadline: Duration) -> Result<bool, ExecError> {
    let output = Command::new(PROGRAM, deadline)
        .args(["--osinfo", "list"])
        .run()?
        .success()?;
    // debian11, debianbullseye
    let text = output.text();
    let mut names = text.lines().flat_map(|line| line.split(',')).map(str::trim);
    Ok(names.any(|name| name == variant.as_str()))
}

/// virt-install adds a disk or a network of its own where none is given; `none` prevents it.
fn or_none(options: Vec<String>) -> Vec<String> {
    if options.is_empty() {
        vec!["none".to_owned()]
    } else {
        options
    }
}

/// virt-install up to 4.1 escapes XML attributes twice (`&` becomes `&amp;amp;`), so these
/// five would arrive as another path or bridge.
fn carried(key: String, value: &str) -> Result<&str, CannotCarry> {
    match value.chars().find(|c| "&<>\"'".contains(*c)) {
        Some(character) => Err(CannotCarry { key, character }),
        None => Ok(value),
    }
}

/// The value as one token of the comma syntax: within double quotes only `"` and `\` mean something.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:+@%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(text: &str, os_known: bool) -> Result<String, CannotCarry> {
        let config = VmConfig::parse(text.as_bytes()).unwrap().config;
        let serials: Vec<_> = (1..10).map(|n| format!("s{n}")).collect();
        let plan = Plan {
            connect: "qemu:///system",
            virt_type: None,
            vnc_listen: IpAddr::from([127, 0, 0, 1]),
            uuid: Uuid::nil(),
            config: &config,
            serials: &serials,
            os_known,
        };
        plan.argv().map(|argv| argv.join(" "))
    }

    const LEAST: &str = "name=web\ncpu_count=2\nram_mb=512\nprovision_method=virt-install\n";

    #[test]
    fn the_smallest_config_has_neither_disk_nor_network() {
        assert_eq!(
            argv(LEAST, false).unwrap(),
            "virt-install --connect qemu:///system --name web --uuid 00000000-0000-0000-0000-000000000000 \
             --memory 512 --vcpus 2 --disk none --network none --graphics vnc,listen=127.0.0.1 \
             --boot network,hd --osinfo detect=on,require=off --import --noautoconsole"
        );
    }

    #[test]
    fn every_first_path_comes_before_every_second_one() {
        let text = format!("{LEAST}disk_1_a=/a1\ndisk_1_b=/b1\ndisk_2_a=/a,2\n");
        let argv = argv(&text, false).unwrap();
        assert!(
            argv.contains(
                "--disk path=/a1,bus=virtio,serial=s1 --disk path=\"/a,2\",bus=virtio,serial=s2 \
                 --disk path=/b1,bus=virtio,serial=s3"
            ),
            "{argv}"
        );
    }

    #[test]
    fn the_optional_keys_have_virt_installs_syntax() {
        let text = format!(
            "{LEAST}firmware=uefi\nboot=hd\ncpu_model=host-passthrough\nos_variant=debian12\n\
             title=a, \"b\"\ndescription=c\\\n"
        );
        let known = argv(&text, true).unwrap();
        for part in [
            "--boot hd,uefi",
            "--cpu model=host-passthrough",
            "--osinfo name=debian12",
            r#"--metadata title="a, \"b\"",description="c\\""#,
        ] {
            assert!(known.contains(part), "{part} in {known}");
        }
        assert!(
            argv(&text, false)
                .unwrap()
                .contains("--osinfo detect=on,require=off")
        );
    }

    #[test]
    fn values_that_virt_install_would_change_are_refused() {
        for (line, want) in [
            (
                "disk_1_a=/a&b",
                "disk_1_a: virt-install would change '&' in it",
            ),
            (
                "vxlan_7=br\"0",
                "vxlan_7: virt-install would change '\"' in it",
            ),
        ] {
            let error = argv(&format!("{LEAST}{line}\n"), false).unwrap_err();
            assert_eq!(error.to_string(), want);
        }
    }
}

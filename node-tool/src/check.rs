//! After a failure: visible mistakes in a VM's surroundings, to be shown before the text of
//! virt-install. Never checked before it runs, because virt-install decides.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use hps_core::config::VmConfig;

use crate::settings::Settings;
use crate::virsh::Virsh;

/// The mistakes, each as `disk_1_a: /dev/x does not exist`.
pub(crate) fn surroundings(
    config: &VmConfig,
    settings: &Settings,
    virsh: &Virsh<'_>,
) -> Vec<String> {
    let disks = config.disk_paths().filter_map(|(key, path)| {
        disk(Path::new(path.as_str())).map(|wrong| format!("{key}: {path} {wrong}"))
    });
    let bridges = config.networks.iter().filter_map(|network| {
        let there = Path::new("/sys/class/net")
            .join(network.bridge.as_str())
            .exists();
        (!there).then(|| {
            format!(
                "vxlan_{}: there is no bridge {}",
                network.vni, network.bridge
            )
        })
    });
    let mut wrong: Vec<_> = disks.chain(bridges).collect();
    wrong.extend(cpu_model(config, virsh));
    wrong.extend(virt_type(settings));
    wrong
}

/// What is wrong with a disk path, if anything.
fn disk(path: &Path) -> Option<String> {
    match std::fs::metadata(path) {
        Ok(metadata) => {
            let kind = metadata.file_type();
            let usable = kind.is_file() || kind.is_block_device();
            (!usable).then(|| "is neither a block device nor a regular file".to_owned())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some("does not exist".to_owned())
        }
        Err(error) => Some(format!("cannot be examined: {error}")),
    }
}

/// virt-install accepts libvirt's models and these words of its own (virtinst/domain/cpu.py).
fn cpu_model(config: &VmConfig, virsh: &Virsh<'_>) -> Option<String> {
    let model = config.cpu_model.as_ref()?;
    let special = [
        "host",
        "host-passthrough",
        "host-model",
        "host-model-only",
        "host-copy",
        "maximum",
    ];
    let known = virsh.cpu_models().ok()?;
    let found =
        special.contains(&model.as_str()) || known.iter().any(|name| name == model.as_str());
    (!found).then(|| format!("cpu_model: CPU model {model} is unknown to libvirt"))
}

/// Without KVM virt-install falls back to emulation, unless `virt_type` demands KVM.
fn virt_type(settings: &Settings) -> Option<String> {
    let wants_kvm = settings
        .virt_type
        .as_ref()
        .is_some_and(|kind| kind.as_str() == "kvm");
    (wants_kvm && !Path::new("/dev/kvm").exists())
        .then(|| "virt_type kvm: /dev/kvm does not exist".to_owned())
}

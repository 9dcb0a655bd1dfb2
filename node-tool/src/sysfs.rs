//! The identity of a disk, from its device: the WWID distinguishes two paths of one LUN from
//! two LUNs; names do not.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

/// The identity of the block device at a path, the same on every path to it: its WWID, for a
/// device-mapper device its uuid. `None`: not a block device, or one without either.
pub(crate) fn wwid(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.file_type().is_block_device() {
        return None;
    }
    let device = metadata.rdev();
    let link = format!("/sys/dev/block/{}:{}", major(device), minor(device));
    wwid_of(&fs::canonicalize(link).ok()?)
}

/// As [`wwid`], from the folder of the device in sysfs.
fn wwid_of(device: &Path) -> Option<String> {
    if let Some(number) = word(device.join("partition")) {
        let disk = wwid_of(device.parent()?)?;
        return Some(format!("{disk}-part{number}"));
    }
    if let Some(uuid) = word(device.join("dm/uuid")) {
        // mpath-3600c0ff000: multipath's own name of the LUN below.
        return Some(uuid.strip_prefix("mpath-").unwrap_or(&uuid).to_owned());
    }
    let found = word(device.join("device/wwid")).or_else(|| word(device.join("wwid")));
    found.map(|wwid| as_multipath_names_it(&wwid))
}

/// `naa.600c0ff000` is `3600c0ff000` for multipath and udev; the same LUN gets the same name.
fn as_multipath_names_it(wwid: &str) -> String {
    let digit = |prefix, digit| Some(format!("{digit}{}", wwid.strip_prefix(prefix)?));
    digit("naa.", '3')
        .or_else(|| digit("eui.", '2'))
        .unwrap_or_else(|| wwid.to_owned())
}

/// The one word of a file in sysfs; an empty one counts as missing.
fn word(path: PathBuf) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of sysfs as a kernel shows it, as long as the test lasts.
    struct Folder(PathBuf);

    impl std::ops::Deref for Folder {
        type Target = Path;

        fn deref(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn device(files: &[(&str, &str)]) -> Folder {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("hps-sysfs-{}-{count}", std::process::id()));
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Folder(root)
    }

    #[test]
    fn paths_and_multipath_device_of_a_lun_have_one_wwid() {
        let path = device(&[("device/wwid", "naa.600c0ff0001\n")]);
        let multipath = device(&[("dm/uuid", "mpath-3600c0ff0001\n")]);
        assert_eq!(wwid_of(&path).unwrap(), "3600c0ff0001");
        assert_eq!(wwid_of(&multipath), wwid_of(&path));
    }

    #[test]
    fn a_partition_is_not_its_disk() {
        let disk = device(&[("wwid", "eui.0025\n"), ("p1/partition", "1\n")]);
        assert_eq!(wwid_of(&disk.join("p1")).unwrap(), "20025-part1");
    }

    #[test]
    fn a_device_without_any_name_has_none() {
        assert_eq!(
            wwid_of(&device(&[("size", "8"), ("device/wwid", "\n")])),
            None
        );
        assert_eq!(wwid(Path::new("/dev/null")), None);
    }
}

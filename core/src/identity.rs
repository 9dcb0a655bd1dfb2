//! The UUID of a VM and the serials of its disks (design: contract 1, Identity and Disks).

use crate::config::VmConfig;
use crate::names::VmId;
use uuid::Uuid;

/// The UUID of a VM: the config's own, else the vm_id where that is one, else v5 of the vm_id.
#[must_use]
pub fn vm_uuid(id: &VmId, config: &VmConfig) -> Uuid {
    config.uuid.unwrap_or_else(|| uuid_of_id(id))
}

/// The UUID a vm_id alone leads to.
#[must_use]
pub fn uuid_of_id(id: &VmId) -> Uuid {
    hyphenated(id.as_str())
        .unwrap_or_else(|| Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("hps:vm:{id}").as_bytes()))
}

/// Parses the form of 36 characters only; a `vm_id` in another spelling of a UUID is just a
/// name.
#[must_use]
pub fn hyphenated(text: &str) -> Option<Uuid> {
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

/// The serial of a disk, from its identity: 20 hex digits of a hash, since virtio-blk keeps
/// 20 bytes and WWIDs of one storage differ later than that.
#[must_use]
pub fn serial(identity: &str) -> String {
    let hash = Uuid::new_v5(
        &Uuid::NAMESPACE_URL,
        format!("hps:disk:{identity}").as_bytes(),
    );
    let digits: String = hash.simple().to_string();
    // The version nibble (digit 12) and the variant nibble (16) carry nothing of the hash.
    digits
        .char_indices()
        .filter(|(i, _)| !matches!(i, 12 | 16))
        .map(|(_, c)| c)
        .take(20)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_id_that_is_a_uuid_is_the_uuid() {
        let id = "6BA7B810-9DAD-11D1-80B4-00C04FD430C8".parse().unwrap();
        assert_eq!(
            uuid_of_id(&id).to_string(),
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
        );
    }

    #[test]
    fn any_other_vm_id_leads_to_one_v5_uuid() {
        // python3: uuid.uuid5(uuid.NAMESPACE_URL, "hps:vm:vm-7")
        assert_eq!(
            uuid_of_id(&"VM-7".parse().unwrap()).to_string(),
            "45251ba2-51f5-541b-9627-6958bb19f0d3"
        );
    }

    #[test]
    fn serials_of_similar_wwids_differ() {
        let (one, two) = (
            serial("360000000000000000e00000000010001"),
            serial("360000000000000000e00000000010002"),
        );
        assert!(one.len() == 20 && one.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(one, two);
    }
}

//! Domains for people and programs: a table, or the JSON of the contract.

use hps_core::state::VmState;
use hps_core::table::{self, Column};
use uuid::Uuid;

/// One line of `list`, or all of `status`.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// libvirt's name.
    pub name: String,
    pub uuid: Uuid,
    /// In the words of the contract.
    pub state: VmState,
    /// 0 where libvirt does not show it.
    pub vcpus: u32,
    /// In MiB; 0 where libvirt does not show it.
    pub memory_mb: u64,
    /// Address and port of its VNC console, while it has one.
    pub vnc: Option<String>,
}

const COLUMNS: [Column<'_>; 6] = [
    Column::text("NAME"),
    Column::text("UUID").at_least(36),
    Column::text("STATE").at_least(11),
    Column::number("VCPUS"),
    Column::number("MEMORY_MB"),
    Column::text("VNC"),
];

/// A table with a head.
pub(crate) fn table(rows: &[Row]) -> String {
    let cells = |row: &Row| {
        vec![
            row.name.clone(),
            row.uuid.to_string(),
            row.state.to_string(),
            row.vcpus.to_string(),
            row.memory_mb.to_string(),
            row.vnc.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    table::table(&COLUMNS, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// One top-level array.
pub(crate) fn json_array(rows: &[Row]) -> String {
    let objects: Vec<_> = rows.iter().map(object).collect();
    format!("[{}]\n", objects.join(",\n "))
}

/// One object.
pub(crate) fn json_object(row: &Row) -> String {
    object(row) + "\n"
}

/// The keys of the contract, in its order. No serde: six keys do not pay for it.
fn object(row: &Row) -> String {
    let Row {
        name,
        uuid,
        state,
        vcpus,
        memory_mb,
        vnc,
    } = row;
    let (name, vnc) = (
        string(name),
        vnc.as_deref().map_or("null".to_owned(), string),
    );
    format!(
        r#"{{"name":{name},"uuid":"{uuid}","state":"{state}","vcpus":{vcpus},"memory_mb":{memory_mb},"vnc":{vnc}}}"#
    )
}

/// The text as a JSON string.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyjson::JsonValue;

    proptest::proptest! {
        #[test]
        fn any_name_is_read_back_from_the_json(name: String) {
            let row = Row { name: name.clone(), uuid: Uuid::nil(), state: VmState::Running, vcpus: 1, memory_mb: 2, vnc: None };
            let json: JsonValue = json_array(&[row.clone(), row]).parse().unwrap();
            proptest::prop_assert_eq!(json[1]["name"].get::<String>(), Some(&name));
        }
    }
}

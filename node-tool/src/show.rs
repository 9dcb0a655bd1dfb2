//! Domains as people and programs read them: a table, or the JSON of the contract.

use hps_core::state::VmState;
use uuid::Uuid;

/// One line of `list`, or all of `status`.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub name: String,
    pub uuid: Uuid,
    pub state: VmState,
    pub vcpus: u32,
    pub memory_mb: u64,
    /// Address and port of its screen, while it has one.
    pub vnc: Option<String>,
}

/// A table with a head, as wide as its longest name.
pub(crate) fn table(rows: &[Row]) -> String {
    let widest = rows
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(4);
    let head = format!(
        "{:<widest$}  {:<36}  {:<11}  {:>5}  {:>9}  {}\n",
        "NAME", "UUID", "STATE", "VCPUS", "MEMORY_MB", "VNC"
    );
    let lines = rows.iter().map(|row| {
        let Row {
            name,
            uuid,
            state,
            vcpus,
            memory_mb,
            vnc,
        } = row;
        let vnc = vnc.as_deref().unwrap_or("-");
        format!("{name:<widest$}  {uuid}  {state:<11}  {vcpus:>5}  {memory_mb:>9}  {vnc}\n")
    });
    head + &lines.collect::<String>()
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

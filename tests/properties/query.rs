//! The query string, compared with two other readers: a plain decoder, and nginx, which routes
//! requests to the server by `$arg_cmd`.

use super::common::said_well;
use crate::http::query::Query;

/// An accepted query has one reading: each parameter is decoded as it was written, none is
/// added, and nginx reads the same command.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let query = match Query::parse(text) {
        Ok(query) => query,
        Err(error) => return said_well(&error),
    };
    let parts: Vec<_> = text.split('&').filter(|part| !part.is_empty()).collect();
    let mut again = String::new();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decoded(name), decoded(value));
        assert_eq!(query.get(&name), Some(value.as_str()));
        assert!(!value.contains(char::is_control), "{value:?}");
        if name != "cmd" {
            again += &format!("&{}={}", encoded(&name), encoded(&value));
        }
    }
    let command = query.get("cmd");
    assert_eq!(
        command.unwrap_or_default(),
        arg_of_nginx(text, "cmd").unwrap_or_default()
    );
    let command = command.map_or(String::new(), |command| format!("cmd={command}"));
    assert_eq!(Query::parse(&(command + &again)), Ok(query));
}

/// `ngx_http_arg`: the first `NAME=` in any case at the start or after `&`, up to the next `&`;
/// text after a `#` is not part of the arguments.
fn arg_of_nginx<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let args = text.split('#').next().unwrap_or_default();
    args.split('&').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

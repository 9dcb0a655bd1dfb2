//! The query string, parsed strictly: `%XX` is decoded, `+` is a plus, a repeated parameter is
//! an error. nginx routes a request by the literal first `cmd`, so a query that nginx might
//! read differently is refused.

use std::collections::BTreeMap;

use hps_core::{kv, percent};

/// Decoded parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

/// Why a query string is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("a '%' without two hex digits")]
    Percent,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("a control character")]
    Control,
    #[error("parameter {0:?} is given twice")]
    Repeated(String),
    #[error("a '#': what follows it is not part of a query")]
    Fragment,
    #[error("cmd must be written in small letters, and it and its value without %XX")]
    DisguisedCommand,
}

impl Query {
    /// Parses what follows the `?`.
    ///
    /// # Errors
    /// It is not a valid query.
    pub(crate) fn parse(text: &str) -> Result<Self, QueryError> {
        if text.contains('#') {
            return Err(QueryError::Fragment);
        }
        let mut parameters = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(key)?;
            let is_command = name.eq_ignore_ascii_case("cmd");
            if is_command && (key != "cmd" || value.contains('%')) {
                return Err(QueryError::DisguisedCommand);
            }
            if parameters.insert(name.clone(), decode(value)?).is_some() {
                return Err(QueryError::Repeated(kv::shown(&name)));
            }
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter; empty where it has none.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn decode(text: &str) -> Result<String, QueryError> {
    let bytes = percent::decode(text).ok_or(QueryError::Percent)?;
    let text = String::from_utf8(bytes).map_err(|_| QueryError::NotUtf8)?;
    if text.chars().any(char::is_control) {
        Err(QueryError::Control)
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_decoded_and_plus_is_a_plus() {
        let query =
            Query::parse("cmd=vm&get_config=get_config&message=a%20b+c%C3%A9%3D&flag").unwrap();
        assert_eq!(query.get("message"), Some("a b+cé="));
        assert_eq!((query.get("flag"), query.get("none")), (Some(""), None));
    }

    #[test]
    fn queries_that_nginx_reads_differently_are_refused() {
        for (text, want) in [
            ("cmd=vm&cmd=log", QueryError::Repeated("cmd".to_owned())),
            ("c%6dd=vm", QueryError::DisguisedCommand),
            ("cmd=%76m", QueryError::DisguisedCommand),
            ("CMD=vm&cmd=vm", QueryError::DisguisedCommand),
            ("cmd=vm#", QueryError::Fragment),
            ("a#&cmd=vm", QueryError::Fragment),
            ("a=1&a=2", QueryError::Repeated("a".to_owned())),
            ("a=%4", QueryError::Percent),
            ("a=%zz", QueryError::Percent),
            ("a=%ff", QueryError::NotUtf8),
            ("a=%0a", QueryError::Control),
            ("a=%00", QueryError::Control),
        ] {
            assert_eq!(Query::parse(text), Err(want), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_value_arrives_as_it_was_encoded(value in "[^\\p{Cc}]*") {
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let query = Query::parse(&format!("v={encoded}")).unwrap();
            proptest::prop_assert_eq!(query.get("v"), Some(value.as_str()));
        }

        #[test]
        fn any_text_parses_or_fails_without_a_panic(text: String) {
            let _ = Query::parse(&text);
        }
    }
}

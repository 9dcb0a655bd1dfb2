use std::collections::BTreeMap;
use std::time::Duration;

use super::source::read_file;
use super::*;

fn load(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let given = pairs
        .iter()
        .map(|(key, value)| {
            (
                (*key).to_owned(),
                Given {
                    value: (*value).to_owned(),
                    origin: "here".to_owned(),
                },
            )
        })
        .collect();
    Settings::from_given(&given, || Ok(EngineKind::Local))
}

#[test]
fn the_defaults_are_the_contracts() {
    let settings = load(&[]).unwrap();
    assert_eq!(settings.listen, "127.0.0.1:8068");
    assert_eq!(
        (settings.auth, settings.bind_address, settings.restart),
        (Auth::Token, true, false)
    );
    assert_eq!(settings.verb_timeout, Duration::from_secs(540));
    assert_eq!(settings.poll_interval, Duration::from_millis(100));
}

#[test]
fn a_bad_value_names_key_and_source() {
    for (key, value) in [
        ("om_timeout", "soon"),
        ("om_timeout", "-1"),
        ("engine", "magic"),
        ("nodes_auth", "no"),
        ("nodes_allow", "10.0.0.0/99"),
        ("advertise", "ips:80"),
        ("node_name", "a b"),
        ("listen", "8068"),
        ("listen", "unix:ips.sock"),
        ("listen", "127.0.0.1:65536"),
        ("listen", "unix:/run/a\nb"),
        ("advertise", "http://ips\u{7f}"),
        ("registry", ""),
        ("registry", ":memory:"),
        ("registry", "file:/a?mode=memory"),
        ("lock_dir", "locks"),
    ] {
        let error = load(&[(key, value)]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("here: {key}: ")), "{error}");
    }
}

#[test]
fn a_file_is_read_and_its_unknown_keys_are_named() {
    let path = std::env::temp_dir().join(format!("ips-settings-{}.toml", std::process::id()));
    let mut given = BTreeMap::new();
    std::fs::write(
        &path,
        "listen = \"[::1]:1\"\nom_timeout = 1.5\n[nodes]\nallow = [\"10.0.0.0/8\", \"::1\"]\n",
    )
    .unwrap();
    read_file(&path, &mut given).unwrap();
    let settings = Settings::from_given(&given, || Ok(EngineKind::Local)).unwrap();
    assert_eq!(
        (settings.listen.as_str(), settings.allow.len()),
        ("[::1]:1", 2)
    );
    for (text, key) in [
        ("lisen = 1", "lisen"),
        ("[nodes]\nlisten = \"x\"", "[nodes] listen"),
        ("nodes_auth = \"off\"", "nodes_auth"),
        ("\"a\\nb\" = 1", "a b"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = read_file(&path, &mut given).unwrap_err().to_string();
        assert_eq!(error, format!("{}: unknown setting {key}", path.display()));
    }
    std::fs::remove_file(path).unwrap();
}

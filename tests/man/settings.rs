//! ips.toml(5) compared with the settings: every key, its values, and its default.

use std::fmt::Write as _;
use std::path::PathBuf;

use ips_server::settings::{KEYS, Settings};

use crate::check::same;
use crate::page::Page;

/// One entry of the page.
struct Setting {
    key: String,
    table: &'static str,
    takes: String,
    default: Option<String>,
}

fn page() -> Vec<Setting> {
    let page = Page::read("ips.toml.5");
    let nodes: Vec<_> = page
        .entries("## [nodes]")
        .into_iter()
        .map(|entry| entry.head)
        .collect();
    let entries = page.entries("# SETTINGS").into_iter();
    entries
        .map(|entry| {
            let (key, takes) = entry.head.split_once(" = ").unwrap();
            let default = entry.text.strip_prefix("Default: ").unwrap();
            let default = default.split(". ").next().unwrap();
            let is_value = !matches!(default, "unset" | "none") && !default.contains(' ');
            Setting {
                key: key.to_owned(),
                table: if nodes.contains(&entry.head) {
                    "nodes_"
                } else {
                    ""
                },
                takes: takes.to_owned(),
                default: is_value.then(|| default.to_owned()),
            }
        })
        .collect()
}

/// Loads a settings file of this text.
fn load(name: &str, text: &str) -> Result<Settings, String> {
    let file: PathBuf = std::env::temp_dir().join(format!("hps-{name}-{}", std::process::id()));
    std::fs::write(&file, text).unwrap();
    let loaded = Settings::load(Some(&file)).map_err(|error| error.to_string());
    std::fs::remove_file(&file).unwrap();
    loaded
}

/// The file that gives one setting.
fn line(setting: &Setting, value: &str) -> String {
    let head = if setting.table.is_empty() {
        ""
    } else {
        "[nodes]\n"
    };
    format!("{head}{} = {value}\n", setting.key)
}

#[test]
fn ips_toml_has_every_key() {
    let found = page()
        .into_iter()
        .map(|setting| format!("{}{}", setting.table, setting.key));
    same(
        found.collect(),
        KEYS.iter().map(|&key| key.to_owned()).collect(),
    );
}

#[test]
fn setting_every_default_of_the_page_changes_nothing() {
    let mut text = String::new();
    for setting in page() {
        let Some(default) = &setting.default else {
            continue;
        };
        let is_number = setting.takes == "seconds";
        let value = if is_number {
            default.clone()
        } else {
            format!("{default:?}")
        };
        if !setting.table.is_empty() && !text.contains("[nodes]") {
            text.push_str("[nodes]\n");
        }
        writeln!(text, "{} = {value}", setting.key).unwrap();
    }
    assert_eq!(
        format!("{:?}", load("defaults", &text).unwrap()),
        format!("{:?}", load("empty", "").unwrap())
    );
}

#[test]
fn a_key_without_a_default_is_unset() {
    let settings = format!("{:?}", load("unset", "").unwrap());
    for setting in page().iter().filter(|setting| setting.default.is_none()) {
        // The engine depends on what is installed.
        let (none, empty) = (
            format!("{}: None", setting.key),
            format!("{}: []", setting.key),
        );
        let is_unset = settings.contains(&none) || settings.contains(&empty);
        assert_ne!(is_unset, setting.key == "engine", "{}", setting.key);
    }
}

#[test]
fn the_error_of_a_bad_value_names_its_kind() {
    for setting in page() {
        let message = load(&setting.key, &line(&setting, "\" /no/ /9 \"")).err();
        let message = message.unwrap_or_default();
        assert_eq!(
            message.contains("want a time as"),
            setting.takes == "seconds",
            "{message}"
        );
        if setting.takes.contains('|') {
            let mut words: Vec<_> = setting.takes.split('|').collect();
            let other = words.iter().rev().copied().collect::<Vec<_>>().join(" or ");
            let same_order = words.join(" or ");
            words.retain(|word| load(&setting.key, &line(&setting, &format!("{word:?}"))).is_err());
            assert!(
                message.ends_with(&same_order) || message.ends_with(&other),
                "{message}"
            );
            assert_eq!(words, [""; 0], "{}", setting.key);
        }
    }
}

//! The direction of imports between this crate's folders, held by a test: a module imports
//! only from those that stand before it in `ORDER`. So there is no circle, and a new room is
//! one line here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every folder and file at the top of `src/`, the lowest first.
const ORDER: &[&str] = &[
    "error",
    "logging",
    "syslog",
    "settings",
    "model",
    "om",
    "registry",
    "engine",
    "adoption",
    "json",
    "operation",
    "cli",
    "verbs",
    "links",
    "nginx",
    "http",
    "program",
];
/// Folders in which asynchronous code is allowed.
const ASYNC: &[&str] = &["http"];

/// Top-level module → those that it imports.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Production code by top-level module; tests may import from anywhere.
fn modules() -> Vec<(String, String)> {
    let (source, mut found) = (source(), Vec::new());
    files(&source, &mut found);
    let is_test = |path: &Path| {
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        let ends = ["tests.rs", "lib.rs", "main.rs", "layers.rs"];
        parts.iter().any(|part| part == "tests") || ends.iter().any(|end| path.ends_with(end))
    };
    found
        .into_iter()
        .map(|path| (path.strip_prefix(&source).unwrap().to_owned(), path))
        .filter(|(inner, _)| !is_test(inner))
        .map(|(inner, path)| {
            let first = inner.iter().next().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next();
            let module = first.trim_end_matches(".rs").to_owned();
            (module, code.unwrap_or_default().to_owned())
        })
        .collect()
}

fn graph(modules: &[(String, String)]) -> Graph {
    let mut graph = Graph::new();
    for (module, code) in modules {
        let imports = graph.entry(module.clone()).or_default();
        for rest in code.split("crate::").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            assert!(
                !name.is_empty(),
                "{module}: write one `use crate::` a module"
            );
            if name != module && ORDER.contains(&name) {
                imports.insert(name.to_owned());
            }
        }
    }
    graph
}

#[test]
fn imports_point_down_the_layers() {
    let graph = graph(&modules());
    for (module, imports) in &graph {
        let imports: Vec<_> = imports.iter().map(String::as_str).collect();
        println!("{module} -> {}", imports.join(" "));
    }
    let rank = |name: &str| ORDER.iter().position(|known| *known == name);
    let mut met = 0;
    for (module, imports) in &graph {
        let own = rank(module);
        assert!(own.is_some(), "{module} has no place in ORDER");
        for import in imports {
            met += 1;
            assert!(
                rank(import) < own,
                "{module} imports {import}, which is above it"
            );
        }
    }
    assert!(met > 20, "only {met} imports were found");
    assert_eq!(
        graph.len(),
        ORDER.len(),
        "ORDER names a module that is gone"
    );
}

#[test]
fn only_http_is_asynchronous() {
    let mut met = BTreeSet::new();
    for (module, code) in modules() {
        let code: Vec<_> = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        let code = code.join("\n");
        let is_async = ["async ", ".await", "tokio::", "axum::", "hyper"]
            .iter()
            .any(|word| code.contains(word));
        if is_async {
            assert!(ASYNC.contains(&module.as_str()), "{module} is asynchronous");
            met.insert(module);
        }
    }
    assert_eq!(met.len(), ASYNC.len(), "no asynchronous code was found");
}

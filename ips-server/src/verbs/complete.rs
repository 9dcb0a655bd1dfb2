//! `o_vm __complete KIND [PREFIX]`: the candidates of a shell completion, a line each:
//! `word TAB description`. Hidden; the files in packaging/completions call it. A message on
//! stderr would end up in the user's half-typed line, so there is none, and no wait.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::Env;
use crate::registry::read_only::ReadOnlyRegistry;
use crate::settings::Settings;

/// The hidden verb.
pub const VERB: &str = "__complete";
/// The kinds of candidates.
pub const KINDS: [&str; 3] = ["vms", "nodes", "operations"];
/// How long `om` may take, which runs if the registry has no node yet. It may hang.
const OM_LIMIT: Duration = Duration::from_secs(1);

/// A word and its description.
type Candidate = (String, String);

/// Prints the words of a kind that begin with the prefix; the exit code is always 0.
#[must_use]
pub fn run(words: &[&str]) -> ExitCode {
    let (kind, prefix) = match words {
        [kind] => (*kind, ""),
        [kind, prefix, ..] => (*kind, *prefix),
        [] => ("", ""),
    };
    let lines: String = candidates(kind)
        .unwrap_or_default()
        .into_iter()
        .filter(|(word, _)| word.starts_with(prefix))
        .map(|(word, about)| format!("{word}\t{about}\n"))
        .collect();
    let _ = std::io::stdout().lock().write_all(lines.as_bytes());
    ExitCode::SUCCESS
}

fn candidates(kind: &str) -> Option<Vec<Candidate>> {
    let settings = Settings::load(None).ok()?;
    let registry = ReadOnlyRegistry::open(&settings.registry).ok();
    match kind {
        "vms" => Some(vms(&registry?)),
        "nodes" => Some(nodes(registry.as_ref(), settings)),
        "operations" => Some(operations(&registry?)),
        _ => None,
    }
}

/// Name and vm_id of each VM, each described by the other.
fn vms(registry: &ReadOnlyRegistry) -> Vec<Candidate> {
    let vms = registry.vms().unwrap_or_default();
    vms.into_iter()
        .flat_map(|(id, name)| {
            let (id, name) = (id.to_string(), name.to_string());
            let by_id = (id != name).then(|| (id.clone(), name.clone()));
            std::iter::once((name, id)).chain(by_id)
        })
        .collect()
}

fn nodes(registry: Option<&ReadOnlyRegistry>, mut settings: Settings) -> Vec<Candidate> {
    let known = registry
        .and_then(|registry| registry.nodes().ok())
        .unwrap_or_default();
    let mut names: Vec<_> = known.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        settings.om_timeout = settings.om_timeout.min(OM_LIMIT);
        let found = Env { settings }.nodes().unwrap_or_default();
        names.extend(found.into_iter().map(|node| node.name.to_string()));
    }
    let about = |name| (name, "node".to_owned());
    names.into_iter().map(about).collect()
}

fn operations(registry: &ReadOnlyRegistry) -> Vec<Candidate> {
    let open = registry.open_operations().unwrap_or_default();
    open.into_iter()
        .map(|(operation, vm)| {
            let about = vm.map_or_else(|| "no VM".to_owned(), |vm| vm.to_string());
            (operation.to_string(), about)
        })
        .collect()
}

//! `o_vm __complete KIND [PREFIX]`: what a shell offers at TAB, a line each, as `word` or
//! `word TAB about`. Hidden, for the files in packaging/completions. Whoever pressed TAB is
//! in the middle of a line: nothing is ever said on stderr, and nothing waited for.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use super::Env;
use crate::registry::read_only::ReadOnlyRegistry;
use crate::settings::Settings;

/// The hidden verb.
pub const VERB: &str = "__complete";
/// What it can be asked for.
pub const KINDS: [&str; 3] = ["vms", "nodes", "operations"];
/// How long `om` may take where the registry knows no node yet; it may hang.
const OM_LIMIT: Duration = Duration::from_secs(1);

/// A word and what it is.
type Candidate = (String, String);

/// Prints the words of a kind that begin with the prefix; always 0.
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
    let peek = ReadOnlyRegistry::open(&settings.registry).ok();
    match kind {
        "vms" => Some(vms(&peek?)),
        "nodes" => Some(nodes(peek.as_ref(), settings)),
        "operations" => Some(operations(&peek?)),
        _ => None,
    }
}

/// Both names of each VM, each telling the other.
fn vms(peek: &ReadOnlyRegistry) -> Vec<Candidate> {
    let vms = peek.vms().unwrap_or_default();
    vms.into_iter()
        .flat_map(|(id, name)| {
            let (id, name) = (id.to_string(), name.to_string());
            let by_id = (id != name).then(|| (id.clone(), name.clone()));
            std::iter::once((name, id)).chain(by_id)
        })
        .collect()
}

fn nodes(peek: Option<&ReadOnlyRegistry>, mut settings: Settings) -> Vec<Candidate> {
    let known = peek.and_then(|peek| peek.nodes().ok()).unwrap_or_default();
    let mut names: Vec<_> = known.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        settings.om_timeout = settings.om_timeout.min(OM_LIMIT);
        let told = super::all_nodes(&Env { settings }).unwrap_or_default();
        names.extend(told.into_iter().map(|node| node.name.to_string()));
    }
    let about = |name| (name, "node".to_owned());
    names.into_iter().map(about).collect()
}

fn operations(peek: &ReadOnlyRegistry) -> Vec<Candidate> {
    let open = peek.open_operations().unwrap_or_default();
    open.into_iter()
        .map(|(operation, vm)| (operation.to_string(), vm.to_string()))
        .collect()
}

//! What a verb is told besides its VM; kept in the journal, so that a later process
//! can tell whether it continues the same operation.

use std::time::Duration;

use hps_core::kv;
use hps_core::names::{VmId, VmName};
use hps_core::verb::Verb;

/// Options of a verb. The default says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `stop force`: pull the plug.
    pub force: bool,
    /// `stop --wait --timeout`: until the domain is off, at most this long.
    pub wait: Option<Duration>,
    /// `stop --force-after`: pull the plug when `wait` is over.
    pub force_after: bool,
    /// `destroy --keep-storage`.
    pub keep_storage: bool,
}

impl Options {
    /// As it stands in the journal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let flag = |key: &str, on: bool| {
            if on {
                kv::line(key, "1")
            } else {
                String::new()
            }
        };
        let wait = self
            .wait
            .map(|wait| kv::line("wait", &wait.as_secs_f64().to_string()));
        [
            flag("force", self.force),
            wait.unwrap_or_default(),
            flag("force_after", self.force_after),
            flag("keep_storage", self.keep_storage),
        ]
        .concat()
    }

    /// Reads what [`Options::to_text`] wrote; what it does not know it leaves out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = kv::parse(text.as_bytes()).unwrap_or_default();
        let get = |key: &str| {
            pairs
                .iter()
                .find(|pair| pair.key == key)
                .map(|pair| pair.value)
        };
        let wait = get("wait").and_then(|value| value.parse().ok());
        Self {
            force: get("force").is_some(),
            wait: wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            force_after: get("force_after").is_some(),
            keep_storage: get("keep_storage").is_some(),
        }
    }

    /// The arguments behind `n_vm VERB`.
    #[must_use]
    pub fn arguments(&self, verb: Verb, vm: &VmId, name: &VmName) -> Vec<String> {
        let mut args = match verb {
            Verb::Create => vec![vm.to_string()],
            Verb::Start
            | Verb::Stop
            | Verb::Pause
            | Verb::Unpause
            | Verb::Destroy
            | Verb::Status => {
                vec![name.to_string()]
            }
        };
        if self.force {
            args.push("force".to_owned());
        }
        if let Some(wait) = self.wait {
            args.extend([
                "--wait".to_owned(),
                "--timeout".to_owned(),
                wait.as_secs_f64().to_string(),
            ]);
        }
        if self.force_after {
            args.push("--force-after".to_owned());
        }
        if self.keep_storage {
            args.push("--keep-storage".to_owned());
        }
        args
    }

    /// How much longer than other verbs this one may take.
    #[must_use]
    pub fn extra_time(&self) -> Duration {
        self.wait.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_back_from_the_journal() {
        let all = Options {
            force: true,
            wait: Some(Duration::from_millis(1500)),
            force_after: true,
            keep_storage: true,
        };
        assert_eq!(Options::parse(&all.to_text()), all);
        assert_eq!(Options::parse(""), Options::default());
    }

    #[test]
    fn create_is_told_the_vm_id_and_the_others_the_name() {
        let (vm, name) = ("vm-1".parse().unwrap(), "web".parse().unwrap());
        let stop = Options {
            wait: Some(Duration::from_secs(90)),
            force_after: true,
            ..Options::default()
        };
        assert_eq!(
            Options::default().arguments(Verb::Create, &vm, &name),
            ["vm-1"]
        );
        assert_eq!(
            stop.arguments(Verb::Stop, &vm, &name),
            ["web", "--wait", "--timeout", "90", "--force-after"]
        );
    }
}

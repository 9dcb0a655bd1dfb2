//! The options of a verb that runs on a node. The journal keeps them, so that a later
//! process can decide whether it continues the same operation.

use std::time::Duration;

use hps_core::kv;

/// Options of a verb. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `stop force`, `reboot force`: without asking the guest.
    pub force: bool,
    /// `--wait --timeout`: until the goal is reached, at most this long.
    pub wait: Option<Duration>,
    /// `stop --force-after`: power it off when `wait` is over.
    pub force_after: bool,
    /// `destroy --keep-storage`.
    pub keep_storage: bool,
}

impl Options {
    /// The text that the journal keeps.
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

    /// Reads the text of [`Options::to_text`]; unknown keys are ignored.
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

    /// The words behind the VM's on `n_vm`'s command line.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let flag = |word: &str, on: bool| on.then(|| word.to_owned());
        let wait = self.wait.map(|wait| {
            let seconds = wait.as_secs_f64().to_string();
            ["--wait".to_owned(), "--timeout".to_owned(), seconds]
        });
        flag("force", self.force)
            .into_iter()
            .chain(wait.into_iter().flatten())
            .chain(flag("--force-after", self.force_after))
            .chain(flag("--keep-storage", self.keep_storage))
            .collect()
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
    fn options_become_words_of_n_vm() {
        let stop = Options {
            wait: Some(Duration::from_secs(90)),
            force_after: true,
            ..Options::default()
        };
        assert_eq!(stop.words(), ["--wait", "--timeout", "90", "--force-after"]);
        assert!(Options::default().words().is_empty());
    }
}

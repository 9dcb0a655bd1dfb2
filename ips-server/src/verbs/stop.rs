//! `o_vm stop`: asks a VM to shut down, or powers it off.

use std::str::FromStr;
use std::time::Duration;

use argh::FromArgs;
use hps_core::verb::Verb;

use super::operate::{Order, order};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::operation::options::Options;

/// How long `--wait` waits where nothing else is said.
const WAIT: Duration = Duration::from_secs(90);

/// Shut a VM down; `force` powers it off at once.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "stop", help_triggers("--help", "-h"))]
pub struct Stop {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// force: power it off at once
    #[argh(positional)]
    force: Option<Force>,
    /// wait until the VM is off
    #[argh(switch)]
    wait: bool,
    /// how long to wait: 90, 90s or 2m (default 90s)
    #[argh(option, arg_name = "duration", from_str_fn(duration), default = "WAIT")]
    timeout: Duration,
    /// power the VM off when the time is over
    #[argh(switch)]
    force_after: bool,
    /// print the operation record as JSON
    #[argh(switch)]
    json: bool,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

/// The word `force`.
#[derive(Debug)]
pub struct Force;

impl FromStr for Force {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "force" {
            Ok(Self)
        } else {
            Err(format!("{text:?}: want `force` or nothing"))
        }
    }
}

impl Stop {
    /// `--force-after` says that the time counts, so it waits too.
    fn options(&self) -> Options {
        Options {
            force: self.force.is_some(),
            wait: (self.wait || self.force_after).then_some(self.timeout),
            force_after: self.force_after,
            ..Options::default()
        }
    }

    /// Performs it; the exit code is contract 3's.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let options = self.options();
        let (json, reason) = (self.json, self.reason.as_deref());
        order(
            env,
            &Order {
                vm: &self.vm,
                verb: Verb::Stop,
                node: None,
                options,
                json,
                reason,
            },
        )
    }
}

/// `90`, `90s`, `1.5m`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60.0),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .filter(|duration| *duration <= Duration::from_secs(86_400))
        .ok_or_else(|| format!("{text:?}: want seconds up to a day, as 90, 90s or 2m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_unless_they_say_minutes() {
        for (text, want) in [("90", 90.0), ("90s", 90.0), ("1.5m", 90.0), ("0", 0.0)] {
            assert_eq!(duration(text).unwrap().as_secs_f64(), want);
        }
        for bad in ["", "x", "-1", "1h", "NaN", "inf", "1e9"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}

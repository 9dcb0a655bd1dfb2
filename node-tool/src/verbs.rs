//! From a parsed command line to a verb, and from its result to what people, the IPS
//! and the caller learn of it.

use hps_core::verb::Verb as Reported;

use crate::app::{App, Outcome};
use crate::cli::{Create, Destroy, Status, Verb};
use crate::commands::{
    config, create, destroy, ips_command, list, pause, remote_log, start, status, stop, unpause,
};
use crate::error::Error;
use crate::ips::IpsError;
use crate::{log, notify, print, show};

/// Runs the verb and returns the exit code.
pub(crate) fn run(app: &App, verb: &Verb) -> u8 {
    match verb {
        Verb::Create(args) => run_create(app, args),
        Verb::Start(args) => ended(
            app,
            Reported::Start,
            args.name.as_str(),
            start::start(app, &args.name),
        ),
        Verb::Stop(args) => {
            let stopped = stop::stop(app, &args.name, args.how());
            ended(app, Reported::Stop, args.name.as_str(), stopped)
        }
        Verb::Pause(args) => ended(
            app,
            Reported::Pause,
            args.name.as_str(),
            pause::pause(app, &args.name),
        ),
        Verb::Unpause(args) => {
            let unpaused = unpause::unpause(app, &args.name);
            ended(app, Reported::Unpause, args.name.as_str(), unpaused)
        }
        Verb::Destroy(args) => run_destroy(app, args),
        Verb::Status(args) => run_status(app, args),
        Verb::List(args) if args.report => {
            printed(app, "list", list::report(app, args.definitions))
        }
        Verb::List(args) if args.definitions => printed(app, "list", list::definitions(app)),
        Verb::List(args) => {
            let show = if args.json {
                show::json_array
            } else {
                show::table
            };
            printed(app, "list", list::list(app).map(|rows| show(&rows)))
        }
        Verb::Config(args) => printed(app, "config", config::config(app, &args.vm_id)),
        Verb::IpsCommand(args) => {
            let answer = ips_command::ips_command(app, &args.command, &args.params);
            answered("ips-command", answer)
        }
        Verb::RemoteLog(args) => {
            let answer = remote_log::remote_log(app, &args.message, &args.function);
            answered("remote-log", answer)
        }
    }
}

fn run_create(app: &App, args: &Create) -> u8 {
    let request = args.request();
    if args.dry_run {
        let argv = request.and_then(|request| create::dry_run(app, request));
        return argv.map_or_else(
            |error| failed("create", &error, code(app, Reported::Create, &error)),
            |argv| print(argv.as_bytes()),
        );
    }
    let created = request.and_then(|request| create::create(app, request));
    ended(app, Reported::Create, args.given(), created)
}

fn run_destroy(app: &App, args: &Destroy) -> u8 {
    if args.dry_run {
        return printed(
            app,
            "destroy",
            destroy::dry_run(app, &args.name, args.keep_storage),
        );
    }
    let destroyed = destroy::destroy(app, &args.name, args.keep_storage);
    ended(app, Reported::Destroy, args.name.as_str(), destroyed)
}

fn run_status(app: &App, args: &Status) -> u8 {
    match status::status(app, &args.name) {
        Ok(row) => {
            let text = if args.json {
                show::json_object(&row)
            } else {
                show::table(std::slice::from_ref(&row))
            };
            notify::report(app, Reported::Status, 0, row.state, row.state.as_str());
            print(text.as_bytes())
        }
        Err(error) => {
            let exit_code = code(app, Reported::Status, &error);
            notify::report(
                app,
                Reported::Status,
                exit_code,
                error.state(),
                &error.chain(),
            );
            failed(&format!("status {}", args.name), &error, exit_code)
        }
    }
}

/// Says how a verb that changes a VM ended: on stderr, in the report, in the IPS log.
fn ended(app: &App, verb: Reported, vm: &str, result: Result<Outcome, Error>) -> u8 {
    let (exit_code, state, message) = match result {
        Ok(outcome) => (0, outcome.state, outcome.message),
        Err(error) => (code(app, verb, &error), error.state(), error.chain()),
    };
    let line = hps_core::kv::one_line(&format!("{verb} {vm}: {message}"));
    log::say(&line);
    notify::report(app, verb, exit_code, state, &message);
    notify::log_line(app, &format!("n_vm_{verb}"), &line);
    exit_code
}

/// Only create tells its failures apart; a signal is 128 + n everywhere.
fn code(app: &App, verb: Reported, error: &Error) -> u8 {
    let code = error.create_code(app.signals.received());
    if verb == Reported::Create || code >= 128 {
        code
    } else {
        1
    }
}

fn printed(app: &App, what: &str, result: Result<String, Error>) -> u8 {
    match result {
        Ok(text) => print(text.as_bytes()),
        Err(error) => failed(what, &error, code(app, Reported::Status, &error)),
    }
}

fn failed(what: &str, error: &Error, code: u8) -> u8 {
    log::say(&format!("{what}: {}", error.chain()));
    code
}

fn answered(what: &str, answer: Result<Vec<u8>, IpsError>) -> u8 {
    match answer {
        Ok(body) => print(&body),
        Err(error) => {
            log::say(&format!("{what}: {error}"));
            ips_command::exit_code(&error)
        }
    }
}

//! The commands: one table, from which parsing, `help`, the usage lines and the list of what is available are made.
//!
//! A new command is one entry of [`COMMANDS`] and the function that it names.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::control::actions;
use crate::control::auth::Verdict;
use crate::control::echo;
use crate::control::session::Client;

/// One thing that a client may ask for.
struct Command {
    name: &'static str,
    /// What follows the name, as usage lines show it.
    arguments: &'static str,
    n_arguments: RangeInclusive<usize>,
    summary: &'static str,
    /// Whether it serves clients that have yet to send the token.
    is_for_all: bool,
    answer: fn(&mut Client, &[&str]) -> Answer,
}

/// Sorted by name: the list of what is available always has the same order.
const COMMANDS: &[Command] = &[
    Command {
        name: "auth",
        arguments: "token: str",
        n_arguments: 1..=1,
        summary: "authenticate, if a token is set",
        is_for_all: true,
        answer: auth,
    },
    Command {
        name: "cancel",
        arguments: "[run: int]",
        n_arguments: 0..=1,
        summary: "cancel all runs, or this one: running steps finish, nothing else is started",
        is_for_all: false,
        answer: actions::cancel,
    },
    Command {
        name: "get_max_workers",
        arguments: "",
        n_arguments: 0..=0,
        summary: "how many workers may take steps at a time",
        is_for_all: false,
        answer: actions::get_max_workers,
    },
    Command {
        name: "help",
        arguments: "[command: str]",
        n_arguments: 0..=1,
        summary: "what each command does, or this one",
        is_for_all: false,
        answer: help,
    },
    Command {
        name: "limits",
        arguments: "",
        n_arguments: 0..=0,
        summary: "each named limit: how many bodies may run at once, how many do, and how many wait",
        is_for_all: false,
        answer: actions::limits,
    },
    Command {
        name: "pause",
        arguments: "",
        n_arguments: 0..=0,
        summary: "start no step until `resume`; running steps finish",
        is_for_all: false,
        answer: actions::pause,
    },
    Command {
        name: "progress",
        arguments: "",
        n_arguments: 0..=0,
        summary: "how many tasks of each function have ended; they are counted from the first time on",
        is_for_all: false,
        answer: actions::progress,
    },
    Command {
        name: "prompt",
        arguments: "[on|off]",
        n_arguments: 0..=1,
        summary: "show a prompt after each answer, for people",
        is_for_all: false,
        answer: prompt,
    },
    Command {
        name: "quit",
        arguments: "",
        n_arguments: 0..=0,
        summary: "close this connection; the run goes on",
        is_for_all: true,
        answer: quit,
    },
    Command {
        name: "resume",
        arguments: "",
        n_arguments: 0..=0,
        summary: "go on after `pause`",
        is_for_all: false,
        answer: actions::resume,
    },
    Command {
        name: "running",
        arguments: "",
        n_arguments: 0..=0,
        summary: "for each worker in a body: its number, the task, and for how long at least, if that is known yet",
        is_for_all: false,
        answer: actions::running,
    },
    Command {
        name: "runs",
        arguments: "",
        n_arguments: 0..=0,
        summary: "each run that has not ended: its number, what is run, and for how long",
        is_for_all: false,
        answer: actions::runs,
    },
    Command {
        name: "set_limit",
        arguments: "name: str size: int",
        n_arguments: 2..=2,
        summary: "change how many bodies with this limit may run at once; running ones finish",
        is_for_all: false,
        answer: actions::set_limit,
    },
    Command {
        name: "set_max_workers",
        arguments: "max_workers: int",
        n_arguments: 1..=1,
        summary: "change how many workers may take steps at a time; running steps finish",
        is_for_all: false,
        answer: actions::set_max_workers,
    },
    Command {
        name: "status",
        arguments: "",
        n_arguments: 0..=0,
        summary: "how many workers may take steps, how many do so now, how many runs have not ended, and whether all is paused",
        is_for_all: false,
        answer: actions::status,
    },
];

/// What a client gets to read.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) lines: Vec<String>,
    /// It comes late: the token was wrong.
    pub(super) is_late: bool,
    /// The connection ends after it.
    pub(super) is_last: bool,
}

impl Answer {
    pub(super) const NONE: Answer = Answer { lines: Vec::new(), is_late: false, is_last: false };

    pub(super) fn lines(lines: Vec<String>) -> Answer {
        Answer { lines, ..Answer::NONE }
    }

    pub(super) fn line(line: impl Display) -> Answer {
        Answer::lines(vec![line.to_string()])
    }

    fn late(self) -> Answer {
        Answer { is_late: true, ..self }
    }

    pub(super) fn last(self) -> Answer {
        Answer { is_last: true, ..self }
    }
}

/// Answers `line`, which has at least one word.
pub(super) fn answer(client: &mut Client, line: &str) -> Answer {
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default();
    let command = find(name);
    if client.access.is_locked() && !command.is_some_and(|command| command.is_for_all) {
        return Answer::line("not authorized; say first: auth TOKEN");
    }
    let Some(command) = command else { return unknown(name) };
    let arguments: Vec<&str> = words.collect();
    if !command.n_arguments.contains(&arguments.len()) {
        return command.wrong_arguments();
    }
    (command.answer)(client, &arguments)
}

impl Command {
    fn usage(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_owned()
    }

    fn wrong_arguments(&self) -> Answer {
        Answer::lines(vec![format!("invalid arguments for command {}, usage info:", self.name), self.usage()])
    }

    fn help(&self) -> String {
        format!("{} - {}", self.usage(), self.summary)
    }
}

fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

fn unknown(name: &str) -> Answer {
    let available: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
    Answer::line(format_args!("unknown command {}, available: {}", echo::word(name), available.join(", ")))
}

fn auth(client: &mut Client, arguments: &[&str]) -> Answer {
    match client.access.try_token(client.port.token(), arguments[0]) {
        Verdict::NotNeeded => Answer::line("no token is needed"),
        Verdict::Right => Answer::line("authorized"),
        Verdict::Wrong => Answer::line("wrong token").late(),
        Verdict::Hopeless => Answer::line("wrong token, closing").late().last(),
    }
}

fn help(_: &mut Client, arguments: &[&str]) -> Answer {
    match arguments.first() {
        None => Answer::lines(COMMANDS.iter().map(Command::help).collect()),
        Some(name) => find(name).map_or_else(|| unknown(name), |command| Answer::line(command.help())),
    }
}

fn prompt(client: &mut Client, arguments: &[&str]) -> Answer {
    client.has_prompt = match arguments {
        [] | ["on"] => true,
        ["off"] => false,
        _ => return find("prompt").expect("it is in the table").wrong_arguments(),
    };
    Answer::line(if client.has_prompt { "prompt is on" } else { "prompt is off" })
}

fn quit(_: &mut Client, _: &[&str]) -> Answer {
    Answer::NONE.last()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::control::auth::Token;
    use crate::control::stand_in::Fake;
    use crate::control::tests::client;

    fn check(client: &mut Client, line: &str, expected: &[&str]) {
        let expected = expected.iter().map(|&line| line.to_owned()).collect();
        assert_eq!(answer(client, line), Answer::lines(expected), "{line}");
    }

    #[test]
    fn commands_are_listed_by_name() {
        assert!(COMMANDS.is_sorted_by_key(|command| command.name));
    }

    #[test]
    fn commands_are_answered() {
        let steering = Arc::new(Fake::with_max_workers(4));
        let client = &mut client(&steering, None);
        let in_range = "max_workers must be from 1 to 1024, not";
        let unknown = "available: auth, cancel, get_max_workers, help, limits, pause, progress, prompt, quit, resume, \
                       running, runs, set_limit, set_max_workers, status";
        let wrong = |name| format!("invalid arguments for command {name}, usage info:");
        for (line, expected) in [
            ("get_max_workers", vec!["4"]),
            ("set_max_workers 2", vec!["setting max workers to 2"]),
            ("  get_max_workers\t ", vec!["2"]),
            ("set_max_workers \t 3", vec!["setting max workers to 3"]),
            ("set_max_workers abc", vec![&format!("{in_range} abc")]),
            ("set_max_workers -1", vec![&format!("{in_range} -1")]),
            ("set_max_workers 0", vec![&format!("{in_range} 0")]),
            ("set_max_workers 99999999", vec![&format!("{in_range} 99999999")]),
            ("set_max_workers 18446744073709551616", vec![&format!("{in_range} 18446744073709551616")]),
            ("set_max_workers 2.0", vec![&format!("{in_range} 2.0")]),
            ("set_max_workers", vec![&wrong("set_max_workers"), "set_max_workers max_workers: int"]),
            ("set_max_workers 1 2", vec![&wrong("set_max_workers"), "set_max_workers max_workers: int"]),
            ("get_max_workers 1", vec![&wrong("get_max_workers"), "get_max_workers"]),
            ("get_max_workers", vec!["3"]),
            ("limits", vec!["db 8, 2 running, 5 waiting"]),
            ("set_limit dd 5", vec!["setting limit dd to 5, which nothing has set or used before"]),
            ("set_limit db 3", vec!["setting limit db to 3"]),
            ("limits", vec!["db 3, 2 running, 5 waiting"]),
            ("set_limit db x", vec!["the limit db must be from 1 to 4294967295, not x"]),
            ("set_limit db -1", vec!["the limit db must be from 1 to 4294967295, not -1"]),
            ("set_limit db 0", vec!["the limit db is 0"]),
            ("set_limit db", vec![&wrong("set_limit"), "set_limit name: str size: int"]),
            ("runs", vec!["1  -  2.5 s"]),
            ("cancel 7", vec!["there is no run 7, only: 1"]),
            ("cancel x", vec!["there is no run x, only: 1"]),
            ("cancel -1", vec!["there is no run -1, only: 1"]),
            ("cancel 1 2", vec![&wrong("cancel"), "cancel [run: int]"]),
            ("cancel 1", vec!["cancelling run 1"]),
            ("runs", vec!["there is no run"]),
            ("cancel", vec!["there is no run"]),
            ("cancel 1", vec!["there is no run 1, nor any other"]),
            ("status", vec!["max_workers: 3", "running: 2", "runs: 1", "paused: no"]),
            ("pause", vec!["pausing, running steps end undisturbed"]),
            ("pause", vec!["pausing, running steps end undisturbed"]),
            ("status", vec!["max_workers: 3", "running: 2", "runs: 1", "paused: yes"]),
            ("resume", vec!["resuming"]),
            ("resume", vec!["resuming"]),
            ("status", vec!["max_workers: 3", "running: 2", "runs: 1", "paused: no"]),
            ("running", vec!["nothing is running"]),
            ("progress", vec!["tasks are counted from now on, ask again"]),
            ("progress", vec!["counted for 4.0 s:", "load  10 done, 1 failed, 2 running, 2.5/s"]),
            ("pause 1", vec![&wrong("pause"), "pause"]),
            ("frobnicate 1", vec![&format!("unknown command frobnicate, {unknown}")]),
            ("GET_MAX_WORKERS", vec![&format!("unknown command GET_MAX_WORKERS, {unknown}")]),
            ("\u{1b}[2Jx", vec![&format!("unknown command ?[2Jx, {unknown}")]),
            ("help help", vec!["help [command: str] - what each command does, or this one"]),
            ("help frobnicate", vec![&format!("unknown command frobnicate, {unknown}")]),
            ("prompt maybe", vec![&wrong("prompt"), "prompt [on|off]"]),
            ("prompt", vec!["prompt is on"]),
            ("prompt off", vec!["prompt is off"]),
            ("prompt on", vec!["prompt is on"]),
            ("auth anything", vec!["no token is needed"]),
        ] {
            check(client, line, &expected);
        }
        assert_eq!(answer(client, "quit"), Answer::NONE.last());
    }

    #[test]
    fn help_has_a_line_for_each_command() {
        let steering = Arc::new(Fake::with_max_workers(4));
        let lines = answer(&mut client(&steering, None), "help").lines;
        let names: Vec<_> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, COMMANDS.iter().map(|command| command.name).collect::<Vec<_>>());
    }

    #[test]
    fn a_reason_is_carried_back_as_one_line() {
        let steering = Arc::new(Fake::failing("no threads left\r\nsetting max workers to 2"));
        let client = &mut client(&steering, None);
        check(client, "set_max_workers 2", &["no threads left??setting max workers to 2"]);
    }

    #[test]
    fn without_the_token_nothing_is_answered() {
        let steering = Arc::new(Fake::with_max_workers(4));
        let client = &mut client(&steering, Some(Token::new("secret").unwrap()));
        let refused = ["not authorized; say first: auth TOKEN"];
        let for_some = COMMANDS.iter().filter(|command| !command.is_for_all).map(|command| command.name);
        for line in for_some.chain(["set_max_workers 2", "set_limit db 2", "frobnicate"]) {
            check(client, line, &refused);
        }
        check(client, "auth", &["invalid arguments for command auth, usage info:", "auth token: str"]);
        assert_eq!(answer(client, "auth secret2"), Answer::line("wrong token").late());
        check(client, "get_max_workers", &refused);
        check(client, "auth secret", &["authorized"]);
        check(client, "get_max_workers", &["4"]);
        assert_eq!(answer(client, "quit"), Answer::NONE.last());
    }

    #[test]
    fn the_third_wrong_token_is_the_last() {
        let steering = Arc::new(Fake::with_max_workers(4));
        let client = &mut client(&steering, Some(Token::new("secret").unwrap()));
        for _ in 0..2 {
            assert_eq!(answer(client, "auth guess"), Answer::line("wrong token").late());
        }
        assert_eq!(answer(client, "auth guess"), Answer::line("wrong token, closing").late().last());
        assert_eq!(answer(client, "quit"), Answer::NONE.last());
    }
}

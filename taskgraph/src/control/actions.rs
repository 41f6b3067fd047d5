//! The commands that look at the runtime, or change something there.

use crate::MAX_WORKERS_LIMIT;
use crate::control::command::Answer;
use crate::control::echo;
use crate::control::session::Client;
use crate::progress::FunctionProgress;
use crate::steering::{LimitStatus, RunStatus, Running};

/// How much of a list is shown: a few screenfuls.
const LISTED_MAX: usize = 100;

pub(super) fn cancel(client: &mut Client, arguments: &[&str]) -> Answer {
    let steering = client.port.steering();
    let id = match arguments.first() {
        None => None,
        Some(said) => match said.parse() {
            Ok(id) => Some(id),
            Err(_) => return no_run(client, said),
        },
    };
    let n_runs = steering.cancel(id, client.peer);
    if 0 < n_runs {
        tracing::info!(peer = %client.peer, n_runs, "cancelled through the control port");
    }
    match (id, n_runs) {
        (Some(_), 0) => no_run(client, arguments[0]),
        (Some(id), _) => Answer::line(format_args!("cancelling run {id}")),
        (None, 0) => Answer::line("there is no run"),
        (None, 1) => Answer::line("cancelling 1 run"),
        (None, n_runs) => Answer::line(format_args!("cancelling {n_runs} runs")),
    }
}

fn no_run(client: &Client, said: &str) -> Answer {
    let runs = client.port.steering().runs(LISTED_MAX + 1);
    let word = echo::word(said);
    if runs.is_empty() {
        return Answer::line(format_args!("there is no run {word}, nor any other"));
    }
    let ids: Vec<String> = runs.iter().take(LISTED_MAX).map(|run| run.id.to_string()).collect();
    let more = if LISTED_MAX < runs.len() { ", .." } else { "" };
    Answer::line(format_args!("there is no run {word}, only: {}{more}", ids.join(", ")))
}

pub(super) fn get_max_workers(client: &mut Client, _: &[&str]) -> Answer {
    Answer::line(client.port.steering().max_workers())
}

pub(super) fn limits(client: &mut Client, _: &[&str]) -> Answer {
    let limits = client.port.steering().limits();
    let line = |limit: &LimitStatus| {
        format!("{} {}, {} running, {} waiting", echo::word(&limit.name), limit.size, limit.running, limit.waiting)
    };
    listed(&limits, limits.len(), line, "no named limit has been set or used")
}

/// A line for each of the `first` of `n`, as far as people want to read; `none` if there are none.
fn listed<T>(first: &[T], n: usize, line: impl Fn(&T) -> String, none: &str) -> Answer {
    let mut lines: Vec<String> = first.iter().take(LISTED_MAX).map(line).collect();
    if lines.is_empty() {
        lines.push(none.to_owned());
    } else if lines.len() < n {
        lines.push(format!("and {} more", n - lines.len()));
    }
    Answer::lines(lines)
}

pub(super) fn pause(client: &mut Client, _: &[&str]) -> Answer {
    client.port.steering().pause();
    tracing::info!(peer = %client.peer, "paused through the control port");
    Answer::line("pausing, running steps end undisturbed")
}

pub(super) fn progress(client: &mut Client, _: &[&str]) -> Answer {
    let progress = client.port.steering().progress();
    if progress.counted_for.is_zero() {
        return Answer::line("tasks are counted from now on, ask again");
    }
    let line = |function: &FunctionProgress| echo::message(&progress.line(function));
    let mut answer = listed(&progress.functions, progress.functions.len(), line, "no task has ended yet");
    answer.lines.insert(0, format!("counted for {:.1} s:", progress.counted_for.as_secs_f64()));
    answer
}

pub(super) fn resume(client: &mut Client, _: &[&str]) -> Answer {
    client.port.steering().resume();
    tracing::info!(peer = %client.peer, "resumed through the control port");
    Answer::line("resuming")
}

pub(super) fn running(client: &mut Client, _: &[&str]) -> Answer {
    let running = client.port.steering().running();
    if running.is_empty() {
        return Answer::line("nothing is running");
    }
    Answer::lines(running.iter().map(running_line).collect())
}

/// Such as `1  load (src/main.rs:12)  12.3 s`.
fn running_line(running: &Running) -> String {
    let task = &running.task;
    let label = task.label().map(|label| format!(" {label:?}")).unwrap_or_default();
    let named = format!("{}{label} ({}:{})", task.name(), task.file(), task.line());
    let lasted = running.at_least.map_or("-".to_owned(), |lasted| format!("{:.1} s", lasted.as_secs_f64()));
    format!("{}  {}  {lasted}", running.worker, echo::message(&named))
}

/// Lines such as `` 1  `survey` (src/main.rs:12)  12.3 s ``.
pub(super) fn runs(client: &mut Client, _: &[&str]) -> Answer {
    let runs = client.port.steering().runs(LISTED_MAX);
    let n_runs = client.port.steering().status().runs;
    let line = |run: &RunStatus| {
        let task = run.task.as_ref().map_or_else(|| "-".to_owned(), |task| echo::message(&task.to_string()));
        format!("{}  {task}  {:.1} s", run.id, run.lasts.as_secs_f64())
    };
    listed(&runs, n_runs, line, "there is no run")
}

pub(super) fn set_limit(client: &mut Client, arguments: &[&str]) -> Answer {
    let (name, said) = (arguments[0], arguments[1]);
    let Ok(size) = said.parse() else {
        let line = format!("the limit {} must be from 1 to {}, not {}", echo::word(name), u32::MAX, echo::word(said));
        return Answer::line(line);
    };
    let steering = client.port.steering();
    let is_known = steering.limits().iter().any(|limit| limit.name == name);
    match steering.set_limit(name, size) {
        Ok(()) => {
            tracing::info!(peer = %client.peer, name, size, "limit set through the control port");
            // It may be a typing error.
            let hint = if is_known { "" } else { ", which nothing has set or used before" };
            Answer::line(format_args!("setting limit {} to {size}{hint}", echo::word(name)))
        }
        Err(error) => Answer::line(echo::message(&error.to_string())),
    }
}

pub(super) fn set_max_workers(client: &mut Client, arguments: &[&str]) -> Answer {
    let said = arguments[0];
    let Ok(max_workers) = said.parse() else {
        // In the words of the error that the runtime has for a number out of range.
        let line = format!("max_workers must be from 1 to {MAX_WORKERS_LIMIT}, not {}", echo::word(said));
        return Answer::line(line);
    };
    match client.port.steering().set_max_workers(max_workers) {
        Ok(()) => {
            tracing::info!(peer = %client.peer, max_workers, "max workers set through the control port");
            Answer::line(format_args!("setting max workers to {max_workers}"))
        }
        Err(error) => Answer::line(echo::message(&error.to_string())),
    }
}

pub(super) fn status(client: &mut Client, _: &[&str]) -> Answer {
    let status = client.port.steering().status();
    Answer::lines(vec![
        format!("max_workers: {}", status.max_workers),
        format!("running: {}", status.running),
        format!("runs: {}", status.runs),
        format!("paused: {}", if status.is_paused { "yes" } else { "no" }),
    ])
}

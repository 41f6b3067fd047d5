//! What the outside may ask of a runtime.

use std::net::SocketAddr;
use std::time::Duration;

use crate::error::Error;
use crate::progress::Progress;
use crate::task::Task;

/// What the control port asks of a runtime.
pub(crate) trait Steering: Send + Sync + 'static {
    fn max_workers(&self) -> usize;
    /// The error names the value and the accepted range; nothing has changed then.
    fn set_max_workers(&self, max_workers: usize) -> Result<(), Error>;
    /// No step starts from now on; those that are running end.
    fn pause(&self);
    /// The end of a pause, if there is one.
    fn resume(&self);
    fn status(&self) -> Status;
    /// The bodies that workers are in.
    fn running(&self) -> Vec<Running>;
    /// How many tasks have ended since they are counted, which is from now on at the latest.
    fn progress(&self) -> Progress;
    /// The first of those that have not settled, by their number.
    fn runs(&self, at_most: usize) -> Vec<RunStatus>;
    /// Ends the run with this number early, or all of them, on behalf of a client; gives how many there were.
    fn cancel(&self, run: Option<u64>, client: SocketAddr) -> usize;
    /// Those that have been set or used, by their name.
    fn limits(&self) -> Vec<LimitStatus>;
    /// The error names the value and what is accepted; nothing has changed then.
    fn set_limit(&self, name: &str, size: usize) -> Result<(), Error>;
}

/// A snapshot for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub max_workers: usize,
    /// Workers that are taking steps now.
    pub running: usize,
    /// Runs that have not settled.
    pub runs: usize,
    pub is_paused: bool,
}

/// A run that has not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunStatus {
    /// From 1, in the order of their start.
    pub id: u64,
    /// What is run, if it has a name.
    pub task: Option<Task>,
    /// Since its start.
    pub lasts: Duration,
}

/// A named limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LimitStatus {
    pub name: String,
    /// How many bodies may run at once.
    pub size: usize,
    /// How many do.
    pub running: usize,
    /// Bodies that wait for their turn.
    pub waiting: usize,
}

/// The body that a worker is in.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// Its number, from 1 on.
    pub worker: usize,
    pub task: Task,
    /// For how long at least, if that is known yet.
    pub at_least: Option<Duration>,
}

/// Whether a command can have it as an argument: one word of at most `bytes_max` bytes.
pub(crate) fn is_word(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

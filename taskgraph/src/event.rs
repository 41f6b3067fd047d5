//! What the outside may ask of a runtime: the port through which windows see it.

use crate::error::Error;

/// What a window, such as the control port, may ask.
pub(crate) trait Steering: Send + Sync + 'static {
    fn max_workers(&self) -> usize;
    /// The error names the value and the accepted range; nothing has changed then.
    fn set_max_workers(&self, max_workers: usize) -> Result<(), Error>;
    fn status(&self) -> Status;
}

/// A snapshot for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub max_workers: usize,
    /// Workers that are taking steps now.
    pub running: usize,
    /// Runs that have not settled.
    pub runs: usize,
}

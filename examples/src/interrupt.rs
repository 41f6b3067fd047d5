//! Ctrl-C: the first one cancels the run, which ends in an orderly way; the second one ends the program.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use taskgraph::{DC, Handle, Runtime};

/// How a shell reports "ended by Ctrl-C": 128 plus the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// [`taskgraph::run`], until it is through or somebody presses Ctrl-C.
///
/// # Errors
///
/// As for that, and if this is not the first call in the program.
pub fn run<T: Send + 'static>(computation: DC<T>, max_workers: usize) -> Result<T, Box<dyn std::error::Error>> {
    let runtime = Runtime::builder().max_workers(max_workers).build()?;
    Ok(interruptible(runtime.spawn(computation))?.join()?)
}

/// The run, with Ctrl-C to cancel it.
///
/// # Errors
///
/// If there is such a handler already.
pub fn interruptible<T: Send + 'static>(run: Handle<T>) -> Result<Handle<T>, ctrlc::Error> {
    let canceller = run.canceller();
    let was_pressed = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if was_pressed.swap(true, Ordering::Relaxed) {
            process::exit(INTERRUPTED);
        }
        eprintln!("ending; Ctrl-C again to end at once");
        canceller.cancel_because("Ctrl-C");
    })?;
    Ok(run)
}

//! The same work through taskgraph and through what one would use instead, side by side; see `README.md`.
//!
//! ```text
//! options --> works (each: all contenders) --> measure (rounds of sessions) --> table --> readme
//!                   rivals (how each does it)  memory (processes)
//! ```

#![forbid(unsafe_code)]

mod options;
mod session;
mod contender;
mod rivals;
mod works;
mod stats;
mod measure;
mod memory;
mod table;
mod machine;
mod readme;

use std::process::ExitCode;

use contender::{Kind, Work};
use options::{Memory, Options};
use session::Result;
use table::Measured;
use works::WORKS;

fn main() -> ExitCode {
    match Options::from_args().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if let Some(memory) = &options.memory {
        return print_memory(options, memory);
    }
    if !options.list {
        machine::warn_if_busy();
    }
    let machine = machine::describe(options.n_rounds);
    let mut sections = vec![];
    for (name, prepare) in WORKS.into_iter().filter(|(name, _)| options.has_work(name)) {
        let mut work = prepare(&options.setup)?;
        work.contenders.retain(|contender| contender.kind == Kind::Ours || options.has_contender(&contender.name));
        if options.list {
            let names: Vec<_> = work.contenders.iter().map(|contender| contender.name.as_str()).collect();
            println!("{name}: {}", names.join(", "));
            continue;
        }
        let table = measured(options, &work)?.to_markdown();
        println!("{table}");
        sections.push((name, table));
    }
    if options.write_readme {
        sections.push(("machine", machine));
        readme::write(&sections)?;
    } else if !options.list {
        print!("{machine}");
    }
    Ok(())
}

fn measured<'a>(options: &'a Options, work: &'a Work) -> Result<Measured<'a>> {
    let samples = measure::measure(work, &options.workers, options.n_rounds)?;
    let mut peaks = vec![None; work.contenders.len()];
    let mut empty_peak = None;
    if options.with_memory {
        let workers = options.workers.last().copied().unwrap_or(1);
        let args = options.setup.to_args();
        for (peak, contender) in peaks.iter_mut().zip(&work.contenders) {
            *peak = Some(memory::of(work, &contender.name, workers, &args)?);
        }
        empty_peak = Some(memory::of(work, memory::NOTHING, workers, &args)?);
    }
    Ok(Measured { work, workers: &options.workers, samples, peaks, empty_peak })
}

fn print_memory(options: &Options, memory: &Memory) -> Result<()> {
    let found = WORKS.iter().find(|(name, _)| *name == memory.work);
    let (_, prepare) = found.ok_or_else(|| format!("there is no work {}", memory.work))?;
    let work = prepare(&options.setup)?;
    let contender = work.contenders.iter().find(|contender| contender.name == memory.contender);
    if contender.is_none() && memory.contender != memory::NOTHING {
        return Err(format!("{} has no contender {}", work.name, memory.contender).into());
    }
    println!("{}", memory::serve(contender, memory.workers)?);
    Ok(())
}

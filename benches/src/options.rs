//! The command line.

use std::process;

use lexopt::prelude::*;

use crate::session::Result;
use crate::works::{Setup, WORKS};

const USAGE: &str = "\
usage: taskgraph-benches [OPTION]...

  --works NAME,..        only these works; `metg` is all whose names begin with it
  --contenders TEXT,..   only contenders whose names contain one of these; taskgraph always takes part
  --workers N,..         on so many workers each, the fewest first (1,2)
  --rounds N             samples of each (7)
  --tree DIRECTORY       what `real` reads (the sources that cargo has downloaded)
  --quick                little of everything, to see that it works
  --no-memory            without the peaks of memory
  --write-readme         write the tables into README.md, too
  --list                 only tell the works and their contenders

  --memory WORK CONTENDER WORKERS
                         does a work once and prints the peak of memory in KiB: what the tables are made with
";

/// What is to be done.
pub(crate) struct Options {
    pub works: Vec<String>,
    pub contenders: Vec<String>,
    pub workers: Vec<usize>,
    pub n_rounds: usize,
    pub setup: Setup,
    pub with_memory: bool,
    pub write_readme: bool,
    pub list: bool,
    pub memory: Option<Memory>,
}

/// The arguments of `--memory`.
pub(crate) struct Memory {
    pub work: String,
    pub contender: String,
    pub workers: usize,
}

impl Options {
    pub(crate) fn from_args() -> Result<Self> {
        let mut options = Self {
            works: vec![],
            contenders: vec![],
            workers: vec![1, 2],
            n_rounds: 7,
            setup: Setup { is_quick: false, tree: None },
            with_memory: true,
            write_readme: false,
            list: false,
            memory: None,
        };
        let mut args = lexopt::Parser::from_env();
        while let Some(arg) = args.next()? {
            match arg {
                Long("works") => options.works = list(args.value()?.string()?),
                Long("contenders") => options.contenders = list(args.value()?.string()?),
                Long("workers") => {
                    let numbers = list(args.value()?.string()?);
                    options.workers = numbers.iter().map(|n| n.parse()).collect::<std::result::Result<_, _>>()?;
                }
                Long("rounds") => options.n_rounds = args.value()?.parse()?,
                Long("tree") => options.setup.tree = Some(args.value()?.into()),
                Long("quick") => options.setup.is_quick = true,
                Long("no-memory") => options.with_memory = false,
                Long("write-readme") => options.write_readme = true,
                Long("list") => options.list = true,
                Long("memory") => {
                    options.memory = Some(Memory {
                        work: args.value()?.string()?,
                        contender: args.value()?.string()?,
                        workers: args.value()?.parse()?,
                    });
                }
                Long("help") | Short('h') => {
                    print!("{USAGE}");
                    process::exit(0);
                }
                _ => return Err(arg.unexpected().into()),
            }
        }
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        if let Some(name) = self.works.iter().find(|name| !WORKS.iter().any(|(work, _)| work.starts_with(*name))) {
            return Err(format!("there is no work {name}; --list tells which there are").into());
        }
        if self.workers.first().is_none_or(|&workers| workers == 0) || !self.workers.is_sorted_by(|a, b| a < b) {
            return Err("--workers takes numbers above 0, the fewest first".into());
        }
        if self.n_rounds == 0 {
            return Err("--rounds takes a number above 0".into());
        }
        let is_partial =
            !self.works.is_empty() || !self.contenders.is_empty() || !self.with_memory || self.setup.is_quick;
        if self.write_readme && is_partial {
            // All tables are under one description of the machine and the commit.
            return Err("--write-readme writes all: without --works, --contenders, --no-memory and --quick".into());
        }
        Ok(())
    }

    pub(crate) fn has_work(&self, work: &str) -> bool {
        self.works.is_empty() || self.works.iter().any(|name| work.starts_with(name))
    }

    pub(crate) fn has_contender(&self, contender: &str) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|text| contender.contains(text))
    }
}

fn list(value: String) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
}

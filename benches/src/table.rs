//! What was measured of a work, as a table in Markdown.

use std::fmt::Write;

use crate::contender::{Contender, Kind, Work};
use crate::measure::Samples;
use crate::stats::{Summary, ratio};

/// All measurements of a work.
pub(crate) struct Measured<'a> {
    pub work: &'a Work,
    pub workers: &'a [usize],
    /// In the order of the contenders, like the peaks, which are in KiB.
    pub samples: Vec<Samples>,
    pub peaks: Vec<Option<u64>>,
    /// That of a process in which nothing was done.
    pub empty_peak: Option<u64>,
}

impl Measured<'_> {
    pub(crate) fn to_markdown(&self) -> String {
        let mut table = format!("### {}\n\n{}", self.work.name, self.work.what);
        let _ = writeln!(table, " Nanoseconds per {}, the median and in brackets the range.\n", self.work.unit);
        let per_workers =
            |cell: &dyn Fn(usize) -> String| (0..self.workers.len()).map(cell).collect::<Vec<_>>().join(" | ");
        let headings = per_workers(&|at| match self.workers[at] {
            1 => "1 worker".to_owned(),
            n => format!("{n} workers"),
        });
        let _ = writeln!(table, "| | {headings} | speed-up | peak memory | times the best rival |");
        let _ = writeln!(table, "|---|{}", "---:|".repeat(self.workers.len() + 3));

        for contender_idx in self.order() {
            let contender = &self.work.contenders[contender_idx];
            let times = per_workers(&|at| cell(self.summary(contender_idx, at)));
            let _ = writeln!(
                table,
                "| {} | {times} | {} | {} | {} |",
                self.label(contender),
                self.speed_up(contender_idx).map_or_else(String::new, |speed_up| format!("{speed_up:.2}")),
                self.peaks[contender_idx].map_or_else(String::new, mib),
                self.ratios(contender_idx),
            );
        }
        if let Some(peak) = self.empty_peak {
            let _ = writeln!(table, "\nA process of this program that does nothing has a peak of {}.", mib(peak));
        }
        table
    }

    /// Ours, the rivals, the floors; the fastest on the most workers first.
    fn order(&self) -> Vec<usize> {
        let last = |contender_idx| {
            let medians = (0..self.workers.len()).rev().filter_map(|at| self.summary(contender_idx, at));
            medians.map(|summary| summary.median).next().unwrap_or(f64::INFINITY)
        };
        let mut order: Vec<usize> = (0..self.work.contenders.len()).collect();
        order.sort_by(|&a, &b| {
            let kind = |contender_idx: usize| self.work.contenders[contender_idx].kind as u8;
            kind(a).cmp(&kind(b)).then(last(a).total_cmp(&last(b)))
        });
        order
    }

    fn label(&self, contender: &Contender) -> String {
        let ours = self.work.contenders.iter().find(|other| other.kind == Kind::Ours);
        let is_scaled = ours.is_some_and(|ours| ours.n_tasks != contender.n_tasks);
        let scale = if is_scaled { format!(" ({} {}s)", contender.n_tasks, self.work.unit) } else { String::new() };
        match contender.kind {
            Kind::Ours => format!("**{}**{scale}", contender.name),
            Kind::Rival => format!("{}{scale}", contender.name),
            Kind::Floor => format!("*{}*{scale}", contender.name),
        }
    }

    fn samples(&self, contender_idx: usize, at: usize) -> &[f64] {
        &self.samples[contender_idx].0[at]
    }

    fn summary(&self, contender_idx: usize, at: usize) -> Option<Summary> {
        Summary::of(self.samples(contender_idx, at).iter().copied())
    }

    /// From the fewest workers to the most.
    fn speed_up(&self, contender_idx: usize) -> Option<f64> {
        let last = self.workers.len() - 1;
        if last == 0
            || matches!(self.work.contenders[contender_idx].measure, crate::contender::Measure::Shortest { .. })
        {
            return None;
        }
        ratio(self.samples(contender_idx, 0), self.samples(contender_idx, last))
    }

    /// For each number of workers, to the best rival on that many.
    fn ratios(&self, contender_idx: usize) -> String {
        let ratio_at = |at| {
            let best = self.best_rival(at)?;
            ratio(self.samples(contender_idx, at), self.samples(best, at))
        };
        let ratios = (0..self.workers.len()).map(ratio_at);
        ratios
            .map(|ratio| {
                ratio.filter(|ratio| ratio.is_finite()).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
            })
            .collect::<Vec<_>>()
            .join(" / ")
    }

    fn best_rival(&self, at: usize) -> Option<usize> {
        let rivals = (0..self.work.contenders.len()).filter(|&i| self.work.contenders[i].kind == Kind::Rival);
        let medians = rivals.filter_map(|i| Some((i, self.summary(i, at)?.median)));
        medians.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(i, _)| i)
    }
}

fn cell(summary: Option<Summary>) -> String {
    summary.map_or_else(String::new, |summary| {
        format!("{} ({}–{})", number(summary.median), number(summary.min), number(summary.max))
    })
}

/// Three figures, or as many as a larger number has.
fn number(ns: f64) -> String {
    match ns {
        f64::INFINITY => "∞".to_owned(),
        ..10.0 => format!("{ns:.2}"),
        10.0..100.0 => format!("{ns:.1}"),
        _ => format!("{ns:.0}"),
    }
}

fn mib(kib: u64) -> String {
    format!("{:.0} MiB", kib as f64 / 1024.0)
}

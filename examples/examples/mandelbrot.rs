//! Paints the Mandelbrot set into a PNG file, on all cores.
//!
//! ```text
//! cargo run --release --example mandelbrot [-- [--workers N] [--size WIDTHxHEIGHT] [OUT.png]]
//! ```
//!
//! Without a path the picture goes into the directory for temporary files. A tile that is costly to paint is replaced
//! by four smaller ones while the run goes on, so the workers share the hard parts, wherever they lie; see
//! `src/mandelbrot.rs`.

#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process;
use std::time::Instant;

use lexopt::prelude::*;
use taskgraph_examples::mandelbrot::{self, Rgb, View};
use taskgraph_examples::{cores, interrupt};

const USAGE: &str = "usage: mandelbrot [--workers N] [--size WIDTHxHEIGHT] [OUT.png]";
/// A spiral in the valley of the seahorses: cheap skies around a costly shore.
const CENTER: (f64, f64) = (-0.743_566_9, 0.131_402_3);
const EXTENT: f64 = 0.0022;
/// The longest side: a picture of this size squared still fits into the memory of a large machine.
const SIDE_MAX: u32 = 32_768;

fn main() -> Result<(), Box<dyn Error>> {
    let Args { out, size: (width, height), workers } = args()?;
    // Before the work, for it may fail.
    let file = File::create(&out).map_err(|error| format!("cannot create {}: {error}", out.display()))?;

    let view = View { center: CENTER, extent: EXTENT, width, height };
    let started = Instant::now();
    let picture = interrupt::run(mandelbrot::picture(view), workers)?;
    let seconds = started.elapsed().as_secs_f64();

    write_png(file, width, height, &picture.pixels)?;
    println!("{width}x{height} pixels in {} pieces, {seconds:.2} s: {}", picture.n_pieces, out.display());
    Ok(())
}

fn write_png(file: File, width: u32, height: u32, pixels: &[Rgb]) -> Result<(), Box<dyn Error>> {
    let mut file = BufWriter::new(file);
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels.as_flattened())?;
    writer.finish()?;
    file.flush()?;
    Ok(())
}

struct Args {
    out: PathBuf,
    size: (u32, u32),
    workers: usize,
}

fn args() -> Result<Args, lexopt::Error> {
    let (mut out, mut size, mut workers) = (None, (1920, 1080), cores());
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Value(path) if out.is_none() => out = Some(PathBuf::from(path)),
            Long("size") => size = args.value()?.parse_with(parse_size)?,
            Long("workers") => workers = args.value()?.parse()?,
            Long("help") => {
                println!("{USAGE}");
                process::exit(0);
            }
            _ => return Err(arg.unexpected()),
        }
    }
    let out = out.unwrap_or_else(|| env::temp_dir().join("mandelbrot.png"));
    Ok(Args { out, size, workers })
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=SIDE_MAX).contains(side));
    let sides = text.split_once('x').and_then(|(width, height)| side(width).zip(side(height)));
    sides.ok_or_else(|| format!("must be like 1920x1080, each side from 1 to {SIDE_MAX}"))
}

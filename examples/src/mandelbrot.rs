//! A picture of the Mandelbrot set, in tiles that are smaller where it is costlier.
//!
//! A point outside the set takes a few iterations, one close to it thousands, and a picture has both, side by side. So
//! nobody can cut it into equal parts beforehand. Here a tile tries a few of its points; if they are cheap it is
//! painted at once, and otherwise four tiles take its place and the graph grows:
//!
//! ```text
//! +-------+-------+
//! |       |   |   |     tile --costly--> join([tile, tile, tile, tile])
//! |       +---+-+-+       |
//! |       |   +-+-+       +-----cheap--> its pixels
//! +-------+---+-+-+
//! ```

use std::iter::zip;

use taskgraph::{DC, delayed};

/// Points that do not escape within so many iterations are taken to be in the set.
const ITERATIONS_MAX: u32 = 2000;
/// About a millisecond of work: a tile that costs more iterations is cut into four.
const TILE_ITERATIONS_MAX: u64 = 400_000;
/// In each direction, how many points of a tile are tried to guess its cost.
const PROBES: u32 = 8;
/// In each direction, how many points make a pixel. More than one smooths the edges.
const POINTS_PER_PIXEL: u32 = 2;
/// Beyond this the square of the distance from the origin only grows. 4 would do; this is larger, so that the colours
/// have no steps.
const ESCAPED: f64 = 65536.0;

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// The part of the plane that a picture shows.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The point in the middle: its real and its imaginary part.
    pub center: (f64, f64),
    /// The distance between the upper and the lower edge in the plane.
    pub extent: f64,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

/// A painted rectangle, in the end the whole picture.
#[derive(Debug)]
pub struct Tile {
    /// Where it lies in the picture.
    pub area: Area,
    /// Its rows, one after the other.
    pub pixels: Vec<Rgb>,
    /// How many pieces it was put together from.
    pub n_pieces: u32,
}

/// The whole picture.
pub fn picture(view: View) -> DC<Tile> {
    tile(view, Area { x: 0, y: 0, width: view.width, height: view.height })
}

/// A part of the picture, in one piece if it is cheap.
#[delayed]
fn tile(view: View, area: Area) -> DC<Tile> {
    if view.guess_iterations(area) <= TILE_ITERATIONS_MAX {
        return DC::value(view.paint(area));
    }
    join(area, area.quarters().map(|quarter| tile(view, quarter)))
}

/// Puts four parts together.
#[delayed]
fn join(area: Area, quarters: [Tile; 4]) -> Tile {
    let mut pixels = vec![[0; 3]; area.n_pixels()];
    let n_pieces = quarters.iter().map(|quarter| quarter.n_pieces).sum();
    for Tile { area: quarter, pixels: painted, .. } in quarters {
        let width = quarter.width as usize;
        for (y, row) in zip(quarter.y.., painted.chunks(width.max(1))) {
            let at = (y - area.y) as usize * area.width as usize + (quarter.x - area.x) as usize;
            pixels[at..][..width].copy_from_slice(row);
        }
    }
    Tile { area, pixels, n_pieces }
}

impl Area {
    /// Two beside two. If a side is one pixel long, one half is empty.
    fn quarters(self) -> [Self; 4] {
        let Self { x, y, width, height } = self;
        let (left, top) = (width / 2, height / 2);
        let (right, bottom) = (width - left, height - top);
        [
            Self { x, y, width: left, height: top },
            Self { x: x + left, y, width: right, height: top },
            Self { x, y: y + top, width: left, height: bottom },
            Self { x: x + left, y: y + top, width: right, height: bottom },
        ]
    }

    fn n_pixels(self) -> usize {
        self.width as usize * self.height as usize
    }
}

impl View {
    fn paint(&self, area: Area) -> Tile {
        let rows = area.y..area.y + area.height;
        let row = |y| (area.x..area.x + area.width).map(move |x| self.pixel(x, y));
        Tile { area, pixels: rows.flat_map(row).collect(), n_pieces: 1 }
    }

    /// The colour of one pixel: the mean of those of some points in it.
    pub fn pixel(&self, x: u32, y: u32) -> Rgb {
        let mut sum = [0.0; 3];
        for (i, j) in grid(POINTS_PER_PIXEL) {
            let (within_x, within_y) = (middle(i, POINTS_PER_PIXEL), middle(j, POINTS_PER_PIXEL));
            let color = self.fate(f64::from(x) + within_x, f64::from(y) + within_y).color();
            sum = [sum[0] + color[0], sum[1] + color[1], sum[2] + color[2]];
        }
        sum.map(|light| to_srgb(light / f64::from(POINTS_PER_PIXEL * POINTS_PER_PIXEL)))
    }

    /// The total iterations of an area, estimated from some points spread over it.
    fn guess_iterations(&self, area: Area) -> u64 {
        let mut iterations = 0;
        for (i, j) in grid(PROBES) {
            let x = f64::from(area.x) + middle(i, PROBES) * f64::from(area.width);
            let y = f64::from(area.y) + middle(j, PROBES) * f64::from(area.height);
            iterations += u64::from(self.fate(x, y).iterations());
        }
        let n_points = area.n_pixels() as u64 * u64::from(POINTS_PER_PIXEL * POINTS_PER_PIXEL);
        iterations * n_points / u64::from(PROBES * PROBES)
    }

    /// What becomes of a point of the picture; pixels are one wide and one high.
    fn fate(&self, x: f64, y: f64) -> Fate {
        let per_pixel = self.extent / f64::from(self.height);
        let re = self.center.0 + (x - f64::from(self.width) / 2.0) * per_pixel;
        let im = self.center.1 - (y - f64::from(self.height) / 2.0) * per_pixel;
        iterate(re, im)
    }
}

/// A single pixel is never cut, or it would never end.
const _: () = assert!((POINTS_PER_PIXEL * POINTS_PER_PIXEL * ITERATIONS_MAX) as u64 <= TILE_ITERATIONS_MAX);

fn grid(side: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..side).flat_map(move |j| (0..side).map(move |i| (i, j)))
}

/// Where the middle of part `i` of `n` lies on a line from 0 to 1.
fn middle(i: u32, n: u32) -> f64 {
    (f64::from(i) + 0.5) / f64::from(n)
}

/// What becomes of a point under `z -> z² + c`.
enum Fate {
    /// It stays, for all iterations that were made.
    Stays,
    /// It was this far from the origin, squared, after so many iterations.
    Escapes { iterations: u32, distance_squared: f64 },
}

fn iterate(c_re: f64, c_im: f64) -> Fate {
    let (mut re, mut im) = (0.0, 0.0);
    for iterations in 0..ITERATIONS_MAX {
        let (re_squared, im_squared) = (re * re, im * im);
        let distance_squared = re_squared + im_squared;
        if distance_squared > ESCAPED {
            return Fate::Escapes { iterations, distance_squared };
        }
        im = 2.0 * re * im + c_im;
        re = re_squared - im_squared + c_re;
    }
    Fate::Stays
}

impl Fate {
    fn iterations(&self) -> u32 {
        match *self {
            Self::Stays => ITERATIONS_MAX,
            Self::Escapes { iterations, .. } => iterations,
        }
    }

    /// Red, green and blue light, each from 0 to 1.
    fn color(&self) -> [f64; 3] {
        match *self {
            Self::Stays => [0.0; 3],
            Self::Escapes { iterations, distance_squared } => {
                // How far it overshot gives the fraction of an iteration, so that the bands flow into each other.
                let fraction = 1.0 - (distance_squared.ln() / ESCAPED.ln()).log2();
                gradient((f64::from(iterations) + fraction).max(1.0).ln() * TURNS_PER_LN + FIRST_TURN)
            }
        }
    }
}

/// How fast the colours go round, and where they begin.
const TURNS_PER_LN: f64 = 0.5;
const FIRST_TURN: f64 = 0.0;

/// The colours of one turn, in sRGB, at even distances.
const GRADIENT: [Rgb; 6] = [[0, 7, 100], [32, 107, 203], [237, 255, 255], [255, 190, 60], [160, 50, 10], [10, 2, 30]];

/// A colour of the gradient, between two of its marks.
fn gradient(turns: f64) -> [f64; 3] {
    let at = turns.rem_euclid(1.0) * GRADIENT.len() as f64;
    let (i, part) = (at as usize % GRADIENT.len(), at.fract());
    let (from, to) = (GRADIENT[i].map(from_srgb), GRADIENT[(i + 1) % GRADIENT.len()].map(from_srgb));
    // Slow at the marks, so that there are no edges.
    let part = part * part * (3.0 - 2.0 * part);
    [0, 1, 2].map(|i| from[i] + (to[i] - from[i]) * part)
}

/// Light from its code in a picture: a gamma of 2 is close enough to sRGB.
fn from_srgb(code: u8) -> f64 {
    (f64::from(code) / 255.0).powi(2)
}

fn to_srgb(light: f64) -> u8 {
    (light.sqrt() * 255.0).round() as u8
}

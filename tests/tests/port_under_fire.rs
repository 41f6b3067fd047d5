//! A run goes on while connections by the thousand open, stall, flood, send rubbish and vanish: a thousand are tried at
//! a time, and as many exist as the port and its system accept, 80 and some hundred that wait.
//!
//! What is measured, and why that is the speed of the run. Three things can slow a run: its workers get less processor
//! time, a step takes more of it, or work waits although a worker could do it. The run here has one worker, which is
//! bound to one processor together with the port's thread, and always has a step to take; so the third cannot happen,
//! and the processor time that the port takes, it takes from the worker. The attackers are other processes, bound to
//! other processors if there are any. Then
//!
//! ```text
//! speed = steps for each second of processor time that the worker has (under attack, compared to quiet)
//!         * (1 - the share of the processor that the port's thread has)
//! ```
//!
//! This is the worst case: with more workers on more processors, the share of the one thread is smaller. Processor
//! times do not include the other work of the machine, but that still changes how long a step takes, by a half for
//! seconds (clock rates, caches, other machines on the same hardware). So attacked phases are compared to quiet ones
//! beside them, before or after, and the median of these ratios counts: a phase that the machine changed in does not move
//! it. In the quiet phases the attackers attack somebody else, who lets them in as slowly as a port, so that what
//! processors share is as contended as under attack. Each phase is a run with a port of its own: a port is still busy with
//! what its attackers have left behind when they are gone. Where a machine is busy enough to disturb a measurement, the
//! next one decides.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use taskgraph::{DC, Runtime, delayed};
use taskgraph_tests::needs::is_installed;
use taskgraph_tests::process;
use taskgraph_tests::wait::until;

/// Which of the processes that the test starts this one is.
const ROLE: &str = "TASKGRAPH_TEST_ROLE";

/// Two of them, so that neither needs more than the usual thousand files.
const ATTACKERS: usize = 2;
/// This many at a time.
const CONNECTIONS: usize = 1000;
/// With fewer in all it was no attack. The paced port takes no more than some hundred in a phase.
const OPENED_MIN: usize = if cfg!(debug_assertions) { 64 } else { 1000 };

/// A debug build only shows that nothing breaks.
const PAIRS: usize = if cfg!(debug_assertions) { 2 } else { 15 };
const SETTLING: Duration = Duration::from_millis(150);
const PHASE: Duration = Duration::from_millis(250);

const SPEED_MIN: f64 = 0.95;

/// An answer is late only if it takes longer than people wait, even in a debug build on a busy machine.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// More than 64 connections of some ten KiB can hold, and less than a thousand could.
const MEMORY_MAX: u64 = 32 << 20;

/// How often the speed is measured if something disturbs that.
const MEASUREMENTS_MAX: usize = 5;

#[test]
fn a_run_under_fire_keeps_its_speed_its_answer_and_its_belongings() {
    if !is_installed("taskset") {
        return;
    }
    let mut speeds = Vec::new();
    while speeds.len() < MEASUREMENTS_MAX {
        speeds.push(speed_under_fire());
        let speed = speeds[speeds.len() - 1];
        if SPEED_MIN <= speed || cfg!(debug_assertions) && 0.0 < speed {
            return;
        }
    }
    panic!("the run keeps {speeds:.3?} of its speed");
}

/// The part of a run's speed that is left under attack; everything else that must hold then is asserted.
fn speed_under_fire() -> f64 {
    let processors = process::processors();
    let mut run = Program::start("run", processors.first());
    let mut attackers: Vec<_> = (0..ATTACKERS).map(|_| Program::start("attack", processors.last())).collect();
    let mut phase = |is_attacked: bool| {
        run.say("start");
        let addr = run.next("listens at ");
        for attacker in &mut attackers {
            attacker.say(if is_attacked { &addr } else { "other" });
            attacker.next("goes for it");
        }
        run.say("measure");
        Phase::read(&run.next("phase "))
    };
    let mut pair = |i| {
        let quiet_first = i % 2 == 0;
        let (first, second) = (phase(!quiet_first), phase(quiet_first));
        if quiet_first { (first, second) } else { (second, first) }
    };
    let pairs: Vec<_> = (0..PAIRS).map(&mut pair).collect();
    let n_opened: usize = attackers.into_iter().map(|attacker| attacker.end("opened ").parse::<usize>().unwrap()).sum();
    println!("measured: {n_opened} connections; {}", run.end("ended: "));
    if n_opened < OPENED_MIN {
        println!("measured: that was no attack");
        return 0.0;
    }
    let of_worker = median(pairs.iter().map(|(quiet, attacked)| attacked.rounds_per_second / quiet.rounds_per_second));
    let of_port = median(pairs.iter().map(|(_, attacked)| attacked.port_share));
    let speed = of_worker * (1.0 - of_port);
    println!(
        "measured: {speed:.3} of the speed is kept: a worker does {of_worker:.3} of its rounds a second, and the port takes \
         {of_port:.4} of the processor"
    );
    speed
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Not a test: the test starts it as processes.
#[test]
#[ignore = "run by the other test"]
fn role() {
    match env::var(ROLE).as_deref() {
        Ok("run") => run(),
        Ok("attack") => attack(),
        role => panic!("no such role: {role:?}"),
    }
}

// The run.

/// The measurements of a phase.
struct Phase {
    rounds_per_second: f64,
    port_share: f64,
}

impl Phase {
    fn read(text: &str) -> Phase {
        let (rounds_per_second, port_share) = text.split_once(' ').unwrap();
        Phase { rounds_per_second: rounds_per_second.parse().unwrap(), port_share: port_share.parse().unwrap() }
    }
}

static ROUNDS: AtomicU64 = AtomicU64::new(0);
static IS_OVER: AtomicBool = AtomicBool::new(false);

#[delayed]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[delayed]
fn fib(n: u64) -> DC<u64> {
    if n < 2 { DC::value(n) } else { add(fib(n - 1), fib(n - 2)) }
}

/// One round after the other, each of some hundred steps; gives the number of rounds that were right.
#[delayed]
fn rounds(n_right: u64, last: u64) -> DC<u64> {
    let n_right = n_right + u64::from(last == 55);
    if IS_OVER.load(Ordering::Relaxed) {
        return DC::value(n_right);
    }
    ROUNDS.fetch_add(1, Ordering::Relaxed);
    rounds(n_right, fib(10))
}

fn run() {
    let belongings = || (fs::read_dir("/proc/self/fd").unwrap().count(), process::threads());
    let memory = process::resident_bytes();
    let mut slowest = Duration::ZERO;
    let mut lines = io::stdin().lines();
    while lines.next().is_some() {
        let belongings_before = belongings();
        slowest = slowest.max(attacked_run(|| {
            lines.next();
        }));
        // A thread that was waited for is still counted for a moment.
        until(|| belongings() == belongings_before);
    }
    let grown = process::resident_bytes_max().saturating_sub(memory);
    assert!(grown < MEMORY_MAX, "{grown} bytes more");
    println!("ended: the slowest answer took {slowest:?}, {} KiB more", grown >> 10);
}

/// A run with a port, from beginning to end; returns how long the slowest answer took.
fn attacked_run(is_under_attack: impl FnOnce()) -> Duration {
    IS_OVER.store(false, Ordering::Relaxed);
    ROUNDS.store(0, Ordering::Relaxed);
    let runtime = Runtime::builder().max_workers(1).control("127.0.0.1:0".parse().unwrap()).build().unwrap();
    let run = runtime.spawn(rounds(0, 0));
    let addr = runtime.control_addr().unwrap();
    let mut client = Asking::new(addr);
    println!("listens at {addr}");
    is_under_attack();
    thread::sleep(SETTLING);

    let mut slowest = Duration::ZERO;
    let (started, before, rounds_before) = (Instant::now(), ProcessorTimes::now(), ROUNDS.load(Ordering::Relaxed));
    while started.elapsed() < PHASE {
        slowest = slowest.max(client.ask());
        thread::sleep(PHASE / 10);
    }
    let spent = ProcessorTimes::now().since(&before);
    let rounds_per_second = (ROUNDS.load(Ordering::Relaxed) - rounds_before) as f64 / spent.worker.as_secs_f64();
    let port_share = spent.port.as_secs_f64() / started.elapsed().as_secs_f64();

    IS_OVER.store(true, Ordering::Relaxed);
    assert_eq!(run.join().unwrap(), ROUNDS.load(Ordering::Relaxed), "a round was lost, or wrong");
    client.say("status");
    let status: [String; 3] = std::array::from_fn(|_| client.line());
    assert_eq!([&status[0], &status[2]], ["max_workers: 1", "runs: 0"]);
    drop((client, runtime));
    println!("phase {rounds_per_second} {port_share}");
    slowest
}

/// A client that behaves, connected before the attack.
struct Asking(BufReader<TcpStream>);

impl Asking {
    fn new(addr: SocketAddr) -> Asking {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        let mut client = Asking(BufReader::new(stream));
        client.ask();
        client
    }

    /// How long an answer takes.
    fn ask(&mut self) -> Duration {
        let asked = Instant::now();
        self.say("get_max_workers");
        assert_eq!(self.line(), "1");
        asked.elapsed()
    }

    fn say(&mut self, command: &str) {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer comes in time");
        line.trim_end().to_owned()
    }
}

/// The processor times of threads.
struct ProcessorTimes {
    worker: Duration,
    port: Duration,
}

impl ProcessorTimes {
    fn now() -> ProcessorTimes {
        let times = process::processor_times();
        // The system keeps 15 bytes of a name.
        let of = |name: &str| times.iter().find(|(thread, _)| thread.starts_with(name)).expect("it lives").1;
        ProcessorTimes { worker: of("taskgraph-0"), port: of("taskgraph-contr") }
    }

    fn since(&self, before: &ProcessorTimes) -> ProcessorTimes {
        ProcessorTimes { worker: self.worker - before.worker, port: self.port - before.port }
    }
}

// The attack.

/// The port that is the target; 0 for somebody else, for comparison.
static VICTIM: AtomicU16 = AtomicU16::new(0);
static OPEN: AtomicUsize = AtomicUsize::new(0);
static OPENED: AtomicUsize = AtomicUsize::new(0);

/// What one connection does.
#[derive(Clone, Copy)]
enum Manner {
    /// Says nothing.
    Stall,
    /// Asks without pause, and reads.
    Flood,
    /// The same, and does not read.
    Deaf,
    /// Arbitrary bytes.
    Rubbish,
    /// Packets of one byte.
    Trickle,
    /// Sends half a line, and is gone.
    Vanish,
}

const MANNERS: [Manner; 6] =
    [Manner::Stall, Manner::Flood, Manner::Deaf, Manner::Rubbish, Manner::Trickle, Manner::Vanish];

struct Attack {
    stream: TcpStream,
    /// [`VICTIM`] when it was opened.
    victim: u16,
    manner: Manner,
    turns_left: u32,
}

fn attack() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let other_port = other.local_addr().unwrap().port();
    thread::spawn(move || {
        // About as many, and as fast, as half the port lets in.
        let mut open = VecDeque::new();
        for mut stream in other.incoming().flatten() {
            let _ = stream.set_nonblocking(true);
            let _ = stream.read(&mut [0; 4096]);
            open.push_back(stream);
            open.drain(..open.len().saturating_sub(40));
            thread::sleep(Duration::from_millis(4));
        }
    });
    let (opened, attacks) = mpsc::channel();
    thread::spawn(move || {
        let mut manners = MANNERS.into_iter().cycle();
        loop {
            until(|| OPEN.load(Ordering::Relaxed) < CONNECTIONS / ATTACKERS);
            let victim = VICTIM.load(Ordering::Relaxed);
            let target = SocketAddr::from(([127, 0, 0, 1], if victim == 0 { other_port } else { victim }));
            // If connections are not accepted fast enough, the system makes one wait.
            let Ok(stream) = TcpStream::connect_timeout(&target, Duration::from_millis(50)) else { continue };
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
            OPEN.fetch_add(1, Ordering::Relaxed);
            OPENED.fetch_add(usize::from(victim != 0), Ordering::Relaxed);
            let manner = manners.next().expect("there is no end of them");
            if opened.send(Attack { stream, victim, manner, turns_left: 300 }).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        let mut open: Vec<Attack> = Vec::new();
        let mut scrap = vec![0; 1 << 16];
        loop {
            open.extend(attacks.try_iter());
            let n_open = open.len();
            open.retain_mut(|attack| attack.go_on(&mut scrap).is_ok());
            OPEN.fetch_sub(n_open - open.len(), Ordering::Relaxed);
        }
    });
    for line in io::stdin().lines() {
        let addr: Option<SocketAddr> = line.unwrap().parse().ok();
        VICTIM.store(addr.map_or(0, |addr| addr.port()), Ordering::Relaxed);
        println!("goes for it");
    }
    println!("opened {}", OPENED.load(Ordering::Relaxed));
}

impl Attack {
    /// A turn; an error is the end.
    fn go_on(&mut self, scrap: &mut [u8]) -> io::Result<()> {
        if self.victim != VICTIM.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.turns_left = self.turns_left.checked_sub(1).ok_or(io::ErrorKind::TimedOut)?;
        let read = match self.manner {
            Manner::Deaf => Ok(1),
            _ => self.stream.read(scrap),
        };
        if unless_blocked(read)? == Some(0) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let wrote = match self.manner {
            Manner::Stall => Ok(0),
            Manner::Flood => self.stream.write(&b"get_max_workers\r\n".repeat(500)),
            Manner::Deaf => self.stream.write(&b"help\n".repeat(500)),
            Manner::Rubbish => {
                let rubbish: Vec<u8> =
                    (0..4000_u32).map(|n| (n.wrapping_mul(n * self.turns_left) >> 7) as u8).collect();
                self.stream.write(&rubbish)
            }
            Manner::Trickle => self.stream.write(b"x"),
            Manner::Vanish => {
                let _ = self.stream.write(b"set_max_wor");
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        };
        unless_blocked(wrote).map(drop)
    }
}

fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}

// How the processes talk.

/// A process that gets lines on its standard input, and is killed when dropped.
struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    fn start(role: &str, processor: Option<&String>) -> Program {
        let program = env::current_exe().unwrap();
        let mut command = Command::new("taskset");
        command.args(["-c", processor.expect("there is one")]).arg(program);
        command.args(["--ignored", "--exact", "role", "--nocapture"]).env(ROLE, role);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Program { stdin: child.stdin.take(), child, stdout }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("it is not told to end"), "{line}").unwrap();
    }

    /// The rest of the next line that has `start`, which the test harness may have begun with the name of the test.
    fn next(&mut self, start: &str) -> String {
        let line = self.stdout.by_ref().lines().map(Result::unwrap).find(|line| line.contains(start));
        let line = line.unwrap_or_else(|| panic!("the process ended without saying {start:?}"));
        line.split_once(start).expect("it was found").1.to_owned()
    }

    /// Lets it end; returns what it says at the end.
    fn end(mut self, start: &str) -> String {
        drop(self.stdin.take());
        let said = self.next(start);
        assert!(self.child.wait().unwrap().success());
        said
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

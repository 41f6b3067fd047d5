//! The control port with the programs that people use: Debian's `telnet` on a terminal, and OpenBSD's `nc`.
//!
//! If such a program is not installed, its tests say so and pass, or fail if `CI` is set.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use taskgraph::Runtime;
use taskgraph_tests::needs::is_installed;

/// A test that fails must not hang.
const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> (Runtime, SocketAddr) {
    let runtime = Runtime::builder().max_workers(4).control("127.0.0.1:0".parse().unwrap()).build().unwrap();
    let addr = runtime.control_addr().expect("a port was asked for");
    (runtime, addr)
}

/// A program that is running, and what it has shown so far.
struct Screen {
    child: Child,
    keyboard: Option<ChildStdin>,
    arriving: Receiver<Vec<u8>>,
    shown: String,
}

impl Screen {
    fn start(command: &mut Command) -> Screen {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let keyboard = child.stdin.take();
        let mut stdout = child.stdout.take().unwrap();
        let (arrived, arriving) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n_bytes @ 1..) = stdout.read(&mut bytes) {
                let _ = arrived.send(bytes[..n_bytes].to_vec());
            }
        });
        Screen { child, keyboard, arriving, shown: String::new() }
    }

    fn type_in(&mut self, text: &str) {
        self.keyboard.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Waits until `text` is shown, and forgets everything up to there.
    fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(start) = self.shown.find(text) {
                self.shown.drain(..start + text.len());
                return;
            }
            match self.arriving.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} is not shown, but {:?}", self.shown),
            }
        }
    }

    /// Everything that is shown until the program ends by itself.
    fn rest(mut self) -> String {
        while let Ok(bytes) = self.arriving.recv_timeout(PATIENCE) {
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        std::mem::take(&mut self.shown)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `telnet` on a terminal of its own, which `script` gives it.
fn telnet(addr: SocketAddr) -> Option<Screen> {
    if !is_installed("telnet") || !is_installed("script") {
        return None;
    }
    let telnet = format!("telnet {} {}", addr.ip(), addr.port());
    let mut screen = Screen::start(Command::new("script").args(["-qec", &telnet, "/dev/null"]));
    screen.expect("Escape character is '^]'.\r\n");
    // It sets its terminal after it has printed that: only an answer shows that keys mean what they should.
    screen.type_in("get_max_workers\n");
    screen.expect("4\r\n");
    Some(screen)
}

/// `nc` with `arguments`, fed with `input`; everything that it prints.
fn nc(arguments: &[&str], addr: SocketAddr, input: &str) -> Option<String> {
    if !is_installed("nc") {
        return None;
    }
    let (ip, port) = (addr.ip().to_string(), addr.port().to_string());
    let mut screen = Screen::start(Command::new("nc").args(arguments).args([ip, port]));
    screen.type_in(input);
    screen.keyboard = None;
    Some(screen.rest())
}

#[test]
fn people_use_telnet() {
    let (runtime, addr) = runtime();
    let Some(mut telnet) = telnet(addr) else { return };
    telnet.type_in("get_max_workers\n");
    telnet.expect("get_max_workers\r\n4\r\n");
    telnet.type_in("set_max_workers 2\n");
    telnet.expect("set_max_workers 2\r\nsetting max workers to 2\r\n");
    assert_eq!(runtime.max_workers(), 2);
    telnet.type_in("set_max_workers many\n");
    telnet.expect("max_workers must be from 1 to 1024, not many\r\n");
    telnet.type_in("prompt on\n");
    telnet.expect("prompt is on\r\ntaskgraph> ");
    telnet.type_in("quit\n");
    telnet.expect("Connection closed by foreign host.");
}

#[test]
fn telnet_shows_answers_after_a_ctrl_c_too() {
    let (runtime, addr) = runtime();
    let Some(mut telnet) = telnet(addr) else { return };
    for _ in 0..3 {
        telnet.type_in("set_max_workers 1\x03");
        telnet.expect("^C");
        telnet.type_in("get_max_workers\n");
        telnet.expect("get_max_workers\r\n4\r\n");
    }
    assert_eq!(runtime.max_workers(), 4);
}

#[test]
fn telnet_commands_and_options_do_no_harm() {
    let (_runtime, addr) = runtime();
    let Some(mut telnet) = telnet(addr) else { return };
    for command in ["send ayt", "send brk", "send nop", "send el", "send do echo", "send will naws", "mode character"] {
        telnet.type_in("\x1d");
        telnet.expect("telnet> ");
        telnet.type_in(&format!("{command}\n"));
        telnet.expect(command);
        if command == "send ayt" {
            telnet.expect("[taskgraph is here]");
        }
        // The answer also shows that `telnet` is back from its own prompt.
        telnet.type_in("get_max_workers\n");
        telnet.expect("4\r\n");
    }
}

#[test]
fn ctrl_d_ends_telnet() {
    let (_runtime, addr) = runtime();
    let Some(mut telnet) = telnet(addr) else { return };
    telnet.type_in("\x04");
    telnet.expect("Connection closed by foreign host.");
}

#[test]
fn scripts_use_nc() {
    let (_runtime, addr) = runtime();
    // `-N` half-closes at the end of the input.
    let Some(answer) = nc(&["-N"], addr, "get_max_workers\n") else { return };
    assert_eq!(answer, "4\r\n");
    let answer = nc(&["-N"], addr, "set_max_workers 2\nget_max_workers");
    assert_eq!(answer.as_deref(), Some("setting max workers to 2\r\n2\r\n"));
    // Without it, `nc` stays as long as the connection does.
    assert_eq!(nc(&[], addr, "get_max_workers\nquit\n").as_deref(), Some("2\r\n"));
}

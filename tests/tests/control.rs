//! The control port as its clients see it, byte by byte, through the public API of a real runtime.

use std::collections::VecDeque;
use std::env;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use taskgraph::{DC, Runtime};

/// A test that fails must not hang.
const PATIENCE: Duration = Duration::from_secs(30);

fn runtime() -> (Runtime, SocketAddr) {
    let runtime = Runtime::builder().max_workers(4).control("127.0.0.1:0".parse().unwrap()).build().unwrap();
    let addr = runtime.control_addr().expect("a port was asked for");
    (runtime, addr)
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

fn read_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Asks for one line of answer.
fn ask(stream: &mut TcpStream, line: &str) -> String {
    stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    read_line(stream)
}

/// A client that has a place.
fn inside(addr: SocketAddr) -> TcpStream {
    let mut stream = connect(addr);
    assert_eq!(ask(&mut stream, "get_max_workers"), "4\r\n");
    stream
}

/// Everything that comes back on a new connection that sends `input` and half-closes.
fn converse(addr: SocketAddr, input: &[u8]) -> Vec<u8> {
    let mut stream = connect(addr);
    stream.write_all(input).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    read_to_end(stream)
}

/// On a fresh runtime with 4 workers, `input` is answered by exactly `expected`, sent in one piece and byte by byte.
fn check(input: &[u8], expected: &[u8]) {
    let expected = expected.escape_ascii().to_string();
    let (_runtime, addr) = runtime();
    assert_eq!(converse(addr, input).escape_ascii().to_string(), expected, "to {}", input.escape_ascii());

    let (_runtime, addr) = runtime();
    let mut stream = connect(addr);
    // A client that has quit may find the connection closed.
    let _ = input.iter().try_for_each(|&byte| stream.write_all(&[byte]));
    let _ = stream.shutdown(Shutdown::Write);
    assert_eq!(read_to_end(stream).escape_ascii().to_string(), expected, "to {} by bytes", input.escape_ascii());
}

// Answers that are fixed.

#[test]
fn max_workers_can_be_asked_for_and_set() {
    check(b"get_max_workers\r\n", b"4\r\n");
    check(b"set_max_workers 2\r\nget_max_workers\r\n", b"setting max workers to 2\r\n2\r\n");
}

#[test]
fn the_whole_documented_range_can_be_set() {
    let (_runtime, addr) = runtime();
    let answer = converse(addr, b"set_max_workers 1024\r\nset_max_workers 1\r\nget_max_workers\r\n");
    assert_eq!(answer, b"setting max workers to 1024\r\nsetting max workers to 1\r\n1\r\n");
}

#[test]
fn the_port_and_the_code_see_the_same_max_workers() {
    let (runtime, addr) = runtime();
    let mut stream = connect(addr);
    assert_eq!(ask(&mut stream, "set_max_workers 2"), "setting max workers to 2\r\n");
    assert_eq!(runtime.max_workers(), 2);
    runtime.set_max_workers(3).unwrap();
    assert_eq!(ask(&mut stream, "get_max_workers"), "3\r\n");
}

#[test]
fn an_unknown_command_is_told_what_there_is() {
    let (_runtime, addr) = runtime();
    let answer = String::from_utf8(converse(addr, b"frobnicate 1\r\n")).unwrap();
    let available =
        answer.strip_prefix("unknown command frobnicate, available: ").unwrap().strip_suffix("\r\n").unwrap();
    let available: Vec<_> = available.split(", ").collect();
    assert!(available.is_sorted(), "{available:?}");
    for command in
        ["auth", "get_max_workers", "help", "pause", "prompt", "quit", "resume", "running", "set_max_workers", "status"]
    {
        assert!(available.contains(&command), "{command} is missing in {available:?}");
    }
}

#[test]
fn wrong_arguments_are_told_the_usage() {
    let usage =
        b"invalid arguments for command set_max_workers, usage info:\r\nset_max_workers max_workers: int\r\n4\r\n";
    check(b"set_max_workers\r\nget_max_workers\r\n", usage);
    check(b"set_max_workers 1 2\r\nget_max_workers\r\n", usage);
    check(
        b"get_max_workers 1\r\n",
        b"invalid arguments for command get_max_workers, usage info:\r\nget_max_workers\r\n",
    );
}

#[test]
fn max_workers_out_of_range_is_refused_in_one_line_and_changes_nothing() {
    let (runtime, addr) = runtime();
    let mut stream = connect(addr);
    for value in ["abc", "-1", "0", "99999999", "1025", "18446744073709551616", "1e3", "2.0", "-99999999999999999999"] {
        let answer = ask(&mut stream, &format!("set_max_workers {value}"));
        assert!(answer.contains(value) && answer.contains("from 1 to 1024"), "{answer}");
        assert_eq!(ask(&mut stream, "get_max_workers"), "4\r\n", "after {value}");
    }
    assert_eq!(runtime.max_workers(), 4);
}

#[test]
fn people_get_help_a_status_and_a_prompt() {
    let (_runtime, addr) = runtime();
    let mut stream = connect(addr);
    assert!(ask(&mut stream, "help set_max_workers").starts_with("set_max_workers max_workers: int - "));
    assert_eq!(ask(&mut stream, "status"), "max_workers: 4\r\n");
    assert_eq!(read_line(&mut stream), "running: 0\r\n");
    assert_eq!(read_line(&mut stream), "runs: 0\r\n");
    assert_eq!(read_line(&mut stream), "paused: no\r\n");
    check(
        b"prompt on\r\nget_max_workers\r\nprompt off\r\nget_max_workers\r\n",
        b"prompt is on\r\ntaskgraph> 4\r\ntaskgraph> prompt is off\r\n4\r\n",
    );
    let help = String::from_utf8(converse(addr, b"help\r\n")).unwrap();
    assert!(help.lines().any(|line| line.starts_with("get_max_workers - ")), "{help}");
}

#[test]
fn runs_pause_and_resume_by_the_port() {
    let (runtime, addr) = runtime();
    let mut stream = connect(addr);
    for _ in 0..2 {
        assert_eq!(ask(&mut stream, "pause"), "pausing, running steps end undisturbed\r\n");
        assert!(runtime.is_paused());
    }
    let handle = runtime.spawn(DC::new(|| 7, ()));
    assert_eq!(ask(&mut stream, "set_max_workers 2"), "setting max workers to 2\r\n");
    assert_eq!(ask(&mut stream, "get_max_workers"), "2\r\n");
    let status = String::from_utf8(converse(addr, b"status\r\n")).unwrap();
    assert_eq!(status.lines().skip(2).collect::<Vec<_>>(), ["runs: 1", "paused: yes"]);
    for _ in 0..2 {
        assert_eq!(ask(&mut stream, "resume"), "resuming\r\n");
        assert!(!runtime.is_paused());
    }
    assert_eq!(handle.join().unwrap(), 7);
}

// What real clients send.

#[test]
fn lines_end_and_are_spaced_in_many_ways() {
    for end in ["\r\n", "\n", "\r\0"] {
        let input = format!("get_max_workers{end}{end} \t{end}  set_max_workers\t  2 \t{end}get_max_workers{end}");
        check(input.as_bytes(), b"4\r\nsetting max workers to 2\r\n2\r\n");
    }
}

#[test]
fn everything_received_is_answered_before_a_half_close() {
    check(b"get_max_workers", b"4\r\n");
    check(b"set_max_workers 2\r\nget_max_workers", b"setting max workers to 2\r\n2\r\n");
    check(b"", b"");
    check(b"\r\n", b"");
}

#[test]
fn pipelined_lines_are_answered_in_order() {
    let (_runtime, addr) = runtime();
    let values = (0..2000).map(|n| n % 8 + 2000);
    let input: String = values.clone().map(|value| format!("set_max_workers {value}\n")).collect();
    let answer = String::from_utf8(converse(addr, input.as_bytes())).unwrap();
    assert_eq!(answer.lines().count(), 2000);
    for (line, value) in answer.lines().zip(values) {
        assert!(line.contains(&value.to_string()), "{line} should be about {value}");
    }
}

#[test]
fn an_answer_comes_without_waiting_for_more() {
    let (_runtime, addr) = runtime();
    let mut stream = connect(addr);
    for end in ["\r\n", "\n", "\r\0", "\r"] {
        stream.write_all(format!("get_max_workers{end}").as_bytes()).unwrap();
        assert_eq!(read_line(&mut stream), "4\r\n");
    }
}

#[test]
fn nothing_is_said_before_it_is_asked() {
    let (_runtime, addr) = runtime();
    let mut stream = connect(addr);
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
}

#[test]
fn putty_and_bsd_telnet_are_refused_their_options() {
    check(
        b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03get_max_workers\r\n",
        b"\xff\xfe\x1f\xff\xfe\x20\xff\xfe\x18\xff\xfe\x27\xff\xfc\x01\xff\xfe\x03\xff\xfc\x034\r\n",
    );
    check(
        b"\xff\xfd\x26\xff\xfb\x26\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1f\
          \xff\xfb\x20\xff\xfb\x21\xff\xfb\x22\xff\xfb\x27\xff\xfd\x05get_max_workers\r\n",
        b"\xff\xfc\x26\xff\xfe\x26\xff\xfc\x03\xff\xfe\x18\xff\xfe\x1f\
          \xff\xfe\x20\xff\xfe\x21\xff\xfe\x22\xff\xfe\x27\xff\xfc\x054\r\n",
    );
    check(b"\xff\xfd\x01\xff\xfd\x01\xff\xfc\x01\xff\xfe\x01get_max_workers\r\n", b"\xff\xfc\x014\r\n");
}

#[test]
fn telnet_commands_are_understood_anywhere() {
    check(b"get_\xff\xf1max_\xff\xfa\x18\x00xterm\xff\xff\xff\xf0workers\r\n", b"4\r\n");
    // The byte 255 is no UTF-8.
    check(b"a\xff\xffb\r\nget_max_workers\r\n", b"invalid line: not UTF-8\r\n4\r\n");
    check(b"\xff\xf6get_max_workers\r\n", b"[taskgraph is here]\r\n4\r\n");
}

#[test]
fn interrupts_clear_the_line() {
    // Ctrl-C in BSD telnet also asks for a timing mark, and shows nothing until it is answered, each time.
    check(b"set_max_workers 1\xff\xf4\xff\xfd\x06get_max_workers\r\n", b"\xff\xfc\x064\r\n");
    check(b"\xff\xf4\xff\xfd\x06\xff\xf4\xff\xfd\x06", b"\xff\xfc\x06\xff\xfc\x06");
    check(b"set_max_workers 1\xff\xf3get_max_workers\r\n", b"4\r\n");
    check(b"set_max_workers 1\x03get_max_workers\r\n", b"4\r\n");
}

#[test]
fn a_synch_clears_the_line_and_takes_nothing_of_the_next() {
    let (_runtime, addr) = runtime();
    let mut stream = connect(addr);
    stream.write_all(b"quit\xff\xf4\xff").unwrap();
    // The data mark is an urgent byte (RFC 854).
    assert_eq!(SockRef::from(&stream).send_out_of_band(b"\xf2").unwrap(), 1);
    assert_eq!(ask(&mut stream, "get_max_workers"), "4\r\n");
}

#[test]
fn quit_and_ctrl_d_close_after_the_answers() {
    check(b"get_max_workers\r\nquit\r\nset_max_workers 1\r\n", b"4\r\n");
    check(b"get_max_workers\r\n\x04set_max_workers 1\r\n", b"4\r\n");

    let (runtime, addr) = runtime();
    let mut stream = connect(addr);
    // The client's side stays open: it is the port that closes.
    stream.write_all(b"get_max_workers\r\nquit\r\nset_max_workers 1\r\n").unwrap();
    assert_eq!(read_to_end(stream), b"4\r\n");
    assert_eq!(runtime.max_workers(), 4);
}

// What bad clients send.

#[test]
fn a_line_over_4_kib_is_an_error_and_skipped() {
    let fits = [&b" ".repeat(4096 - 15)[..], b"get_max_workers\r\n"].concat();
    check(&fits, b"4\r\n");
    let one_more = [b" ", &fits[..], b"get_max_workers\r\n"].concat();
    check(&one_more, b"invalid line: longer than 4096 bytes\r\n4\r\n");

    let (_runtime, addr) = runtime();
    let endless = [&b"x".repeat(3 << 20)[..], b"\r\nget_max_workers\r\n"].concat();
    assert_eq!(converse(addr, &endless), b"invalid line: longer than 4096 bytes\r\n4\r\n");
}

#[test]
fn bytes_that_are_not_utf_8_are_an_error() {
    for input in [&b"\xc3("[..], b"\x80", b"get_max_workers\xe2\x82", b"\xed\xa0\x80"] {
        check(&[input, b"\r\nget_max_workers\r\n"].concat(), b"invalid line: not UTF-8\r\n4\r\n");
    }
}

#[test]
fn echoed_text_is_harmless_and_short() {
    let (_runtime, addr) = runtime();
    for command in ["\x1b[2J\x07\x7f\u{9b}x", &"y".repeat(4000), "set_max_workers \x1b]0;x\x07", "help \x1b[2J"] {
        let answer = String::from_utf8(converse(addr, format!("{command}\n").as_bytes())).unwrap();
        let line = answer.strip_suffix("\r\n").unwrap();
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.len() < 300, "{line}");
    }
}

#[test]
fn a_browser_is_closed_and_its_body_is_not_obeyed() {
    let (runtime, addr) = runtime();
    let target = "a".repeat(5000);
    for line in ["GET / HTTP/1.1", "POST / HTTP/1.1", "OPTIONS * HTTP/1.1", &format!("POST /{target} HTTP/1.1")] {
        let mut stream = connect(addr);
        let request =
            format!("{line}\r\nHost: 127.0.0.1\r\nContent-Length: 21\r\n\r\nset_max_workers 1\r\nget_max_workers\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(read_to_end(stream), b"", "{line}");
    }
    assert_eq!(runtime.max_workers(), 4);
}

#[test]
fn the_65th_connection_is_told_so_and_closed() {
    let (_runtime, addr) = runtime();
    let mut streams: Vec<_> = (0..64).map(|_| inside(addr)).collect();
    let one_more = connect(addr);
    assert_eq!(read_to_end(one_more), b"too many connections, at most 64 can be open\r\n");
    streams.iter_mut().for_each(|stream| assert_eq!(ask(stream, "get_max_workers"), "4\r\n"));

    // One leaves, one gets in.
    streams.pop();
    inside(addr);
}

#[test]
fn whoever_finds_no_place_is_told_so() {
    let (_runtime, addr) = runtime();
    let _inside: Vec<_> = (0..64).map(|_| inside(addr)).collect();
    // None of them closes before all have come.
    let refused: Vec<_> = (0..100).map(|_| connect(addr)).collect();
    for mut stream in &refused {
        let mut told = Vec::new();
        stream.read_to_end(&mut told).unwrap();
        assert_eq!(told.escape_ascii().to_string(), r"too many connections, at most 64 can be open\r\n");
    }
}

#[test]
fn whoever_has_seen_the_end_has_left_a_place() {
    let (_runtime, addr) = runtime();
    let streams: Vec<_> = (0..64).map(|_| inside(addr)).collect();
    let mut open = Vec::new();
    for mut stream in streams {
        stream.write_all(b"quit\r\n").unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        // It stays open on this side.
        open.push((stream, inside(addr)));
    }
}

#[test]
fn whoever_comes_as_another_goes_finds_a_place() {
    let (_runtime, addr) = runtime();
    let mut streams: VecDeque<_> = (0..64).map(|_| inside(addr)).collect();
    for _ in 0..500 {
        streams.pop_front();
        streams.push_back(inside(addr));
    }
}

#[test]
fn a_client_that_never_reads_holds_up_nobody() {
    let (runtime, addr) = runtime();
    let mut stuck = connect(addr);
    let flood = thread::spawn(move || {
        // Until the port gives up on us, which reading would prevent.
        while stuck.write_all(&b"help\n".repeat(1000)).is_ok() {}
    });
    let steps: Vec<DC<u64>> = (0..1000).map(|n| DC::new(|n: u64| n, (n,))).collect();
    assert_eq!(runtime.run(taskgraph::all(steps)).unwrap().iter().sum::<u64>(), 499_500);
    let mut stream = connect(addr);
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(ask(&mut stream, "get_max_workers"), "4\r\n");
        assert!(asked.elapsed() < Duration::from_secs(2));
    }
    flood.join().unwrap();
    assert_eq!(ask(&mut stream, "get_max_workers"), "4\r\n");
}

// Where it listens.

#[test]
fn the_port_is_free_again_after_the_runtime() {
    let (runtime, addr) = runtime();
    let mut stream = connect(addr);
    assert_eq!(ask(&mut stream, "get_max_workers"), "4\r\n");
    drop(runtime);
    assert_eq!(read_to_end(stream), b"");
    let again = Runtime::builder().control(addr).build().unwrap();
    assert_eq!(again.control_addr(), Some(addr));
}

#[test]
fn no_control_means_none() {
    assert_eq!(Runtime::builder().no_control().build().unwrap().control_addr(), None);
}

#[test]
fn an_address_that_was_asked_for_and_is_busy_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = Runtime::builder().control(addr).build().map(drop).unwrap_err();
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[test]
fn an_address_that_others_can_reach_needs_a_token() {
    let error = Runtime::builder().control("0.0.0.0:0".parse().unwrap()).build().map(drop).unwrap_err();
    assert!(error.to_string().contains("token"), "{error}");
}

#[test]
fn a_token_is_not_shown() {
    let builder = Runtime::builder().control("127.0.0.1:0".parse().unwrap()).control_token("sesame");
    assert!(!format!("{builder:?}").contains("sesame"));
    let runtime = builder.build().unwrap();
    assert!(!format!("{runtime:?}").contains("sesame"));
    // Nor to those who do not know it.
    let answer = converse(runtime.control_addr().unwrap(), b"help\r\nauth\r\nauth x\r\nfrobnicate\r\nquit\r\n");
    assert!(!String::from_utf8(answer).unwrap().contains("sesame"));
}

/// Names what the child process must do; its standard input says when to end.
const CHILD: &str = "TASKGRAPH_TESTS_CHILD";

/// Not a test: the following tests start it as a program with an environment of its own.
#[test]
#[ignore = "run by other tests"]
fn child() {
    match env::var(CHILD).as_deref() {
        Ok("run") => {
            let wait = DC::new(
                || {
                    println!("the task runs");
                    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
                    7
                },
                (),
            );
            println!("result {:?}", taskgraph::run(wait, 3).unwrap());
        }
        Ok("build") => println!("addr {:?}", Runtime::builder().build().unwrap().control_addr()),
        role => panic!("no such role: {role:?}"),
    }
}

/// A child process that is killed when dropped, and its output.
struct Program(Child, BufReader<std::process::ChildStdout>);

impl Program {
    fn start(role: &str, control: Option<&str>) -> Program {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "child", "--nocapture"]).env(CHILD, role);
        match control {
            Some(control) => command.env("TASKGRAPH_CONTROL", control),
            None => command.env_remove("TASKGRAPH_CONTROL"),
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Program(child, stdout)
    }

    /// The rest of the first line that starts with `start`.
    fn wait_for(&mut self, start: &str) -> String {
        for line in self.1.by_ref().lines() {
            // The test harness may have begun the line with the name of the test.
            if let Some((_, rest)) = line.unwrap().split_once(start) {
                return rest.trim().to_owned();
            }
        }
        panic!("the child ended without saying {start:?}");
    }

    fn end(mut self) -> String {
        drop(self.0.stdin.take());
        self.wait_for("result ")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn the_environment_says_where_a_run_listens() {
    let addr = free_addr();
    let mut program = Program::start("run", Some(&addr.to_string()));
    program.wait_for("the task runs");
    assert_eq!(converse(addr, b"get_max_workers\n"), b"3\r\n");
    assert_eq!(program.end(), "7");
    TcpListener::bind(addr).unwrap();
}

#[test]
fn the_environment_can_turn_the_port_off() {
    for off in ["off", "OFF", " Off "] {
        assert_eq!(Program::start("build", Some(off)).wait_for("addr "), "None", "{off}");
    }
    let addr = free_addr();
    for value in [addr.to_string(), addr.port().to_string()] {
        assert_eq!(Program::start("build", Some(&value)).wait_for("addr "), format!("Some({addr})"), "{value}");
    }
}

/// One test, since the usual port exists once.
#[test]
fn a_run_listens_on_the_usual_port_and_goes_on_without_it() {
    let usual: SocketAddr = "127.0.0.1:8888".parse().unwrap();
    let Ok(taken) = TcpListener::bind(usual) else {
        println!("skipped: {usual} is busy");
        return;
    };
    let mut program = Program::start("run", None);
    program.wait_for("the task runs");
    assert_eq!(program.end(), "7");
    drop(taken);

    let mut program = Program::start("run", None);
    program.wait_for("the task runs");
    assert_eq!(converse(usual, b"set_max_workers 2\nget_max_workers\n"), b"setting max workers to 2\r\n2\r\n");
    assert_eq!(program.end(), "7");
    TcpListener::bind(usual).unwrap();
}

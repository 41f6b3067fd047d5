//! Every error text there is, as a page to be read: `cargo test -p taskgraph-tests --test error_texts -- --nocapture`.
//! A reader should know which task it was, where that was called, why it failed, and what to do.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::future::{IntoFuture, pending};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::panic::Location;
use std::pin::pin;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use taskgraph::testing::run_seeded;
use taskgraph::{Builder, DC, Error, Handle, Runtime, Shared, delayed};
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{failing, log, run, runtime};

/// The source with the kinds of errors.
const SOURCE: &str = include_str!("../../taskgraph/src/error.rs");

const TOKEN_IS_NO_WORD: &str = "the token of the control port, `Builder::control_token` or TASKGRAPH_CONTROL_TOKEN in the \
                                environment, must be one word of at most 256 bytes";

#[test]
fn every_error_and_warning_says_which_task_and_where_and_why_and_what_to_do() {
    let mut page = Page::default();
    failures(&mut page);
    times(&mut page);
    tries(&mut page);
    misuse(&mut page);
    cancelled(&mut page);
    settings(&mut page);
    system(&mut page);
    port(&mut page);
    page.covers("Kind");
    page.covers("CancelledBy");
    if page.wrong.is_empty() {
        warnings(&mut page);
    }
    assert!(page.wrong.is_empty(), "{}", page.wrong.join("\n\n"));
}

/// Prints each text, and compares it with the expected one.
#[derive(Default)]
struct Page {
    shown: Vec<&'static str>,
    wrong: Vec<String>,
}

impl Page {
    /// `kind` is the one in the source.
    #[track_caller]
    fn show(&mut self, kind: &'static str, told: impl fmt::Display, expected: impl fmt::Display) {
        let (told, expected) = (told.to_string(), expected.to_string());
        println!("{kind}\n    {}\n", told.replace('\n', "\n    "));
        if told != expected {
            let caller = Location::caller();
            self.wrong.push(format!("line {}: {told:?} instead of\n{expected:?}", caller.line()));
        }
        self.shown.push(kind);
    }

    /// Checks that each variant of this enum of the source was shown.
    fn covers(&self, name: &str) {
        let (_, after) = SOURCE.split_once(&format!("enum {name} {{\n")).expect("there is such an enum");
        let (body, _) = after.split_once("\n}\n").expect("it ends");
        let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
        let variants = lines.filter(|line| line.starts_with(char::is_uppercase));
        let variants: Vec<_> = variants.map(|line| line.split(['(', ' ', ',']).next().unwrap()).collect();
        assert!(3 < variants.len(), "{variants:?}");
        for variant in variants {
            assert!(self.shown.contains(&variant), "{name}::{variant} is not on the page: what would its reader do?");
        }
    }
}

fn here(line: u32) -> String {
    format!("({}:{line})", file!())
}

#[track_caller]
fn error<T: Send + fmt::Debug + 'static>(computation: DC<T>) -> Error {
    wait::ends(move || run(computation, 1).unwrap_err())
}

#[delayed]
fn load(path: &str) -> Result<u32, std::io::Error> {
    Err(std::io::Error::other(format!("no {path}")))
}

#[delayed]
fn double(x: u32) -> u32 {
    2 * x
}

#[delayed]
async fn wait_for_ever() {
    pending().await
}

/// An error that has a cause of its own.
#[derive(Debug)]
struct Caused(&'static str, Option<Box<Caused>>);

impl fmt::Display for Caused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Caused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_ref().map(|cause| cause.as_ref() as _)
    }
}

fn failures(page: &mut Page) {
    let [loaded, doubled] = [here(line!() + 1), here(line!() + 2)];
    let loaded_once = load("a.txt");
    let failed = error(double(loaded_once));
    page.show("Failed", &failed, format!("task `load` {loaded} failed: no a.txt"));
    let chain = format!("task `load` {loaded} failed: no a.txt\n  needed by `double` {doubled}");
    page.show("Failed", format!("{failed:#}"), &chain);
    page.show("Failed", format!("{failed:?}"), &chain);

    let at = here(line!() + 1);
    let labelled = error(double(load("b.txt").named("page 7")).named("twice"));
    let expected = format!("task `load` \"page 7\" {at} failed: no b.txt\n  needed by `double` \"twice\" {at}");
    page.show("Failed", format!("{labelled:#}"), expected);

    let at = here(line!() + 1);
    let lines = error(failing::<u32>("the first line\nand the second").map(|x| x));
    let expected = format!("task `closure` {at} failed: the first line\nand the second\n  needed by `map` {at}");
    page.show("Failed", format!("{lines:#}"), expected);

    let cause = Caused("the disk is full", Some(Box::new(Caused("no space left\non device 3", None))));
    let at = here(line!() + 1);
    let caused = error(DC::<u32>::failed(Caused("cannot keep the page", Some(Box::new(cause)))));
    let expected = format!("task `failed` {at} failed: cannot keep the page");
    page.show("Failed", &caused, &expected);
    let causes = "\n  caused by: the disk is full\n  caused by: no space left\n    on device 3";
    page.show("Failed", format!("{caused:#}"), expected + causes);

    let at = here(line!() + 1);
    let nothing = error(taskgraph::race(Vec::<DC<u32>>::new()));
    let expected =
        format!("task `race` {at} failed: there is nothing to choose from: give it at least one computation");
    page.show("Failed", &nothing, expected);

    let at = here(line!() + 1);
    let deep = error((0..100).fold(load("c.txt"), |x, _| x.map(|x| x)));
    let expected = format!("task `load` {at} failed: no c.txt{}", format!("\n  needed by `map` {at}").repeat(64));
    page.show("Failed", format!("{deep:#}"), expected + "\n  and by more");

    let at = here(line!() + 1);
    let panicked = error(DC::new(|| quiet_panic::<u32>("out of luck"), ()));
    page.show("Panicked", &panicked, format!("task `closure` {at} panicked: out of luck"));
    let at = here(line!() + 1);
    let no_text = error(DC::new(|| -> u32 { std::panic::resume_unwind(Box::new(7)) }, ()));
    page.show("Panicked", &no_text, format!("task `closure` {at} panicked: a payload that is not a string"));
}

fn times(page: &mut Page) {
    #[delayed(timeout = "30s", name = "the slow one")]
    async fn slow() {
        wait_for_ever().await.unwrap();
    }
    // In virtual time.
    let at = here(line!() + 1);
    let late = run_seeded(slow(), 1).unwrap_err();
    let expected = format!("task `slow` \"the slow one\" {at} timed out after 30s; its timeout is 30s");
    page.show("TimedOut", &late, expected);
    let at = here(line!() + 1);
    let late = run_seeded(wait_for_ever().timeout(Duration::from_millis(1500)).map(|()| 1), 1).unwrap_err();
    let expected = format!("task `wait_for_ever` {at} timed out after 1.5s; its timeout is 1.5s");
    page.show("TimedOut", &late, expected);

    let runtime = runtime(1);
    let handle = runtime.spawn(wait_for_ever()).deadline(Instant::now() + Duration::from_millis(20));
    let past = wait::ends(move || handle.join().unwrap_err()).to_string();
    let (before, took) = past.rsplit_once(' ').unwrap();
    let whole: u32 = took.strip_suffix("ms").and_then(|ms| ms.parse().ok()).expect("a whole number");
    assert!(20 <= whole, "{past}");
    page.show("PastDeadline", format!("{before} 20ms"), "the run did not finish by its deadline; it had run for 20ms");
}

fn tries(page: &mut Page) {
    #[delayed(retries = 2, backoff = "1ns..1ns")]
    fn unlucky() -> Result<u32, String> {
        Err(format!("bad luck,\ntry {}", taskgraph::attempt()))
    }
    let at = here(line!() + 1);
    let tried = error(double(unlucky()));
    let last = format!("task `unlucky` {at} failed: bad luck,\ntry 3 (the last of 3 tries)");
    page.show("Failed", &tried, &last);
    let each = [1, 2, 3].map(|i| format!("\n  try {i}: task `unlucky` {at} failed: bad luck,\n    try {i}")).concat();
    page.show("Failed", format!("{tried:#}"), format!("{last}{each}\n  needed by `double` {at}"));

    let at = here(line!() + 1);
    let named = error(unlucky().named("trial 7"));
    let each =
        [1, 2, 3].map(|i| format!("\n  try {i}: task `unlucky` \"trial 7\" {at} failed: bad luck,\n    try {i}"));
    let last = format!("task `unlucky` \"trial 7\" {at} failed: bad luck,\ntry 3 (the last of 3 tries)");
    page.show("Failed", format!("{named:#}"), last + &each.concat());
}

fn misuse(page: &mut Page) {
    let asks = here(line!() + 3);
    #[delayed]
    fn ask_itself(own: Arc<Mutex<Option<Shared<u32>>>>) -> DC<u32> {
        own.lock().unwrap().take().expect("it asks once").dc()
    }
    let own = Arc::new(Mutex::new(None));
    let shared = ask_itself(Arc::clone(&own)).shared();
    *own.lock().unwrap() = Some(shared.clone());
    let at = here(line!() + 1);
    let cycle = error(shared.dc().map(|x| x));
    let expected = format!(
        "task `shared` {asks} waits for itself: what it needs depends on `shared` {asks}\n  needed by `shared` {at}\n  \
         needed by `map` {at}"
    );
    page.show("Cycle", format!("{cycle:#}"), expected);

    let awaited = |computation: DC<u32>| {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(computation.into_future()).poll(&mut context) {
            std::task::Poll::Ready(result) => result.unwrap_err(),
            std::task::Poll::Pending => panic!("nobody would wake it"),
        }
    };
    let what_to_do = "was awaited outside a task: await it in an `async` task, or give it to `taskgraph::run_async`";
    let at = here(line!() + 1);
    page.show("AwaitedNowhere", awaited(load("d.txt")), format!("task `load` {at} {what_to_do}"));
    page.show("AwaitedNowhere", awaited(DC::value(1)), format!("a computation {what_to_do}"));

    let stalled = run_seeded(wait_for_ever(), 1).unwrap_err();
    page.show("Stalled", stalled, "the run is deadlocked: everything left is waiting, and nothing will wake it");
}

fn cancelled(page: &mut Page) {
    let runtime = with_port();
    let mut check = |kind, cancel: &dyn Fn(&Handle<()>), expected: String| {
        let handle = runtime.spawn(wait_for_ever());
        cancel(&handle);
        page.show(kind, wait::ends(move || handle.join().unwrap_err()), expected);
    };
    let at = here(line!() + 1);
    check("Call", &|handle| handle.cancel(), format!("the run was cancelled by `Handle::cancel` {at}"));
    let at = here(line!() + 2);
    let expected = format!("the run was cancelled by `Canceller::cancel` {at}");
    check("Cancelled", &|handle| handle.canceller().cancel(), expected);
    let because = |handle: &Handle<()>| handle.canceller().cancel_because("the window was closed");
    check("Reason", &because, "the run was cancelled: the window was closed".to_owned());

    let handle = runtime.spawn(wait_for_ever());
    let (client, answers) = say(&runtime, "cancel\n");
    assert_eq!(answers, ["cancelling 1 run"]);
    let told = wait::ends(move || handle.join().unwrap_err());
    page.show("Client", told, format!("the run was cancelled by {client}, on the control port"));

    // Whoever asks for a result shared with a run whose handle was dropped is told so.
    let started = Arc::new(Stages::new());
    let shared = signals_for_ever(Arc::clone(&started)).shared();
    let left = runtime.spawn(shared.dc());
    started.wait_for(1);
    drop(left);
    // Whoever asks before that run has ended keeps the computation going.
    wait::until(|| say(&runtime, "runs\n").1 == ["there is no run"]);
    let told = runtime.run(shared.dc()).unwrap_err();
    let expected = "the shared computation was cancelled with the run that computed it (the run was cancelled: its handle was \
                    dropped); create a new one";
    page.show("With", &told, expected);
    page.show("DroppedHandle", &told, expected);

    #[delayed]
    async fn gives_up(started: Arc<Stages>, wanted: Shared<()>) {
        let mut wanted = Box::pin(wanted.into_future());
        std::future::poll_fn(|context| {
            let _ = wanted.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
        while !started.has_reached(1) {
            wait::give_way().await;
        }
    }
    let started = Arc::new(Stages::new());
    let shared = signals_for_ever(Arc::clone(&started)).shared();
    runtime.run(gives_up(started, DC::value(shared.clone()))).unwrap();
    let nobody_left = runtime.run(shared.dc()).unwrap_err();
    assert!(nobody_left.is_cancelled());
    let expected =
        "the shared computation was cancelled: every run that needed it ended before it finished; create a new one";
    page.show("NobodyLeft", nobody_left, expected);

    let handle = runtime.spawn(wait_for_ever());
    drop(runtime);
    page.show("DroppedRuntime", handle.join().unwrap_err(), "the run was cancelled: its runtime was dropped");
}

#[delayed]
async fn signals_for_ever(started: Arc<Stages>) {
    started.signal(1);
    pending().await
}

fn with_port() -> Runtime {
    Runtime::builder().max_workers(2).control("127.0.0.1:0".parse().unwrap()).build().unwrap()
}

/// Sends something to the port: from where, and the answer.
fn say(runtime: &Runtime, text: &str) -> (SocketAddr, Vec<String>) {
    let mut stream = TcpStream::connect(runtime.control_addr().unwrap()).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let client = stream.local_addr().unwrap();
    (client, BufReader::new(stream).lines().map(|line| line.unwrap()).collect())
}

fn refused(builder: Builder) -> Error {
    builder.build().map(drop).unwrap_err()
}

fn settings(page: &mut Page) {
    let builder = || Runtime::builder().no_control();
    for wrong in [0, 1025] {
        let expected = format!("max_workers must be from 1 to 1024, not {wrong}");
        page.show("MaxWorkers", refused(builder().max_workers(wrong)), &expected);
        page.show("MaxWorkers", runtime(1).set_max_workers(wrong).unwrap_err(), &expected);
    }
    let expected = "stall_after must not be zero; `Duration::MAX` turns it off";
    page.show("Setting", refused(builder().stall_after(Duration::ZERO)), expected);
    let expected = "the limit db must be from 1 to 4294967295, not 0";
    page.show("Setting", refused(builder().limit("db", 0)), expected);
    page.show("Setting", runtime(1).set_limit("db", 0).unwrap_err(), expected);
    for wrong in ["", "two words"] {
        let expected = format!("the name of a limit is one word of at most 100 bytes, not {wrong:?}");
        page.show("Setting", refused(builder().limit(wrong, 1)), expected);
    }
    let full = (0..1024).fold(builder(), |builder, i| builder.limit(format!("limit-{i}"), 1));
    let expected = "the limit one-more would be one more than the 1024 that a runtime may have; set one of those";
    page.show("Setting", refused(full.limit("one-more", 1)), expected);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let expected = "Address already in use (os error 98); take another port, or 0 for any that is free";
    let expected = format!("cannot open the control port on {addr}: {expected}");
    page.show("Control", refused(Runtime::builder().control(addr)), expected);
    let open = "0.0.0.0:0".parse().unwrap();
    let expected = "cannot open the control port on 0.0.0.0:0: other machines could reach it; listen on 127.0.0.1, or set a \
                    token: `Builder::control_token`, or TASKGRAPH_CONTROL_TOKEN in the environment";
    page.show("Control", refused(Runtime::builder().control(open)), expected);
    let expected = TOKEN_IS_NO_WORD;
    page.show("Setting", refused(Runtime::builder().control_token("open sesame")), expected);
}

/// Names what a program with an environment of its own must do.
const CHILD: &str = "TASKGRAPH_TESTS_CHILD";

/// Not a test: the page starts it as a program.
#[test]
#[ignore = "run by the page"]
fn child() {
    let builder = match env::var(CHILD).as_deref() {
        Ok("settings") => Runtime::builder(),
        Ok("threads") => Runtime::builder().no_control().max_workers(1024),
        Ok("blocking") => return println!("\nerror: {:#}", blocked_without_threads()),
        role => panic!("no such role: {role:?}"),
    };
    println!("\nerror: {:#}", refused(builder));
}

/// The error of a task that blocks when there is no room for another thread.
fn blocked_without_threads() -> Error {
    let runtime = Arc::new(runtime(1));
    let inner = Arc::clone(&runtime);
    let task = move || {
        const PIECE: usize = 1 << 20;
        // It is not touched, so it takes only addresses.
        let room = |bytes: usize| {
            let mut room = Vec::<u8>::new();
            room.try_reserve_exact(bytes).is_ok().then_some(room)
        };
        let taken: Vec<_> = std::iter::from_fn(|| room(64 * PIECE)).chain(std::iter::from_fn(|| room(PIECE))).collect();
        let result = inner.run(DC::new(|| 1, ()));
        drop(taken);
        result
    };
    runtime.run(DC::<i32>::new(task, ())).unwrap_err()
}

fn said_by_child(command: &mut Command, role: &str) -> String {
    let output = command.args(["--ignored", "--exact", "child", "--nocapture"]).env(CHILD, role).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix("error: "));
    line.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr))).to_owned()
}

fn system(page: &mut Page) {
    let program = env::current_exe().unwrap();
    for value in ["localhost:8888", "65536"] {
        let told = said_by_child(Command::new(&program).env("TASKGRAPH_CONTROL", value), "settings");
        let expected = format!(
            "TASKGRAPH_CONTROL is {value:?}, and must be `off`, a port such as 8888, or an address such as 127.0.0.1:8888"
        );
        page.show("Setting", told, expected);
    }
    for token in ["two words", ""] {
        let told = said_by_child(Command::new(&program).env("TASKGRAPH_CONTROL_TOKEN", token), "settings");
        page.show("Setting", told, TOKEN_IS_NO_WORD);
    }
    for variable in ["TASKGRAPH_CONTROL", "TASKGRAPH_CONTROL_TOKEN"] {
        let told = said_by_child(Command::new(&program).env(variable, OsStr::from_bytes(b"\xff")), "settings");
        page.show("Setting", told, format!("{variable} is set to something that is not UTF-8"));
    }

    if cfg!(taskgraph_system_alloc) {
        // A memory checker needs more than that.
        page.shown.push("Threads");
        return;
    }
    // Threads need address space; this leaves less than a thousand of them need.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 1000000 && exec \"$0\" \"$@\""]).arg(&program);
    let expected =
        "cannot start 1024 worker threads: Resource temporarily unavailable (os error 11); ask for fewer workers";
    page.show("Threads", said_by_child(&mut command, "threads"), expected);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 1000000 && exec \"$0\" \"$@\""]).arg(&program);
    let expected =
        "cannot start 1 worker threads: Resource temporarily unavailable (os error 11); ask for fewer workers";
    page.show("Threads", said_by_child(&mut command, "blocking"), expected);
}

fn port(page: &mut Page) {
    let runtime = with_port();
    let check = |page: &mut Page, line: &str, expected: &str| {
        page.show("the port", say(&runtime, &format!("{line}\n")).1.join("\n"), expected);
    };
    let available = "auth, cancel, get_max_workers, help, limits, pause, progress, prompt, quit, resume, running, runs, \
                     set_limit, set_max_workers, status";
    check(page, "frobnicate 1", &format!("unknown command frobnicate, available: {available}"));
    check(page, "help frobnicate", &format!("unknown command frobnicate, available: {available}"));
    let usage = "invalid arguments for command set_max_workers, usage info:\nset_max_workers max_workers: int";
    check(page, "set_max_workers", usage);
    check(page, "set_max_workers many", "max_workers must be from 1 to 1024, not many");
    check(page, "set_max_workers 1025", "max_workers must be from 1 to 1024, not 1025");
    check(page, "set_limit db 0", "the limit db must be from 1 to 4294967295, not 0");
    check(page, "set_limit db all", "the limit db must be from 1 to 4294967295, not all");
    let long = "x".repeat(101);
    let name = format!("the name of a limit is one word of at most 100 bytes, not \"{long}\"");
    check(page, &format!("set_limit {long} 1"), &name);
    check(page, "prompt maybe", "invalid arguments for command prompt, usage info:\nprompt [on|off]");
    check(page, "cancel", "there is no run");
    check(page, "cancel all", "there is no run all, nor any other");
    check(page, "auth sesame", "no token is needed");
    check(page, &"x".repeat(5000), "invalid line: longer than 4096 bytes");
    let handle = runtime.spawn(wait_for_ever());
    check(page, "cancel 7", "there is no run 7, only: 1");
    drop(handle);

    let any_port = "127.0.0.1:0".parse().unwrap();
    let locked = Runtime::builder().max_workers(1).control(any_port).control_token("sesame").build().unwrap();
    let told = say(&locked, "status\nauth a\nauth b\nauth c\n").1.join("\n");
    page.show(
        "the port",
        told,
        "not authorized; say first: auth TOKEN\nwrong token\nwrong token\nwrong token, closing",
    );
}

/// What is only logged.
fn warnings(page: &mut Page) {
    let told = log::told_by_all();
    let mut check = |code: &mut dyn FnMut(), expected: &str| {
        code();
        wait::until(|| !told.lock().unwrap().is_empty());
        page.show("the log", std::mem::take(&mut *told.lock().unwrap()).join("\n"), expected);
    };

    let at = here(line!() + 1);
    let mut forgets = || drop(double(load("e.txt")));
    let forgotten = "was dropped without having been run: run it, yield it, return it, or give it to another task";
    check(&mut forgets, &format!("WARN `double` {at} {forgotten} name=\"double\""));

    #[delayed(limit = "unset")]
    fn limited() {}
    let expected = "WARN a limit is used and was never set, so one body runs at a time; set it with `Builder::limit`, or \
                    `set_limit` name=\"unset\"";
    check(&mut || runtime(1).run(limited()).unwrap(), expected);

    struct Grumpy;
    impl Drop for Grumpy {
        fn drop(&mut self) {
            quiet_panic::<()>("I will not go");
        }
    }
    let at = here(line!() + 1);
    let mut drops = || drop(DC::value(Grumpy));
    let expected = format!(
        "WARN `value` {at} {forgotten} name=\"value\"\nERROR dropping an unneeded value panicked: I \
         will not go"
    );
    check(&mut drops, &expected);

    let port = with_port();
    let mut client = None;
    let mut browses = || {
        let mut stream = TcpStream::connect(port.control_addr().unwrap()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        client = Some(stream);
    };
    browses();
    let peer = client.as_ref().unwrap().local_addr().unwrap();
    let expected =
        "closed a control connection that began as a browser does; a web page may be trying to give commands";
    check(&mut || {}, &format!("WARN {expected} peer={peer}"));
    drop((client, port));

    // How late it was is in the middle.
    let (started, go) = (Arc::new(Stages::new()), Arc::new(Stages::new()));
    let waits = (Arc::clone(&started), Arc::clone(&go));
    let at = here(line!() + 1);
    let late = DC::new(move || (waits.0.signal(1), waits.1.wait_for(1)).1, ()).named("late");
    let late = late.timeout(Duration::from_millis(5));
    // One worker sees that the time is up while the other is held.
    let runtime = runtime(2);
    let handle = runtime.spawn(late.attempt().map(|result| result.unwrap_err().is_timeout()));
    started.wait_for(1);
    std::thread::sleep(Duration::from_millis(200));
    go.signal(1);
    assert!(handle.join().unwrap());
    wait::until(|| !told.lock().unwrap().is_empty());
    let line = std::mem::take(&mut *told.lock().unwrap()).join("\n");
    let (before, after) = (line.find(" ended ").unwrap(), line.find(" after its ").unwrap());
    let line = format!("{} ended 45ms{}", &line[..before], &line[after..]);
    let expected = format!("WARN `closure` \"late\" {at} ended 45ms after its timeout of 5ms; its result was dropped");
    page.show("the log", line, expected);

    let Ok(taken) = TcpListener::bind("127.0.0.1:8888") else { return println!("skipped: 127.0.0.1:8888 is busy") };
    // Unless the environment says something else.
    if env::var_os("TASKGRAPH_CONTROL").is_none() {
        let expected = "WARN running without a control port, 127.0.0.1:8888 cannot be opened: Address already in use (os error \
                        98); TASKGRAPH_CONTROL in the environment says where else to listen, or `off` addr=127.0.0.1:8888";
        let mut check = |code: &mut dyn FnMut(), expected: &str| {
            code();
            page.show("the log", std::mem::take(&mut *told.lock().unwrap()).join("\n"), expected);
        };
        check(&mut || assert_eq!(taskgraph::run(DC::value(1), 1).unwrap(), 1), expected);
    }
    drop(taken);
}

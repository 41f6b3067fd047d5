//! What the control port logs.

use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use taskgraph::{DC, Runtime};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<String>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?}\n"));
    }
}

/// One test: a process has one log.
#[test]
fn busy_ports_and_browsers_are_logged() {
    let warnings = Warnings::default();
    tracing::subscriber::set_global_default(warnings.clone()).unwrap();

    // If this fails, the port is busy as well.
    let _taken = TcpListener::bind("127.0.0.1:8888");
    assert_eq!(taskgraph::run(DC::value(7), 2).unwrap(), 7);
    assert!(warnings.0.lock().unwrap().contains("127.0.0.1:8888"), "{warnings:?}", warnings = warnings.0);

    let runtime = Runtime::builder().control("127.0.0.1:0".parse().unwrap()).build().unwrap();
    let mut browser = TcpStream::connect(runtime.control_addr().unwrap()).unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let addr = browser.local_addr().unwrap();
    browser.read_to_end(&mut Vec::new()).unwrap();
    let warnings = warnings.0.lock().unwrap();
    assert!(warnings.contains("browser") && warnings.contains(&addr.to_string()), "{warnings}");
}

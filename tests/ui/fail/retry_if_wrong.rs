use std::io;

use taskgraph::delayed;

fn by_value(_: io::Error) -> bool {
    true
}

fn not_an_error(_: &u32) -> bool {
    true
}

fn no_answer(_: &io::Error) {}

fn two(_: &io::Error, _: u32) -> bool {
    true
}

fn any<E: std::error::Error>(_: &E) -> bool {
    true
}

const ALWAYS: bool = true;

#[delayed(retries = 3, retry_if = by_value)]
fn first(_: u8) -> io::Result<u8> {
    Ok(1)
}

#[delayed(retries = 3, retry_if = not_an_error)]
fn second() -> io::Result<u8> {
    Ok(2)
}

#[delayed(retries = 3, retry_if = no_answer)]
fn third() -> io::Result<u8> {
    Ok(3)
}

#[delayed(retries = 3, retry_if = two)]
fn fourth() -> io::Result<u8> {
    Ok(4)
}

#[delayed(retries = 3, retry_if = any)]
fn fifth() -> io::Result<u8> {
    Ok(5)
}

#[delayed(retries = 3, retry_if = ALWAYS)]
fn sixth() -> io::Result<u8> {
    Ok(6)
}

#[delayed(retries = 3, retry_if = missing::is_busy)]
fn seventh() -> io::Result<u8> {
    Ok(7)
}

fn main() {}

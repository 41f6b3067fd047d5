use taskgraph::delayed;

struct Connection;

#[delayed(retries = 3)]
fn send(text: &str, connection: Connection) -> usize {
    drop(connection);
    text.len()
}

#[delayed(retries = 3)]
async fn send_later(connection: Connection) {
    drop(connection);
}

#[delayed(retries = 3)]
fn send_each(connections: Vec<Connection>) -> Vec<usize> {
    for _ in connections {
        yield_!(1);
    }
}

#[delayed(retries = 3)]
fn generic<T: Send + 'static>(value: T) -> T {
    value
}

#[delayed(named, retries = 3)]
fn named(first: Option<Connection>, #[builder(default = Connection)] second: Connection) {
    drop((first, second));
}

fn main() {}

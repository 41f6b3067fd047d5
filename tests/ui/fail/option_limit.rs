use taskgraph::delayed;

#[delayed(limit = 0)]
fn none() {}

#[delayed(limit = "")]
fn nameless() {}

#[delayed(limit = db)]
fn without_quotes() {}

#[delayed(limit = 4, limit = "db")]
fn of_its_own_and_of_many() {}

fn main() {
    let _ = (none(), nameless(), without_quotes(), of_its_own_and_of_many());
}

//! The graph: nodes, how they settle, and the typed skin that users hold.
//!
//! Nothing here knows of clocks, sockets or threads, with three exceptions: `map_chunks` times its own tasks; a `deque`
//! has an owner and thieves; and where many bodies are `asleep`, a thread calls them after a while. Whoever runs a
//! graph gives each step a [`Cx`], and takes from it what became ready. This is the only room with `unsafe` code: a
//! node is one allocation whose type is erased. `node` says who may touch what, and when.

mod needed;
mod node;
mod links;
mod memory;
mod alarm;
mod asleep;
mod scope;
mod seat;
mod inside;
mod cx;
mod deque;
mod settle;
mod tally;
mod doomed;
mod delayed;
mod input;
mod call;
mod launch;
mod root;
mod attempt;
mod ranked;
mod tap;
mod cycle;
mod head;
mod shared;
mod pass;
mod label;
mod given;
mod pump;
mod segment;
mod chunk;
mod list;
mod all;
mod in_flight;
mod window;
mod batch;
mod child;
mod trial;
mod awaited;
mod future;
mod body;
mod outlet;
mod drain;
mod desk;
mod generator;
mod stream;
#[forbid(unsafe_code)]
mod race;
mod arg;
mod dc;
#[forbid(unsafe_code)]
mod combine;
#[forbid(unsafe_code)]
mod operators;
#[forbid(unsafe_code)]
mod reduce;
#[forbid(unsafe_code)]
mod map_chunks;

pub(crate) use alarm::release_woken;
pub(crate) use asleep::{isolate_thread, look_around, tell_of_stops};
pub(crate) use child::{Bond, give_way, gives_way, own_label, until_next_poll};
pub(crate) use cx::{Cx, Host, NodeId, Queued};
pub(crate) use deque::{Deque, Stealer};
pub(crate) use memory::{flush as flush_memory, trim as trim_memory};
pub(crate) use node::Ready;
pub(crate) use ranked::{has_priorities, ranked};
pub(crate) use root::{Ending, root};
pub(crate) use scope::{Home, Reactor, Scope, Surroundings};
pub(crate) use seat::Seat;

pub use all::{all, each};
pub use arg::{IntoArg, IntoRef};
pub use awaited::Awaited;
pub use body::Finish;
pub use call::{Fallible, FallibleGrowing, Generating, Growing, Returns, Task, Value};
pub(crate) use call::{call, name as task_name, task};
pub use dc::{Func, Output};
pub use delayed::DC;
pub use desk::Yielder;
pub use future::{future, sent};
pub use generator::{generate, generate_async};
pub use given::{Given, Held, Lender, Lent, Optional};
pub use input::Input;
pub(crate) use inside::with_reactor;
pub use inside::{attempt, is_cancelled};
pub use map_chunks::map_chunks;
pub use race::{first_of, race, select_ok};
pub use reduce::reduce;
pub(crate) use settle::drop_given_up;
pub use shared::Shared;
pub(crate) use stream::Items;
pub use stream::{Stream, stream};
pub(crate) use trial::{Stopper, Trial};

#[cfg(all(test, taskgraph_loom))]
mod models;

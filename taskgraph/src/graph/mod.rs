//! The graph: nodes, how they settle, and the typed skin that users hold.
//!
//! Nothing here knows of clocks, sockets or threads, with three exceptions: `map_chunks` times its own tasks; a `deque`
//! has an owner and thieves; and where many bodies are `asleep`, a thread calls them after a while. Whoever runs a
//! graph gives each step a [`Cx`], and takes from it what became ready. This is the only room with `unsafe` code: a
//! node is one allocation whose type is erased. `node` says who may touch what, and when.

mod node;
mod scope;
mod cx;
mod deque;
mod settle;
mod delayed;
mod call;
mod launch;
mod shared;
mod pass;
mod pump;
mod all;
mod future;
mod generator;
mod stream;
#[forbid(unsafe_code)]
mod dc;
#[forbid(unsafe_code)]
mod reduce;
#[forbid(unsafe_code)]
mod map_chunks;

pub(crate) use cx::counts::Counts;
pub(crate) use cx::seat::Seat;
pub(crate) use cx::{Cx, Host, NodeId, Queued};
pub(crate) use deque::{Deque, Stealer};
pub(crate) use future::alarm::release_woken;
pub(crate) use future::asleep::{isolate_thread, look_around, tell_of_stops};
pub(crate) use future::child::{Bond, give_way, gives_way, own_label, until_next_poll};
pub(crate) use launch::ranked::{has_priorities, ranked};
pub(crate) use launch::root::{Ending, root};
pub(crate) use node::Ready;
pub(crate) use node::memory::{flush as flush_memory, trim as trim_memory};
pub(crate) use scope::{Home, Reactor, Scope, Surroundings};

pub use all::{all, each};
pub use call::given::{Given, Held, Lender, Lent, Optional};
pub use call::input::Input;
pub use call::{Fallible, FallibleGrowing, Generating, Growing, Returns, Task, Value};
pub(crate) use call::{call, name as task_name, task};
pub use dc::arg::{IntoArg, IntoRef};
pub use dc::{Func, Output};
pub use delayed::DC;
pub use future::awaited::Awaited;
pub(crate) use future::trial::{Stopper, Trial};
pub use future::{future, sent};
pub use generator::body::Finish;
pub use generator::desk::Yielder;
pub use generator::{generate, generate_async};
pub use map_chunks::map_chunks;
pub use reduce::reduce;
pub(crate) use scope::inside::with_reactor;
pub use scope::inside::{attempt, is_cancelled};
pub(crate) use settle::drop_given_up;
pub use shared::Shared;
pub(crate) use stream::Items;
pub use stream::race::{first_of, race, select_ok};
pub use stream::{Stream, stream};

#[cfg(all(test, taskgraph_loom))]
mod models;

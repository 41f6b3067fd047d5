//! A name for a computation, in a node where errors and traces find it.

use std::borrow::Cow;
use std::panic::Location;

use super::Pass;
use crate::graph::cx::Cx;
use crate::graph::delayed::DC;
use crate::graph::node::{Described, Destination, Ready};
use crate::graph::pass;
use crate::graph::settle;
use crate::task::Task;

struct Label {
    name: Cow<'static, str>,
    /// What has the name, if that is a task.
    of: Option<Task>,
}

#[track_caller]
pub(in crate::graph) fn label<T: Send + 'static>(inner: DC<T>, name: Cow<'static, str>) -> DC<T> {
    let of = inner.task();
    pass::passed(inner, Label { name, of })
}

impl<T> Pass<T> for Label {
    type Output = T;

    unsafe fn pass(self, result: T, _: &'static Location<'static>, to: Destination, cx: &mut Cx<'_>) -> Option<Ready> {
        // SAFETY: the destination is that of a node whose result is this one.
        unsafe { settle::deliver(to, result, cx) }
    }

    fn describe(&self) -> Described {
        Described::Label(self.name.clone(), self.of.clone())
    }
}

//! A list of what may be gone by the time it is wanted, swept before it grows.

use std::sync::{Arc, Weak};

pub(crate) struct WeakList<T: ?Sized>(Vec<Weak<T>>);

/// A list that is swept gets room for at least this many.
const ROOM_MIN: usize = 16;

impl<T: ?Sized> WeakList<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, item: Weak<T>) {
        if self.0.len() == self.0.capacity() {
            self.sweep();
        }
        self.0.push(item);
    }

    /// Those that are not gone.
    pub(crate) fn live(&self) -> impl Iterator<Item = Arc<T>> {
        self.0.iter().filter_map(Weak::upgrade)
    }

    /// The same, for whoever looks again and again: most of the list is not gone after that.
    pub(crate) fn live_of_swept(&mut self) -> Vec<Arc<T>> {
        let live: Vec<_> = self.live().collect();
        if live.len() < self.0.len() / 2 {
            self.sweep();
        }
        live
    }

    fn sweep(&mut self) {
        self.0.retain(|item| 0 < item.strong_count());
        // As much room again as is used: then sweeping costs each item a few looks at most.
        self.0.shrink_to(2 * self.0.len().max(ROOM_MIN));
        self.0.reserve(self.0.len().max(ROOM_MIN));
    }
}

impl<T: ?Sized> Default for WeakList<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_takes_no_room() {
        let kept = Arc::new(0);
        let mut list = WeakList::new();
        for i in 0..10_000 {
            let gone = Arc::new(i);
            list.add(Arc::downgrade(if i % 100 == 0 { &kept } else { &gone }));
        }
        assert_eq!(list.live().count(), 100);
        assert!(list.0.capacity() < 1_000, "{}", list.0.capacity());
    }

    #[test]
    fn who_looks_at_what_is_gone_does_so_once() {
        let mut list = WeakList::new();
        let items: Vec<_> = (0..10_000).map(Arc::new).collect();
        items.iter().for_each(|item| list.add(Arc::downgrade(item)));
        drop(items);
        assert!(list.live_of_swept().is_empty());
        assert!(list.0.is_empty() && list.0.capacity() < 100);
    }
}

// Fences for the thread checker, which does not know what they order. `.ci/checked` wraps this around its runtime.
//
// An acquire fence orders what comes after it behind the releases from which the atomic accesses before it have read. The only
// such pair outside the schedulers is a count that reaches zero: a decrement, and a fence if it was the last, as in every
// `Arc`. So the address of the last decrement is enough, and orders no more than the fence does.

typedef unsigned long word;

word tsan_atomic64_fetch_sub(volatile word *count, word by, int order);
void tsan_atomic_thread_fence(int order);
void __tsan_acquire(volatile void *address);

static __thread volatile word *decremented;

word __tsan_atomic64_fetch_sub(volatile word *count, word by, int order) {
    decremented = count;
    return tsan_atomic64_fetch_sub(count, by, order);
}

void __tsan_atomic_thread_fence(int order) {
    tsan_atomic_thread_fence(order);
    if (decremented) {
        __tsan_acquire(decremented);
        decremented = 0;
    }
}

//! What the options say about how a body runs.
//!
//! ```text
//! in:   timeout = "30s", retries = 3, backoff = "100ms..10s", retry_if = is_busy, priority = -1, limit = 4
//!
//! out:  Policy::new()
//!           .timeout(Duration::new(30, 0))
//!           .retries(3)
//!           .backoff(Duration::new(0, 100000000), Duration::new(10, 0))
//!           .retry_if(|__error| judge(is_busy, __error))
//!           .priority(-1)
//!           .limited()
//! ```

use std::time::Duration;

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote_spanned};

use super::caret::start_of;
use crate::model::{Delayed, RetryIf};
use crate::names::{here, here_at};

/// The policy of a function that has one. A limit alone is the body's business.
pub(super) fn policy(delayed: &Delayed) -> Option<TokenStream> {
    let options = &delayed.options;
    let timeout = options.timeout.map(|limit| {
        let limit = duration(limit);
        quote_spanned!(here()=> .timeout(#limit))
    });
    let retries = options.retries.as_ref().map(|retries| {
        let count = &retries.count;
        quote_spanned!(here()=> .retries(#count))
    });
    let backoff = options.backoff.as_ref().map(|backoff| {
        let (min, max) = (duration(backoff.min), duration(backoff.max));
        quote_spanned!(here()=> .backoff(#min, #max))
    });
    let retry_if = options.retry_if.as_ref().map(retry_if);
    let priority = options.priority.map(|priority| {
        let priority = Literal::i32_unsuffixed(priority);
        quote_spanned!(here()=> .priority(#priority))
    });
    let said: Vec<_> = [timeout, retries, backoff, retry_if, priority].into_iter().flatten().collect();
    if said.is_empty() {
        return None;
    }
    let limited = options.limit.as_ref().map(|_| quote_spanned!(here()=> .limited()));
    Some(quote_spanned!(here()=> ::taskgraph::__private::Policy::new() #(#said)* #limited))
}

/// Errors about the function are shown at its path.
fn retry_if(RetryIf { function, .. }: &RetryIf) -> TokenStream {
    let caret = start_of(function);
    let error = syn::Ident::new("__error", here_at(caret));
    let judge = quote_spanned!(caret=> ::taskgraph::__private::judge);
    let arguments = quote_spanned!(caret=> (#function, #error));
    quote_spanned!(here()=> .retry_if(|#error| #judge #arguments))
}

fn duration(duration: Duration) -> impl ToTokens {
    let (secs, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let (secs, nanos) = (Literal::u64_unsuffixed(secs), Literal::u32_unsuffixed(nanos));
    quote_spanned!(here()=> ::core::time::Duration::new(#secs, #nanos))
}

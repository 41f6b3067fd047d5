//! What a type borrows, as far as it is written.
//!
//! A delayed function runs later and elsewhere, so nothing in its signature can borrow from its caller; only a whole
//! parameter can be a borrow, from the graph.

use syn::visit::{self, Visit};
use syn::{
    Expr, Lifetime, ParenthesizedGenericArguments, Token, TraitBound, Type, TypeFnPtr, TypeImplTrait, TypeReference,
};

/// What [`of`] found, in the order it is written.
#[derive(Default)]
pub(super) struct Borrows<'ast> {
    /// `&str`
    pub(super) elided: Vec<&'ast TypeReference>,
    /// `'a` and `'_`
    pub(super) lifetimes: Vec<&'ast Lifetime>,
    /// `impl Trait`
    pub(super) impls: Vec<Token![impl]>,
}

pub(super) fn of(ty: &Type) -> Borrows<'_> {
    let mut found = Borrows::default();
    found.visit_type(ty);
    found
}

impl<'ast> Visit<'ast> for Borrows<'ast> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        if reference.lifetime.is_none() {
            self.elided.push(reference);
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.lifetimes.push(lifetime);
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.impls.push(ty.impl_token);
        visit::visit_type_impl_trait(self, ty);
    }

    // What these borrow concerns only their callers.

    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}

    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}

    fn visit_trait_bound(&mut self, bound: &'ast TraitBound) {
        if bound.lifetimes.is_none() {
            visit::visit_trait_bound(self, bound);
        }
    }

    // The length of an array.
    fn visit_expr(&mut self, _: &'ast Expr) {}
}

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use papaya::Equivalent;

use crate::cache::Slot;
use crate::name::Name;

/// A slot and the key that it is found by, side by side in memory: a hit reads both.
pub(crate) struct Entry {
    pub(super) what: Arc<What>,
    tenant_hash: u64,
    pub(super) tenant: Name,
    slot: Slot,
}

/// What is asked of a tenant; many tenants are asked the same.
#[derive(PartialEq, Eq)]
pub(super) struct What {
    /// Which app at which authority asks, of those that share a store.
    pub(super) owner: u64,
    pub(super) scope: Box<str>,
    /// What else, as `request::key::ExtraKey` writes it; empty for a plain call.
    pub(super) extra: Box<str>,
}

/// What tells one token of a client from another.
#[derive(Clone, Copy)]
pub(crate) struct KeyRef<'a> {
    pub(crate) tenant: &'a str,
    /// What [`Memory::tenant_hash`](super::Memory::tenant_hash) says of it.
    pub(crate) tenant_hash: u64,
    pub(crate) scope: &'a str,
    /// What else, as `request::key::ExtraKey` writes it; empty for a plain call.
    pub(crate) extra: &'a str,
}

/// An entry in the map, found by its key.
pub(super) struct Item(pub(super) Arc<Entry>);

impl Entry {
    pub(super) fn new(what: Arc<What>, key: KeyRef<'_>) -> Self {
        Self { what, tenant_hash: key.tenant_hash, tenant: key.tenant.into(), slot: Slot::default() }
    }

    /// What it takes in memory without its token: itself, its counts, and its places in the map and on the shelf.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + 7 * size_of::<usize>() + self.what.extra.len()
    }
}

impl Deref for Entry {
    type Target = Slot;

    #[inline]
    fn deref(&self) -> &Slot {
        &self.slot
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("tenant", &self.tenant).field("scope", &self.what.scope).finish_non_exhaustive()
    }
}

/// The one way to hash a key: the owner is in the tenant's hash, and of the rest the bytes alone, since foldhash minds
/// their length.
#[inline]
fn hash(tenant_hash: u64, scope: &str, extra: &str, state: &mut impl Hasher) {
    state.write_u64(tenant_hash);
    state.write(scope.as_bytes());
    // a plain call hashes no more than it needs
    if !extra.is_empty() {
        state.write(extra.as_bytes());
    }
}

/// An owner and a key of its.
#[derive(Clone, Copy)]
pub(super) struct Key<'a>(pub(super) u64, pub(super) KeyRef<'a>);

impl Hash for Key<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let KeyRef { tenant_hash, scope, extra, .. } = self.1;
        hash(tenant_hash, scope, extra, state);
    }
}

impl Hash for Item {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let What { scope, extra, .. } = &*self.0.what;
        hash(self.0.tenant_hash, scope, extra, state);
    }
}

impl Equivalent<Item> for Key<'_> {
    #[inline]
    fn equivalent(&self, item: &Item) -> bool {
        let Self(owner, KeyRef { tenant, scope, extra, .. }) = *self;
        let what = &*item.0.what;
        tenant.as_bytes() == item.0.tenant.as_bytes()
            && scope == &*what.scope
            && owner == what.owner
            && extra.len() == what.extra.len()
            // without a call to compare nothing with nothing
            && (extra.is_empty() || extra == &*what.extra)
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.tenant.as_bytes() == other.0.tenant.as_bytes() && self.0.what == other.0.what)
    }
}

impl Eq for Item {}

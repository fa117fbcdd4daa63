use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::cache::Slot;
use crate::name::Name;

/// A slot and the key that it is found by, side by side in memory, in the order in which a hit reads them: of a million
/// none is in the processor's caches.
#[repr(C)]
pub(crate) struct Entry {
    pub(super) tenant: Name,
    pub(super) what: Arc<What>,
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

/// An owner and a key of its.
#[derive(Clone, Copy)]
pub(super) struct Key<'a>(pub(super) u64, pub(super) KeyRef<'a>);

impl Entry {
    pub(super) fn new(what: Arc<What>, key: KeyRef<'_>) -> Self {
        Self { tenant: key.tenant.into(), what, slot: Slot::default() }
    }

    /// That of its key, which is not kept: it is seldom asked for.
    pub(super) fn hash(&self, hashes: &RandomState) -> u64 {
        let (What { owner, scope, extra }, tenant) = (&*self.what, self.tenant.as_str());
        let tenant_hash = tenant_hash(hashes, *owner, tenant);
        Key(*owner, KeyRef { tenant, tenant_hash, scope, extra }).hash(hashes)
    }

    /// What it takes in memory without its token: itself, its counts, and its places in the table and on the shelf.
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

/// What the hash of a key is made from, for its owner and tenant.
pub(super) fn tenant_hash(hashes: &RandomState, owner: u64, tenant: &str) -> u64 {
    let mut state = hashes.build_hasher();
    state.write_u64(owner);
    state.write(tenant.as_bytes());
    state.finish()
}

impl Key<'_> {
    /// The owner is in the tenant's hash, and of the rest the bytes alone count, since foldhash minds their length.
    #[inline]
    pub(super) fn hash(&self, hashes: &RandomState) -> u64 {
        let KeyRef { tenant_hash, scope, extra, .. } = self.1;
        let mut state = hashes.build_hasher();
        state.write_u64(tenant_hash);
        state.write(scope.as_bytes());
        // a plain call hashes no more than it needs
        if !extra.is_empty() {
            state.write(extra.as_bytes());
        }
        state.finish()
    }

    /// Whether the entry is this key's.
    #[inline]
    pub(super) fn is_of(&self, entry: &Entry) -> bool {
        let Self(owner, KeyRef { tenant, scope, extra, .. }) = *self;
        let what = &*entry.what;
        tenant.as_bytes() == entry.tenant.as_bytes()
            && scope == &*what.scope
            && owner == what.owner
            && extra.len() == what.extra.len()
            // without a call to compare nothing with nothing
            && (extra.is_empty() || extra == &*what.extra)
    }
}

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::EncryptionKey;
use super::seal::Sealer;
use crate::credential::Rotating;

/// What a client's tokens are sealed with: the key that the program gave, or one made from the client's credential,
/// which may be replaced or renewed while the client lives.
pub(super) enum Keys {
    Given(Arc<Sealer>),
    OfCredential { credential: Arc<Rotating>, made: ArcSwap<Made> },
}

pub(super) struct Made {
    generation: u64,
    /// None: the credential has no secret.
    sealer: Option<Arc<Sealer>>,
}

impl Keys {
    /// `None` if there is nothing to make a key from.
    pub(super) fn new(given: Option<&EncryptionKey>, credential: Option<Arc<Rotating>>) -> Option<Self> {
        if let Some(given) = given {
            return Some(Self::Given(Arc::new(Sealer::new(given.bytes())?)));
        }
        let credential = credential?;
        let made = Made::from(&credential);
        made.sealer.as_ref()?;
        Some(Self::OfCredential { credential, made: ArcSwap::from_pointee(made) })
    }

    /// For what is sealed and opened from now on; `None` since the credential was replaced by one without a secret.
    pub(super) fn sealer(&self) -> Option<Arc<Sealer>> {
        match self {
            Self::Given(sealer) => Some(sealer.clone()),
            Self::OfCredential { credential, made } => {
                let last = made.load();
                if last.generation == credential.generation() {
                    return last.sealer.clone();
                }
                let next = Made::from(credential);
                let sealer = next.sealer.clone();
                made.store(Arc::new(next));
                sealer
            }
        }
    }
}

impl Made {
    fn from(credential: &Rotating) -> Self {
        // Race: one that is replaced in between is seen by its number the next time
        let generation = credential.generation();
        let sealer = credential.own_secret().and_then(|secret| Sealer::new(&secret)).map(Arc::new);
        Self { generation, sealer }
    }
}

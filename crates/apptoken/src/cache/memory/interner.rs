use std::sync::Arc;

/// Values that many hold, each once. Few are expected: of more than [`MOST`] the others are not shared.
pub(super) struct Interner<T>(Vec<Arc<T>>);

impl<T> Interner<T> {
    pub(super) fn common(&mut self, value: T, is_same: impl Fn(&T, &T) -> bool) -> Arc<T> {
        if let Some(place) = self.0.iter().position(|known| is_same(known, &value)) {
            // what was asked for last is found first
            self.0.swap(0, place);
            return self.0[0].clone();
        }
        let value = Arc::new(value);
        if self.0.len() >= MOST {
            self.0.retain(|known| Arc::strong_count(known) > 1);
        }
        if self.0.len() < MOST {
            self.0.push(value.clone());
        }
        value
    }
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// They are compared one by one.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_kept_once_and_what_nobody_holds_makes_room() {
        let mut interner = Interner::default();
        let one = interner.common(1, PartialEq::eq);
        let held = (2..200).map(|number| interner.common(number, PartialEq::eq)).collect::<Vec<_>>();
        assert!(Arc::ptr_eq(&one, &interner.common(1, PartialEq::eq)));
        assert!(interner.0.len() <= MOST);
        drop(held);
        let other = interner.common(500, PartialEq::eq);
        assert!(Arc::ptr_eq(&other, &interner.common(500, PartialEq::eq)));
    }
}

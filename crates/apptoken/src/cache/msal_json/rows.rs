use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The entities of one section in the order of the file, found by key without regard to case.
#[derive(Default)]
pub(super) struct Rows {
    /// A removed one leaves a gap.
    list: Vec<Option<(String, Box<RawValue>)>>,
    by_key: HashMap<String, usize, RandomState>,
}

impl Rows {
    /// The text of the entity under `key`, which is in lower case.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let place = *self.by_key.get(key)?;
        self.list.get(place)?.as_ref().map(|(_, row)| row.get())
    }

    pub(super) fn put(&mut self, key: String, row: Box<RawValue>) {
        let place = self.list.len();
        // of two with the same key the later one counts, as for who reads it into a map
        if let Some(earlier) = self.by_key.insert(key.to_lowercase(), place) {
            self.list[earlier] = None;
        }
        self.list.push(Some((key, row)));
    }

    pub(super) fn remove(&mut self, key: &str) -> bool {
        let removed = self.by_key.remove(key).and_then(|place| self.list.get_mut(place)?.take());
        removed.is_some()
    }

    /// Keeps what `keep` says and counts the others.
    pub(super) fn retain(&mut self, keep: impl Fn(&str, &str) -> bool) -> usize {
        let before = self.len();
        let rows = std::mem::take(self);
        for (key, row) in rows.list.into_iter().flatten() {
            if keep(&key, row.get()) {
                self.put(key, row);
            }
        }
        before - self.len()
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// About as many bytes as it is written in.
    pub(super) fn size(&self) -> usize {
        self.list.iter().flatten().map(|(key, row)| key.len() + row.get().len() + 8).sum()
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entities;

        impl<'de> Visitor<'de> for Entities {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from key to entity")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rows, A::Error> {
                let mut rows = Rows::default();
                while let Some((key, row)) = map.next_entry()? {
                    rows.put(key, row);
                }
                Ok(rows)
            }
        }

        deserializer.deserialize_map(Entities)
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, row) in self.list.iter().flatten() {
            map.serialize_entry(key, row)?;
        }
        map.end()
    }
}

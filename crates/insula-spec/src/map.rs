// SPDX-License-Identifier: Apache-2.0
//! Objects with free keys, such as annotations.

use crate::Str;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An object with free keys, in the document's order and without duplicate keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Map<'a, V>(Vec<(Str<'a>, V)>);

/// Up to this many entries each new key is compared with all; then they are sorted once, so that time stays n log n.
const COMPARED: usize = 64;

impl<'a, V> Map<'a, V> {
    /// The entries, in the document's order.
    pub fn iter(&self) -> core::slice::Iter<'_, (Str<'a>, V)> {
        self.0.iter()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets `key`, replacing its value if it is there already.
    pub fn insert(&mut self, key: Str<'a>, value: V) {
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some(entry) => entry.1 = value,
            None => self.0.push((key, value)),
        }
    }

    /// Keeps only the entries whose key is `wanted`.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|(key, _)| wanted(key));
    }

    /// A key that occurs twice.
    fn duplicate(&self) -> Option<&str> {
        let mut keys: Vec<&str> = self.0.iter().map(|(key, _)| &**key).collect();
        keys.sort_unstable();
        keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

impl<V> Default for Map<'_, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'m, 'a, V> IntoIterator for &'m Map<'a, V> {
    type Item = &'m (Str<'a>, V);
    type IntoIter = core::slice::Iter<'m, (Str<'a>, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<V: Serialize> Serialize for Map<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Map<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<'a, V>(PhantomData<fn() -> Map<'a, V>>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for MapVisitor<'a, V> {
    type Value = Map<'a, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::default();
        while let Some(key) = access.next_key::<Str<'a>>()? {
            if map.len() < COMPARED && map.get(&key).is_some() {
                return Err(A::Error::custom(format!("duplicate key {key:?}")));
            }
            map.0.push((key, access.next_value()?));
        }
        if map.len() > COMPARED
            && let Some(key) = map.duplicate()
        {
            return Err(A::Error::custom(format!("duplicate key {key:?}")));
        }
        Ok(map)
    }
}

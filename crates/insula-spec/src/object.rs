// SPDX-License-Identifier: Apache-2.0
//! The one declaration of a JSON object: its fields, their JSON names, and which of them must be there.
//!
//! serde's derive is not used, because what it makes also takes an array for an object (`"root": ["rootfs"]`), and
//! because the same declaration gives the names that [`crate::unknown_properties`] knows.

use alloc::format;
use serde::Deserialize;
use serde::de::{Error, MapAccess};
use serde_json::value::RawValue;

/// What the specification knows below a value.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A string, number or boolean, or an object whose inside is not ours.
    Leaf,
    /// An object with these properties.
    Object(&'static [(&'static str, &'static Shape)]),
    /// An array of these.
    List(&'static Shape),
    /// An object with free keys.
    Map(&'static Shape),
}

/// A type that knows its [`Shape`].
pub(crate) trait Shaped {
    const SHAPE: &'static Shape;
}

macro_rules! leaf {
    ($($ty:ty),*) => { $(impl Shaped for $ty { const SHAPE: &'static Shape = &Shape::Leaf; })* };
}
leaf!(bool, u16, u32, u64, i32, i64, crate::Str<'_>, crate::Present);

impl<T: Shaped> Shaped for Option<T> {
    const SHAPE: &'static Shape = T::SHAPE;
}

impl<T: Shaped> Shaped for alloc::vec::Vec<T> {
    const SHAPE: &'static Shape = &Shape::List(T::SHAPE);
}

impl<V: Shaped> Shaped for crate::Map<'_, V> {
    const SHAPE: &'static Shape = &Shape::Map(V::SHAPE);
}

/// Reads the value of a property that must not be `null`.
pub(crate) fn read_required<'de, A, T>(map: &mut A, slot: &mut Option<T>, name: &'static str) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    first(slot.is_some(), name)?;
    *slot = Some(map.next_value()?);
    Ok(())
}

/// Reads the value of a property for which `null` means absent.
pub(crate) fn read_optional<'de, A, T>(map: &mut A, slot: &mut Option<T>, name: &'static str) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de> + Default,
{
    first(slot.is_some(), name)?;
    *slot = Some(map.next_value::<Option<T>>()?.unwrap_or_default());
    Ok(())
}

/// An object that may come in parts, each property once.
pub(crate) trait Joined {
    /// Adds `more`.
    ///
    /// # Errors
    /// The name of a property that both have.
    fn join(&mut self, more: Self) -> Result<(), &'static str>;
}

/// Reads the value of a property that may be there under both of its names: Go programs, whose names have no case, take the
/// parts together.
#[expect(clippy::option_option, reason = "that it came, and that it was null")]
pub(crate) fn read_joined<'de, A, T>(map: &mut A, slot: &mut Option<Option<T>>, _: &'static str) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de> + Joined,
{
    let more = map.next_value::<Option<T>>()?;
    match (slot.as_mut().and_then(Option::as_mut), more) {
        (Some(there), Some(more)) => there.join(more).or_else(|name| first(true, name)),
        (Some(_), None) => Ok(()),
        (None, more) => {
            *slot = Some(more);
            Ok(())
        }
    }
}

/// Puts a part's property where it is missing.
pub(crate) fn join<T>(slot: &mut Option<T>, more: Option<T>, name: &'static str) -> Result<(), &'static str> {
    match (&slot, more) {
        (Some(_), Some(_)) => Err(name),
        (None, more) => {
            *slot = more;
            Ok(())
        }
        (Some(_), None) => Ok(()),
    }
}

fn first<E: Error>(again: bool, name: &'static str) -> Result<(), E> {
    if again { Err(E::custom(format!("duplicate property {name:?}"))) } else { Ok(()) }
}

/// How deep arrays and objects may lie in each other: as deep as serde_json goes in what is read.
const DEEPEST: usize = 128;

/// What is said of one that lies deeper.
pub(crate) const TOO_DEEP: &str = "arrays and objects lie deeper than 128 in each other";

/// Passes over the value of a property that the specification does not know.
pub(crate) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    shallow(map.next_value()?)
}

/// Refuses a text whose arrays and objects lie deeper than [`DEEPEST`] in each other: whoever reads the document after
/// us may need a stack for it.
pub(crate) fn shallow<E: Error>(value: &RawValue) -> Result<(), E> {
    match too_deep(value.get()) {
        // The parser knows the place no more; whoever has the whole text finds it again.
        Some(_) => Err(E::custom(TOO_DEEP)),
        None => Ok(()),
    }
}

/// Where a JSON text first lies deeper than [`DEEPEST`].
pub(crate) fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    text.bytes().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEEPEST
    })
}

/// The value of a required property.
pub(crate) fn present<T, E: Error>(slot: Option<T>, name: &'static str) -> Result<T, E> {
    slot.ok_or_else(|| E::custom(format!("missing property {name:?}")))
}

/// Whether an optional property is left out of a written document.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Declares a JSON object. Each field names its property and says how it is treated:
///
/// - `required "name"`: refused when absent or `null`, always written;
/// - `always "name"`: its default when absent, always written;
/// - `optional "name"`: its default when absent, written unless it is the default;
/// - `joined "name"`: the same, and what it has may come in parts.
///
/// `or "other"` takes the property by another name, too. Duplicates are refused, unknown properties are ignored.
macro_rules! object {
    (
        $(#[$outer:meta])*
        pub struct $name:ident $(<$lt:lifetime>)? {
            $( $(#[$inner:meta])* $field:ident : $ty:ty = $how:ident $json:literal $(or $also:literal)?, )*
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name $(<$lt>)? {
            $( $(#[$inner])* pub $field: $ty, )*
        }

        impl $(<$lt>)? $crate::object::Shaped for $name $(<$lt>)? {
            const SHAPE: &'static $crate::object::Shape = &$crate::object::Shape::Object(&[
                $( ($json, <$ty as $crate::object::Shaped>::SHAPE), )*
            ]);
        }

        impl<'de $(: $lt, $lt)?> serde::Deserialize<'de> for $name $(<$lt>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor $(<$lt>)? (core::marker::PhantomData<fn() -> $name $(<$lt>)?>);
                impl<'de $(: $lt, $lt)?> serde::de::Visitor<'de> for Visitor $(<$lt>)? {
                    type Value = $name $(<$lt>)?;

                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        $( let mut $field: Option<$ty> = None; )*
                        while let Some(key) = map.next_key::<$crate::Str<'de>>()? {
                            match &*key {
                                $( $json $(| $also)? => object!(@read $how)(&mut map, &mut $field, $json)?, )*
                                _ => $crate::object::skip(&mut map)?,
                            }
                        }
                        Ok($name { $( $field: object!(@take $how $field $json), )* })
                    }
                }
                deserializer.deserialize_map(Visitor(core::marker::PhantomData))
            }
        }

        impl $(<$lt>)? serde::Serialize for $name $(<$lt>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                $( if object!(@write $how &self.$field) { map.serialize_entry($json, &self.$field)?; } )*
                map.end()
            }
        }
    };
    (@read joined) => { $crate::object::read_joined };
    (@read required) => { $crate::object::read_required };
    (@read $how:ident) => { $crate::object::read_optional };
    (@take required $field:ident $json:literal) => { $crate::object::present($field, $json)? };
    (@take $how:ident $field:ident $json:literal) => { $field.unwrap_or_default() };
    (@write joined $value:expr) => { !$crate::object::is_default($value) };
    (@write optional $value:expr) => { !$crate::object::is_default($value) };
    (@write $how:ident $value:expr) => { true };
}

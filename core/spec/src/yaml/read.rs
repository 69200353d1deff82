//! Reads a value out of a tree by serde, keeping the place of what cannot be read.

use std::fmt;
use std::ops::Range;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::errors::Fault;
use super::tree::{Entry, Node, Value};
use super::words;

/// Reads `root` as a `T`, up to the first value that cannot be read.
pub(super) fn read<T: DeserializeOwned>(root: &Node) -> Result<T, Failure> {
    T::deserialize(NodeReader(root))
}

/// The first value that cannot be read.
#[derive(Debug)]
pub(super) struct Failure(Box<Inner>);

#[derive(Debug)]
struct Inner {
    why: Why,
    span: Option<Range<usize>>,
    /// The way to the value, innermost step first: positions in lists and mappings.
    path: Vec<usize>,
    /// The key under which the value stands.
    under: Option<String>,
}

#[derive(Debug)]
enum Why {
    /// Said by the value's own type.
    Said {
        message: String,
        mend: String,
    },
    WrongType {
        expected: String,
    },
    OutOfRange {
        expected: String,
    },
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    UnknownWord {
        word: String,
        known: &'static [&'static str],
    },
    Missing {
        key: &'static str,
    },
}

impl Failure {
    fn new(why: Why) -> Self {
        Self(Box::new(Inner { why, span: None, path: Vec::new(), under: None }))
    }

    /// The way from the root to the value.
    pub(super) fn path(&self) -> Vec<usize> {
        self.0.path.iter().rev().copied().collect()
    }

    /// The key that is missing.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match self.0.why {
            Why::Missing { key } => Some(key),
            _ => None,
        }
    }

    pub(super) fn into_fault(self) -> Fault {
        let Inner { why, span, under, path } = *self.0;
        let span = span.unwrap_or(0..0);
        let (message, mend) = match why {
            Why::Said { message, mend } => (message, mend),
            // Words about the value that was found were put in when its place became known.
            Why::WrongType { expected } => (format!("expected {expected}"), format!("write {expected}")),
            Why::OutOfRange { expected } => {
                ("the number is out of range".to_owned(), format!("write {expected}"))
            }
            Why::UnknownKey { key, known } => {
                words::unknown_key(&key, known, under.as_deref(), path.len() == 1)
            }
            Why::UnknownWord { word, known } => words::unknown_word(&word, known, under.as_deref()),
            Why::Missing { key } => (format!("the key `{key}` is missing"), words::missing(key)),
        };
        Fault::new(message, mend, span)
    }

    /// Ties the failure to the innermost value that it passes on its way out.
    fn at(mut self, node: &Node) -> Self {
        if self.0.span.is_none() {
            match &self.0.why {
                Why::WrongType { expected } => {
                    let (message, mend) = words::wrong_type(expected, &node.value);
                    self.0.why = Why::Said { message, mend };
                }
                Why::OutOfRange { expected } => {
                    let message = format!("{} is out of range", words::found(&node.value));
                    self.0.why = Why::Said { message, mend: format!("write {expected}") };
                }
                _ => {}
            }
            // A key is missing where its mapping is named, which is one step further out.
            let whole = matches!(node.value, Value::List(_) | Value::Map(_)) || self.missing().is_some();
            if !whole {
                self.0.span = Some(node.span.clone());
            }
        }
        self
    }

    fn through(mut self, entry: &Entry, index: usize) -> Self {
        let inner = &mut *self.0;
        inner.span.get_or_insert_with(|| entry.key_span.clone());
        inner.under.get_or_insert_with(|| entry.key.clone());
        inner.path.push(index);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.why)
    }
}

impl std::error::Error for Failure {}

impl Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        let (message, mend) = text.split_once('\n').unwrap_or((&text, "write another value"));
        Self::new(Why::Said { message: message.to_owned(), mend: mend.to_owned() })
    }
    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Why::WrongType { expected: words::expected(&expected.to_string()) })
    }
    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Why::OutOfRange { expected: words::expected(&expected.to_string()) })
    }
    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(Why::UnknownKey { key: key.to_owned(), known })
    }
    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Why::UnknownWord { word: word.to_owned(), known })
    }
    fn missing_field(key: &'static str) -> Self {
        Self::new(Why::Missing { key })
    }
}

struct NodeReader<'a>(&'a Node);

impl<'de> Deserializer<'de> for NodeReader<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let read = match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Signed(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Map(entries) => {
                visitor.visit_map(Entries { entries: entries.iter().enumerate(), current: None })
            }
        };
        read.map_err(|failure| failure.at(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // A key with nothing after it is a slip, not a wish for the default: leaving the key out says that.
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let read = match &self.0.value {
            Value::Text(text) => visitor.visit_enum(Word(text)),
            _ => Err(Failure::new(Why::WrongType { expected: words::one_of(known) })),
        };
        read.map_err(|failure| failure.at(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// A word for an enum without data, which all of a manifest's are.
struct Word<'a>(&'a str);

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = Failure;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        Ok((seed.deserialize(StrDeserializer::new(self.0))?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'_> {
    type Error = Failure;
    fn unit_variant(self) -> Result<(), Failure> {
        Ok(())
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Failure> {
        Err(Failure::custom("the word takes a value"))
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Failure> {
        Err(Failure::custom("the word takes values"))
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Failure> {
        Err(Failure::custom("the word takes keys"))
    }
}

struct Items<'a>(std::iter::Enumerate<std::slice::Iter<'a, Node>>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Failure;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        let Some((index, item)) = self.0.next() else { return Ok(None) };
        seed.deserialize(NodeReader(item)).map(Some).map_err(|mut failure| {
            failure.0.span.get_or_insert_with(|| item.span.clone());
            failure.0.path.push(index);
            failure
        })
    }
}

struct Entries<'a> {
    entries: std::iter::Enumerate<std::slice::Iter<'a, Entry>>,
    current: Option<(usize, &'a Entry)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        self.current = self.entries.next();
        let Some((index, entry)) = self.current else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(&entry.key)).map(Some).map_err(|mut failure: Failure| {
            // The key itself is wrong: its mapping, one step out, gives the name that it stands under.
            failure.0.span = Some(entry.key_span.clone());
            failure.0.path.push(index);
            failure
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let Some((index, entry)) = self.current else { return Err(Failure::custom("a value without a key")) };
        seed.deserialize(NodeReader(&entry.value)).map_err(|failure| failure.through(entry, index))
    }
}

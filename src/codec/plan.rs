//! How to read the Avro records of one writer's schema, found out once: which field of ours each
//! of its fields is, by number, and in what shape it comes.
//!
//! Never refuses a record: whatever is unusual, in a schema or in a record, is left to
//! `serde_avro_fast`, which says what is wrong with it. Next: `decoder.rs`, which asks here first.

use crate::domain::binary::{Reader, UnpackError};
use serde::Deserialize;
use serde::de::value::U64Deserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_avro_fast::schema::{LogicalType, RegularType, SchemaKey, SchemaMut};
use std::cell::Cell;
use std::fmt;
use std::slice;

/// Shapes within shapes: an item's field in the items of a record is the fifth.
const MAX_DEPTH: usize = 6;
/// Shapes of a plan: a type that is named in many places has one in each.
const MAX_SHAPES: usize = 1024;
/// Number of the fields that are not ours.
const NOT_OURS: u64 = u64::MAX;
/// Bytes of the longest integer of 32 bits, and of those of 64 that occur.
const INT_BYTES: usize = 5;
const LONG_BYTES: usize = 9;

/// How to read records of one schema.
#[derive(Debug)]
pub(crate) struct Plan(Shape);

/// What stands in the bytes.
#[derive(Debug)]
enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    String,
    /// A value or none, and the number of the variant that is none.
    Option(i64, Box<Self>),
    Array(Box<Self>),
    Map(Box<Self>),
    /// Fields, each with its number in the struct that is read.
    Record(Vec<(u64, Self)>),
}

impl Plan {
    /// The plan for reading records as `T`, and records within them as `Item`; `None` when
    /// something in the schema is unusual.
    pub(crate) fn of<'de, T: Deserialize<'de>, Item: Deserialize<'de>>(
        schema: &str,
    ) -> Option<Self> {
        let schema: SchemaMut = schema.parse().ok()?;
        let (outer, inner) = (fields::<T>()?, fields::<Item>()?);
        let shapes = Shapes { schema: &schema, outer, inner, count: Cell::new(0) };
        // Of a union the record would not be the outermost.
        let shape = shapes.shape(SchemaKey::root(), 0)?;
        matches!(shape, Shape::Record(_)).then_some(Self(shape))
    }

    /// The record; `None` when something in it is unusual.
    pub(crate) fn read<'de, T: Deserialize<'de>>(&self, datum: &'de [u8]) -> Option<T> {
        let mut reader = Reader::new(datum);
        let record = T::deserialize(Datum { reader: &mut reader, shape: &self.0 }).ok()?;
        reader.is_at_end().then_some(record)
    }
}

/// A schema, and the names of the fields that are wanted of its record and of those within.
struct Shapes<'s> {
    schema: &'s SchemaMut,
    outer: &'static [&'static str],
    inner: &'static [&'static str],
    /// Shapes so far.
    count: Cell<usize>,
}

impl Shapes<'_> {
    fn shape(&self, key: SchemaKey, depth: usize) -> Option<Shape> {
        let count = self.count.replace(self.count.get() + 1);
        let is_small = depth < MAX_DEPTH && count < MAX_SHAPES;
        let node = self.schema.get(key).filter(|_| is_small)?;
        let within = |key| self.shape(key, depth + 1);
        let of_bytes = |key| within(key).filter(Shape::has_bytes).map(Box::new);
        match (&node.type_, &node.logical_type) {
            (RegularType::Long, None | Some(LogicalType::TimestampMillis)) => Some(Shape::Long),
            (_, Some(_)) => None,
            (RegularType::Null, None) => Some(Shape::Null),
            (RegularType::Boolean, None) => Some(Shape::Boolean),
            (RegularType::Int, None) => Some(Shape::Int),
            (RegularType::String, None) => Some(Shape::String),
            (RegularType::Array(array), None) => of_bytes(array.items).map(Shape::Array),
            (RegularType::Map(map), None) => of_bytes(map.values).map(Shape::Map),
            (RegularType::Union(union), None) => match &union.variants[..] {
                [one, other] => match (within(*one)?, within(*other)?) {
                    (Shape::Null, some) => Some(Shape::Option(0, Box::new(some))),
                    (some, Shape::Null) => Some(Shape::Option(1, Box::new(some))),
                    _ => None,
                },
                _ => None,
            },
            (RegularType::Record(record), None) => {
                let wanted = if depth == 0 { self.outer } else { self.inner };
                let number = |name: &str| {
                    let place = wanted.iter().position(|own| *own == name);
                    place.map_or(NOT_OURS, |place| place as u64)
                };
                let fields = record.fields.iter();
                let fields = fields.map(|it| Some((number(&it.name), within(it.type_)?)));
                fields.collect::<Option<_>>().map(Shape::Record)
            }
            _ => None,
        }
    }
}

impl Shape {
    /// Whether every value takes bytes, so that there are no more values than bytes.
    fn has_bytes(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Record(fields) => fields.iter().any(|(_, shape)| shape.has_bytes()),
            _ => true,
        }
    }
}

/// Something that is not read here.
#[derive(Debug)]
struct Unusual;

impl fmt::Display for Unusual {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("unusual")
    }
}

impl std::error::Error for Unusual {}

impl Error for Unusual {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl From<UnpackError> for Unusual {
    fn from(_: UnpackError) -> Self {
        Self
    }
}

/// A value that is about to be read.
struct Datum<'r, 'de, 'p> {
    reader: &'r mut Reader<'de>,
    shape: &'p Shape,
}

fn integer(reader: &mut Reader<'_>, most_bytes: usize) -> Result<i64, Unusual> {
    let before = reader.left();
    let value = reader.long()?;
    if before - reader.left() <= most_bytes { Ok(value) } else { Err(Unusual) }
}

/// The value of a union with null; `None` = null.
fn some<'r, 'de, 'p>(
    reader: &'r mut Reader<'de>,
    null: i64,
    shape: &'p Shape,
) -> Result<Option<Datum<'r, 'de, 'p>>, Unusual> {
    match integer(reader, 1)? {
        variant if variant == null => Ok(None),
        0 | 1 => Ok(Some(Datum { reader, shape })),
        _ => Err(Unusual),
    }
}

impl<'de> Deserializer<'de> for Datum<'_, 'de, '_> {
    type Error = Unusual;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        let Self { reader, shape } = self;
        match shape {
            Shape::Null => visitor.visit_unit(),
            Shape::Boolean => visitor.visit_bool(reader.boolean()?),
            Shape::Int => {
                let value = integer(reader, INT_BYTES)?;
                visitor.visit_i32(i32::try_from(value).map_err(|_| Unusual)?)
            }
            Shape::Long => visitor.visit_i64(integer(reader, LONG_BYTES)?),
            Shape::String => visitor.visit_borrowed_str(reader.string()?),
            Shape::Option(null, shape) => match some(reader, *null, shape)? {
                None => visitor.visit_unit(),
                Some(datum) => datum.deserialize_any(visitor),
            },
            Shape::Array(shape) => visitor.visit_seq(Items { reader, shape, left: 0 }),
            Shape::Map(shape) => visitor.visit_map(Items { reader, shape, left: 0 }),
            Shape::Record(fields) => {
                visitor.visit_map(Fields { reader, fields: fields.iter(), shape: None })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        match self.shape {
            Shape::Null => visitor.visit_none(),
            Shape::Option(null, shape) => match some(self.reader, *null, shape)? {
                None => visitor.visit_none(),
                Some(datum) => visitor.visit_some(datum),
            },
            _ => visitor.visit_some(self),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The fields of a record, in the writer's order.
struct Fields<'r, 'de, 'p> {
    reader: &'r mut Reader<'de>,
    fields: slice::Iter<'p, (u64, Shape)>,
    shape: Option<&'p Shape>,
}

impl<'de> MapAccess<'de> for Fields<'_, 'de, '_> {
    type Error = Unusual;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unusual> {
        let Some((number, shape)) = self.fields.next() else { return Ok(None) };
        self.shape = Some(shape);
        let number: U64Deserializer<Unusual> = number.into_deserializer();
        seed.deserialize(number).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unusual> {
        let shape = self.shape.take().ok_or(Unusual)?;
        seed.deserialize(Datum { reader: self.reader, shape })
    }
}

/// The items of an array or a map, block by block; of the present one so many are left.
struct Items<'r, 'de, 'p> {
    reader: &'r mut Reader<'de>,
    shape: &'p Shape,
    left: usize,
}

impl<'de, 'p> Items<'_, 'de, 'p> {
    /// What an item begins with, in this shape; `None` at the end.
    fn next<T: DeserializeSeed<'de>>(
        &mut self,
        shape: &'p Shape,
        seed: T,
    ) -> Result<Option<T::Value>, Unusual> {
        if self.left == 0 {
            let Some(count) = self.reader.block()? else { return Ok(None) };
            self.left = count;
        }
        self.left -= 1;
        seed.deserialize(Datum { reader: self.reader, shape }).map(Some)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de, '_> {
    type Error = Unusual;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unusual> {
        self.next(self.shape, seed)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de, '_> {
    type Error = Unusual;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unusual> {
        self.next(&Shape::String, seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unusual> {
        seed.deserialize(Datum { reader: self.reader, shape: self.shape })
    }
}

/// The names of a struct's fields, in their order.
fn fields<'de, T: Deserialize<'de>>() -> Option<&'static [&'static str]> {
    let mut names = None;
    let _nothing_is_read = T::deserialize(Names(&mut names));
    names
}

/// Reads nothing, and learns what would be read.
struct Names<'n>(&'n mut Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Unusual;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unusual> {
        Err(Unusual)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Unusual> {
        *self.0 = Some(fields);
        Err(Unusual)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

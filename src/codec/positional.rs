//! Avro by position: a serde structure whose fields stand in the order of its schema.
//!
//! Looks nothing up, so that a record costs little more than its bytes; that structures and schemas
//! fit is shown by the tests of whoever writes. A union is null and something else, but for
//! [`ONE_OF_MANY`]. Never reads. Next: `encode.rs`, which calls this.
//! Source: Apache Avro 1.12 specification, "Binary Encoding".

use crate::domain::binary::push_long;
use serde::ser::{self, Impossible, Serialize, Serializer};
use std::fmt;

/// A newtype variant of this name is a branch of a union of more than two, by its index.
pub(super) const ONE_OF_MANY: &str = "OneOfMany";

/// Appends a structure as an Avro datum.
///
/// # Errors
/// When it holds what no schema of the project has.
pub(super) fn to_datum<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), NotPositional> {
    value.serialize(&mut Datum { bytes })
}

/// Something that is not written by position.
#[derive(Debug, thiserror::Error)]
#[error("not written by position: {0}")]
pub(super) struct NotPositional(String);

impl ser::Error for NotPositional {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }
}

struct Datum<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Datum<'_> {
    fn long(&mut self, value: i64) {
        push_long(self.bytes, value);
    }

    fn unsigned(&mut self, value: u64) -> Result<(), NotPositional> {
        self.long(i64::try_from(value).map_err(ser::Error::custom)?);
        Ok(())
    }
}

type Nothing = Impossible<(), NotPositional>;

impl<'d> Serializer for &'d mut Datum<'_> {
    type Ok = ();
    type Error = NotPositional;
    type SerializeSeq = Items<'d>;
    type SerializeTuple = Nothing;
    type SerializeTupleStruct = Nothing;
    type SerializeTupleVariant = Nothing;
    type SerializeMap = Items<'d>;
    type SerializeStruct = Fields<'d>;
    type SerializeStructVariant = Nothing;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), NotPositional> {
        self.bytes.push(u8::from(value));
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), NotPositional> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), NotPositional> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), NotPositional> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), NotPositional> {
        self.long(value);
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), NotPositional> {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), NotPositional> {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), NotPositional> {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), NotPositional> {
        self.unsigned(value)
    }

    fn serialize_f32(self, value: f32) -> Result<(), NotPositional> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), NotPositional> {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), NotPositional> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), NotPositional> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), NotPositional> {
        self.unsigned(value.len() as u64)?;
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), NotPositional> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotPositional> {
        self.long(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NotPositional> {
        self.long(0);
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), NotPositional> {
        Err(NotPositional(name.to_owned()))
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
    ) -> Result<(), NotPositional> {
        Err(NotPositional(name.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), NotPositional> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), NotPositional> {
        if name != ONE_OF_MANY {
            return Err(NotPositional(name.to_owned()));
        }
        self.long(index.into());
        value.serialize(self)
    }

    fn serialize_seq(self, items: Option<usize>) -> Result<Items<'d>, NotPositional> {
        let items = items.ok_or_else(|| NotPositional("a list of unknown length".to_owned()))?;
        if items > 0 {
            self.unsigned(items as u64)?;
        }
        Ok(Items { bytes: self.bytes })
    }

    fn serialize_tuple(self, _items: usize) -> Result<Nothing, NotPositional> {
        Err(NotPositional("a tuple".to_owned()))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _fields: usize,
    ) -> Result<Nothing, NotPositional> {
        Err(NotPositional(name.to_owned()))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _fields: usize,
    ) -> Result<Nothing, NotPositional> {
        Err(NotPositional(name.to_owned()))
    }

    fn serialize_map(self, items: Option<usize>) -> Result<Items<'d>, NotPositional> {
        self.serialize_seq(items)
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _fields: usize,
    ) -> Result<Fields<'d>, NotPositional> {
        Ok(Fields { bytes: self.bytes })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _fields: usize,
    ) -> Result<Nothing, NotPositional> {
        Err(NotPositional(name.to_owned()))
    }
}

/// The items of an array or a map: one block, and the empty one at the end.
struct Items<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Items<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), NotPositional> {
        item.serialize(&mut Datum { bytes: self.bytes })
    }

    fn close(self) {
        push_long(self.bytes, 0);
    }
}

impl ser::SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = NotPositional;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), NotPositional> {
        self.item(item)
    }

    fn end(self) -> Result<(), NotPositional> {
        self.close();
        Ok(())
    }
}

impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = NotPositional;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotPositional> {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotPositional> {
        self.item(value)
    }

    fn end(self) -> Result<(), NotPositional> {
        self.close();
        Ok(())
    }
}

/// The fields of a record, one after the other; one that is skipped is none of the schema's.
struct Fields<'a> {
    bytes: &'a mut Vec<u8>,
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = NotPositional;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), NotPositional> {
        value.serialize(&mut Datum { bytes: self.bytes })
    }

    fn end(self) -> Result<(), NotPositional> {
        Ok(())
    }
}

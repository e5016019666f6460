//! The few Avro binary primitives that packing needs.
//!
//! Reading never panics and never allocates more than the input could fill.
//! Source: Apache Avro 1.12 specification, "Binary Encoding". Next: `pack.rs`.

use crate::domain::id::{EVENT_HASH_BYTES, ID_HASH_BYTES};
use crate::domain::time::Timestamp;

/// Why packed bytes could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnpackError {
    /// The bytes end too early.
    #[error("packed state ends too early")]
    Truncated,
    /// A value is outside of what it may be.
    #[error("packed state holds an impossible value")]
    Invalid,
    /// Bytes are left over.
    #[error("packed state is followed by other bytes")]
    Trailing,
}

/// What stands for no distance between two times; below are the places of known ones.
const FIRST_DISTANCE: i64 = 9;

/// How many times are known again without being told.
const KNOWN: usize = 8;

/// The times that stand last in a packed customer: they lie close together, and many are the same.
#[derive(Clone, Copy)]
struct Times {
    known: [Timestamp; KNOWN],
    next: usize,
}

impl Times {
    const fn new() -> Self {
        Self { known: [Timestamp(0); KNOWN], next: 0 }
    }

    const fn last(&self) -> Timestamp {
        self.known[(self.next + KNOWN - 1) % KNOWN]
    }

    const fn push(&mut self, at: Timestamp) {
        self.known[self.next] = at;
        self.next = (self.next + 1) % KNOWN;
    }
}

/// Appends Avro binary values to a buffer.
pub(crate) struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    times: Times,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, times: Times::new() }
    }

    /// A time: 0 = [`Timestamp::MIN`], which stands for never; 1 to 8 = the place, in a ring, of
    /// one that was told before; else 9 + the ms before the new one told last, or the ms after
    /// it, negative. The ring begins with the Unix epoch in every place.
    pub(crate) fn time(&mut self, at: Timestamp) {
        if at == Timestamp::MIN {
            return self.long(0);
        }
        if let Some(place) = self.times.known.iter().position(|known| *known == at) {
            return self.count(place + 1);
        }
        let before = self.times.last().0.wrapping_sub(at.0);
        self.long(if before < 0 { before } else { before.wrapping_add(FIRST_DISTANCE) });
        self.times.push(at);
    }

    #[inline]
    pub(crate) fn long(&mut self, value: i64) {
        push_long(self.bytes, value);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.long(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn unsigned(&mut self, value: u64) {
        self.long(i64::try_from(value).unwrap_or(i64::MAX));
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub(crate) fn string(&mut self, value: &str) {
        self.count(value.len());
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn fixed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn hash(&mut self, hash: u64) {
        self.low_bytes::<ID_HASH_BYTES>(hash);
    }

    pub(crate) fn event_hash(&mut self, hash: u64) {
        self.low_bytes::<EVENT_HASH_BYTES>(hash);
    }

    fn low_bytes<const N: usize>(&mut self, hash: u64) {
        let bytes = hash.to_be_bytes();
        self.fixed(&bytes[bytes.len() - N..]);
    }

    pub(crate) fn array<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        if !items.is_empty() {
            self.count(items.len());
            for value in items {
                item(self, value);
            }
        }
        self.long(0);
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, some: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.long(0),
            Some(value) => {
                self.long(1);
                some(self, value);
            }
        }
    }
}

/// Appends a long: zigzag, seven bits in a byte, the lowest first.
#[inline]
pub(crate) fn push_long(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

/// Reads Avro binary values from a slice.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    times: Times,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, times: Times::new() }
    }

    /// A time that [`Writer::time`] wrote.
    #[inline]
    pub(crate) fn time(&mut self) -> Result<Timestamp, UnpackError> {
        match self.long()? {
            0 => Ok(Timestamp::MIN),
            place @ 1..FIRST_DISTANCE => {
                let place = usize::try_from(place - 1).ok();
                let known = place.and_then(|place| self.times.known.get(place));
                known.copied().ok_or(UnpackError::Invalid)
            }
            before => {
                let before = if before < 0 { before } else { before - FIRST_DISTANCE };
                let at = Timestamp(self.times.last().0.wrapping_sub(before));
                self.times.push(at);
                Ok(at)
            }
        }
    }

    /// Whether everything was read.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that are left.
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], UnpackError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(UnpackError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64, UnpackError> {
        match self.bytes {
            [byte, rest @ ..] if byte & 0x80 == 0 => {
                self.bytes = rest;
                Ok(unzigzag(u64::from(*byte)))
            }
            _ => self.long_of_many_bytes(),
        }
    }

    fn long_of_many_bytes(&mut self) -> Result<i64, UnpackError> {
        let low = |byte: &u8| u64::from(byte & 0x7f);
        let (bits, rest) = match self.bytes {
            [a, b, rest @ ..] if *b < 0x80 => (low(a) | u64::from(*b) << 7, rest),
            [a, b, c, rest @ ..] if *c < 0x80 => (low(a) | low(b) << 7 | u64::from(*c) << 14, rest),
            [a, b, c, d, rest @ ..] if *d < 0x80 => {
                (low(a) | low(b) << 7 | low(c) << 14 | u64::from(*d) << 21, rest)
            }
            _ => return self.long_byte_by_byte(),
        };
        self.bytes = rest;
        Ok(unzigzag(bits))
    }

    fn long_byte_by_byte(&mut self) -> Result<i64, UnpackError> {
        let bytes = self.bytes;
        let mut bits = 0_u64;
        let mut shift = 0;
        for (index, byte) in bytes.iter().enumerate() {
            // Of the tenth byte there is room for one bit.
            if shift == 63 && *byte > 1 {
                return Err(UnpackError::Invalid);
            }
            bits |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                self.bytes = &bytes[index + 1..];
                return Ok(unzigzag(bits));
            }
            shift += 7;
            if shift >= 64 {
                return Err(UnpackError::Invalid);
            }
        }
        Err(UnpackError::Truncated)
    }

    pub(crate) fn number<T: TryFrom<i64>>(&mut self) -> Result<T, UnpackError> {
        T::try_from(self.long()?).map_err(|_| UnpackError::Invalid)
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, UnpackError> {
        match self.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(UnpackError::Invalid),
        }
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, UnpackError> {
        let length = self.number()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| UnpackError::Invalid)
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], UnpackError> {
        self.take(N)?.try_into().map_err(|_| UnpackError::Truncated)
    }

    pub(crate) fn hash(&mut self) -> Result<u64, UnpackError> {
        self.low_bytes::<ID_HASH_BYTES>()
    }

    fn low_bytes<const N: usize>(&mut self) -> Result<u64, UnpackError> {
        if let Some((bytes, _)) = self.bytes.split_first_chunk::<8>() {
            self.bytes = &self.bytes[N..];
            return Ok(u64::from_be_bytes(*bytes) >> (64 - 8 * N));
        }
        let bytes = self.fixed::<N>()?;
        Ok(bytes.iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte)))
    }

    pub(crate) fn event_hash(&mut self) -> Result<u64, UnpackError> {
        self.low_bytes::<EVENT_HASH_BYTES>()
    }

    pub(crate) fn array<T>(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<T, UnpackError>,
    ) -> Result<Vec<T>, UnpackError> {
        let mut items = Vec::new();
        self.array_into(&mut items, item)?;
        Ok(items)
    }

    /// Appends the items of an array, with room for one more.
    pub(crate) fn array_into<T>(
        &mut self,
        items: &mut Vec<T>,
        mut item: impl FnMut(&mut Self) -> Result<T, UnpackError>,
    ) -> Result<(), UnpackError> {
        while let Some(count) = self.block()? {
            items.reserve(count + 1);
            for _ in 0..count {
                items.push(item(self)?);
            }
        }
        Ok(())
    }

    /// Reads every item of an array.
    pub(crate) fn items(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), UnpackError>,
    ) -> Result<(), UnpackError> {
        while let Some(count) = self.block()? {
            for _ in 0..count {
                item(self)?;
            }
        }
        Ok(())
    }

    /// The number of items in the next block of an array; `None` at its end.
    pub(crate) fn block(&mut self) -> Result<Option<usize>, UnpackError> {
        match self.number()? {
            0 => Ok(None),
            // Every item takes at least one byte, so a larger count is a lie.
            count if count > self.bytes.len() => Err(UnpackError::Truncated),
            count => Ok(Some(count)),
        }
    }

    pub(crate) fn option<T>(
        &mut self,
        some: impl FnOnce(&mut Self) -> Result<T, UnpackError>,
    ) -> Result<Option<T>, UnpackError> {
        match self.long()? {
            0 => Ok(None),
            1 => some(self).map(Some),
            _ => Err(UnpackError::Invalid),
        }
    }
}

const fn unzigzag(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()
}

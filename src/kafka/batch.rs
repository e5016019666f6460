//! Records by the batch, straight from librdkafka's partition queues: the one module with
//! `unsafe` code.
//!
//! A batch costs a third of what polling records one by one does. Never lets a pointer out: what
//! leaves is a [`FetchedRecord`], which frees its message when dropped, and copies. Miri runs it on
//! stand-ins for librdkafka (`make check-miri`, `batch/stand_in.rs`).
//! Next: `group.rs` and `changelog.rs`, which read through it.

#![expect(unsafe_code, reason = "rdkafka offers neither batches nor a position by partition")]

use crate::domain::time::Timestamp;
use crate::runtime::broker::Record;
use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_consume_batch_queue, rd_kafka_message_destroy, rd_kafka_message_errstr,
    rd_kafka_message_t, rd_kafka_message_timestamp, rd_kafka_position, rd_kafka_queue_destroy,
    rd_kafka_queue_get_partition, rd_kafka_queue_t, rd_kafka_resp_err_t, rd_kafka_t,
    rd_kafka_timestamp_type_t,
};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use std::ffi::{CStr, CString, c_int};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A message of librdkafka's; null is `None` of an `Option`.
#[repr(transparent)]
struct Message(NonNull<rd_kafka_message_t>);

// SAFETY: a message is owned by whoever holds its pointer and is bound to no thread.
unsafe impl Send for Message {}

impl Message {
    fn head(&self) -> &rd_kafka_message_t {
        // SAFETY: the pointer came from librdkafka, is ours alone, and is freed only in `drop`.
        unsafe { self.0.as_ref() }
    }

    /// Why it is no record. A broker may say numbers that this version of the bindings has no
    /// name for, and librdkafka hands them on: the field is not to be read as their enum.
    fn error(&self) -> Option<RDKafkaErrorCode> {
        // SAFETY: as in `head`; an enum of C is as large as an `i32`, and any is one.
        let code = unsafe { (&raw const (*self.0.as_ptr()).err).cast::<i32>().read() };
        match rd_kafka_resp_err_t::try_from(code) {
            Ok(rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR) => None,
            Ok(code) => Some(code.into()),
            Err(_) => Some(RDKafkaErrorCode::Unknown),
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: ours alone, and nothing refers to it after this.
        unsafe { rd_kafka_message_destroy(self.0.as_ptr()) };
    }
}

/// A record in librdkafka's memory.
///
/// Every record has to be dropped before the broker it came from: a consumer with records
/// outstanding waits for them for ever when it is dropped. Debug builds count them.
pub struct FetchedRecord {
    message: Message,
    #[cfg(debug_assertions)]
    live: Arc<AtomicUsize>,
}

impl Record for FetchedRecord {
    fn key(&self) -> Option<&[u8]> {
        let message = self.message.head();
        // SAFETY: `key` is null or points to `key_len` bytes that live as long as the message.
        unsafe { bytes(message.key.cast(), message.key_len) }
    }

    fn value(&self) -> Option<&[u8]> {
        let message = self.message.head();
        // SAFETY: `payload` is null or points to `len` bytes that live as long as the message.
        unsafe { bytes(message.payload.cast(), message.len) }
    }

    fn offset(&self) -> i64 {
        self.message.head().offset
    }

    fn timestamp(&self) -> Option<Timestamp> {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive, `kind` outlives the call.
        let ms = unsafe { rd_kafka_message_timestamp(self.message.0.as_ptr(), &raw mut kind) };
        (kind != rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && ms >= 0)
            .then_some(Timestamp(ms))
    }
}

impl std::fmt::Debug for FetchedRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FetchedRecord").field("offset", &self.offset()).finish()
    }
}

#[cfg(debug_assertions)]
impl Drop for FetchedRecord {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// # Safety
/// `start` is null or points to `len` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: promised by the caller; null is never made a slice.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, len) })
}

/// An error that came in a partition's queue, in place of a record.
pub(crate) struct QueueError {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) text: String,
}

/// A partition's queue.
struct RecordQueue {
    handle: NonNull<rd_kafka_queue_t>,
    /// Owns what it has, so that a receiver that panics leaves no message behind.
    buffer: Vec<Option<Message>>,
    #[cfg(debug_assertions)]
    live: Arc<AtomicUsize>,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for RecordQueue {}

impl RecordQueue {
    /// # Safety
    /// The handle is the caller's to give away, and its consumer lives longer than what is made.
    unsafe fn new(handle: NonNull<rd_kafka_queue_t>) -> Self {
        Self {
            handle,
            buffer: Vec::new(),
            #[cfg(debug_assertions)]
            live: Arc::default(),
        }
    }

    fn fetch(
        &mut self,
        max: usize,
        wait: Duration,
        mut deliver: impl FnMut(FetchedRecord),
    ) -> Vec<QueueError> {
        let wait_ms = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        self.buffer.reserve(max);
        // SAFETY: the handle is alive; the buffer has room for `max` messages, each laid out as its
        // pointer.
        let count = unsafe {
            rd_kafka_consume_batch_queue(
                self.handle.as_ptr(),
                wait_ms,
                self.buffer.as_mut_ptr().cast(),
                max,
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: librdkafka wrote that many pointers, and left what they point to to us.
        unsafe { self.buffer.set_len(count) };
        let mut errors = Vec::new();
        for message in self.buffer.drain(..).flatten() {
            #[cfg(debug_assertions)]
            self.live.fetch_add(1, Ordering::Relaxed);
            let record = FetchedRecord {
                message,
                #[cfg(debug_assertions)]
                live: Arc::clone(&self.live),
            };
            match record.message.error() {
                None => deliver(record),
                Some(code) => errors.push(queue_error(&record, code)),
            }
        }
        errors
    }
}

impl Drop for RecordQueue {
    fn drop(&mut self) {
        // SAFETY: given away in `new`, destroyed once, before its consumer.
        unsafe { rd_kafka_queue_destroy(self.handle.as_ptr()) };
    }
}

/// One partition of a consumer, read through a queue of its own.
pub(crate) struct PartitionReader<C: ConsumerContext> {
    // Before the consumer, which a queue must not outlive.
    records: RecordQueue,
    /// One element, this partition, for asking the position without building a list each time.
    own: TopicPartitionList,
    // Carries the callback that wakes the worker.
    queue: PartitionQueue<C>,
    consumer: Arc<BaseConsumer<C>>,
}

impl<C: ConsumerContext> PartitionReader<C> {
    /// Splits the partition off, so that none of its records come through `consumer.poll`. To be
    /// called before the partition is assigned. `None` when librdkafka knows no such partition.
    pub(crate) fn split(
        consumer: &Arc<BaseConsumer<C>>,
        topic: &str,
        partition: i32,
    ) -> Option<Self> {
        let queue = consumer.split_partition_queue(topic, partition)?;
        let name = CString::new(topic).ok()?;
        // SAFETY: client and name are alive during the call; the handle is ours to destroy, which
        // happens before the consumer, held beside it, is dropped.
        let records = unsafe {
            let client = consumer.client().native_ptr();
            let handle = rd_kafka_queue_get_partition(client, name.as_ptr(), partition);
            RecordQueue::new(NonNull::new(handle)?)
        };
        let mut own = TopicPartitionList::with_capacity(1);
        own.add_partition(topic, partition);
        Some(Self { records, own, queue, consumer: Arc::clone(consumer) })
    }

    /// Calls `wake` from a thread of librdkafka whenever the queue becomes nonempty.
    pub(crate) fn on_records(&mut self, wake: impl Fn() + Send + Sync + 'static) {
        self.queue.set_nonempty_callback(wake);
    }

    /// Hands at most `max` records to `deliver`, in offset order, waiting at most `wait` for the
    /// first. Errors that lay between them are returned.
    pub(crate) fn fetch(
        &mut self,
        max: usize,
        wait: Duration,
        deliver: impl FnMut(FetchedRecord),
    ) -> Vec<QueueError> {
        self.records.fetch(max, wait, deliver)
    }

    /// Next offset after all that [`Self::fetch`] has taken, control and aborted records
    /// included; `None` until the first of them after an assignment or a seek.
    pub(crate) fn position(&mut self) -> Option<i64> {
        // SAFETY: the client lives as long as the consumer.
        unsafe { position(self.consumer.client().native_ptr(), &mut self.own) }
    }

    /// Records of this reader that are still alive; debug builds only.
    #[cfg(debug_assertions)]
    pub(crate) fn live_records(&self) -> usize {
        self.records.live.load(Ordering::Relaxed)
    }
}

/// The position of the one partition in a list.
///
/// # Safety
/// The client is alive.
unsafe fn position(client: *mut rd_kafka_t, own: &mut TopicPartitionList) -> Option<i64> {
    // SAFETY: the client is alive by the caller's promise, the list is not shared.
    let code = unsafe { rd_kafka_position(client, own.ptr()) };
    if code != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return None;
    }
    match own.elements().first()?.offset() {
        rdkafka::Offset::Offset(next) => Some(next),
        _ => None,
    }
}

fn queue_error(record: &FetchedRecord, code: RDKafkaErrorCode) -> QueueError {
    // SAFETY: the message is alive; the text, if any, is a C string that lives as long.
    let text = unsafe {
        let text = rd_kafka_message_errstr(record.message.0.as_ptr());
        if text.is_null() {
            String::new()
        } else {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    };
    QueueError { code, text }
}

/// The metadata string at `index` of a list; `None` when it has none or it is not UTF-8 (on which
/// rdkafka's own accessor panics).
pub(crate) fn offset_metadata(list: &TopicPartitionList, index: usize) -> Option<String> {
    if index >= list.count() {
        return None;
    }
    // SAFETY: the list has more than `index` elements, and its metadata is null or points to
    // `metadata_size` bytes; both live as long as the list, which is borrowed.
    let metadata = unsafe {
        let element = (*list.ptr()).elems.add(index);
        bytes((*element).metadata.cast(), (*element).metadata_size)?
    };
    str::from_utf8(metadata).ok().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(all(test, miri))]
mod stand_in;
#[cfg(test)]
mod tests;

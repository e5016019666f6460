//! What Miri calls in librdkafka's place: messages, queues and lists on Rust's heap.
//!
//! Everything is an allocation of its own, of the very size that is told, so that Miri sees each
//! read past an end, each use of what was freed, and what is never freed. Never part of the
//! program nor of a plain `cargo test`, and no model of Kafka: a queue has what a test put there.
//! Next: `tests.rs`, which fills queues.

#![expect(unsafe_op_in_unsafe_fn, reason = "each function relies on what librdkafka's callers owe")]

use rdkafka::bindings::{
    rd_kafka_message_t, rd_kafka_queue_t, rd_kafka_resp_err_t, rd_kafka_t,
    rd_kafka_timestamp_type_t, rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_t,
};
use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem;
use std::ptr::{self, NonNull};

/// What a message is made of.
#[derive(Clone, Copy)]
pub(super) struct Content {
    pub(super) key: Option<&'static [u8]>,
    /// The value of a record; of an error its text, with the zero at its end.
    pub(super) value: Option<&'static [u8]>,
    pub(super) offset: i64,
    pub(super) timestamp: (rd_kafka_timestamp_type_t, i64),
    /// A number of `rd_kafka_resp_err_t`, or one that it does not name.
    pub(super) err: i32,
}

/// A message as it lies in memory: what callers see, and what is behind it.
#[repr(C)]
struct Message {
    head: rd_kafka_message_t,
    timestamp: (rd_kafka_timestamp_type_t, i64),
}

struct Queue {
    waiting: VecDeque<*mut rd_kafka_message_t>,
}

/// What a client says of the position in every partition.
pub(super) struct Client {
    pub(super) next_offset: i64,
    pub(super) err: rd_kafka_resp_err_t,
}

/// A queue with these messages, which is its owner's to destroy.
pub(super) fn queue(contents: &[Content]) -> NonNull<rd_kafka_queue_t> {
    let waiting = contents.iter().copied().map(message).collect();
    NonNull::from(Box::leak(Box::new(Queue { waiting }))).cast()
}

fn message(content: Content) -> *mut rd_kafka_message_t {
    let (key, key_len) = allocated(content.key);
    let (payload, len) = allocated(content.value);
    let head = rd_kafka_message_t {
        err: rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
        rkt: ptr::null_mut(),
        partition: 0,
        payload,
        len,
        key,
        key_len,
        offset: content.offset,
        _private: ptr::null_mut(),
    };
    let message = Box::into_raw(Box::new(Message { head, timestamp: content.timestamp }));
    // SAFETY: the message is ours; librdkafka may put any number there.
    unsafe { (&raw mut (*message).head.err).cast::<i32>().write(content.err) };
    message.cast()
}

fn allocated(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    bytes.map_or((ptr::null_mut(), 0), |bytes| {
        (Box::into_raw(Box::<[u8]>::from(bytes)).cast(), bytes.len())
    })
}

unsafe fn free_allocated(start: *mut c_void, len: usize) {
    if !start.is_null() {
        drop(Box::from_raw(ptr::slice_from_raw_parts_mut(start.cast::<u8>(), len)));
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rd_kafka_consume_batch_queue(
    queue: *mut rd_kafka_queue_t,
    _timeout_ms: c_int,
    messages: *mut *mut rd_kafka_message_t,
    size: usize,
) -> isize {
    let waiting = &mut (*queue.cast::<Queue>()).waiting;
    let mut count = 0;
    for message in waiting.drain(..size.min(waiting.len())) {
        messages.offset(count).write(message);
        count += 1;
    }
    count
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rd_kafka_queue_destroy(queue: *mut rd_kafka_queue_t) {
    for message in Box::from_raw(queue.cast::<Queue>()).waiting {
        rd_kafka_message_destroy(message);
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rd_kafka_message_destroy(message: *mut rd_kafka_message_t) {
    let message = Box::from_raw(message.cast::<Message>());
    free_allocated(message.head.key, message.head.key_len);
    free_allocated(message.head.payload, message.head.len);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rd_kafka_message_errstr(message: *const rd_kafka_message_t) -> *const c_char {
    (*message).payload.cast()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rd_kafka_message_timestamp(
    message: *const rd_kafka_message_t,
    kind: *mut rd_kafka_timestamp_type_t,
) -> i64 {
    let (known, ms) = (*message.cast::<Message>()).timestamp;
    kind.write(known);
    ms
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rd_kafka_position(
    client: *mut rd_kafka_t,
    list: *mut rd_kafka_topic_partition_list_t,
) -> rd_kafka_resp_err_t {
    let client = &*client.cast::<Client>();
    let mut elements = take_elements(list);
    elements.iter_mut().for_each(|element| element.offset = client.next_offset);
    put_elements(list, elements);
    client.err
}

#[unsafe(no_mangle)]
extern "C" fn rd_kafka_topic_partition_list_new(
    size: c_int,
) -> *mut rd_kafka_topic_partition_list_t {
    let empty = rd_kafka_topic_partition_list_t { cnt: 0, size: 0, elems: ptr::null_mut() };
    let list = Box::into_raw(Box::new(empty));
    let elements = Vec::with_capacity(usize::try_from(size).expect("a size"));
    // SAFETY: the list is ours, and has no elements yet.
    unsafe { put_elements(list, elements) };
    list
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rd_kafka_topic_partition_list_add(
    list: *mut rd_kafka_topic_partition_list_t,
    topic: *const c_char,
    partition: i32,
) -> *mut rd_kafka_topic_partition_t {
    let mut elements = take_elements(list);
    elements.push(rd_kafka_topic_partition_t {
        topic: CStr::from_ptr(topic).to_owned().into_raw(),
        partition,
        offset: i64::from(rdkafka::bindings::RD_KAFKA_OFFSET_INVALID),
        metadata: ptr::null_mut(),
        metadata_size: 0,
        opaque: ptr::null_mut(),
        err: rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
        _private: ptr::null_mut(),
    });
    let last = elements.len() - 1;
    put_elements(list, elements);
    (*list).elems.add(last)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rd_kafka_topic_partition_list_destroy(
    list: *mut rd_kafka_topic_partition_list_t,
) {
    unsafe extern "C" {
        fn free(start: *mut c_void);
    }
    for element in take_elements(list) {
        drop(CString::from_raw(element.topic));
        // From rdkafka, which takes C's memory for it.
        free(element.metadata);
    }
    drop(Box::from_raw(list));
}

unsafe fn take_elements(
    list: *mut rd_kafka_topic_partition_list_t,
) -> Vec<rd_kafka_topic_partition_t> {
    let length = usize::try_from((*list).cnt).expect("a length");
    let capacity = usize::try_from((*list).size).expect("a capacity");
    Vec::from_raw_parts((*list).elems, length, capacity)
}

unsafe fn put_elements(
    list: *mut rd_kafka_topic_partition_list_t,
    mut elements: Vec<rd_kafka_topic_partition_t>,
) {
    (*list).cnt = c_int::try_from(elements.len()).expect("few elements");
    (*list).size = c_int::try_from(elements.capacity()).expect("few elements");
    (*list).elems = elements.as_mut_ptr();
    mem::forget(elements);
}

//! Pointers into librdkafka's memory. `cargo test` runs what the library itself can be asked
//! for, Miri (`make check-miri`) everything, on stand-ins for the library.

use super::*;

/// A list with an element for each text.
fn list_with(metadata: &[&str]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(metadata.len());
    for text in metadata {
        list.add_partition("orders", 0).set_metadata(text);
    }
    list
}

#[test]
fn metadata_is_read_up_to_its_end() {
    let list = list_with(&["1700000000000,7", "", "é"]);
    assert_eq!(offset_metadata(&list, 0).as_deref(), Some("1700000000000,7"));
    assert_eq!(offset_metadata(&list, 1), None);
    assert_eq!(offset_metadata(&list, 2).as_deref(), Some("é"));
}

#[test]
fn metadata_that_is_not_there_is_none() {
    let mut list = TopicPartitionList::with_capacity(1);
    assert_eq!(offset_metadata(&list, 0), None, "no element");
    list.add_partition("orders", 0);
    assert_eq!(offset_metadata(&list, 0), None, "an element without metadata");
    assert_eq!(offset_metadata(&list, 1), None, "behind the last element");
}

#[test]
fn metadata_that_is_not_utf_8_is_none() {
    let list = list_with(&["7", "8"]);
    // SAFETY: the list has two elements, the metadata of the first one byte.
    unsafe { (*(*list.ptr()).elems).metadata.cast::<u8>().write(0xff) };
    assert_eq!(offset_metadata(&list, 0), None);
    assert_eq!(offset_metadata(&list, 1).as_deref(), Some("8"));
}

#[cfg(miri)]
mod fetched {
    use super::super::stand_in::{self, Client, Content};
    use super::*;
    use rdkafka::bindings::RD_KAFKA_OFFSET_INVALID;
    use rdkafka::bindings::rd_kafka_resp_err_t::{
        RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
        RD_KAFKA_RESP_ERR__STATE, RD_KAFKA_RESP_ERR_NO_ERROR,
    };
    use rdkafka::bindings::rd_kafka_timestamp_type_t::{
        RD_KAFKA_TIMESTAMP_CREATE_TIME, RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME,
        RD_KAFKA_TIMESTAMP_NOT_AVAILABLE,
    };
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    /// A number that a broker may say and the bindings do not name.
    const NAMELESS: i32 = 30_000;

    /// A record with key and value.
    fn record(offset: i64) -> Content {
        Content {
            key: Some(b"customer"),
            value: Some(b"order"),
            offset,
            timestamp: (RD_KAFKA_TIMESTAMP_CREATE_TIME, 1_000 + offset),
            err: RD_KAFKA_RESP_ERR_NO_ERROR as i32,
        }
    }

    /// What comes in place of a record.
    fn error(err: i32, text: Option<&'static [u8]>) -> Content {
        let timestamp = (RD_KAFKA_TIMESTAMP_NOT_AVAILABLE, -1);
        Content { key: None, value: text, timestamp, err, ..record(0) }
    }

    fn queue(contents: &[Content]) -> RecordQueue {
        // SAFETY: nobody else has the handle.
        unsafe { RecordQueue::new(stand_in::queue(contents)) }
    }

    fn fetch(queue: &mut RecordQueue, max: usize) -> (Vec<FetchedRecord>, Vec<QueueError>) {
        let mut records = Vec::new();
        let errors = queue.fetch(max, Duration::ZERO, |record| records.push(record));
        (records, errors)
    }

    fn offsets(records: &[FetchedRecord]) -> Vec<i64> {
        records.iter().map(FetchedRecord::offset).collect()
    }

    fn live(queue: &RecordQueue) -> usize {
        queue.live.load(Ordering::Relaxed)
    }

    #[test]
    fn a_record_is_what_its_message_has() {
        let bare = Content { key: None, value: None, ..record(8) };
        let empty = Content { key: Some(b""), value: Some(b""), ..record(9) };
        let mut queue = queue(&[record(7), bare, empty]);
        let (records, errors) = fetch(&mut queue, 10);
        assert!(errors.is_empty());
        assert_eq!(offsets(&records), [7, 8, 9]);
        let keys: Vec<_> = records.iter().map(FetchedRecord::key).collect();
        assert_eq!(keys, [Some(b"customer".as_slice()), None, Some(b"")]);
        let values: Vec<_> = records.iter().map(FetchedRecord::value).collect();
        assert_eq!(values, [Some(b"order".as_slice()), None, Some(b"")]);
        assert_eq!(format!("{:?}", records[0]), "FetchedRecord { offset: 7 }");
    }

    #[test]
    fn a_timestamp_is_one_of_either_kind() {
        let cases = [
            (RD_KAFKA_TIMESTAMP_CREATE_TIME, 1_700, Some(Timestamp(1_700))),
            (RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME, 0, Some(Timestamp(0))),
            (RD_KAFKA_TIMESTAMP_CREATE_TIME, -1, None),
            (RD_KAFKA_TIMESTAMP_NOT_AVAILABLE, 1_700, None),
        ];
        let contents = cases.map(|(kind, ms, _)| Content { timestamp: (kind, ms), ..record(0) });
        let (records, _) = fetch(&mut queue(&contents), cases.len());
        let timestamps: Vec<_> = records.iter().map(FetchedRecord::timestamp).collect();
        assert_eq!(timestamps, cases.map(|(.., timestamp)| timestamp));
    }

    #[test]
    fn the_buffer_is_filled_and_emptied_by_batches_of_any_size() {
        let mut queue = queue(&[0, 1, 2, 3, 4, 5, 6].map(record));
        let mut taken = Vec::new();
        for (max, expected) in [(5, 5), (0, 0), (1, 1), (9, 1), (9, 0)] {
            let (records, errors) = fetch(&mut queue, max);
            assert_eq!((records.len(), errors.len()), (expected, 0), "at most {max}");
            assert!(queue.buffer.is_empty());
            taken.extend(records);
        }
        assert_eq!(offsets(&taken), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn errors_come_apart_from_the_records_between_which_they_lay() {
        let mut queue = queue(&[
            record(0),
            error(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN as i32, Some(b"3/3 brokers are down\0")),
            record(1),
            error(RD_KAFKA_RESP_ERR__STATE as i32, None),
            error(NAMELESS, Some(b"newer than the client\0")),
            error(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET as i32, Some(b"\xff\0")),
        ]);
        let (records, errors) = fetch(&mut queue, 10);
        assert_eq!(offsets(&records), [0, 1]);
        let errors: Vec<_> = errors.iter().map(|error| (error.code, error.text.as_str())).collect();
        assert_eq!(
            errors,
            [
                (RDKafkaErrorCode::AllBrokersDown, "3/3 brokers are down"),
                (RDKafkaErrorCode::State, ""),
                (RDKafkaErrorCode::Unknown, "newer than the client"),
                (RDKafkaErrorCode::AutoOffsetReset, "\u{fffd}"),
            ]
        );
        assert_eq!(live(&queue), 2, "errors are no records");
    }

    #[test]
    fn records_outlive_their_queue_and_what_was_not_fetched_goes_with_it() {
        let mut queue = queue(&[0, 1, 2].map(record));
        let (mut records, _) = fetch(&mut queue, 2);
        assert_eq!(live(&queue), 2);
        records.truncate(1);
        assert_eq!(live(&queue), 1);
        drop(queue);
        assert_eq!(records[0].value(), Some(b"order".as_slice()));
    }

    #[test]
    fn a_receiver_that_panics_leaves_no_record_behind() {
        let mut queue = queue(&[0, 1, 2].map(record));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            queue.fetch(2, Duration::ZERO, |record| panic!("at {}", record.offset()))
        }));
        assert!(panicked.is_err());
        let (records, _) = fetch(&mut queue, 2);
        assert_eq!(offsets(&records), [2]);
        assert_eq!(live(&queue), 1);
    }

    #[test]
    fn queues_and_records_go_to_other_threads() {
        let mut queue = queue(&[0, 1, 2].map(record));
        let (here, _) = fetch(&mut queue, 1);
        let there = thread::spawn(move || {
            let (records, _) = fetch(&mut queue, 1);
            (queue, here, records)
        });
        let (mut queue, mut records, more) = there.join().expect("no panic");
        records.extend(more);
        let (last, _) = fetch(&mut queue, 1);
        thread::spawn(move || drop(last)).join().expect("no panic");
        assert_eq!(offsets(&records), [0, 1]);
        assert_eq!(live(&queue), 2);
    }

    #[test]
    fn a_position_is_an_offset_or_none() {
        let mut own = list_with(&["7"]);
        let mut ask = |next_offset, err| {
            let mut client = Client { next_offset, err };
            // SAFETY: a client is what the stand-in takes it for.
            unsafe { position((&raw mut client).cast(), &mut own) }
        };
        assert_eq!(ask(42, RD_KAFKA_RESP_ERR_NO_ERROR), Some(42));
        assert_eq!(ask(43, RD_KAFKA_RESP_ERR__STATE), None, "refused");
        assert_eq!(ask(i64::from(RD_KAFKA_OFFSET_INVALID), RD_KAFKA_RESP_ERR_NO_ERROR), None);
        assert_eq!(ask(0, RD_KAFKA_RESP_ERR_NO_ERROR), Some(0));
    }
}

//! Lines of JSON, each an event of one of the record types, one after the other into one task.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ebbflow_fuzz::json(data));

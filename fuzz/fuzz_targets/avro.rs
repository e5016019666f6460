//! Single-object encoding: any bytes, and any datum behind the right header.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ebbflow_fuzz::avro(data));

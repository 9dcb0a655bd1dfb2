#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| hps_core::properties::kv_text(input));

#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| ips_server::properties::adoption(input));

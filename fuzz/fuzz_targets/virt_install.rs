#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| node_tool::properties::virt_install(input));

//! The framer of server-sent events.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turnpike::wire::Framing;

fuzz_target!(|bytes: &[u8]| turnpike_fuzz::frames(Framing::Sse, bytes));

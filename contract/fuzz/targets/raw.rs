//! Any bytes as a body of any format.
#![no_main]

#[path = "agreement.rs"]
mod agreement;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [format, size, body @ ..] = data else { return };
    let (format, _) = agreement::body(usize::from(*format));
    agreement::check(format, body, usize::from(*size) + 1);
});

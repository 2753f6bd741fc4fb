//! A good body of each format, with a few bytes changed, inserted or taken out.
#![no_main]

#[path = "agreement.rs"]
mod agreement;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [format, size, changes @ ..] = data else { return };
    let (format, mut body) = agreement::body(usize::from(*format));
    for change in changes.chunks_exact(4).take(32) {
        let &[high, low, byte, how] = change else { continue };
        if body.is_empty() {
            break;
        }
        let at = usize::from(u16::from_be_bytes([high, low])) % body.len();
        match how % 4 {
            0 => body[at] = byte,
            1 => body.insert(at, byte),
            2 => drop(body.remove(at)),
            // A piece of it again, as repeated fields and rows are.
            _ => {
                let end = (at + usize::from(byte)).min(body.len());
                let piece = body[at..end].to_vec();
                body.splice(at..at, piece);
            }
        }
    }
    agreement::check(format, &body, usize::from(*size) + 1);
});

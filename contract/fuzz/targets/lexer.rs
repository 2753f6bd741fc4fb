//! Any bytes, against `serde_json`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_contract::json::{Error, Event, Lexer, Plain, Scalar};

/// How many scalars there are, and how it ended; with `plain`, numbers are passed over where they may be, and
/// lists of so many of them.
fn read(chunks: &[&[u8]], plain: Option<&Plain>, width: Option<u64>) -> (u64, Result<(), Error>) {
    let mut lexer = Lexer::default();
    let mut scalars = 0;
    let mut read = || -> Result<(), Error> {
        for chunk in chunks {
            let mut at = 0;
            loop {
                if let Some(plain) = plain {
                    scalars += lexer.lists(chunk, &mut at, plain, width)?.numbers;
                    scalars += lexer.numbers(chunk, &mut at, plain)?;
                }
                match lexer.next(chunk, &mut at)? {
                    Some(event) => scalars += u64::from(matches!(event, Event::Scalar(_))),
                    None => break,
                }
            }
        }
        if let Some(event) = lexer.finish()? {
            scalars += u64::from(matches!(event, Event::Scalar(_)));
        }
        Ok(())
    };
    let read = read();
    (scalars, read)
}

/// Whether a text has a number that is not finite, as Python writes them, which only we accept.
fn beyond_json(text: &[u8]) -> bool {
    let mut lexer = Lexer::default();
    let mut at = 0;
    while let Ok(Some(event)) = lexer.next(text, &mut at) {
        if matches!(event, Event::Scalar(Scalar::NotFinite(_))) {
            return true;
        }
    }
    false
}

fuzz_target!(|data: &[u8]| {
    let [size, kind, text @ ..] = data else { return };
    let size = usize::from(*size) + 1;
    let range = (kind & 4 != 0).then_some((-100.0, 1000.0));
    let max_digits = if kind & 8 != 0 { 3 } else { u32::MAX };
    let plain = Plain { whole: kind & 1 != 0, negative: kind & 2 != 0, max_digits, range };
    let width = (kind & 16 != 0).then_some(u64::from(kind >> 5));
    let (scalars, whole) = read(&[text], None, None);
    let chunks: Vec<&[u8]> = text.chunks(size).collect();
    for (chunks, plain) in
        [(&chunks[..], None), (&[text][..], Some(&plain)), (&chunks[..], Some(&plain))]
    {
        let (others, other) = read(chunks, plain, width);
        assert_eq!(other, whole);
        assert!(whole.is_err() || others == scalars);
    }
    match (serde_json::from_slice::<serde_json::Value>(text), whole) {
        (Ok(_), Err(Error::TooDeep { .. })) => {}
        (Ok(_), read) => assert_eq!(read, Ok(())),
        (Err(_), Err(_)) => {}
        (Err(error), Ok(())) => {
            // The size of a number is no part of the grammar.
            let size = error.to_string().contains("number out of range");
            let deep = error.to_string().contains("recursion limit");
            assert!(size || deep || beyond_json(text), "{error}");
        }
    }
});

//! Members of an object and numbers of a list that lie whole and plain in a chunk, at a glance: most of a
//! record and of a tensor does. It does not know what else there may be; [`Lexer::next`] does.

use super::{Expect, Inside, Lexer, MAX_TOKEN_BYTES, Number, Scalar, Text, block, number, text};
use crate::words::same;

impl Lexer {
    /// The value of an object's next member, where that has this key (with its quotes and colon), and
    /// a value that holds no others begins and ends in the chunk. `None`, and nothing is passed over, where
    /// it is not, has blanks in unusual places, or a text is longer than what is kept or has a letter by its
    /// number.
    #[inline]
    pub fn member<'a>(
        &'a mut self,
        chunk: &'a [u8],
        at: &mut usize,
        key: &[u8],
    ) -> Option<Scalar<'a>> {
        let mut rest = chunk.get(*at..)?;
        match (self.expect, self.inside) {
            _ if self.error.is_some() => return None,
            (Expect::FirstKey, Inside::Nothing) => {}
            (Expect::CommaOrEnd, Inside::Nothing) if self.objects & 1 == 1 => {
                rest = rest.strip_prefix(b",")?;
            }
            _ => return None,
        }
        let (start, rest) = behind_blank(rest).split_at_checked(key.len())?;
        if !same(start, key) {
            return None;
        }
        let expect = &mut self.expect;
        let (value, rest) = scalar(behind_blank(rest), &mut self.kept)?;
        *at = chunk.len() - rest.len();
        *expect = Expect::CommaOrEnd;
        Some(value)
    }

    /// A list's next element, where that is a number without exponent that begins and ends in the chunk.
    /// `None`, and nothing is passed over, where it is not, or has blanks in unusual places.
    #[inline]
    pub fn element<'a>(&mut self, chunk: &'a [u8], at: &mut usize) -> Option<Number<'a>> {
        let mut rest = chunk.get(*at..)?;
        match (self.expect, self.inside) {
            _ if self.error.is_some() => return None,
            (Expect::FirstElement, Inside::Nothing) => {}
            (Expect::CommaOrEnd, Inside::Nothing) if self.objects & 1 == 0 => {
                rest = rest.strip_prefix(b",")?;
            }
            _ => return None,
        }
        let (number, rest) = plain_number(behind_blank(rest))?;
        *at = chunk.len() - rest.len();
        self.expect = Expect::CommaOrEnd;
        Some(number)
    }
}

fn behind_blank(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b" ").unwrap_or(bytes)
}

/// The value that these bytes begin with, and what follows it.
#[inline]
fn scalar<'a>(bytes: &'a [u8], kept: &'a mut String) -> Option<(Scalar<'a>, &'a [u8])> {
    match bytes {
        [b'"', text @ ..] => {
            let (plain, rest) = text.split_at(block::plain_ascii(text));
            let (text, rest) = match rest {
                [b'"', rest @ ..] => (short(plain)?, rest),
                _ => resolved(text, kept)?,
            };
            Some((Scalar::Text(Text { text, cut: false }), rest))
        }
        [b'-' | b'0'..=b'9', ..] => {
            plain_number(bytes).map(|(number, rest)| (Scalar::Number(number), rest))
        }
        [b't', b'r', b'u', b'e', rest @ ..] => Some((Scalar::Bool(true), rest)),
        [b'f', b'a', b'l', b's', b'e', rest @ ..] => Some((Scalar::Bool(false), rest)),
        [b'n', b'u', b'l', b'l', rest @ ..] => Some((Scalar::Null, rest)),
        _ => None,
    }
}

/// The number without exponent that these bytes begin with, and what follows it.
#[inline]
fn plain_number(bytes: &[u8]) -> Option<(Number<'_>, &[u8])> {
    let (form, length) = number::whole(bytes)?;
    let (text, rest) = bytes.split_at(length);
    Some((Number { text: short(text)?, form, cut: false }, rest))
}

/// Plain ASCII as a text, if it is so short that it is kept whole.
#[inline]
fn short(ascii: &[u8]) -> Option<&str> {
    // SAFETY: ASCII is UTF-8.
    (ascii.len() <= MAX_TOKEN_BYTES).then(|| unsafe { str::from_utf8_unchecked(ascii) })
}

/// A text that is not plain ASCII, its escapes resolved, and what follows it.
#[inline(never)]
fn resolved<'a>(mut bytes: &'a [u8], kept: &'a mut String) -> Option<(&'a str, &'a [u8])> {
    kept.clear();
    loop {
        let (run, rest) = bytes.split_at(text::plain(bytes));
        if kept.len() + run.len() > MAX_TOKEN_BYTES {
            return None;
        }
        kept.push_str(str::from_utf8(run).ok()?);
        match rest {
            [b'"', rest @ ..] => return Some((kept, rest)),
            [b'\\', escape, rest @ ..] if kept.len() < MAX_TOKEN_BYTES => {
                kept.push(text::plain_escape(*escape)?);
                bytes = rest;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Error, Event};

    /// The events in words, what a glance finds first, how often it found something, and how it ended.
    fn events(
        chunks: [&[u8]; 2],
        glance: impl Fn(&mut Lexer, &[u8], &mut usize) -> Option<Vec<String>>,
    ) -> (Vec<String>, usize, Option<Error>) {
        let (mut lexer, mut events, mut found) = (Lexer::default(), Vec::new(), 0);
        for chunk in chunks {
            let mut at = 0;
            loop {
                if let Some(seen) = glance(&mut lexer, chunk, &mut at) {
                    events.extend(seen);
                    found += 1;
                    continue;
                }
                match lexer.next(chunk, &mut at) {
                    Ok(Some(Event::Key(key))) => events.push(format!("{:?}", key.text)),
                    Ok(Some(Event::Scalar(value))) => events.push(format!("{value:?}")),
                    Ok(Some(event)) => events.push(format!("{event:?}")),
                    Ok(None) => break,
                    Err(error) => return (events, found, Some(error)),
                }
            }
        }
        (events, found, lexer.finish().err())
    }

    /// Holds that a glance changes nothing, wherever a body is cut, and finds so much in the whole.
    fn holds(
        body: &str,
        expected: usize,
        glance: impl Fn(&mut Lexer, &[u8], &mut usize) -> Option<Vec<String>>,
    ) {
        let bytes = body.as_bytes();
        let (events_alone, _, error_alone) = events([bytes, &[]], |_, _, _| None);
        for cut in 0..=bytes.len() {
            let (read, _, error) = events(bytes.split_at(cut).into(), &glance);
            assert_eq!((&read, error), (&events_alone, error_alone), "{body} cut at {cut}");
        }
        assert_eq!(events([bytes, &[]], &glance).1, expected, "{body}");
    }

    #[test]
    fn an_element_is_what_its_events_say_however_the_body_is_cut() {
        let long = format!("[{},1]", "7".repeat(MAX_TOKEN_BYTES + 1));
        let bodies = [
            ("[1,-0.5,[2, 3.25],4]", 5),
            ("[ 1,  2,3 ,4]", 2),
            (r#"[1e5,"a",7,null,{"a":1,"b":[0]}]"#, 2),
            ("[01,1]", 0),
            ("[1.,1]", 0),
            ("[1,]", 1),
            ("[1 2]", 1),
            ("1,2", 0),
            ("[1],2", 1),
            (r#"{"a":1,2}"#, 0),
            (&long, 1),
        ];
        for (body, elements) in bodies {
            holds(body, elements, |lexer, chunk, at| {
                let number = lexer.element(chunk, at)?;
                Some(vec![format!("{:?}", Scalar::Number(number))])
            });
        }
    }

    #[test]
    fn a_member_is_what_its_events_say_however_the_body_is_cut() {
        let long = format!(r#"{{"a":"{}","b c":1}}"#, "x".repeat(300));
        let escaped = format!(r#"{{"a":"{}\n","b c":1}}"#, "x".repeat(MAX_TOKEN_BYTES));
        let bodies = [
            (r#"{"a":1,"b c":"some words","a":-0.5,"b c":true,"a":null,"b c":false }"#, 6),
            (r#"{"a": 12.25, "b c": "", "a":123456789012345678,"b c":0,"a":"é","b c":-7}"#, 6),
            (r#"{"a":"\n","b c":[1,{"a":2}],"a":{"b c":3},"other":4,"a":1e5,"a":0.}"#, 3),
            (r#"{"a":"say \"é\\\" \/","b c":"\u00e9","a":"\x"}"#, 1),
            (r#"{"a":01,"b c":1}"#, 0),
            (r#"{"a":1.,"b c":1}"#, 0),
            (r#"{"a":truer,"b c":1}"#, 1),
            (r#"["a":1]"#, 0),
            (r#"{"a" :1 ,"b c" : 2,  "a":3}"#, 0),
            (r#"{"a":1 "b c":2}"#, 1),
            (&long, 1),
            (&escaped, 1),
        ];
        for (body, members) in bodies {
            holds(body, members, |lexer, chunk, at| {
                [r#""a":"#, r#""b c":"#].into_iter().find_map(|key| {
                    let value = lexer.member(chunk, at, key.as_bytes())?;
                    Some(vec![format!("{:?}", &key[1..key.len() - 2]), format!("{value:?}")])
                })
            });
        }
    }
}

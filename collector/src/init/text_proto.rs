//! The text format of Protocol Buffers, read into JSON: config.pbtxt of Triton, schema.pbtxt of TensorFlow Data
//! Validation. A field that comes several times is a list. It knows no message.
//! <https://protobuf.dev/reference/protobuf/textformat-spec>

use serde_json::{Map, Number, Value};

/// How deep messages may stand in each other.
const MAX_DEPTH: usize = 32;

/// Why a text is none.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("line {line}: expected {expected}")]
pub(super) struct TextError {
    line: usize,
    expected: &'static str,
}

/// Reads a message.
pub(super) fn read(text: &str) -> Result<Value, TextError> {
    let mut reader = Reader { rest: text, length: text, depth: 0 };
    let message = reader.message(None)?;
    Ok(message)
}

/// All values of a field, which may be one or a list.
pub(super) fn all(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    }
}

struct Reader<'a> {
    rest: &'a str,
    length: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, expected: &'static str) -> TextError {
        let read = &self.length[..self.length.len() - self.rest.len()];
        TextError { line: read.matches('\n').count() + 1, expected }
    }

    /// Passes over blanks, comments and the separators that say nothing.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return,
            }
        }
    }

    fn take(&mut self, sign: char) -> bool {
        self.skip();
        let taken = self.rest.strip_prefix(sign);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn word(&mut self) -> &'a str {
        let part = |c: char| c.is_alphanumeric() || "_-+.".contains(c);
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn message(&mut self, close: Option<char>) -> Result<Value, TextError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("messages less deep within each other"));
        }
        let mut fields = Map::new();
        loop {
            while self.take(',') {}
            match close {
                Some(close) if self.take(close) => break,
                None if self.rest.is_empty() => break,
                _ => {}
            }
            let name = self.word().to_owned();
            if name.is_empty() {
                return Err(self.error("the name of a field"));
            }
            let colon = self.take(':');
            let value = self.value(colon)?;
            match fields.get_mut(&name) {
                None => {
                    fields.insert(name, value);
                }
                Some(known) => {
                    let mut values = match known.take() {
                        Value::Array(values) => values,
                        one => vec![one],
                    };
                    match value {
                        Value::Array(more) => values.extend(more),
                        one => values.push(one),
                    }
                    *known = Value::Array(values);
                }
            }
        }
        self.depth -= 1;
        Ok(Value::Object(fields))
    }

    fn value(&mut self, colon: bool) -> Result<Value, TextError> {
        if self.take('{') {
            return self.message(Some('}'));
        }
        if self.take('<') {
            return self.message(Some('>'));
        }
        if self.take('[') {
            let mut values = Vec::new();
            while !self.take(']') {
                values.push(self.value(true)?);
                self.take(',');
            }
            return Ok(Value::Array(values));
        }
        if !colon {
            return Err(self.error("`:` or `{`"));
        }
        if let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            return self.text(quote);
        }
        match self.word() {
            "" => Err(self.error("a value")),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            word => Ok(number(word).map_or_else(|| Value::String(word.to_owned()), Value::Number)),
        }
    }

    fn text(&mut self, quote: char) -> Result<Value, TextError> {
        let mut text = String::new();
        let mut letters = self.rest[1..].char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                letter if letter == quote => {
                    self.rest = &self.rest[1 + at + letter.len_utf8()..];
                    return Ok(Value::String(text));
                }
                letter => text.push(letter),
            }
        }
        Err(self.error("the end of a text"))
    }
}

fn number(word: &str) -> Option<Number> {
    if let Ok(whole) = word.parse::<i64>() {
        return Some(whole.into());
    }
    let digits = word.starts_with(|c: char| c.is_ascii_digit() || "-.".contains(c));
    word.trim_end_matches('f').parse().ok().filter(|_| digits).and_then(Number::from_f64)
}

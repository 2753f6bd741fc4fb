//! JSON for `diff` and for eyes: what has parts of its own takes a line for each of them, and small
//! objects deep inside take one line. It does not know what is written.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Objects deeper than this take one line.
const DEEPEST: usize = 4;

/// The value as JSON that ends with a line feed.
///
/// # Errors
/// When the value is none that JSON has.
pub(super) fn written(value: &impl Serialize) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Lines::default()))?;
    bytes.push(b'\n');
    // The serializer writes UTF-8 only.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Counts how deep the writer is inside, and whether the innermost has elements.
#[derive(Default)]
struct Lines {
    depth: usize,
    filled: bool,
}

impl Lines {
    fn indent<W: ?Sized + Write>(&self, to: &mut W) -> io::Result<()> {
        to.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| to.write_all(b"  "))
    }

    fn begin<W: ?Sized + Write>(&mut self, to: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        to.write_all(bracket)
    }

    fn end<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        bracket: &[u8],
        lines: bool,
    ) -> io::Result<()> {
        self.depth -= 1;
        if self.filled && lines {
            self.indent(to)?;
        }
        self.filled = true;
        to.write_all(bracket)
    }

    fn element<W: ?Sized + Write>(&self, to: &mut W, first: bool, lines: bool) -> io::Result<()> {
        match (first, lines) {
            (true, true) => self.indent(to),
            (true, false) => Ok(()),
            (false, true) => to.write_all(b",").and_then(|()| self.indent(to)),
            (false, false) => to.write_all(b", "),
        }
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.begin(to, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.end(to, b"]", true)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.element(to, first, true)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.begin(to, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        let lines = self.depth <= DEEPEST;
        self.end(to, b"}", lines)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.element(to, first, self.depth <= DEEPEST)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::written;

    #[test]
    fn parts_take_lines_and_small_objects_deep_inside_one() {
        let value =
            json!({"a": [], "b": [{"c": {"d": {"e": 1, "f": 2}, "g": [{"h": 3, "i": 4}]}}]});
        let text = "{\n  \"a\": [],\n  \"b\": [\n    {\n      \"c\": {\n        \"d\": {\"e\": 1, \"f\": 2},\n        \"g\": [\n          {\"h\": 3, \"i\": 4}\n        ]\n      }\n    }\n  ]\n}\n";
        assert_eq!(written(&value).expect("JSON"), text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(text).expect("JSON"), value);
    }
}

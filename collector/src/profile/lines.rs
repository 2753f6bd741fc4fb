//! JSON for `diff` and for eyes: what has parts of its own takes a line for each of them, and objects deep
//! inside take one line with all that is in them, as does a list in a list. It does not know what is written.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// The value as JSON that ends with a line feed. Objects within more than `deepest` others and lists
/// take one line.
///
/// # Errors
/// When the value is none that JSON has.
pub(super) fn written(value: &impl Serialize, deepest: usize) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    let lines = Lines { inside: Vec::new(), filled: false, deepest };
    value.serialize(&mut Serializer::with_formatter(&mut bytes, lines))?;
    bytes.push(b'\n');
    // The serializer writes UTF-8 only.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the writer is inside of.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Object,
    List,
    /// A list in a list.
    Row,
}

/// Remembers what the writer is inside of, and whether the innermost has elements.
struct Lines {
    inside: Vec<Inside>,
    filled: bool,
    deepest: usize,
}

impl Lines {
    fn indent<W: ?Sized + Write>(&self, to: &mut W) -> io::Result<()> {
        to.write_all(b"\n")?;
        self.inside.iter().try_for_each(|_| to.write_all(b" "))
    }

    /// Whether each element of the innermost takes a line.
    fn lines(&self) -> bool {
        let deep = self.inside.iter().skip(self.deepest).any(|inside| *inside == Inside::Object);
        !deep && self.inside.last() != Some(&Inside::Row)
    }

    fn begin<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        inside: Inside,
        bracket: &[u8],
    ) -> io::Result<()> {
        self.inside.push(inside);
        self.filled = false;
        to.write_all(bracket)
    }

    fn end<W: ?Sized + Write>(&mut self, to: &mut W, bracket: &[u8]) -> io::Result<()> {
        let lines = self.lines();
        self.inside.pop();
        if self.filled && lines {
            self.indent(to)?;
        }
        self.filled = true;
        to.write_all(bracket)
    }

    fn element<W: ?Sized + Write>(&self, to: &mut W, first: bool) -> io::Result<()> {
        match (first, self.lines()) {
            (true, true) => self.indent(to),
            (true, false) => Ok(()),
            (false, true) => to.write_all(b",").and_then(|()| self.indent(to)),
            (false, false) => to.write_all(b", "),
        }
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        let row = matches!(self.inside.last(), Some(Inside::List | Inside::Row));
        self.begin(to, if row { Inside::Row } else { Inside::List }, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.end(to, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.element(to, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.begin(to, Inside::Object, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.end(to, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.element(to, first)
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
        let text = "{\n \"a\": [],\n \"b\": [\n  {\n   \"c\": {\n    \"d\": {\"e\": 1, \"f\": 2},\n    \"g\": [\n     {\"h\": 3, \"i\": 4}\n    ]\n   }\n  }\n ]\n}\n";
        assert_eq!(written(&value, 4).expect("JSON"), text);
        let short = "{\n \"a\": [],\n \"b\": [\n  {\"c\": {\"d\": {\"e\": 1, \"f\": 2}, \"g\": [{\"h\": 3, \"i\": 4}]}}\n ]\n}\n";
        assert_eq!(written(&value, 2).expect("JSON"), short);
        assert_eq!(serde_json::from_str::<serde_json::Value>(text).expect("JSON"), value);
    }

    #[test]
    fn a_row_of_a_matrix_takes_one_line() {
        let value = json!({"m": [[1, 2], [3, null]], "n": ["a", "b"]});
        let text =
            "{\n \"m\": [\n  [1, 2],\n  [3, null]\n ],\n \"n\": [\n  \"a\",\n  \"b\"\n ]\n}\n";
        assert_eq!(written(&value, 4).expect("JSON"), text);
    }
}

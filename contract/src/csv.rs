//! A table as CSV (RFC 4180) with a header line, as pandas reads it: a cell of a field of texts is a
//! text, and any other is a number where it is written as one; an empty cell is null. It does not know
//! which columns there should be.

use crate::json::{Form, MAX_TOKEN_BYTES, Number, Scalar, Text};
use crate::rows::{Broken, Content, Rows};

/// Columns that a table may have.
const MAX_COLUMNS: usize = 16 << 10;
/// What pandas takes for no value, beside nothing (`na_values` of `read_csv`).
const NULLS: [&str; 18] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Reads the bytes of one body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    columns: Vec<Box<str>>,
    /// Whether the header line has ended.
    headed: bool,
    /// The place of the next cell in its line.
    place: usize,
    at: At,
    /// The cell so far, up to what is kept of a text.
    cell: Vec<u8>,
    cut: bool,
    read: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// Before a line; true after a carriage return, which a line feed may follow.
    #[default]
    Line,
    /// Before a cell.
    Cell,
    Plain,
    Quoted,
    /// After a quote within quotes: an end, or half of a quote that is meant.
    Quote,
}

impl Reader {
    pub(crate) fn feed(&mut self, chunk: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        for &byte in chunk {
            self.byte(byte, rows)?;
            self.read += 1;
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        match self.at {
            At::Line => {}
            At::Quoted => return Err(self.broken("the table ends within quotes")),
            At::Cell | At::Plain | At::Quote => self.line_end(rows)?,
        }
        if !self.headed {
            return Err(Broken::Missing("header line"));
        }
        rows.whole(Content::Records);
        Ok(())
    }

    fn broken(&self, what: &'static str) -> Broken {
        Broken::Bytes { at: self.read, what }
    }

    fn byte(&mut self, byte: u8, rows: &mut impl Rows) -> Result<(), Broken> {
        match (self.at, byte) {
            // Empty lines say nothing, and the second half of CRLF is one.
            (At::Line, b'\n' | b'\r') => {}
            (At::Line, byte) => {
                self.place = 0;
                self.at = At::Cell;
                if self.headed {
                    rows.record();
                }
                return self.byte(byte, rows);
            }
            (At::Cell, b'"') => {
                self.at = At::Quoted;
            }
            (At::Quoted, b'"') => self.at = At::Quote,
            (At::Quote, b'"') => {
                self.keep(byte);
                self.at = At::Quoted;
            }
            (At::Quoted, byte) => self.keep(byte),
            (At::Cell | At::Plain | At::Quote, b',') => {
                self.cell_end(rows)?;
                self.at = At::Cell;
            }
            (At::Cell | At::Plain | At::Quote, b'\n' | b'\r') => self.line_end(rows)?,
            (At::Quote, _) => return Err(self.broken("a comma or a line's end after quotes")),
            (At::Cell | At::Plain, byte) => {
                self.keep(byte);
                self.at = At::Plain;
            }
        }
        Ok(())
    }

    fn keep(&mut self, byte: u8) {
        if self.cell.len() < MAX_TOKEN_BYTES {
            self.cell.push(byte);
        } else {
            self.cut = true;
        }
    }

    fn line_end(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        self.cell_end(rows)?;
        self.at = At::Line;
        if self.headed {
            rows.record_end();
        }
        self.headed = true;
        Ok(())
    }

    fn cell_end(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        let bytes = std::mem::take(&mut self.cell);
        let cut = std::mem::take(&mut self.cut);
        // What is kept may end within a character.
        let text = match str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) if cut && error.error_len().is_none() => {
                str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => return Err(self.broken("a cell that is not UTF-8")),
        };
        if !self.headed {
            if self.columns.len() == MAX_COLUMNS {
                return Err(Broken::TooMany { what: "columns", most: MAX_COLUMNS });
            }
            self.columns.push(text.trim_start_matches('\u{feff}').into());
            return Ok(());
        }
        let Some(name) = self.columns.get(self.place) else {
            let (place, expected) = ("a line", "as long as the header");
            return Err(Broken::Envelope { place, expected });
        };
        self.place += 1;
        rows.field(Text { text: name, cut: false });
        if rows.takes_text() && !is_null(text) {
            rows.scalar(&Scalar::Text(Text { text, cut }));
        } else {
            rows.scalar(&cell(text, cut));
        }
        self.cell = bytes;
        self.cell.clear();
        Ok(())
    }
}

/// What a cell says where nobody knows that it is a text. Quotes say nothing of types.
fn cell(text: &str, cut: bool) -> Scalar<'_> {
    if is_null(text) {
        return Scalar::Null;
    }
    let any_case = |word: &str| text.eq_ignore_ascii_case(word);
    match text {
        "True" | "true" | "TRUE" => return Scalar::Bool(true),
        "False" | "false" | "FALSE" => return Scalar::Bool(false),
        _ if any_case("inf") || any_case("infinity") => return Scalar::NotFinite(f64::INFINITY),
        _ if any_case("-inf") || any_case("-infinity") => {
            return Scalar::NotFinite(f64::NEG_INFINITY);
        }
        _ => {}
    }
    let number = text.trim_matches([' ', '\t']);
    let unsigned = number.strip_prefix('+').filter(|it| !it.starts_with('-'));
    let number = unsigned.unwrap_or(number);
    match form(number) {
        Some(form) => Scalar::Number(Number { text: number, form, cut }),
        None => Scalar::Text(Text { text, cut }),
    }
}

fn is_null(text: &str) -> bool {
    text.is_empty() || NULLS.contains(&text)
}

/// How a number is written; `None` for what is none. More is taken than JSON's grammar has: zeros in
/// front, a point at either end.
fn form(text: &str) -> Option<Form> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // Rust reads words such as `nan` too.
    digits.strip_prefix('.').unwrap_or(digits).bytes().next().filter(u8::is_ascii_digit)?;
    let form = match (text.contains(['e', 'E']), text.contains('.')) {
        (true, _) => Form::Exponent,
        (false, true) => Form::Fraction,
        (false, false) => Form::Whole,
    };
    text.parse::<f64>().ok().map(|_| form)
}

//! The judge: listens to a reader and notes every breach of the rules, the first few in words. It
//! does not know bytes, nor what is done about a breach.

use std::fmt::{self, Display};
use std::sync::Arc;

use crate::check::{MAX_KEPT, Verdict};
use crate::contract::Datatype;
use crate::json::{self, Scalar, Text};
use crate::protocol::{Protocol, Side};
use crate::rows::{Broken, Rows, Shape, Tensor, Values};
use crate::rules::{self, Fields, Rules};
use crate::violation::{Kind, Violation};

/// How many characters of what came are told.
const MAX_GOT_CHARS: usize = 64;

/// Judges one body.
#[derive(Debug)]
pub(crate) struct Judge {
    rules: Option<Arc<Rules>>,
    protocol: Protocol,
    side: Side,
    verdict: Verdict,
    /// One bit for each field that came, in this record or among the tensors.
    seen: Vec<u64>,
    /// The field that likely comes next.
    hint: usize,
    /// The field that came last, if the rules know it.
    field: Option<usize>,
    /// Whether its values are judged.
    judging: bool,
    row: u64,
    tensor: Progress,
}

/// How far the values of a tensor have come.
#[derive(Debug, Default)]
struct Progress {
    count: u64,
    /// Values so far in this row.
    column: u64,
    /// Values of a whole row.
    width: u64,
    /// Values that the shape asks for; `None` when that cannot be counted.
    size: Option<u64>,
    /// The datatype, when it is for whole numbers.
    datatype: Option<Datatype>,
}

impl Judge {
    pub(crate) fn new(rules: Option<Arc<Rules>>, protocol: Protocol, side: Side) -> Self {
        // A side without fields asks for nothing.
        let rules = rules.filter(|rules| !rules.of_side(side).fields.is_empty());
        let fields = rules.as_ref().map_or(0, |rules| rules.of_side(side).fields.len());
        Self {
            rules,
            protocol,
            side,
            verdict: Verdict::default(),
            seen: vec![0; fields.div_ceil(64)],
            hint: 0,
            field: None,
            judging: false,
            row: 0,
            tensor: Progress::default(),
        }
    }

    pub(crate) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The body cannot be read on.
    pub(crate) fn broken(&mut self, broken: &Broken) {
        let kind = match broken {
            Broken::Json(json::Error::TooDeep { .. }) => Kind::BodyTooDeep,
            Broken::Json(json::Error::InvalidUtf8 { .. }) => Kind::EnumTypeInvalidUtf8,
            _ => Kind::BodyUnreadable,
        };
        let expected = match (broken, self.protocol, self.side) {
            (Broken::Json(_), _, _) => "a whole JSON text",
            (_, Protocol::Json, _) => "JSON: one object of named fields, or an array of such",
            (_, Protocol::Oip, Side::Request) => "an inference request of the V2 protocol",
            (_, Protocol::Oip, Side::Response) => "an inference response of the V2 protocol",
        };
        self.verdict.unreadable = true;
        note(&mut self.verdict, kind, "", None, &expected, broken);
    }

    fn fields(&self) -> Option<&Fields> {
        self.rules.as_ref().map(|rules| rules.of_side(self.side))
    }

    /// Turns to the field of this name; false when its values are not to be judged.
    fn turn_to(&mut self, name: Text<'_>, row: Option<u64>) -> bool {
        self.field = None;
        let Some(rules) = &self.rules else { return false };
        let fields = rules.of_side(self.side);
        let Some(place) = fields.find(name, self.hint) else {
            if !fields.allow_unknown {
                let expected = "no field of this name";
                note(&mut self.verdict, Kind::SchemaNewColumn, name.text, row, &expected, &"one");
            }
            return false;
        };
        self.field = Some(place);
        self.hint = place + 1;
        let bit = 1 << (place % 64);
        let repeated = self.seen[place / 64] & bit != 0;
        self.seen[place / 64] |= bit;
        if repeated {
            note(
                &mut self.verdict,
                Kind::FieldRepeated,
                name.text,
                row,
                &"the field once",
                &"twice",
            );
        }
        !repeated
    }

    /// Notes every required field that did not come, and forgets which did.
    fn missing(&mut self, row: Option<u64>) {
        let Some(rules) = &self.rules else { return };
        let fields = rules.of_side(self.side);
        for (word, (seen, required)) in self.seen.iter().zip(&fields.required).enumerate() {
            let mut absent = required & !seen;
            let verdict = &mut self.verdict;
            // Past what is kept they are only counted: a body of empty records costs no more.
            while absent != 0 && verdict.violations.len() < MAX_KEPT {
                let rule = &fields.fields[word * 64 + absent.trailing_zeros() as usize];
                let (kind, name) = (Kind::SchemaMissingColumn, &rule.name);
                note(verdict, kind, name, row, &rule.expected, &"nothing");
                absent &= absent - 1;
            }
            verdict.count += u64::from(absent.count_ones());
        }
        self.seen.fill(0);
        self.hint = 0;
    }

    /// The row of the value that came now.
    fn step(&mut self) -> u64 {
        let row = self.row;
        if self.protocol == Protocol::Oip {
            self.tensor.count += 1;
            self.tensor.column += 1;
            if self.tensor.column >= self.tensor.width {
                self.tensor.column = 0;
                self.row += 1;
            }
        }
        row
    }
}

impl Rows for Judge {
    fn record(&mut self) {
        self.verdict.rows += 1;
    }

    fn field(&mut self, name: Text<'_>) {
        self.judging = self.turn_to(name, Some(self.row));
    }

    fn record_end(&mut self) {
        self.missing(Some(self.row));
        self.row += 1;
    }

    fn tensor(&mut self, tensor: Tensor<'_>) {
        self.row = 0;
        let datatype = tensor.datatype.and_then(Datatype::parse);
        self.tensor = Progress {
            count: 0,
            column: 0,
            width: tensor.shape.width().unwrap_or(1),
            size: tensor.shape.size(),
            datatype: datatype.filter(|datatype| datatype.range().is_some()),
        };
        self.judging = self.turn_to(tensor.name, None);
        let (Some(rules), Some(place)) = (&self.rules, self.field) else { return };
        let rule = &rules.of_side(self.side).fields[place];
        if !datatype.is_some_and(|datatype| rule.takes(datatype)) {
            // Its values are of another kind altogether; each would only say so again.
            self.judging = false;
            let (expected, got) = (rule.datatypes(), tensor.datatype.unwrap_or("none"));
            note(&mut self.verdict, Kind::UnexpectedDataType, &rule.name, None, &expected, &got);
        }
        if !rule.fits(tensor.shape) {
            let expected = rule.shapes();
            let got = Extents(tensor.shape);
            note(&mut self.verdict, Kind::InvalidFeatureShape, &rule.name, None, &expected, &got);
        }
    }

    fn tensor_end(&mut self, values: Values) {
        if values == Values::Elsewhere {
            return;
        }
        let rows = self.row + u64::from(self.tensor.column > 0);
        self.verdict.rows = self.verdict.rows.max(rows);
        let (Some(fields), Some(place)) = (self.fields(), self.field) else { return };
        let count = self.tensor.count;
        let kind = match self.tensor.size {
            Some(size) if size == count => return,
            Some(size) if count < size => Kind::FeatureTypeLowNumberValues,
            Some(_) => Kind::FeatureTypeHighNumberValues,
            None => return,
        };
        let name = fields.fields[place].name.clone();
        let expected = format!("{} values, as its shape says", self.tensor.size.unwrap_or(0));
        note(&mut self.verdict, kind, &name, None, &expected, &format_args!("{count} values"));
    }

    fn scalar(&mut self, value: Scalar<'_>) {
        let row = self.step();
        let (true, Some(rules), Some(place)) = (self.judging, &self.rules, self.field) else {
            return;
        };
        let rule = &rules.of_side(self.side).fields[place];
        if let Some(kind) = rule.breach(value) {
            note(&mut self.verdict, kind, &rule.name, Some(row), &rule.expected, &Got(value));
        } else if let (Some(datatype), Scalar::Number(number)) = (self.tensor.datatype, value)
            && let Some(kind) = rules::misfit(datatype, number)
        {
            let (least, greatest) = datatype.range().unwrap_or_default();
            let expected = format_args!("{} from {least} to {greatest}", datatype.name());
            note(&mut self.verdict, kind, &rule.name, Some(row), &expected, &Got(value));
        }
    }

    fn nested(&mut self) {
        let row = self.step();
        let (true, Some(rules), Some(place)) = (self.judging, &self.rules, self.field) else {
            return;
        };
        let rule = &rules.of_side(self.side).fields[place];
        let got = "an object or array";
        note(&mut self.verdict, rule.other(), &rule.name, Some(row), &rule.expected, &got);
    }

    fn whole(&mut self) {
        if self.protocol == Protocol::Oip {
            self.missing(None);
        }
    }
}

/// Counts a breach, and keeps it in words if there is room.
fn note(
    verdict: &mut Verdict,
    kind: Kind,
    field: &str,
    row: Option<u64>,
    expected: &dyn Display,
    got: &dyn Display,
) {
    verdict.count += 1;
    if verdict.violations.len() < MAX_KEPT {
        verdict.violations.push(Violation {
            kind,
            field: field.to_owned(),
            row,
            expected: expected.to_string(),
            got: got.to_string(),
        });
    }
}

/// A value as it came, a long one cut.
struct Got<'a>(Scalar<'a>);

impl Display for Got<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Scalar::Null => f.write_str("null"),
            Scalar::Bool(value) => value.fmt(f),
            Scalar::Number(number) => start(number.text, number.cut, f),
            Scalar::Text(text) => {
                f.write_str("\"")?;
                start(text.text, text.cut, f)?;
                f.write_str("\"")
            }
        }
    }
}

fn start(text: &str, cut: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let end = text.char_indices().nth(MAX_GOT_CHARS).map_or(text.len(), |(end, _)| end);
    f.write_str(&text[..end])?;
    if cut || end < text.len() { f.write_str("...") } else { Ok(()) }
}

/// A shape as it came.
struct Extents<'a>(Shape<'a>);

impl Display for Extents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Shape::Missing => f.write_str("none"),
            Shape::Malformed => f.write_str("something else"),
            Shape::Known(extents) => write!(f, "shape {extents:?}"),
        }
    }
}

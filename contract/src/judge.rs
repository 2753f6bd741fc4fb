//! The judge: listens to a reader and notes every breach of the rules, the first few in words. It
//! does not know bytes, nor what is done about a breach.

use std::fmt::{self, Display};
use std::sync::Arc;

use crate::check::{MAX_KEPT, Verdict};
use crate::contract::{Datatype, Mode};
use crate::json::{self, Plain, Scalar, Text};
use crate::lone::Lone;
use crate::protocol::Side;
use crate::rows::{self, Broken, Content, MAX_RANK, Raw, Rows, Shape, Tensor, Values};
use crate::rules::{self, ANY_NUMBER, Fields, Rule, Rules};
use crate::violation::{Kind, Violation};

/// How many characters of what came are told.
const MAX_GOT_CHARS: usize = 64;
const NO_FIELD: &str = "no field of this name";
/// How many pairs of field and kind are told of one body.
const MAX_BREACHES: usize = 32;
/// Values of a raw tensor that are looked at together.
const BLOCK_VALUES: usize = 2048;

/// Judges one body.
#[derive(Debug)]
pub(crate) struct Judge {
    /// What is asked of this side; `None` where that is nothing.
    fields: Option<Arc<Fields>>,
    /// What is done about a breach of a field that does not say it itself.
    mode: Mode,
    /// What the body should be, in words.
    expected: &'static str,
    verdict: Verdict,
    /// One bit for each field that came, in this record or among the tensors.
    seen: Vec<u64>,
    /// One bit for each field that was missing before.
    missed: Vec<u64>,
    /// The field that likely comes next.
    hint: usize,
    /// The field that came last, if the rules know it.
    field: Option<usize>,
    /// Whether its values are judged.
    judging: bool,
    /// Whether it is a record's, and one value: most are.
    simple: bool,
    /// Which of its numbers need no look.
    plain: Option<Plain>,
    /// The name that came last, if fields stand in it.
    parent: String,
    /// The name that came last, if it is no field's.
    unknown: String,
    /// Such names that came before any field of the record, the first few, and how many more.
    strangers: Vec<String>,
    more_strangers: u64,
    /// In a row without names: the place of the next value.
    place: Option<usize>,
    row: u64,
    /// Rows of the messages before this one, in a stream.
    before: u64,
    nest: Nest,
    tensor: Option<Progress>,
}

/// The lists that stand around the next value, within a field.
#[derive(Debug, Default)]
struct Nest {
    depth: usize,
    /// How many elements each has so far, the outermost first.
    counts: [u64; MAX_RANK],
    /// Whether the shape was found wrong in this row already.
    misshapen: bool,
    /// Whether nothing but values stands in the innermost one so far.
    flat: bool,
    /// How many values the list had that ended last, where it had nothing else, and the right shape.
    alike: Option<u64>,
}

impl Nest {
    /// Counts elements of the innermost list.
    fn add(&mut self, count: u64) {
        if let Some(innermost) = self.depth.checked_sub(1).and_then(|at| self.counts.get_mut(at)) {
            *innermost += count;
        }
    }
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
    /// Whether the lists around the values say what a row is.
    nested: bool,
    /// Whether the values say how many rows there are.
    open: bool,
}

impl Judge {
    pub(crate) fn new(
        rules: Option<Arc<Rules>>,
        mode: Mode,
        expected: &'static str,
        side: Side,
    ) -> Self {
        let fields = rules.map(|rules| Arc::clone(rules.of_side(side)));
        let fields = fields.filter(|fields| !fields.fields.is_empty());
        let words = fields.as_ref().map_or(0, |fields| fields.fields.len().div_ceil(64));
        Self {
            fields,
            mode,
            expected,
            verdict: Verdict::default(),
            seen: vec![0; words],
            missed: vec![0; words],
            hint: 0,
            field: None,
            judging: false,
            simple: false,
            plain: Some(ANY_NUMBER),
            parent: String::new(),
            unknown: String::new(),
            strangers: Vec::new(),
            more_strangers: 0,
            place: None,
            row: 0,
            before: 0,
            nest: Nest::default(),
            tensor: None,
        }
    }

    pub(crate) fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
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
        let expected = match broken {
            Broken::Json(_) => "a whole JSON text",
            _ => self.expected,
        };
        self.verdict.unreadable = true;
        note(&mut self.verdict, self.mode, None, kind, "", None, &expected, broken);
    }

    /// The name of the field that likely comes next.
    pub(crate) fn expected_name(&self) -> &str {
        let rule = self.fields.as_ref().and_then(|fields| fields.fields.get(self.hint));
        rule.map_or("", |rule| &rule.name)
    }

    /// The rule of the field at hand.
    fn rule(&self) -> Option<&Rule> {
        Some(&self.fields.as_ref()?.fields[self.field?])
    }

    /// Notes a breach of no field that the rules know.
    fn note(
        &mut self,
        kind: Kind,
        name: &str,
        row: Option<u64>,
        expected: &dyn Display,
        got: &dyn Display,
    ) {
        note(&mut self.verdict, self.mode, None, kind, name, row, expected, got);
    }

    /// Notes a breach of the field at hand.
    fn note_field(
        &mut self,
        kind: Kind,
        row: Option<u64>,
        expected: impl Fn(&Rule) -> String,
        got: &dyn Display,
    ) {
        let (Some(fields), Some(place)) = (&self.fields, self.field) else { return };
        let rule = &fields.fields[place];
        let mode = rule.mode.unwrap_or(self.mode);
        let got: &dyn Display = if rule.sensitive.is_some() { &"something else" } else { got };
        let expected = Lazy(|| expected(rule));
        note(&mut self.verdict, mode, Some(place), kind, &rule.name, row, &expected, got);
    }

    /// Turns to the field of this name; false when its values are not to be judged. Fields that
    /// stand in the objects of a list come once for each of these.
    fn turn_to(&mut self, name: Text<'_>, row: Option<u64>) -> bool {
        self.field = None;
        self.parent.clear();
        self.unknown.clear();
        self.place = None;
        let Some(fields) = &self.fields else { return false };
        let found = if name.text.is_empty() && row.is_some() && !name.cut {
            match fields.fields.len() {
                1 => Some(0),
                _ => {
                    self.place = Some(0);
                    return false;
                }
            }
        } else {
            fields.find(name, self.hint)
        };
        let Some(place) = found else {
            if !name.cut && fields.is_parent(name.text) {
                self.parent.push_str(name.text);
            } else if !fields.allow_unknown && row.is_some() && !name.cut {
                // What kind of value it has may still say that it is no field.
                self.unknown.push_str(name.text);
            } else if !fields.allow_unknown {
                self.note(Kind::SchemaNewColumn, name.text, row, &NO_FIELD, &"one");
            }
            return false;
        };
        self.field = Some(place);
        self.hint = place + 1;
        let bit = 1 << (place % 64);
        let repeated = self.seen[place / 64] & bit != 0 && !name.text.contains("[].");
        self.seen[place / 64] |= bit;
        if repeated {
            self.note_field(Kind::FieldRepeated, row, |_| "the field once".to_owned(), &"twice");
        }
        !repeated
    }

    /// The values that come are of this field of a record.
    #[inline]
    fn turned_to(&mut self, place: usize) {
        self.field = Some(place);
        self.judging = true;
        self.place = None;
        self.parent.clear();
        self.unknown.clear();
        self.nest.depth = 0;
        self.nest.misshapen = false;
        self.simple = self.rule().is_some_and(|rule| rule.simple);
    }

    /// Notes the field that nobody knows, now that it has a value. Before any that is known it may
    /// only stand beside a list of the rows.
    fn note_unknown(&mut self) {
        if self.unknown.is_empty() {
            return;
        }
        let name = std::mem::take(&mut self.unknown);
        if self.seen.iter().any(|seen| *seen != 0) {
            self.note(Kind::SchemaNewColumn, &name, Some(self.row), &NO_FIELD, &"one");
        } else if self.strangers.len() < MAX_KEPT {
            self.strangers.push(name);
        } else {
            self.more_strangers += 1;
        }
    }

    /// Notes the fields that nobody knows and that came before all others of the record.
    fn note_strangers(&mut self) {
        for name in std::mem::take(&mut self.strangers) {
            self.note(Kind::SchemaNewColumn, &name, Some(self.row), &NO_FIELD, &"one");
        }
        self.verdict.count += std::mem::take(&mut self.more_strangers);
    }

    /// Judges the value at this place of a row without names. False past the last field.
    fn turn_to_place(&mut self, place: usize) -> bool {
        self.place = Some(place + 1);
        let known = self.fields.as_ref().is_some_and(|fields| place < fields.fields.len());
        self.field = known.then_some(place);
        if known {
            self.seen[place / 64] |= 1 << (place % 64);
        } else if self.fields.as_ref().is_some_and(|fields| !fields.allow_unknown) {
            let count = self.fields.as_ref().map_or(0, |fields| fields.fields.len());
            let (name, row) = (format!("[{place}]"), Some(self.row));
            let expected = format!("{count} values in a row");
            self.note(Kind::SchemaNewColumn, &name, row, &expected, &"more");
        }
        known
    }

    /// Notes every required field that did not come, and forgets which did.
    fn missing(&mut self, row: Option<u64>) {
        let Some(fields) = &self.fields else { return };
        for (word, (seen, required)) in self.seen.iter().zip(&fields.required).enumerate() {
            let mut absent = required & !seen;
            // Past what is kept, what was told before is only counted: a body of empty records
            // costs no more.
            if self.verdict.violations.len() == MAX_KEPT {
                self.verdict.count += u64::from((absent & self.missed[word]).count_ones());
                absent &= !self.missed[word];
            }
            self.missed[word] |= absent;
            while absent != 0 {
                let place = word * 64 + absent.trailing_zeros() as usize;
                let rule = &fields.fields[place];
                let mode = rule.mode.unwrap_or(self.mode);
                let (kind, name) = (Kind::SchemaMissingColumn, &rule.name);
                let verdict = &mut self.verdict;
                note(verdict, mode, Some(place), kind, name, row, &rule.expected, &"nothing");
                absent &= absent - 1;
            }
        }
        self.seen.fill(0);
        self.hint = 0;
    }

    /// The row of the next values, of which so many come now.
    fn step(&mut self, count: u64) -> u64 {
        let row = self.row;
        self.nest.add(count);
        let Some(tensor) = &mut self.tensor else { return row };
        tensor.count += count;
        if tensor.nested {
            self.row += if self.nest.depth == 0 { count } else { 0 };
            return row;
        }
        tensor.column += count;
        if tensor.column >= tensor.width {
            let width = tensor.width.max(1);
            self.row += tensor.column / width;
            tensor.column %= width;
        }
        row
    }

    /// The shape asked of the value at hand within its row, and where it does not matter, `None`.
    fn asked(&self) -> Option<&[i64]> {
        let rule = self.rule()?;
        match &self.tensor {
            Some(tensor) if tensor.nested => rule.tensor_row_shape(),
            Some(_) => None,
            None => rule.rank().map(|_| rule.row_shape()),
        }
    }

    /// Notes, once for each row, that the lists of a value are not what the shape asks for.
    fn misshapen(&mut self, got: &dyn Display) {
        if self.judging && !self.nest.misshapen {
            self.nest.misshapen = true;
            let row = Some(self.row);
            self.note_field(Kind::InvalidFeatureShape, row, Rule::shapes, got);
        }
    }

    /// Judges how many rows the values of a tensor made, where its shape left it open.
    fn rows_end(&mut self, rows: u64, cut: bool) {
        let rule = self.rule();
        if cut {
            self.note_field(Kind::InvalidFeatureShape, None, Rule::shapes, &"a row cut short");
        } else if rule.is_some_and(|rule| !rule.takes_rows(rows)) {
            self.note_field(
                Kind::InvalidFeatureShape,
                None,
                Rule::shapes,
                &format_args!("{rows} rows"),
            );
        }
    }

    /// Whether a value may stand at this depth of lists.
    fn at_its_depth(&mut self) {
        let (depth, places) = (self.nest.depth, usize::from(self.place.is_some()));
        if let Some(rank) = self.asked().map(<[i64]>::len)
            && depth != rank + places
            && rank > 0
        {
            self.misshapen(&format_args!("a value within {depth} lists"));
        }
    }

    /// Turns to the next place, in a row without names; false where the value is not judged.
    fn judges_value(&mut self) -> bool {
        match self.place {
            Some(place) => self.turn_to_place(place),
            None => self.judging,
        }
    }
}

impl Rows for Judge {
    #[inline]
    fn expected(&self) -> Option<&[u8]> {
        let place = self.hint;
        let rule = self.fields.as_ref()?.fields.get(place)?;
        let seen = self.seen[place / 64] & 1 << (place % 64) != 0;
        rule.key.as_deref().filter(|_| !seen)
    }

    #[inline]
    fn came(&mut self, value: &Scalar<'_>) {
        let place = self.hint;
        self.seen[place / 64] |= 1 << (place % 64);
        self.hint = place + 1;
        let rule = self.fields.as_ref().map(|fields| &fields.fields[place]);
        // Most are, and then nothing need be remembered of them.
        if rule.is_some_and(|rule| rule.simple && rule.breach(value).is_none()) {
            return;
        }
        self.turned_to(place);
        self.scalar(value);
    }

    fn record(&mut self) {
        self.verdict.rows += 1;
        self.tensor = None;
        self.nest.alike = None;
    }

    #[inline]
    fn field(&mut self, name: Text<'_>) {
        self.judging = self.turn_to(name, Some(self.row));
        match self.field {
            Some(place) if self.judging => self.turned_to(place),
            _ => {
                self.nest.depth = 0;
                self.nest.misshapen = false;
                self.simple = false;
            }
        }
    }

    fn name(&self) -> &str {
        &self.parent
    }

    fn record_end(&mut self) {
        self.note_strangers();
        self.missing(Some(self.row));
        self.row += 1;
    }

    fn tensor(&mut self, tensor: Tensor<'_>) {
        self.row = 0;
        self.simple = false;
        self.nest.depth = 0;
        self.nest.misshapen = false;
        let datatype = tensor.datatype.and_then(Datatype::parse);
        let nested = tensor.shape == Shape::Nested;
        self.tensor = Some(Progress {
            count: 0,
            column: 0,
            width: tensor.shape.width().unwrap_or(1),
            size: tensor.shape.size(),
            datatype: datatype.filter(|datatype| datatype.range().is_some()),
            nested,
            open: matches!(tensor.shape, Shape::Open(_)),
        });
        self.judging = self.turn_to(tensor.name, None);
        self.plain = Some(ANY_NUMBER);
        let (Some(fields), Some(place)) = (self.fields.clone(), self.field) else { return };
        let rule = &fields.fields[place];
        if !nested && !datatype.is_some_and(|datatype| rule.takes(datatype)) {
            // Its values are of another kind altogether; each would only say so again.
            self.judging = false;
            let got = tensor.datatype.unwrap_or("none");
            self.note_field(Kind::UnexpectedDataType, None, Rule::datatypes, &got);
        }
        if !rule.fits(tensor.shape) {
            let got = Extents(tensor.shape);
            self.note_field(Kind::InvalidFeatureShape, None, Rule::shapes, &got);
        }
        if self.judging {
            self.plain = rule.plain(datatype);
        }
    }

    fn tensor_end(&mut self, values: Values) {
        let Some(tensor) = self.tensor.take() else { return };
        if values == Values::Elsewhere {
            return;
        }
        let rows = self.row + u64::from(tensor.column > 0);
        self.verdict.rows = self.verdict.rows.max(self.before.saturating_add(rows));
        let count = tensor.count;
        if tensor.open {
            self.rows_end(rows, tensor.column > 0);
            return;
        }
        let (size, kind) = match tensor.size {
            Some(size) if count < size => (size, Kind::FeatureTypeLowNumberValues),
            Some(size) if count > size => (size, Kind::FeatureTypeHighNumberValues),
            _ => return,
        };
        let expected = |_: &Rule| format!("{size} values, as its shape says");
        self.note_field(kind, None, expected, &format_args!("{count} values"));
    }

    #[inline]
    fn scalar(&mut self, value: &Scalar<'_>) {
        if self.simple {
            // The one value of a record's field.
            if let Some(kind) = self.rule().and_then(|rule| rule.breach(value)) {
                let row = Some(self.row);
                self.note_field(kind, row, |rule| rule.expected.to_string(), &Got(*value));
            }
            return;
        }
        self.note_unknown();
        self.at_its_depth();
        let row = self.step(1);
        if !self.parent.is_empty() && *value != Scalar::Null && !self.nest.misshapen {
            self.nest.misshapen = true;
            let (name, expected) = (self.parent.clone(), "an object or a list of objects");
            self.note(Kind::InvalidFeatureShape, &name, Some(row), &expected, &Got(*value));
        }
        if !self.judges_value() {
            return;
        }
        let Some(rule) = self.rule() else { return };
        if let Some(kind) = rule.breach(value) {
            self.note_field(kind, Some(row), |rule| rule.expected.to_string(), &Got(*value));
        } else if let Some(datatype) = self.tensor.as_ref().and_then(|tensor| tensor.datatype)
            && let Scalar::Number(number) = *value
            && let Some(kind) = rules::misfit(datatype, number)
        {
            self.note_field(kind, Some(row), |_| span(datatype), &Got(*value));
        }
    }

    fn bytes(&mut self, _bytes: &[u8], _cut: bool) {
        self.note_unknown();
        self.at_its_depth();
        let row = self.step(1);
        if !self.judges_value() {
            return;
        }
        if let Some(kind) = self.rule().and_then(Rule::breach_bytes) {
            let got = "bytes that are not UTF-8";
            self.note_field(kind, Some(row), |rule| rule.expected.to_string(), &got);
        }
    }

    fn wraps(&mut self) -> bool {
        // The only thing that came, and no field of ours: so the rows must be in it.
        let wraps = self.fields.is_some()
            && self.field.is_none()
            && self.place.is_none()
            && self.parent.is_empty()
            && self.seen.iter().all(|seen| *seen == 0);
        if wraps {
            self.unknown.clear();
            self.strangers.clear();
            self.more_strangers = 0;
            self.verdict.rows -= 1;
        }
        wraps
    }

    fn takes_lone_values(&self) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.fields.len() == 1)
    }

    fn lone(&self) -> Option<Lone> {
        self.fields.as_ref()?.lone.clone()
    }

    fn takes_text(&self) -> bool {
        self.rule().is_some_and(Rule::is_text)
    }

    fn list(&mut self) {
        self.note_unknown();
        if self.nest.depth == 0 && self.tensor.is_none() {
            self.plain = match (self.place, self.rule()) {
                (Some(_), _) => None,
                (None, Some(rule)) if self.judging => rule.plain(None),
                _ => Some(ANY_NUMBER),
            };
            self.simple = false;
        }
        self.nest.add(1);
        self.nest.depth += 1;
        self.nest.flat = true;
        self.nest.alike = None;
        if let Some(outermost) = self.nest.counts.get_mut(self.nest.depth - 1) {
            *outermost = 0;
        }
        let places = usize::from(self.place.is_some());
        let Some(rank) = self.asked().map(<[i64]>::len) else { return };
        if self.judging && self.nest.depth > rank + places {
            if rank == 0 && self.tensor.is_none() && !self.nest.misshapen {
                // A list where one value was expected is of another type, not of another shape.
                self.nest.misshapen = true;
                let row = Some(self.row);
                let kind = self.rule().map(Rule::other);
                let kind = kind.unwrap_or(Kind::InvalidFeatureShape);
                self.note_field(kind, row, |rule| rule.expected.to_string(), &"a list");
            }
            self.misshapen(&"lists within its lists");
        }
        if self.nest.misshapen {
            // Its values would only say so again.
            self.judging = false;
            self.plain = Some(ANY_NUMBER);
        }
    }

    fn list_end(&mut self) {
        let Some(depth) = self.nest.depth.checked_sub(1) else { return };
        let places = usize::from(self.place.is_some());
        let count = self.nest.counts.get(depth).copied().unwrap_or(0);
        let extent = depth.checked_sub(places).and_then(|at| self.asked()?.get(at).copied());
        if let Some(extent) = extent
            && extent >= 0
            && !u64::try_from(extent).is_ok_and(|extent| extent == count)
        {
            self.misshapen(&format_args!("{count} values where the shape has {extent}"));
        }
        let flat = std::mem::replace(&mut self.nest.flat, false);
        self.nest.alike = (flat && count > 0 && !self.nest.misshapen).then_some(count);
        self.nest.depth = depth;
        if depth > 0 {
            return;
        }
        if let Some(tensor) = &self.tensor
            && tensor.nested
        {
            self.row += 1;
            self.nest.misshapen = false;
        }
        if self.place.is_some() {
            self.place = None;
        }
    }

    fn object(&mut self) -> bool {
        self.note_unknown();
        let row = self.step(1);
        self.nest.flat = false;
        if !self.parent.is_empty() {
            return true;
        }
        if self.judges_value() && !self.rule().is_some_and(Rule::is_any) {
            let kind = self.rule().map(Rule::other);
            let kind = kind.unwrap_or(Kind::BodyUnreadable);
            self.note_field(kind, Some(row), |rule| rule.expected.to_string(), &"an object");
        }
        false
    }

    fn raw(&mut self, raw: Raw<'_>) {
        let fields = self.fields.clone();
        let rule = match (&fields, self.field) {
            (Some(fields), Some(place)) if self.judging => &fields.fields[place],
            _ => {
                self.step(raw.len() as u64);
                return;
            }
        };
        // One bad value costs a slow look at its block only.
        for block in raw.blocks(BLOCK_VALUES) {
            if rule.takes_all(block) {
                self.step(block.len() as u64);
                continue;
            }
            for number in block.numbers() {
                let row = self.step(1);
                if let Some(kind) = rule.breach_raw(number) {
                    let got = GotRaw(number);
                    self.note_field(kind, Some(row), |rule| rule.expected.to_string(), &got);
                }
            }
        }
    }

    fn plain(&self) -> Option<Plain> {
        // Where objects should stand, a number is one too many; that is said once.
        let told = self.parent.is_empty() || self.nest.misshapen;
        self.plain.filter(|_| told)
    }

    fn numbers(&mut self, count: u64) {
        self.at_its_depth();
        self.step(count);
    }

    fn alike(&self) -> Option<u64> {
        self.nest.alike
    }

    fn lists(&mut self, count: u64) {
        self.nest.add(count);
        if let Some(tensor) = &mut self.tensor
            && self.nest.depth == 0
        {
            tensor.count += count * self.nest.alike.unwrap_or(0);
            self.row += count;
        }
    }

    fn records(&mut self, count: u64) {
        self.verdict.rows += count;
        self.row += count;
    }

    fn whole(&mut self, content: Content) {
        if content == Content::Tensors {
            self.missing(None);
            self.before = self.verdict.rows;
        }
    }
}

/// What the numbers of a datatype can be, in words.
fn span(datatype: Datatype) -> String {
    let (least, greatest) = datatype.range().unwrap_or_default();
    format!("{} from {least} to {greatest}", datatype.name())
}

/// Words that are found only when somebody reads them.
struct Lazy<F>(F);

impl<F: Fn() -> String> Display for Lazy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&(self.0)())
    }
}

/// Counts a breach, and keeps it in words if there is room.
#[allow(clippy::too_many_arguments)] // all of them make one violation
fn note(
    verdict: &mut Verdict,
    mode: Mode,
    place: Option<usize>,
    kind: Kind,
    field: &str,
    row: Option<u64>,
    expected: &dyn Display,
    got: &dyn Display,
) {
    verdict.count += 1;
    verdict.mode = verdict.mode.max(Some(mode));
    let breach = (place, kind);
    if verdict.breaches.len() < MAX_BREACHES && !verdict.breaches.contains(&breach) {
        verdict.breaches.push(breach);
    }
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
            Scalar::NotFinite(value) => value.fmt(f),
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
            Shape::Open(row) => write!(f, "any number of shape {row:?}"),
            Shape::Nested => f.write_str("lists"),
            Shape::Row => f.write_str("one row"),
        }
    }
}

/// A value of a raw tensor as it came.
struct GotRaw(rows::Number);

impl Display for GotRaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            rows::Number::Whole(value) => value.fmt(f),
            rows::Number::Float(value) => value.fmt(f),
            rows::Number::Bool(value) => value.fmt(f),
        }
    }
}

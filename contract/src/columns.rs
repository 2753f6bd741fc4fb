//! Columns: a body read into named columns of cells, those that are wanted. The collector's way to
//! read samples. It does not know the contract, nor what the columns are wanted for.

use std::collections::{HashMap, HashSet};

use crate::body::Body;
use crate::contract::Field;
use crate::format::Format;
use crate::grpc::Packing;
use crate::json::{Scalar, Text};
use crate::lone::Lone;
use crate::protocol::Side;
use crate::rows::{self, Content, Raw, Rows, Shape, Tensor, Values};
use crate::rules;

/// Cells that a body may cost for each of its bytes. A value takes at least two bytes; what is
/// beyond are cells of rows that do not have the column, which cost their sender nothing.
const CELLS_PER_BYTE: usize = 4;
/// What a column costs beside its cells, in cells: its name, its lengths, its allocations.
const COLUMN_CELLS: usize = 4;

/// A body as a table. Every column has `rows` cells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Columns {
    /// Rows in the body.
    pub rows: usize,
    /// The columns, in order of appearance.
    pub columns: Vec<Column>,
}

impl Columns {
    /// What the table costs, in cells: one for each row, and each column its cells and a few more.
    /// Texts come on top, and are never longer than the body.
    pub fn cost(&self) -> usize {
        let column = self.rows.saturating_add(COLUMN_CELLS);
        self.columns.len().saturating_mul(column).saturating_add(self.rows)
    }
}

/// One named column. A tensor of width `w > 1` makes `w` columns named `name[0]` to `name[w-1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The name on the wire.
    pub name: String,
    /// One for each row.
    pub cells: Vec<Cell>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Null, or absent from this row.
    Null,
    /// A number; infinite when it was written past the range of a double.
    Number(f64),
    /// A text.
    Text(Box<str>),
    /// A boolean.
    Bool(bool),
    /// An object or array where a value was expected.
    Nested,
}

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not readable as {format}: {why}")]
pub struct Unreadable {
    /// The format it was read as.
    pub format: Format,
    /// What was wrong, with the byte where.
    pub why: String,
}

/// The columns that somebody wants, made once for many bodies.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    names: Vec<String>,
    /// By index, the name as a key of JSON with its colon, where it is of a value of a record and of nothing
    /// else.
    keys: Vec<Option<Box<[u8]>>>,
    /// Index of a name.
    whole: HashMap<String, usize>,
    /// Of names such as `x[3]`: by `x`, the places and the indices of their names, in order.
    places: HashMap<String, Vec<(u64, usize)>>,
    /// Names of objects and lists that wanted fields stand in.
    parents: HashSet<String>,
    /// All names of the contract's fields, wanted or not.
    known: HashSet<String>,
    /// The tensor that a body without a name can be.
    lone: Option<Lone>,
    /// Those of them that hold texts.
    texts: HashSet<String>,
    /// Whether a value alone is no row: there are several fields.
    several: bool,
    /// The name of a row that has none, where there is but one field.
    only: Option<String>,
    /// Of a row without names: by place, the index of the name, in order.
    order: Vec<(u64, usize)>,
}

impl Wanted {
    /// Wants the columns of these names, each once; one like `x[3]` is also place 3 of a wide tensor `x`.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut wanted = Self::default();
        for name in names {
            if wanted.whole.contains_key(name) {
                continue;
            }
            let at = wanted.names.len();
            wanted.whole.insert(name.to_owned(), at);
            wanted.names.push(name.to_owned());
            if let Some((tensor, place)) = place(name) {
                wanted.places.entry(tensor.to_owned()).or_default().push((place, at));
            }
            wanted.parents.extend(rules::parents(name).map(str::to_owned));
        }
        wanted.places.values_mut().for_each(|places| places.sort_unstable());
        wanted.with_keys()
    }

    fn with_keys(mut self) -> Self {
        let plain = |name: &&String| {
            !self.places.contains_key(*name) && !self.parents.contains(*name) && !name.is_empty()
        };
        let key = |name| Some(name).filter(plain).and_then(|name| rules::key(name));
        self.keys = self.names.iter().map(key).collect();
        self
    }

    /// Knows from the contract's fields (of one side) what the places of a row are called, and which
    /// field a row without names is.
    #[must_use]
    pub fn in_fields(mut self, fields: &[Field]) -> Self {
        self.lone = Lone::of(fields);
        for field in fields {
            self.known.insert(field.name.clone());
            if field.kind.is_text() {
                self.texts.insert(field.name.clone());
            }
            self.known.extend(rules::parents(&field.name).map(str::to_owned));
            let places: Vec<(u64, usize)> = self.places_of(&field.columns);
            if !places.is_empty() {
                self.places.insert(field.name.clone(), places);
            }
        }
        match fields {
            [only] => self.only = Some(only.name.clone()),
            fields => {
                self.several = !fields.is_empty();
                let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
                self.order = self.places_of(&names);
            }
        }
        self.with_keys()
    }

    fn places_of(&self, names: &[String]) -> Vec<(u64, usize)> {
        let index = |(place, name): (usize, &String)| Some((place as u64, *self.whole.get(name)?));
        names.iter().enumerate().filter_map(index).collect()
    }
}

/// The tensor and the place that `name[place]` names, where it is spelled as columns are.
fn place(name: &str) -> Option<(&str, u64)> {
    let (tensor, place) = name.strip_suffix(']')?.rsplit_once('[')?;
    let number = place.parse::<u64>().ok()?;
    (number.to_string() == place).then_some((tensor, number))
}

/// Reads a whole body into those of its columns that are wanted; of all others nothing is kept,
/// but they count as rows. Rows that lack a column have [`Cell::Null`] there, and so does a number
/// of more than [`crate::json::MAX_TOKEN_BYTES`] characters; a longer text is cut. A tensor
/// without values makes no column. In a record, the last of repeated fields stands. The messages of
/// a gRPC stream are one table, one below the other.
///
/// Bounded: the table's [`Columns::cost`] is at most `max_cells`, and at most four cells for
/// each byte of the body.
///
/// # Errors
/// When the body is not what its format says, a wanted column comes twice, a tensor has another
/// number of values than its shape says, or the table would cost more than the bound.
pub fn read(
    body: &[u8],
    format: Format,
    side: Side,
    wanted: &Wanted,
    max_cells: usize,
) -> Result<Columns, Unreadable> {
    let mut table = Table {
        wanted,
        max_cells: max_cells.min(body.len().saturating_mul(CELLS_PER_BYTE)),
        columns: Columns::default(),
        next: 0,
        have: vec![None; wanted.names.len()],
        done: vec![false; wanted.names.len()],
        open: Open::default(),
        in_tensor: false,
        before: 0,
        found: false,
        wrapped: false,
        lost: None,
    };
    let mut reading = Body::new(format, side);
    reading.packed_by(Packing::Unsaid);
    let unreadable = |why: String| Unreadable { format, why };
    reading.feed(body, &mut table).map_err(|broken| unreadable(broken.to_string()))?;
    reading.finish(&mut table).map_err(|broken| unreadable(broken.to_string()))?;
    table.finish().map_err(|lost| unreadable(lost.to_string()))
}

/// Why well-formed values do not make a table.
#[derive(Debug, Clone, thiserror::Error)]
enum Lost {
    #[error("more than {0} cells")]
    TooMany(usize),
    #[error("column `{0}` came twice")]
    Twice(Box<str>),
    #[error("tensor `{name}` has {count} values, its shape asks for {size}")]
    Count { name: Box<str>, count: u64, size: u64 },
    #[error("tensor `{0}` has a shape whose values cannot be counted")]
    Shape(Box<str>),
}

/// A table while it is read.
#[derive(Debug)]
struct Table<'a> {
    wanted: &'a Wanted,
    max_cells: usize,
    columns: Columns,
    /// Index of the wanted name that likely comes next in a record.
    next: usize,
    /// By index of the wanted name, the column.
    have: Vec<Option<usize>>,
    /// By index of the wanted name, whether a tensor that is whole has filled it.
    done: Vec<bool>,
    open: Open<'a>,
    in_tensor: bool,
    /// Rows of the messages before this one, in a stream.
    before: usize,
    /// Whether a field of ours came in this record.
    found: bool,
    /// Whether the rows stand in lists that have names.
    wrapped: bool,
    lost: Option<Lost>,
}

/// The field or tensor whose values come.
#[derive(Debug, Default)]
struct Open<'a> {
    name: Box<str>,
    /// Values of a whole row of a tensor; `None` where lists say it.
    width: Option<u64>,
    size: Option<u64>,
    /// Values so far.
    count: u64,
    /// The row of a tensor's next value.
    row: u64,
    /// Where in the row the next value stands.
    place: u64,
    depth: u32,
    /// Index of its own name, where that is wanted.
    whole: Option<usize>,
    /// The places that are wanted and the indices of their names, in order.
    places: &'a [(u64, usize)],
    /// How many of `places` the row has passed.
    passed: usize,
    /// Whether fields stand in its objects.
    parent: bool,
    /// Whether it is a field at all.
    known: bool,
    /// Whether it holds texts.
    text: bool,
}

/// Where a value belongs.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// The column of this wanted name.
    Column(usize),
    /// The same, where only the first value of a row can be meant.
    First(usize),
    Nowhere,
}

impl Open<'_> {
    /// Where the next value belongs.
    fn next(&mut self) -> Target {
        self.count += 1;
        let target = match (self.places.get(self.passed), self.whole, self.width) {
            (Some((place, index)), _, _) if *place == self.place => {
                self.passed += 1;
                Target::Column(*index)
            }
            (_, Some(index), Some(1)) => Target::Column(index),
            (_, Some(index), None) => Target::First(index),
            _ => Target::Nowhere,
        };
        self.place += 1;
        target
    }

    fn next_row(&mut self) {
        self.row += 1;
        self.place = 0;
        self.passed = 0;
    }

    /// Ends the row of a tensor that the last value completes.
    fn step(&mut self) {
        let ends = match self.width {
            Some(width) => self.place >= width,
            None => self.depth == 0,
        };
        if ends {
            self.next_row();
        }
    }
}

impl<'a> Table<'a> {
    fn lose(&mut self, lost: Lost) {
        self.lost.get_or_insert(lost);
    }

    /// Loses a table that has become too large, before its cells are there.
    fn weigh(&mut self) {
        if self.columns.cost() > self.max_cells {
            self.lose(Lost::TooMany(self.max_cells));
        }
    }

    /// The column of a wanted name, made when it comes first.
    fn column(&mut self, index: usize) -> usize {
        if let Some(column) = self.have[index] {
            return column;
        }
        let column = self.columns.columns.len();
        let name = self.wanted.names[index].clone();
        self.columns.columns.push(Column { name, cells: Vec::new() });
        self.have[index] = Some(column);
        self.weigh();
        column
    }

    /// The row of a tensor's next value.
    fn row(&self) -> usize {
        let row = usize::try_from(self.open.row).unwrap_or(usize::MAX);
        self.before.saturating_add(row)
    }

    /// Puts the next value.
    fn put(&mut self, cell: impl FnOnce() -> Cell) {
        if self.lost.is_some() {
            return;
        }
        let (row, place) = if self.in_tensor {
            let row = self.row();
            if self.open.place == 0 {
                self.columns.rows = self.columns.rows.max(row.saturating_add(1));
                self.weigh();
            }
            (row, self.open.place)
        } else {
            let Some(row) = self.columns.rows.checked_sub(1) else { return };
            (row, self.open.place)
        };
        let target = self.open.next();
        if self.in_tensor {
            self.open.step();
        }
        let (Target::Column(index) | Target::First(index)) = target else { return };
        let several = matches!(target, Target::First(_)) && place > 0;
        self.put_in(index, row, || if several { Cell::Nested } else { cell() });
    }

    /// Puts a value in the column of a wanted name.
    fn put_in(&mut self, index: usize, row: usize, cell: impl FnOnce() -> Cell) {
        if self.done[index] {
            return self.lose(Lost::Twice(self.wanted.names[index].as_str().into()));
        }
        let column = self.column(index);
        if self.lost.is_some() {
            return;
        }
        let cells = &mut self.columns.columns[column].cells;
        let cell = cell();
        match cells.get_mut(row) {
            Some(there) => *there = cell,
            None => {
                if cells.len() < row {
                    cells.resize(row, Cell::Null);
                }
                cells.push(cell);
            }
        }
    }

    /// Opens a field or tensor; its values come next.
    fn open(&mut self, name: &str, width: Option<u64>) {
        let wanted: &'a Wanted = self.wanted;
        let name = match &wanted.only {
            Some(only) if name.is_empty() => only.as_str(),
            _ => name,
        };
        let places = match wanted.places.get(name) {
            Some(places) => places,
            None if name.is_empty() => &wanted.order,
            None => &[][..],
        };
        let parent = wanted.parents.contains(name);
        self.open = Open {
            name: if self.in_tensor || parent { name.into() } else { Box::default() },
            width,
            known: parent
                || !places.is_empty()
                || wanted.whole.contains_key(name)
                || wanted.known.contains(name),
            whole: wanted.whole.get(name).copied(),
            places,
            parent,
            text: wanted.texts.contains(name),
            ..Open::default()
        };
    }

    fn finish(mut self) -> Result<Columns, Lost> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        let Columns { rows, columns } = &mut self.columns;
        for column in columns {
            column.cells.resize(*rows, Cell::Null);
            // What waits for the collector must not hold room for cells that never came.
            column.cells.shrink_to_fit();
        }
        Ok(self.columns)
    }
}

fn cell(value: &Scalar<'_>) -> Cell {
    match *value {
        Scalar::Null => Cell::Null,
        Scalar::Bool(value) => Cell::Bool(value),
        Scalar::Number(number) => number.value().map_or(Cell::Null, Cell::Number),
        Scalar::NotFinite(value) => Cell::Number(value),
        Scalar::Text(text) => Cell::Text(text.text.into()),
    }
}

impl Rows for Table<'_> {
    fn expected(&self) -> Option<&[u8]> {
        self.wanted.keys.get(self.next)?.as_deref()
    }

    fn came(&mut self, value: &Scalar<'_>) {
        let index = self.next;
        self.next += 1;
        self.found = true;
        if let (Some(row), None) = (self.columns.rows.checked_sub(1), &self.lost) {
            self.put_in(index, row, || cell(value));
        }
    }

    fn record(&mut self) {
        self.next = 0;
        self.columns.rows += 1;
        self.in_tensor = false;
        self.open = Open::default();
        self.found = false;
        self.weigh();
    }

    fn field(&mut self, name: Text<'_>) {
        if name.cut {
            self.open = Open::default();
        } else {
            self.open(name.text, None);
            self.found |= self.open.known;
            self.next = self.open.whole.map_or(self.next, |index| index + 1);
        }
    }

    fn wraps(&mut self) -> bool {
        let wraps = !self.found && !self.wanted.names.is_empty();
        if wraps {
            self.columns.rows -= 1;
            self.wrapped = true;
        }
        wraps
    }

    fn name(&self) -> &str {
        &self.open.name
    }

    fn takes_lone_values(&self) -> bool {
        !self.wanted.several
    }

    fn lone(&self) -> Option<Lone> {
        self.wanted.lone.clone()
    }

    fn takes_text(&self) -> bool {
        self.open.text
    }

    fn record_end(&mut self) {
        if self.wrapped && !self.found {
            // An object of another list than that of the rows.
            self.columns.rows -= 1;
        }
    }

    fn tensor(&mut self, tensor: Tensor<'_>) {
        self.in_tensor = true;
        let nested = tensor.shape == Shape::Nested;
        let width = if nested { None } else { Some(tensor.shape.width().unwrap_or(1)) };
        self.open(tensor.name.text, width);
        self.open.size = tensor.shape.size();
        if matches!(tensor.shape, Shape::Known(_) | Shape::Open(_)) && !tensor.shape.is_countable()
        {
            self.lose(Lost::Shape(tensor.name.text.into()));
        }
    }

    fn tensor_end(&mut self, values: Values) {
        let Open { name, size, count, width, whole, places, place, .. } =
            std::mem::take(&mut self.open);
        for index in places.iter().map(|(_, index)| *index).chain(whole) {
            self.done[index] |= self.have[index].is_some();
        }
        if values == Values::Elsewhere {
            return;
        }
        match size {
            Some(size) if size != count => self.lose(Lost::Count { name, count, size }),
            // Its values make no whole number of rows.
            None if place > 0 && width.is_some_and(|width| width < u64::MAX) => {
                self.lose(Lost::Shape(name));
            }
            _ => {}
        }
    }

    fn scalar(&mut self, value: &Scalar<'_>) {
        self.put(|| cell(value));
    }

    fn bytes(&mut self, _bytes: &[u8], _cut: bool) {
        self.put(|| Cell::Nested);
    }

    fn list(&mut self) {
        self.open.depth += 1;
    }

    fn list_end(&mut self) {
        self.open.depth = self.open.depth.saturating_sub(1);
        if self.in_tensor && self.open.depth == 0 && self.open.width.is_none() {
            if self.open.place == 0 && self.lost.is_none() {
                // An empty row is one all the same.
                let rows = self.row().saturating_add(1);
                self.columns.rows = self.columns.rows.max(rows);
                self.weigh();
            }
            self.open.next_row();
        }
    }

    fn object(&mut self) -> bool {
        if self.open.parent {
            return true;
        }
        self.put(|| Cell::Nested);
        false
    }

    fn raw(&mut self, raw: Raw<'_>) {
        for number in raw.numbers() {
            if self.lost.is_some() {
                return;
            }
            self.put(|| match number {
                rows::Number::Bool(value) => Cell::Bool(value),
                rows::Number::Whole(value) => Cell::Number(value as f64),
                rows::Number::Float(value) => Cell::Number(value),
            });
        }
    }

    fn numbers(&mut self, _count: u64) {
        // Never told: this listener looks at each.
    }

    fn whole(&mut self, _content: Content) {
        // In a stream the next message's rows follow.
        self.before = self.columns.rows;
        self.done.fill(false);
    }
}

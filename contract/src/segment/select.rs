//! The selector: listens to a reader and says whether a request belongs to a segment. Its memory is
//! bounded, and nothing that a body says can make it fail. It does not know what is done then.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Condition, MAX_CONDITIONS, Network, Range, Segment, place_of};
use crate::contract::Contract;
use crate::json::{Scalar, Text};
use crate::rows::{self, Content, Raw, Rows, Shape, Tensor, Values};
use crate::words::Lookup;

/// Rows of tensors that are told apart, a byte each. Those past them are looked at together: they belong
/// to the segment when each condition is met by one of them.
const MAX_ROWS: usize = 64 << 10;

/// A segment made ready for a model's requests. Build it once, share it in an `Arc`.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    tests: Vec<Test>,
    /// A bit for each test.
    all: u8,
    /// Those that ask whether nothing came.
    nulls: u8,
    /// Whether a row without names is the one input that there is.
    only: bool,
    headers: Vec<(String, Vec<String>)>,
    clients: Vec<Vec<Network>>,
}

/// One condition on an input.
#[derive(Debug, Clone, PartialEq)]
struct Test {
    /// The field's name on the wire.
    field: Box<str>,
    /// The value of a row that is meant; without it any.
    place: Option<u64>,
    /// In a row without names, the place of the field.
    order: Option<u64>,
    want: Want,
}

#[derive(Debug, Clone, PartialEq)]
enum Want {
    Range(Range),
    Levels { texts: Lookup, numbers: Vec<f64> },
    Null,
}

/// What the head of a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHead {
    /// It is not one of them, whatever its body says.
    No,
    /// It is one of them.
    Yes,
    /// It is one of them if its body is.
    AskBody,
}

impl Selection {
    /// Of a segment of requests that look as a contract says. An input that the contract does not know
    /// stands for a field of that name.
    pub fn of(segment: &Segment, contract: Option<&Contract>) -> Self {
        let inputs = contract.map_or(&[][..], |contract| contract.inputs.as_slice());
        let mut selection = Self {
            tests: Vec::new(),
            all: 0,
            nulls: 0,
            only: inputs.len() == 1,
            headers: Vec::new(),
            clients: Vec::new(),
        };
        for condition in segment.conditions().iter().take(MAX_CONDITIONS) {
            let (input, want) = match condition {
                Condition::Header { name, values } => {
                    selection.headers.push((name.clone(), values.clone()));
                    continue;
                }
                Condition::Client { networks } => {
                    selection.clients.push(networks.clone());
                    continue;
                }
                Condition::Range { input, range } => (input, Want::Range(*range)),
                Condition::Levels { input, levels } => {
                    let numbers = levels.iter().filter_map(|level| level.parse().ok()).collect();
                    let texts = Lookup::new(levels.iter().map(String::as_str));
                    (input, Want::Levels { texts, numbers })
                }
                Condition::Null { input } => (input, Want::Null),
            };
            let bit = 1 << selection.tests.len();
            selection.all |= bit;
            if want == Want::Null {
                selection.nulls |= bit;
            }
            let known = place_of(inputs, input);
            let (field, order) = match known {
                Some((at, _)) => (inputs[at].name.as_str(), u64::try_from(at).ok()),
                None => (input.as_str(), None),
            };
            let place = known.and_then(|(_, place)| place);
            let order = order.filter(|_| place.is_none());
            selection.tests.push(Test { field: field.into(), place, order, want });
        }
        selection
    }

    /// The headers that it asks for, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| name.as_str())
    }

    /// Whether it asks for the client's address.
    pub fn asks_client(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Whether it asks for the body.
    pub fn asks_body(&self) -> bool {
        self.all != 0
    }

    /// What the head says: values of headers by their names in lower case, and the client's address,
    /// where it is known.
    pub fn by_head(&self, headers: &[(String, Vec<u8>)], client: Option<IpAddr>) -> ByHead {
        let has = |(name, values): &(String, Vec<String>)| {
            let mut named = headers.iter().filter(|(other, _)| other == name);
            named.any(|(_, value)| values.iter().any(|wanted| wanted.as_bytes() == *value))
        };
        let is_in = |networks: &Vec<Network>| {
            client.is_some_and(|client| networks.iter().any(|network| network.contains(client)))
        };
        if !self.headers.iter().all(has) || !self.clients.iter().all(is_in) {
            ByHead::No
        } else if self.asks_body() {
            ByHead::AskBody
        } else {
            ByHead::Yes
        }
    }

    /// Those tests, a bit each, for which something holds.
    fn which(&self, holds: impl Fn(&Test) -> bool) -> u8 {
        let bits = self.tests.iter().enumerate();
        bits.filter(|(_, test)| holds(test)).fold(0, |bits, (at, _)| bits | 1 << at)
    }
}

/// A value as the conditions see it.
#[derive(Clone, Copy)]
enum Value<'a> {
    Null,
    Number(f64),
    Text(&'a str),
    /// Something that no condition is about.
    Other,
}

impl Value<'_> {
    fn of_float(value: f64) -> Self {
        if value.is_nan() { Self::Null } else { Self::Number(value) }
    }

    fn of_bool(value: bool) -> Self {
        Self::Text(if value { "true" } else { "false" })
    }
}

impl Want {
    fn takes(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Range(range), Value::Number(number)) => range.contains(number),
            // Servers take a number that is written as text for one.
            (Self::Range(range), Value::Text(text)) => {
                text.trim().parse().is_ok_and(|number| range.contains(number))
            }
            (Self::Levels { numbers, .. }, Value::Number(number)) => numbers.contains(&number),
            (Self::Levels { texts, .. }, Value::Text(text)) => texts.contains(text),
            (Self::Null, _) | (_, Value::Null | Value::Other) => false,
        }
    }
}

/// Listens to one request.
#[derive(Debug)]
pub struct Selector {
    selection: Arc<Selection>,
    matched: bool,
    /// The tests that the values which come are for.
    open: u8,
    /// Whether they are of a row without names.
    unnamed: bool,
    /// Where in the row the next value stands.
    place: u64,
    /// Lists that are open around it.
    depth: u32,
    /// Values of a row of a tensor; `None` where lists say it.
    width: Option<u64>,
    in_tensor: bool,
    /// The row of a tensor's next value.
    row: usize,
    /// Of this record: the tests met, and those for which something came.
    met: u8,
    came: u8,
    /// Of tensors: the tests met, by row, and by the rows past [`MAX_ROWS`].
    rows: Vec<u8>,
    beyond: u8,
}

impl Selector {
    /// A selector for one request.
    pub fn new(selection: Arc<Selection>) -> Self {
        Self {
            selection,
            matched: false,
            open: 0,
            unnamed: false,
            place: 0,
            depth: 0,
            width: None,
            in_tensor: false,
            row: 0,
            met: 0,
            came: 0,
            rows: Vec::new(),
            beyond: 0,
        }
    }

    /// Whether a row that came belongs to the segment. What a later part of the body says changes a no,
    /// never a yes.
    pub fn is_match(&self) -> bool {
        self.matched
    }

    /// Whether it needs each value that comes next.
    pub(crate) fn listens(&self) -> bool {
        self.open != 0 && !self.matched
    }

    /// Takes back the record that began last, in which nothing was told.
    pub(crate) fn no_record(&mut self) {
        self.met = 0;
        self.came = 0;
    }

    fn turn_to(&mut self, name: Text<'_>) {
        let Selection { only, all, .. } = *self.selection;
        let nameless = name.text.is_empty() && !self.in_tensor;
        self.place = 0;
        self.depth = 0;
        self.unnamed = nameless && !only;
        self.open = match () {
            () if name.cut => 0,
            () if nameless => all,
            () => self.selection.which(|test| *test.field == *name.text),
        };
    }

    fn value(&mut self, value: Value<'_>) {
        if !self.listens() {
            return;
        }
        let (mut met, mut came) = (0, 0);
        for (at, test) in self.selection.tests.iter().enumerate() {
            let here = match (self.unnamed, test.place) {
                (true, _) => test.order == Some(self.place),
                (false, Some(place)) => place == self.place,
                (false, None) => true,
            };
            let bit = 1 << at;
            if here && self.open & bit != 0 {
                came |= bit;
                met |= if test.want.takes(value) { bit } else { 0 };
            }
        }
        self.came |= came;
        if met != 0 {
            self.meet(met);
        }
        self.place = self.place.saturating_add(1);
        let ends = match self.width {
            Some(width) => self.place >= width,
            None => self.depth == 0,
        };
        if self.in_tensor && ends {
            self.next_row();
        }
    }

    fn meet(&mut self, met: u8) {
        let all = self.selection.all;
        let row = if !self.in_tensor {
            &mut self.met
        } else if all == met {
            // One test, or all at once: nothing need be remembered.
            self.matched = true;
            return;
        } else if self.row < MAX_ROWS {
            if self.rows.len() <= self.row {
                self.rows.resize(self.row + 1, 0);
            }
            &mut self.rows[self.row]
        } else {
            &mut self.beyond
        };
        *row |= met;
        self.matched |= *row == all;
    }

    fn next_row(&mut self) {
        self.row = self.row.saturating_add(1);
        self.place = 0;
    }
}

impl Rows for Selector {
    fn record(&mut self) {
        self.in_tensor = false;
        self.open = 0;
        self.no_record();
    }

    fn field(&mut self, name: Text<'_>) {
        self.turn_to(name);
    }

    fn name(&self) -> &str {
        // Objects are told only where another listener wants them.
        ""
    }

    fn record_end(&mut self) {
        let absent = self.selection.nulls & !self.came;
        self.open = 0;
        self.meet(absent);
    }

    fn tensor(&mut self, tensor: Tensor<'_>) {
        self.in_tensor = true;
        self.turn_to(tensor.name);
        self.row = 0;
        let nested = tensor.shape == Shape::Nested;
        self.width = (!nested).then(|| tensor.shape.width().unwrap_or(1));
        // Even one without values, or with its values elsewhere, is there.
        self.came |= self.open;
    }

    fn tensor_end(&mut self, _values: Values) {
        self.open = 0;
    }

    fn scalar(&mut self, value: &Scalar<'_>) {
        self.value(match *value {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::of_bool(value),
            Scalar::Number(number) => number.value().map_or(Value::Other, Value::of_float),
            Scalar::NotFinite(value) => Value::of_float(value),
            Scalar::Text(text) if text.cut => Value::Other,
            Scalar::Text(text) => Value::Text(text.text),
        });
    }

    fn bytes(&mut self, _bytes: &[u8], _cut: bool) {
        self.value(Value::Other);
    }

    fn list(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }

    fn list_end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.in_tensor && self.depth == 0 && self.width.is_none() {
            self.next_row();
        }
    }

    fn object(&mut self) -> bool {
        self.value(Value::Other);
        false
    }

    fn raw(&mut self, raw: Raw<'_>) {
        for number in raw.numbers() {
            if !self.listens() {
                return;
            }
            self.value(match number {
                rows::Number::Bool(value) => Value::of_bool(value),
                rows::Number::Whole(value) => Value::Number(value as f64),
                rows::Number::Float(value) => Value::of_float(value),
            });
        }
    }

    fn numbers(&mut self, _count: u64) {
        // Told only while it does not listen.
    }

    fn whole(&mut self, content: Content) {
        if content == Content::Records {
            return;
        }
        let (all, absent) = (self.selection.all, self.selection.nulls & !self.came);
        let full = |row: &u8| row | absent == all;
        // Of an input that did not come, every row has none.
        self.matched |=
            absent != 0 && (absent == all || self.rows.iter().chain([&self.beyond]).any(full));
        // In a stream the next message's rows follow.
        self.rows.clear();
        self.beyond = 0;
        self.came = 0;
        self.open = 0;
    }
}

//! Confidence: whether the model was not sure in some row of an answer, by the largest value of one of
//! its outputs. It does not know what is done then.

use crate::json::{Scalar, Text};
use crate::plugin::LowConfidence;
use crate::rows::{self, Content, Raw, Rows, Tensor, Values};

/// Listens for one output.
#[derive(Debug)]
pub(crate) struct Confidence {
    output: String,
    below: f64,
    /// Whether its values come now.
    listening: bool,
    /// Values of a row of a tensor; `None` where lists or records say it.
    width: Option<u64>,
    place: u64,
    depth: u32,
    /// The largest value of the row so far.
    largest: Option<f64>,
    low: bool,
}

impl Confidence {
    pub(crate) fn new(rule: &LowConfidence) -> Self {
        Self {
            output: rule.output.clone(),
            below: rule.below,
            listening: false,
            width: None,
            place: 0,
            depth: 0,
            largest: None,
            low: false,
        }
    }

    /// Whether the model was not sure in some row so far.
    pub(crate) fn is_low(&self) -> bool {
        self.low
    }

    /// Whether it needs each value that comes next.
    pub(crate) fn listens(&self) -> bool {
        self.listening
    }

    fn turn_to(&mut self, name: Text<'_>) {
        self.row_end();
        self.listening = !name.cut && (name.text == self.output || name.text.is_empty());
        self.place = 0;
        self.depth = 0;
        self.width = None;
    }

    fn value(&mut self, value: Option<f64>) {
        if !self.listening {
            return;
        }
        if let Some(value) = value {
            self.largest = Some(self.largest.map_or(value, |largest| largest.max(value)));
        }
        self.place += 1;
        if self.width.is_some_and(|width| self.place >= width) {
            self.row_end();
        }
    }

    fn row_end(&mut self) {
        self.low |= self.largest.take().is_some_and(|largest| largest < self.below);
        self.place = 0;
    }
}

impl Rows for Confidence {
    fn record(&mut self) {}

    fn field(&mut self, name: Text<'_>) {
        self.turn_to(name);
    }

    fn name(&self) -> &str {
        // Objects are told only where another listener wants them.
        ""
    }

    fn record_end(&mut self) {
        self.row_end();
    }

    fn tensor(&mut self, tensor: Tensor<'_>) {
        self.turn_to(tensor.name);
        self.width = tensor.shape.width();
    }

    fn tensor_end(&mut self, _values: Values) {
        self.row_end();
        self.listening = false;
    }

    fn scalar(&mut self, value: &Scalar<'_>) {
        match value {
            Scalar::Number(number) => self.value(number.value()),
            Scalar::NotFinite(value) => self.value(Some(*value)),
            Scalar::Null | Scalar::Bool(_) | Scalar::Text(_) => self.value(None),
        }
    }

    fn bytes(&mut self, _bytes: &[u8], _cut: bool) {
        self.value(None);
    }

    fn list(&mut self) {
        self.depth += 1;
    }

    fn list_end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.row_end();
        }
    }

    fn object(&mut self) -> bool {
        false
    }

    fn raw(&mut self, raw: Raw<'_>) {
        if !self.listening {
            return;
        }
        for number in raw.numbers() {
            match number {
                rows::Number::Float(value) => self.value(Some(value)),
                rows::Number::Whole(value) => self.value(Some(value as f64)),
                rows::Number::Bool(_) => self.value(None),
            }
        }
    }

    fn numbers(&mut self, _count: u64) {
        // Told only while it does not listen.
    }

    fn whole(&mut self, _content: Content) {}
}

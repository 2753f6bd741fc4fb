//! The Open Inference Protocol (V2) over REST: the envelope around tensors, its keys in any order.
//! It does not know which tensors there should be.
//!
//! With the binary tensor extension the values of tensors follow the JSON as raw bytes, in the order of
//! the tensors that say so. Values stream past once `name`, `datatype` and `shape` are known. Values that come before are
//! held, up to [`crate::held::MAX_HELD_BYTES`].

use crate::described::{Described, Extent, Extents, Later};
use crate::held::Held;
use crate::json::{Event, Form, Number, Scalar, Text};
use crate::protocol::Side;
use crate::rows::{Broken, Content, Rows, Values};
use crate::skip::Skip;

/// Raw bytes behind the JSON that are more or fewer than it says.
pub(crate) const OTHER_COUNT: Broken = Broken::Envelope {
    place: "the number of raw bytes",
    expected: "what the tensors say together",
};

/// Reads the events of one body.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// The key of the list of tensors on this side.
    tensors: &'static str,
    at: At,
    tensors_came: bool,
    /// A value that nobody looks into.
    skipped: Skip,
    part: Part,
    described: Described,
    came: Came,
    parameter: Parameter,
    /// Bytes that the tensor has behind the JSON, where it says so.
    size: Option<u64>,
    /// Whether the tensor's values lie in shared memory.
    elsewhere: bool,
    /// Tensors whose values follow the JSON, where anything does.
    later: Option<Later>,
    /// How deep in the arrays of `data`.
    nesting: u32,
    /// Whether values go straight to the listener.
    streams: bool,
    held: Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Root,
    Envelope,
    /// After a key of the envelope; true for that of the tensors.
    Member(bool),
    Tensors,
    Tensor,
    /// After a key of a tensor.
    Part,
    Extents,
    Parameters,
    Parameter,
    Data,
    End,
}

/// A key of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Name,
    Datatype,
    Shape,
    Parameters,
    Data,
    Unknown,
}

/// A parameter of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameter {
    /// How many bytes it has behind the JSON.
    Size,
    /// Where in shared memory it lies.
    Shared,
    Other,
}

/// Which keys of a tensor came.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    name: bool,
    datatype: bool,
    shape: bool,
    parameters: bool,
    data: bool,
}

impl Came {
    fn is_complete(self) -> bool {
        self.name && self.datatype && self.shape
    }
}

/// The extent that an event says. Servers in Python take whole numbers written as text, or with a
/// fraction of nothing.
fn extent(event: &Event<'_>) -> Extent {
    let number = match event {
        Event::Scalar(Scalar::Number(Number { text, form: Form::Whole, cut: false })) => {
            text.parse().ok()
        }
        Event::Scalar(Scalar::Number(number)) => number.value().and_then(whole),
        Event::Scalar(Scalar::Text(Text { text, cut: false })) => text.trim().parse().ok(),
        _ => None,
    };
    number.map_or(Extent::Malformed, Extent::of)
}

/// A float that is a whole number and counts something.
fn whole(value: f64) -> Option<i64> {
    // Far below what a double can no more tell apart.
    let counts = value.fract() == 0.0 && (-1.0..4e15).contains(&value);
    counts.then_some(value as i64)
}

/// How many bytes an event says, if it says it.
fn bytes(event: &Event<'_>) -> Option<u64> {
    match extent(event) {
        Extent::Count(count) => Some(count),
        Extent::Open | Extent::Malformed => None,
    }
}

impl Reader {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            tensors: match side {
                Side::Request => "inputs",
                Side::Response => "outputs",
            },
            at: At::Root,
            tensors_came: false,
            skipped: Skip::default(),
            part: Part::Unknown,
            described: Described::default(),
            came: Came::default(),
            parameter: Parameter::Other,
            size: None,
            elsewhere: false,
            later: None,
            nesting: 0,
            streams: false,
            held: Held::default(),
        }
    }

    /// Expects raw bytes behind the JSON.
    pub(crate) fn with_raw_bytes(mut self) -> Self {
        self.later = Some(Later::default());
        self
    }

    /// Takes bytes behind the JSON. Gives those that no tensor has.
    pub(crate) fn raw<'a>(
        &mut self,
        bytes: &'a [u8],
        rows: &mut impl Rows,
    ) -> Result<&'a [u8], Broken> {
        match &mut self.later {
            Some(later) => later.feed(bytes, rows),
            None => Ok(bytes),
        }
    }

    /// Whether all raw bytes have come.
    pub(crate) fn is_done(&self) -> bool {
        self.later.as_ref().is_none_or(Later::is_done)
    }

    /// Says that no raw bytes come any more.
    pub(crate) fn raw_end(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        let Some(later) = &mut self.later else { return Ok(()) };
        if !later.is_done() {
            return Err(OTHER_COUNT);
        }
        later.tell_rest(rows);
        rows.whole(Content::Tensors);
        Ok(())
    }

    /// Whether numbers that come next are values that go straight to the listener.
    pub(crate) fn streams(&self) -> bool {
        self.streams && self.at == At::Data && !self.skipped.is_on()
    }

    /// Holds at most so many bytes of values.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.held.bound(bytes);
    }

    pub(crate) fn event(&mut self, event: &Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        if self.skipped.takes(event) {
            return Ok(());
        }
        match self.at {
            At::Data => return self.datum(event, rows),
            At::Root if *event == Event::ObjectStart => self.at = At::Envelope,
            At::Root => {
                return Err(Broken::Envelope { place: "the body", expected: "an object" });
            }
            At::Envelope => return self.envelope(event, rows),
            At::Member(false) => {
                self.at = At::Envelope;
                self.skip(event);
            }
            At::Member(true) if *event == Event::ArrayStart => self.at = At::Tensors,
            At::Member(true) => {
                return Err(Broken::Envelope { place: self.tensors, expected: "an array" });
            }
            At::Tensors => match event {
                Event::ObjectStart => {
                    self.described.clear();
                    self.came = Came::default();
                    self.size = None;
                    self.elsewhere = false;
                    self.at = At::Tensor;
                }
                Event::ArrayEnd => self.at = At::Envelope,
                _ => return Err(Broken::Envelope { place: "a tensor", expected: "an object" }),
            },
            At::Tensor => match event {
                Event::Key(key) => self.key(*key)?,
                _ => return self.tensor_end(rows),
            },
            At::Part => return self.part(event, rows),
            At::Extents => match event {
                Event::ArrayEnd => self.at = At::Tensor,
                event => {
                    self.described.shape.add(extent(event));
                    self.skip(event);
                }
            },
            At::Parameters => match event {
                Event::Key(key) => {
                    self.parameter = match key.text {
                        "binary_data_size" => Parameter::Size,
                        "shared_memory_region" => Parameter::Shared,
                        _ => Parameter::Other,
                    };
                    self.at = At::Parameter;
                }
                _ => self.at = At::Tensor,
            },
            At::Parameter => {
                self.at = At::Parameters;
                match self.parameter {
                    Parameter::Size => self.size = Some(bytes(event).unwrap_or(u64::MAX)),
                    Parameter::Shared => self.elsewhere = true,
                    Parameter::Other => {}
                }
                self.skip(event);
            }
            At::End => {}
        }
        Ok(())
    }

    /// Whether all is known of the tensor but its values.
    fn is_described(&self) -> bool {
        self.came.is_complete() && !self.described.shape.waits()
    }

    /// Passes over the rest of a value that this event begins.
    fn skip(&mut self, event: &Event<'_>) {
        self.skipped.value(event);
    }

    fn envelope(&mut self, event: &Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        let Event::Key(key) = event else {
            if !self.tensors_came {
                return Err(Broken::Missing(self.tensors));
            }
            self.at = At::End;
            if self.later.is_none() {
                rows.whole(Content::Tensors);
            }
            return Ok(());
        };
        let tensors = key.text == self.tensors;
        if tensors && self.tensors_came {
            return Err(Broken::Twice(self.tensors));
        }
        self.tensors_came |= tensors;
        self.at = At::Member(tensors);
        Ok(())
    }

    fn key(&mut self, key: Text<'_>) -> Result<(), Broken> {
        let came = &mut self.came;
        let (part, name, came) = match key.text {
            "name" => (Part::Name, "name", &mut came.name),
            "datatype" => (Part::Datatype, "datatype", &mut came.datatype),
            "shape" => (Part::Shape, "shape", &mut came.shape),
            "parameters" => (Part::Parameters, "parameters", &mut came.parameters),
            "data" => (Part::Data, "data", &mut came.data),
            _ => {
                self.part = Part::Unknown;
                self.at = At::Part;
                return Ok(());
            }
        };
        if *came {
            return Err(Broken::Twice(name));
        }
        *came = true;
        self.part = part;
        self.at = At::Part;
        Ok(())
    }

    fn part(&mut self, event: &Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        self.at = At::Tensor;
        match (self.part, event) {
            (Part::Name, Event::Scalar(Scalar::Text(name))) => {
                self.described.name.push_str(name.text);
                self.described.name_cut = name.cut;
            }
            (Part::Name, _) => {
                return Err(Broken::Envelope { place: "`name`", expected: "a text" });
            }
            (Part::Datatype, Event::Scalar(Scalar::Text(datatype))) => {
                self.described.datatype = Some(datatype.text.to_owned());
            }
            (Part::Datatype, _) => {
                return Err(Broken::Envelope { place: "`datatype`", expected: "a text" });
            }
            (Part::Shape, Event::ArrayStart) => {
                self.described.shape.begin();
                self.at = At::Extents;
            }
            (Part::Shape, event) => {
                self.described.shape = Extents::Malformed;
                self.skip(event);
            }
            (Part::Parameters, Event::ObjectStart) => self.at = At::Parameters,
            (Part::Data, Event::ArrayStart) => {
                self.at = At::Data;
                self.nesting = 1;
                self.streams = self.is_described();
                if self.streams {
                    rows.tensor(self.described.tensor());
                }
            }
            // A tensor of one value may be that value.
            (Part::Data, Event::Scalar(value)) => {
                self.streams = self.is_described();
                if self.streams {
                    rows.tensor(self.described.tensor());
                    rows.scalar(value);
                } else if !self.held.keep(Some(*value)) {
                    return Err(Broken::TooEarly("data"));
                }
            }
            (Part::Data, _) => {
                return Err(Broken::Envelope { place: "`data`", expected: "an array" });
            }
            (Part::Parameters | Part::Unknown, event) => self.skip(event),
        }
        Ok(())
    }

    fn datum(&mut self, event: &Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        let scalar = match event {
            Event::Scalar(scalar) => Some(scalar),
            Event::ArrayStart => {
                self.nesting += 1;
                return Ok(());
            }
            Event::ArrayEnd => {
                self.nesting -= 1;
                if self.nesting == 0 {
                    self.at = At::Tensor;
                }
                return Ok(());
            }
            Event::ObjectStart | Event::ObjectEnd | Event::Key(_) => {
                self.skipped.rest();
                None
            }
        };
        if !self.streams {
            return if self.held.keep(scalar.copied()) {
                Ok(())
            } else {
                Err(Broken::TooEarly("data"))
            };
        }
        match scalar {
            Some(scalar) => rows.scalar(scalar),
            None => {
                // What stands in it is passed over here, whoever wants it.
                rows.object();
            }
        }
        Ok(())
    }

    fn tensor_end(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        if !self.came.name {
            return Err(Broken::Missing("name"));
        }
        self.at = At::Tensors;
        let streamed = std::mem::take(&mut self.streams);
        if !self.came.data
            && let Some(bytes) = self.size
        {
            let Some(later) = &mut self.later else {
                let (place, expected) = ("a tensor", "followed by its raw bytes, as it says");
                return Err(Broken::Envelope { place, expected });
            };
            return later.add(std::mem::take(&mut self.described), bytes);
        }
        if !streamed {
            self.described.shape.close(self.held.count());
            rows.tensor(self.described.tensor());
            self.held.tell(rows);
        }
        let elsewhere = self.elsewhere && !self.came.data;
        rows.tensor_end(if elsewhere { Values::Elsewhere } else { Values::Here });
        Ok(())
    }
}

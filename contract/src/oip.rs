//! The Open Inference Protocol (V2) over REST: the envelope around tensors, its keys in any order.
//! It does not know which tensors there should be.
//!
//! Values stream past once `name`, `datatype` and `shape` are known. Values that come before are
//! held, up to [`crate::held::MAX_HELD_BYTES`].

use crate::held::Held;
use crate::json::{Event, Form, Scalar, Text};
use crate::protocol::Side;
use crate::rows::{Broken, Content, MAX_RANK, Rows, Shape, Tensor, Values};

/// Reads the events of one body.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// The key of the list of tensors on this side.
    tensors: &'static str,
    at: At,
    tensors_came: bool,
    /// How deep in a value that nobody looks into.
    skipped: u32,
    part: Part,
    described: Described,
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

/// What was read of one tensor beside its values.
#[derive(Debug, Clone, Default)]
struct Described {
    name: String,
    name_cut: bool,
    datatype: String,
    extents: Vec<u64>,
    malformed: bool,
    came: Came,
    elsewhere: bool,
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

impl Described {
    fn clear(&mut self) {
        self.name.clear();
        self.datatype.clear();
        self.extents.clear();
        self.name_cut = false;
        self.malformed = false;
        self.elsewhere = false;
        self.came = Came::default();
    }

    fn tensor(&self) -> Tensor<'_> {
        Tensor {
            name: Text { text: &self.name, cut: self.name_cut },
            datatype: self.came.datatype.then_some(self.datatype.as_str()),
            shape: match (self.came.shape, self.malformed) {
                (false, _) => Shape::Missing,
                (true, true) => Shape::Malformed,
                (true, false) => Shape::Known(&self.extents),
            },
        }
    }

    fn is_complete(&self) -> bool {
        self.came.name && self.came.datatype && self.came.shape
    }

    fn extent(&mut self, event: Event<'_>) {
        let extent = match event {
            Event::Scalar(Scalar::Number(number)) if number.form == Form::Whole && !number.cut => {
                number.text.parse().ok()
            }
            _ => None,
        };
        match extent {
            Some(extent) if self.extents.len() < MAX_RANK => self.extents.push(extent),
            _ => self.malformed = true,
        }
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
            skipped: 0,
            part: Part::Unknown,
            described: Described::default(),
            nesting: 0,
            streams: false,
            held: Held::default(),
        }
    }

    /// Whether numbers that come next are values that go straight to the listener.
    pub(crate) fn streams(&self) -> bool {
        self.streams && self.at == At::Data
    }

    /// Holds at most so many bytes of values.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.held.bound(bytes);
    }

    pub(crate) fn event(&mut self, event: Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        if self.skipped > 0 {
            match event {
                Event::ObjectStart | Event::ArrayStart => self.skipped += 1,
                Event::ObjectEnd | Event::ArrayEnd => self.skipped -= 1,
                Event::Key(_) | Event::Scalar(_) => {}
            }
            return Ok(());
        }
        match self.at {
            At::Data => return self.datum(event, rows),
            At::Root if event == Event::ObjectStart => self.at = At::Envelope,
            At::Root => {
                return Err(Broken::Envelope { place: "the body", expected: "an object" });
            }
            At::Envelope => return self.envelope(event, rows),
            At::Member(false) => {
                self.at = At::Envelope;
                self.skip(event);
            }
            At::Member(true) if event == Event::ArrayStart => self.at = At::Tensors,
            At::Member(true) => {
                return Err(Broken::Envelope { place: self.tensors, expected: "an array" });
            }
            At::Tensors => match event {
                Event::ObjectStart => {
                    self.described.clear();
                    self.at = At::Tensor;
                }
                Event::ArrayEnd => self.at = At::Envelope,
                _ => return Err(Broken::Envelope { place: "a tensor", expected: "an object" }),
            },
            At::Tensor => match event {
                Event::Key(key) => self.key(key)?,
                _ => return self.tensor_end(rows),
            },
            At::Part => return self.part(event, rows),
            At::Extents => match event {
                Event::ArrayEnd => self.at = At::Tensor,
                event => {
                    self.described.extent(event);
                    self.skip(event);
                }
            },
            At::Parameters => match event {
                Event::Key(key) => {
                    let elsewhere = ["binary_data_size", "shared_memory_region"];
                    self.described.elsewhere |= elsewhere.contains(&key.text);
                    self.at = At::Parameter;
                }
                _ => self.at = At::Tensor,
            },
            At::Parameter => {
                self.at = At::Parameters;
                self.skip(event);
            }
            At::End => {}
        }
        Ok(())
    }

    /// Passes over the rest of a value that this event begins.
    fn skip(&mut self, event: Event<'_>) {
        self.skipped = u32::from(matches!(event, Event::ObjectStart | Event::ArrayStart));
    }

    fn envelope(&mut self, event: Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        let Event::Key(key) = event else {
            if !self.tensors_came {
                return Err(Broken::Missing(self.tensors));
            }
            self.at = At::End;
            rows.whole(Content::Tensors);
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
        let came = &mut self.described.came;
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

    fn part(&mut self, event: Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
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
                self.described.datatype.push_str(datatype.text);
            }
            (Part::Datatype, _) => {
                return Err(Broken::Envelope { place: "`datatype`", expected: "a text" });
            }
            (Part::Shape, Event::ArrayStart) => self.at = At::Extents,
            (Part::Shape, event) => {
                self.described.malformed = true;
                self.skip(event);
            }
            (Part::Parameters, Event::ObjectStart) => self.at = At::Parameters,
            (Part::Data, Event::ArrayStart) => {
                self.at = At::Data;
                self.nesting = 1;
                self.streams = self.described.is_complete();
                if self.streams {
                    rows.tensor(self.described.tensor());
                }
            }
            (Part::Data, _) => {
                return Err(Broken::Envelope { place: "`data`", expected: "an array" });
            }
            (Part::Parameters | Part::Unknown, event) => self.skip(event),
        }
        Ok(())
    }

    fn datum(&mut self, event: Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
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
                self.skipped = 1;
                None
            }
        };
        if !self.streams {
            return if self.held.keep(scalar) { Ok(()) } else { Err(Broken::TooEarly("data")) };
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
        if !self.described.came.name {
            return Err(Broken::Missing("name"));
        }
        if !self.streams {
            rows.tensor(self.described.tensor());
            self.held.tell(rows);
        }
        self.streams = false;
        self.at = At::Tensors;
        let elsewhere = self.described.elsewhere && !self.described.came.data;
        rows.tensor_end(if elsewhere { Values::Elsewhere } else { Values::Here });
        Ok(())
    }
}

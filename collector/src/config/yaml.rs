//! The one door to the YAML parser: text becomes a small tree whose nodes know their line and
//! column, bounded in depth and size. It does not know what any key means.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput};

use super::mistake::{Mistakes, Place, Problem};

/// Collections inside each other, aliases followed. The deepest key lies at 6.
const MAX_DEPTH: usize = 16;

/// Values in the file, each alias counted with all it stands for.
const MAX_VALUES: usize = 100_000;

/// One value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    pub(super) kind: NodeKind,
    /// Collections from here down to the deepest value.
    height: usize,
    /// Values from here down, this one included.
    values: usize,
}

/// What a value is. Aliases share what they stand for.
#[derive(Debug)]
pub(super) enum NodeKind {
    /// `plain` where it was written without quotes, so that it may be a number or null.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Rc<Node>>),
    /// In the order of the file; a key may stand there twice.
    Mapping(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) value: Rc<Node>,
}

/// Reads the one document of a file. After anything that is wrong with the YAML there is no tree.
pub(super) fn parse(bytes: &[u8], mistakes: &mut Mistakes) -> Option<Rc<Node>> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let line = good.matches('\n').count() + 1;
            let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            mistakes.add(Place { line, column, path: String::new() }, Problem::NotText);
            return None;
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tree = Tree::default();
    if let Err(Stop { line, column, problem }) = tree.read(text) {
        mistakes.add(Place { line, column, path: String::new() }, problem);
        return None;
    }
    if tree.root.is_none() {
        mistakes.add(Place { line: 1, column: 1, path: String::new() }, Problem::Empty);
    }
    tree.root
}

/// What ends the reading.
struct Stop {
    line: usize,
    column: usize,
    problem: Problem,
}

impl Stop {
    fn at(mark: Marker, problem: Problem) -> Self {
        Self { line: mark.line().max(1), column: mark.col() + 1, problem }
    }
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::at(*error.marker(), Problem::Syntax(error.info().to_owned()))
    }
}

/// A collection that is still being read.
struct Open {
    mark: Marker,
    anchor: usize,
    filling: Filling,
    height: usize,
    values: usize,
}

enum Filling {
    Sequence(Vec<Rc<Node>>),
    /// `key` is the one whose value has not come yet.
    Mapping {
        entries: Vec<Entry>,
        key: Option<(String, Marker)>,
    },
}

#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    documents: usize,
    root: Option<Rc<Node>>,
}

impl Tree {
    fn read(&mut self, text: &str) -> Result<(), Stop> {
        let mut parser = Parser::new(StrInput::new(text));
        while let Some(event) = parser.next_event() {
            let (event, span) = event?;
            self.take(event, span.start)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, mark: Marker) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Stop::at(mark, Problem::SecondDocument));
                }
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => return Err(Stop::at(mark, Problem::Tagged)),
            Event::Scalar(text, style, anchor, None) => {
                return self.scalar(&text, style, anchor, mark);
            }
            Event::Alias(anchor) => {
                // The parser refuses unknown anchors, so one without a node is still open.
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| Stop::at(mark, Problem::SelfReference))?;
                return self.place(node, mark);
            }
            Event::SequenceStart(anchor, None) => {
                self.begin(mark, anchor, Filling::Sequence(Vec::new()))?;
            }
            Event::MappingStart(anchor, None) => {
                self.begin(mark, anchor, Filling::Mapping { entries: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => return self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, mark: Marker, anchor: usize, filling: Filling) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Stop::at(mark, Problem::TooDeep(MAX_DEPTH)));
        }
        if let Some(Open { filling: Filling::Mapping { key: None, .. }, .. }) = self.open.last() {
            return Err(Stop::at(mark, Problem::KeyNotWord));
        }
        self.open.push(Open { mark, anchor, filling, height: 0, values: 1 });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Some(Open { mark, anchor, filling, height, values }) = self.open.pop() else {
            return Ok(());
        };
        let kind = match filling {
            Filling::Sequence(nodes) => NodeKind::Sequence(nodes),
            Filling::Mapping { entries, .. } => NodeKind::Mapping(entries),
        };
        let (line, column) = (mark.line(), mark.col() + 1);
        let node = Rc::new(Node { line, column, kind, height: height + 1, values });
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node, mark)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        mark: Marker,
    ) -> Result<(), Stop> {
        let kind =
            NodeKind::Scalar { text: text.to_owned(), plain: matches!(style, ScalarStyle::Plain) };
        let (line, column) = (mark.line(), mark.col() + 1);
        let node = Rc::new(Node { line, column, kind, height: 0, values: 1 });
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node, mark)
    }

    /// Puts a finished value (or an alias of one, standing at `mark`) where it belongs.
    fn place(&mut self, node: Rc<Node>, mark: Marker) -> Result<(), Stop> {
        let depth = self.open.len();
        if depth + node.height > MAX_DEPTH {
            return Err(Stop::at(mark, Problem::TooDeep(MAX_DEPTH)));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.height = open.height.max(node.height);
        open.values = open.values.saturating_add(node.values);
        if open.values > MAX_VALUES {
            return Err(Stop::at(mark, Problem::TooManyValues(MAX_VALUES)));
        }
        match &mut open.filling {
            Filling::Sequence(nodes) => nodes.push(node),
            Filling::Mapping { entries, key } => match (key.take(), &node.kind) {
                (Some((key, mark)), _) => {
                    let (line, column) = (mark.line(), mark.col() + 1);
                    entries.push(Entry { key, line, column, value: node });
                }
                (None, NodeKind::Scalar { text, .. }) => *key = Some((text.clone(), mark)),
                (None, _) => return Err(Stop::at(mark, Problem::KeyNotWord)),
            },
        }
        Ok(())
    }
}

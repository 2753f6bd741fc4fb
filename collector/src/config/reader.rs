//! Walks the nodes of the file, turns them into plain values, and notes each mistake on the way.
//! It does not know which keys there are; `raw` tells it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::duration;
use super::mistake::{Mistakes, Place, Problem};
use super::yaml::{Entry, Node, NodeKind};
use crate::nearest::{MAX_WORD_CHARS, nearest};

/// A value together with where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// What was written for a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field<T> {
    /// The key is not there.
    Absent,
    /// The key is there with something that has been reported already.
    Mistaken,
    /// The key is there.
    Given(Written<T>),
}

impl<T> Field<T> {
    /// What was given, with its place.
    pub(super) fn given(&self) -> Option<&Written<T>> {
        match self {
            Self::Given(written) => Some(written),
            Self::Absent | Self::Mistaken => None,
        }
    }

    /// The same with another value.
    pub(super) fn map<U>(self, meaning: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Mistaken => Field::Mistaken,
            Self::Given(Written { value, place }) => {
                Field::Given(Written { value: meaning(value), place })
            }
        }
    }

    /// The same, or mistaken where `check` finds (and notes) a mistake.
    pub(super) fn check(self, check: impl FnOnce(&Written<T>) -> Option<()>) -> Self {
        match self.given().map(check) {
            Some(None) => Self::Mistaken,
            Some(Some(())) | None => self,
        }
    }

    /// What was given, or the default where the key is absent. `None` where it was mistaken.
    pub(super) fn or(self, default: T) -> Option<T> {
        match self {
            Self::Given(written) => Some(written.value),
            Self::Absent => Some(default),
            Self::Mistaken => None,
        }
    }

    /// What was given; an absent key is a mistake of the mapping at `place`.
    pub(super) fn required(
        self,
        key: &'static str,
        example: &'static str,
        place: &Place,
        mistakes: &mut Mistakes,
    ) -> Option<Written<T>> {
        match self {
            Self::Given(written) => Some(written),
            Self::Absent => {
                mistakes.add(place.clone(), Problem::Missing { key, example });
                None
            }
            Self::Mistaken => None,
        }
    }
}

/// A node and the path by which it was reached.
pub(super) struct At<'a> {
    node: &'a Node,
    path: String,
}

impl<'a> At<'a> {
    /// The root of a file.
    pub(super) fn root(node: &'a Node) -> Self {
        Self { node, path: String::new() }
    }

    fn place(&self) -> Place {
        Place { line: self.node.line, column: self.node.column, path: self.path.clone() }
    }

    /// A value that was written here.
    pub(super) fn written<T>(&self, value: T) -> Written<T> {
        Written { value, place: self.place() }
    }

    fn wrong<T>(&self, problem: Problem, mistakes: &mut Mistakes) -> Option<T> {
        mistakes.add(self.place(), problem);
        None
    }

    /// The text of a scalar and whether it was written without quotes. Null is not a scalar here:
    /// who means the default leaves the key out.
    fn scalar(&self, expected: &'static str, mistakes: &mut Mistakes) -> Option<(&'a str, bool)> {
        match &self.node.kind {
            NodeKind::Scalar { text, plain } if !(*plain && is_null(text)) => Some((text, *plain)),
            _ => self.wrong(Problem::WrongShape { expected, found: self.found() }, mistakes),
        }
    }

    fn found(&self) -> &'static str {
        match &self.node.kind {
            NodeKind::Scalar { text, plain: true } if is_null(text) => "nothing",
            NodeKind::Scalar { plain: true, .. } => "a single value",
            NodeKind::Scalar { plain: false, .. } => "a text in quotes",
            NodeKind::Sequence(_) => "a list",
            NodeKind::Mapping(_) => "a mapping of keys",
        }
    }

    /// A text that is not empty.
    pub(super) fn text(
        &self,
        expected: &'static str,
        mistakes: &mut Mistakes,
    ) -> Option<Written<String>> {
        let (text, _) = self.scalar(expected, mistakes)?;
        if text.trim().is_empty() {
            return self.wrong(Problem::WrongShape { expected, found: "an empty text" }, mistakes);
        }
        Some(self.written(text.to_owned()))
    }

    /// A number, which must not be in quotes.
    pub(super) fn number<T: std::str::FromStr>(
        &self,
        expected: &'static str,
        mistakes: &mut Mistakes,
    ) -> Option<Written<T>> {
        let (text, plain) = self.scalar(expected, mistakes)?;
        if !plain {
            return self.wrong(Problem::WrongShape { expected, found: self.found() }, mistakes);
        }
        match text.parse() {
            Ok(number) => Some(self.written(number)),
            Err(_) => self.unreadable(text, expected, mistakes),
        }
    }

    /// A duration such as `10m`.
    pub(super) fn duration(&self, mistakes: &mut Mistakes) -> Option<Written<Duration>> {
        let expected = "a duration such as 500ms, 5s, 10m, 1h or 2d";
        let (text, _) = self.scalar(expected, mistakes)?;
        match duration::parse(text) {
            Some(duration) => Some(self.written(duration)),
            None => self.unreadable(text, expected, mistakes),
        }
    }

    /// An IP address with a port.
    pub(super) fn address(&self, mistakes: &mut Mistakes) -> Option<Written<SocketAddr>> {
        let expected = "an IP address with a port such as 127.0.0.1:7070";
        let (text, _) = self.scalar(expected, mistakes)?;
        match text.parse() {
            Ok(address) => Some(self.written(address)),
            Err(_) => self.unreadable(text, expected, mistakes),
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &self,
        words: &[(&'static str, T)],
        mistakes: &mut Mistakes,
    ) -> Option<Written<T>> {
        let (text, _) = self.scalar("one word", mistakes)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(self.written(*value));
        }
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let nearest = nearest(text, known.iter().copied());
        self.wrong(Problem::UnknownWord { got: text.to_owned(), nearest, known }, mistakes)
    }

    /// A list, all of whose entries `read` could read. Its length must lie in `count`.
    pub(super) fn list<T>(
        &self,
        count: std::ops::RangeInclusive<usize>,
        mistakes: &mut Mistakes,
        mut read: impl FnMut(&At<'a>, &mut Mistakes) -> Option<T>,
    ) -> Option<Written<Vec<T>>> {
        let NodeKind::Sequence(nodes) = &self.node.kind else {
            let (expected, found) = ("a list (one `- ` for each entry)", self.found());
            return self.wrong(Problem::WrongShape { expected, found }, mistakes);
        };
        let (found, least, most) = (nodes.len(), *count.start(), *count.end());
        if !count.contains(&found) {
            return self.wrong(Problem::Count { found, least, most }, mistakes);
        }
        let mut entries = Vec::with_capacity(found);
        for (i, node) in nodes.iter().enumerate() {
            let at = At { node, path: format!("{}[{i}]", self.path) };
            entries.extend(read(&at, mistakes));
        }
        (entries.len() == found).then(|| self.written(entries))
    }

    /// A mapping that may have these keys and no others.
    pub(super) fn mapping(
        &self,
        keys: &'static [&'static str],
        mistakes: &mut Mistakes,
    ) -> Option<Mapping<'a>> {
        let NodeKind::Mapping(entries) = &self.node.kind else {
            let (expected, found) = ("a mapping (`key: value`)", self.found());
            return self.wrong(Problem::WrongShape { expected, found }, mistakes);
        };
        let mapping = Mapping { entries, place: self.place(), keys };
        mapping.check_keys(mistakes);
        Some(mapping)
    }

    fn unreadable<T>(
        &self,
        text: &str,
        expected: &'static str,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        self.wrong(Problem::Unreadable { got: text.to_owned(), expected }, mistakes)
    }
}

/// A mapping whose unknown and duplicate keys have been reported.
pub(super) struct Mapping<'a> {
    entries: &'a [Entry],
    pub(super) place: Place,
    keys: &'static [&'static str],
}

impl<'a> Mapping<'a> {
    /// What `read` makes of the value of a key. Where a key was given twice, of the first.
    pub(super) fn field<T>(
        &self,
        key: &'static str,
        mistakes: &mut Mistakes,
        read: impl FnOnce(At<'a>, &mut Mistakes) -> Option<Written<T>>,
    ) -> Field<T> {
        debug_assert!(self.keys.contains(&key), "{key} is not among the keys of its mapping");
        let Some(entry) = self.entries.iter().find(|entry| entry.key == key) else {
            return Field::Absent;
        };
        let at = At { node: &entry.value, path: self.path_of(key) };
        read(at, mistakes).map_or(Field::Mistaken, Field::Given)
    }

    fn path_of(&self, key: &str) -> String {
        if self.place.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.place.path)
        }
    }

    fn check_keys(&self, mistakes: &mut Mistakes) {
        let mut first_lines = HashMap::new();
        for entry in self.entries {
            let key = entry.key.as_str();
            let problem = if let Some(first_line) = first_lines.insert(key, entry.line) {
                Problem::DuplicateKey { first_line }
            } else if self.keys.contains(&key) {
                continue;
            } else if key == "<<" {
                Problem::MergeKey
            } else {
                let nearest = nearest(key, self.keys.iter().copied());
                Problem::UnknownKey { nearest, known: self.keys.to_vec() }
            };
            let short: String =
                key.chars().take(MAX_WORD_CHARS).flat_map(char::escape_debug).collect();
            let path = self.path_of(&short);
            mistakes.add(Place { line: entry.line, column: entry.column, path }, problem);
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

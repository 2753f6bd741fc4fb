//! What can be wrong in a configuration, and how it is told. It does not know how it is found.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::expression::ExpressionError;
use crate::expression::typed::Misfit;

/// Mistakes kept of one file; a file with more has one cause, and the first hundred show it.
const MAX_MISTAKES: usize = 100;

/// Characters of what was written that a message repeats.
const MAX_QUOTED_CHARS: usize = 60;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: cannot be read: {source}; name another file with -c", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("{}: more than {limit} bytes, which no configuration needs; is it the right file?", file.display())]
    TooLarge {
        /// Which file.
        file: PathBuf,
        /// The bytes allowed.
        limit: u64,
    },
    /// The file was read and is wrong; the message has one line for each mistake.
    #[error("{}", Listing { file, mistakes })]
    Mistaken {
        /// Which file.
        file: PathBuf,
        /// All mistakes (at most 100), in the order of the file.
        mistakes: Vec<Mistake>,
    },
}

struct Listing<'a> {
    file: &'a PathBuf,
    mistakes: &'a [Mistake],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.mistakes.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{mistake}", self.file.display())?;
        }
        Ok(())
    }
}

/// Where something stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The path from the root, such as `models[0].window.hop`; empty for the whole file.
    pub path: String,
}

/// One mistake: where, what, and the cure.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct Mistake {
    /// Where it stands.
    pub place: Place,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column, path } = &self.place;
        let colon = if path.is_empty() { "" } else { ": " };
        write!(f, "{line}:{column}: {path}{colon}{}", self.problem)
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes are not text.
    #[error("not UTF-8 text; save the file as UTF-8")]
    NotText,
    /// The text is not YAML.
    #[error("not YAML: {0}; check indentation, quotes and brackets here and just above")]
    Syntax(String),
    /// There is nothing in the file.
    #[error("nothing is configured; start with `models:` and one model")]
    Empty,
    /// `---` begins another document.
    #[error("a second document begins here; keep one document in the file")]
    SecondDocument,
    /// Too many collections inside each other.
    #[error("nested more than {0} deep, where nothing is expected; check the brackets")]
    TooDeep(usize),
    /// Too many values, aliases counted as often as they are used.
    #[error("more than {0} values once aliases are expanded; write fewer")]
    TooManyValues(usize),
    /// A YAML tag.
    #[error("tags such as `!word` mean nothing here; remove it")]
    Tagged,
    /// An alias inside what it refers to.
    #[error("this alias refers to something that contains it; write the value out")]
    SelfReference,
    /// A key that is not a word.
    #[error("a key must be a word; check the indentation and the brackets")]
    KeyNotWord,
    /// The same key again.
    #[error("already given in line {first_line}; keep one of them")]
    DuplicateKey {
        /// The line of the one before.
        first_line: usize,
    },
    /// `<<`, which YAML 1.2 does not have.
    #[error("`<<` merges nothing here; write the keys out")]
    MergeKey,
    /// A key that nothing reads.
    #[error("unknown key; {}", Cure { nearest, known })]
    UnknownKey {
        /// The known key that is most like it.
        nearest: Option<&'static str>,
        /// The keys that are known here.
        known: Vec<&'static str>,
    },
    /// A word that is none of those expected.
    #[error("{} is not known; {}", quoted(got), Cure { nearest, known })]
    UnknownWord {
        /// What was written.
        got: String,
        /// The expected word that is most like it.
        nearest: Option<&'static str>,
        /// The words expected.
        known: Vec<&'static str>,
    },
    /// A key that must be there and is not.
    #[error("`{key}` is missing; add `{key}: {example}`")]
    Missing {
        /// The key.
        key: &'static str,
        /// A value that would do.
        example: &'static str,
    },
    /// A value of another kind.
    #[error("expected {expected}, found {found}")]
    WrongShape {
        /// What belongs here, with an example.
        expected: &'static str,
        /// What is here.
        found: &'static str,
    },
    /// A text that cannot be read as what it should be.
    #[error("{} is not {expected}", quoted(got))]
    Unreadable {
        /// What was written.
        got: String,
        /// What belongs here, with an example.
        expected: &'static str,
    },
    /// A value outside its range.
    #[error("{} is out of range; give {range}", quoted(got))]
    OutOfRange {
        /// What was written.
        got: String,
        /// The range, in words.
        range: String,
    },
    /// A list without entries, or with too many.
    #[error("{found} entries; give from {least} to {most}")]
    Count {
        /// How many there are.
        found: usize,
        /// The fewest allowed.
        least: usize,
        /// The most allowed.
        most: usize,
    },
    /// A name that is taken.
    #[error("{} is already used by {first}; choose another", quoted(name))]
    Taken {
        /// The name.
        name: String,
        /// The path of the first use.
        first: String,
    },
    /// A name that Tidegate needs itself.
    #[error("`{0}` is a word of Tidegate's own runtime keys; name the cluster otherwise")]
    Reserved(&'static str),
    /// A route that matches everything.
    #[error("an empty route takes every exchange; give `path_prefix`, `name` or both")]
    EmptyRoute,
    /// A route that an earlier model already takes.
    #[error("never reached: {by} is tried first and takes all of it; move the narrower route up")]
    Unreachable {
        /// The path of the earlier route.
        by: String,
    },
    /// No version is primary, or several are.
    #[error("{found} versions have `role: primary`; exactly one must")]
    Primaries {
        /// How many there are.
        found: usize,
    },
    /// `to` names no version.
    #[error("no version of this model is called {}; {}", quoted(got), Versions(versions))]
    UnknownVersion {
        /// What was written.
        got: String,
        /// The versions that the action may go to.
        versions: Vec<String>,
    },
    /// `to` names a version that this action may not go to.
    #[error("`{action}` may not go to a {role}; {}", Versions(versions))]
    WrongRole {
        /// The action.
        action: &'static str,
        /// The role of the version named.
        role: &'static str,
        /// The versions that the action may go to.
        versions: Vec<String>,
    },
    /// The model has no version that the action could go to.
    #[error("`{action}` needs a version with `role: {role}`, and this model has none; add one")]
    NoVersionFor {
        /// The action.
        action: &'static str,
        /// The role it needs.
        role: &'static str,
    },
    /// A key that has no meaning beside `then`.
    #[error("means nothing with `then: {action}`; remove it")]
    Needless {
        /// The action.
        action: &'static str,
    },
    /// A text that is no segment.
    #[error("{0}")]
    NoSegment(#[from] tidegate_contract::segment::SegmentError),
    /// A text that is no expression.
    #[error("{0}")]
    NoExpression(#[from] ExpressionError),
    /// An expression that is not about this model.
    #[error("{0}")]
    Misfit(#[from] Misfit),
    /// A metric that is called like an input or an output.
    #[error("{} is a column of the model, and findings name both; choose another", quoted(.0))]
    NameOfColumn(String),
    /// A segment that is written and one that findings tell.
    #[error("a decision is about one segment; keep `where` or `segment: drifted`")]
    TwoSegments,
    /// What drifted, of findings that are about no input.
    #[error(
        "only findings of data_drift and completeness tell which requests drifted; write the segment \
         out with `where`"
    )]
    NothingDrifts,
    /// A key that has no meaning beside `task`.
    #[error("means nothing with `task: {task}`; remove it")]
    NeedlessForTask {
        /// The task.
        task: &'static str,
    },
    /// A canary that nobody has to agree to.
    #[error("a canary exposes more traffic to a candidate; write `approval: required`")]
    UnapprovedCanary,
    /// A decision that follows a warning by itself.
    #[error(
        "no budget of false alarms bounds warnings, so a person must agree; write `approval: required`, \
         or `then: shadow`"
    )]
    AutomaticWarning,
    /// `length` is not a multiple of `hop`.
    #[error(
        "{hop} does not divide the window's length of {length}; choose a hop that fits a whole number of times"
    )]
    HopDoesNotDivide {
        /// The hop.
        hop: String,
        /// The length.
        length: String,
    },
    /// `hop` is so short that a window has too many panes.
    #[error("{hop} cuts a window of {length} into more than {most} panes; choose a longer hop")]
    TooManyPanes {
        /// The hop.
        hop: String,
        /// The length.
        length: String,
        /// The panes allowed.
        most: u32,
    },
    /// Rows that go by their own time where collectors share windows.
    #[error(
        "collectors that share their state cut windows by the time of arrival; remove it, or keep `state` in a folder"
    )]
    SharedOwnTime,
    /// A rule with the trigger of an earlier one.
    #[error(
        "{by} looks at the same findings with the same `approval`, and only the more protective of \
         the two counts; remove one of them"
    )]
    SameTrigger {
        /// The path of the earlier rule.
        by: String,
    },
    /// Rules about samples where none are taken.
    #[error(
        "with 0 no exchange is sampled and the rules of `policy` never see any; give more than 0"
    )]
    NothingSampled,
    /// The two doors of the collector are one.
    #[error("{0} is also `listen.grpc`; give each its own port")]
    SameAddress(std::net::SocketAddr),
}

struct Cure<'a> {
    nearest: &'a Option<&'static str>,
    known: &'a [&'static str],
}

impl fmt::Display for Cure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nearest {
            Some(word) => write!(f, "did you mean `{word}`?"),
            None => write!(f, "known here: {}", self.known.join(", ")),
        }
    }
}

struct Versions<'a>(&'a [String]);

impl fmt::Display for Versions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("and none would do"),
            names => write!(f, "name one of: {}", names.join(", ")),
        }
    }
}

/// What was written, cut to a length that fits a line, with control characters made visible.
fn quoted(text: &str) -> String {
    let mut shown: String =
        text.chars().take(MAX_QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_QUOTED_CHARS).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Adds one, unless there are enough already.
    pub(super) fn add(&mut self, place: Place, problem: Problem) {
        if self.0.len() < MAX_MISTAKES {
            self.0.push(Mistake { place, problem });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of the file.
    pub(super) fn sorted(mut self) -> Vec<Mistake> {
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
        self.0
    }
}

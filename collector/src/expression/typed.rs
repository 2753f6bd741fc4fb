//! Expressions held against the columns that there are: each part gets a type, so that nothing can be
//! of a wrong one later. It does not know what a row holds.
//!
//! There are numbers, texts, and true or false; where a number is expected, true counts as 1 and false
//! as 0. Nothing else turns into anything by itself.

use tidegate_contract::protocol::Side;

use super::{Arithmetic, Comparison, Expression, Function, Kind, Node, OfNumber, Operator, cure};
use crate::nearest::nearest;

/// Columns that a message names where none is near.
const NAMED: usize = 20;

/// What a value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A number.
    Number,
    /// A text.
    Text,
    /// True or false.
    Truth,
}

impl Type {
    fn words(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Truth => "true or false",
        }
    }
}

/// A column that an expression may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Of requests or of answers.
    pub side: Side,
    /// Its name in bodies.
    pub name: String,
    /// What its values are; `None` of one whose values never arrive, because it is sensitive.
    pub of: Option<Type>,
}

/// What an expression may be about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// The columns.
    pub columns: Vec<Known>,
    /// What labels are; `None` where none are awaited.
    pub label: Option<Type>,
}

/// Why an expression cannot be of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// No column is called so.
    #[error(
        "character {at}: the model has no {} `{name}`; {}", side_word(*side), cure(nearest.as_deref(), known)
    )]
    UnknownColumn {
        /// Where, from 1, in characters.
        at: usize,
        /// Where it was looked for.
        side: Side,
        /// As it is written.
        name: String,
        /// The column that is most like it.
        nearest: Option<String>,
        /// Some of those that there are.
        known: String,
    },
    /// The values of a column never leave the proxy.
    #[error("character {at}: `{name}` is sensitive; its values never arrive here")]
    Sensitive {
        /// Where, from 1, in characters.
        at: usize,
        /// The column.
        name: String,
    },
    /// The label of a model that awaits none.
    #[error("character {at}: no labels are awaited; write `labels` of the model first")]
    NoLabel {
        /// Where, from 1, in characters.
        at: usize,
    },
    /// A value of another type.
    #[error("character {at}: expected {expected}, found {found}")]
    WrongType {
        /// Where, from 1, in characters.
        at: usize,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// Two values that are never the same.
    #[error("character {at}: {left} and {right} cannot be compared by this")]
    Incomparable {
        /// Where, from 1, in characters.
        at: usize,
        /// What stands left.
        left: &'static str,
        /// What stands right.
        right: &'static str,
    },
    /// The same whatever comes.
    #[error("it looks at nothing of a row; name an input, an output or the label")]
    Constant,
}

fn side_word(side: Side) -> &'static str {
    match side {
        Side::Request => "input",
        Side::Response => "output",
    }
}

/// An expression of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Number {
    Constant(f64),
    Column(usize),
    Label,
    Of(Box<Truth>),
    Negated(Box<Number>),
    Two(Arithmetic, Box<Number>, Box<Number>),
    Call(OfNumber, Box<Number>),
    Least(Vec<Number>),
    Greatest(Vec<Number>),
    Size(Box<Text>),
    If(Box<Truth>, Box<Number>, Box<Number>),
}

/// An expression of texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text {
    Constant(Box<str>),
    Column(usize),
    Label,
    If(Box<Truth>, Box<Text>, Box<Text>),
}

/// An expression that is true or false.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Truth {
    Constant(bool),
    Column(usize),
    Label,
    Not(Box<Truth>),
    And(Box<Truth>, Box<Truth>),
    Or(Box<Truth>, Box<Truth>),
    Compare(Comparison, Box<Number>, Box<Number>),
    Same(Box<Text>, Box<Text>),
    AmongNumbers(Box<Number>, Vec<f64>),
    AmongTexts(Box<Text>, Vec<Box<str>>),
    Has(Box<Typed>),
    If(Box<Truth>, Box<Truth>, Box<Truth>),
}

/// An expression of any type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Typed {
    Number(Number),
    Text(Text),
    Truth(Truth),
}

impl Typed {
    fn of(&self) -> Type {
        match self {
            Self::Number(_) => Type::Number,
            Self::Text(_) => Type::Text,
            Self::Truth(_) => Type::Truth,
        }
    }

    fn number(self) -> Result<Number, Self> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Truth(truth) => Ok(Number::Of(Box::new(truth))),
            Self::Text(_) => Err(self),
        }
    }
}

/// What a row must have for some expressions: the columns that they name, each once. Programs know them
/// by their places here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// The columns, by their places.
    pub columns: Vec<(Side, String)>,
}

impl Needs {
    fn place(&mut self, side: Side, name: &str) -> usize {
        let known = self.columns.iter().position(|(of, column)| *of == side && column == name);
        known.unwrap_or_else(|| {
            self.columns.push((side, name.to_owned()));
            self.columns.len() - 1
        })
    }
}

/// What an owner's metric is of a row, ready to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    pub(super) condition: Option<Truth>,
    pub(super) value: Measure,
    /// Which sides of an exchange it looks at, requests first.
    pub sides: [bool; 2],
}

/// The value of a row, by its type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Measure {
    Number(Number),
    Truth(Truth),
}

impl Program {
    /// Whether its values are true or false, that is 1 or 0.
    #[must_use]
    pub fn is_share(&self) -> bool {
        matches!(self.value, Measure::Truth(_))
    }
}

/// What was found wrong, each with whether it is of the condition.
pub type Misfits = Vec<(bool, Misfit)>;

/// Makes a program of an expression and of the condition under which a row counts. `needs` gets the
/// columns that are new.
///
/// # Errors
/// With all that does not fit.
pub fn program(
    expression: &Expression,
    condition: Option<&Expression>,
    scope: &Scope,
    needs: &mut Needs,
) -> Result<Program, Misfits> {
    let mut binder =
        Binder { scope, needs, misfits: Vec::new(), sides: [false; 2], labelled: false };
    let value = binder.bind(&expression.root);
    let value = value.and_then(|value| match value {
        Typed::Number(number) => Some(Measure::Number(number)),
        Typed::Truth(truth) => Some(Measure::Truth(truth)),
        Typed::Text(_) => {
            let expected = "a number, or true or false";
            binder.wrong(&expression.root, expected, Type::Text)
        }
    });
    if binder.misfits.is_empty() && binder.sides == [false; 2] && !binder.labelled {
        binder.misfits.push(Misfit::Constant);
    }
    let of_value = std::mem::take(&mut binder.misfits);
    let condition = condition.map(|condition| binder.truth(&condition.root));
    let of_condition = std::mem::take(&mut binder.misfits);
    let sides = binder.sides;
    let misfits: Misfits = of_value
        .into_iter()
        .map(|misfit| (false, misfit))
        .chain(of_condition.into_iter().map(|misfit| (true, misfit)))
        .collect();
    match (value, condition) {
        (Some(value), None) if misfits.is_empty() => Ok(Program { condition: None, value, sides }),
        (Some(value), Some(Some(condition))) if misfits.is_empty() => {
            Ok(Program { condition: Some(condition), value, sides })
        }
        _ => Err(misfits),
    }
}

struct Binder<'a> {
    scope: &'a Scope,
    needs: &'a mut Needs,
    misfits: Vec<Misfit>,
    sides: [bool; 2],
    labelled: bool,
}

impl Binder<'_> {
    fn misfit<T>(&mut self, misfit: Misfit) -> Option<T> {
        self.misfits.push(misfit);
        None
    }

    fn wrong<T>(&mut self, node: &Node, expected: &'static str, found: Type) -> Option<T> {
        let (at, found) = (node.at, found.words());
        self.misfit(Misfit::WrongType { at, expected, found })
    }

    fn number(&mut self, node: &Node) -> Option<Number> {
        match self.bind(node)?.number() {
            Ok(number) => Some(number),
            Err(other) => self.wrong(node, Type::Number.words(), other.of()),
        }
    }

    fn truth(&mut self, node: &Node) -> Option<Truth> {
        match self.bind(node)? {
            Typed::Truth(truth) => Some(truth),
            other => self.wrong(node, Type::Truth.words(), other.of()),
        }
    }

    fn text(&mut self, node: &Node) -> Option<Text> {
        match self.bind(node)? {
            Typed::Text(text) => Some(text),
            other => self.wrong(node, Type::Text.words(), other.of()),
        }
    }

    fn bind(&mut self, node: &Node) -> Option<Typed> {
        let number = |number| Some(Typed::Number(number));
        let truth = |truth| Some(Typed::Truth(truth));
        match &node.kind {
            Kind::Number(value) => number(Number::Constant(*value)),
            Kind::Text(text) => Some(Typed::Text(Text::Constant(text.as_str().into()))),
            Kind::Truth(value) => truth(Truth::Constant(*value)),
            Kind::Column(side, name) => self.column(node.at, *side, name),
            Kind::Label => self.label(node.at),
            Kind::Not(of) => truth(Truth::Not(Box::new(self.truth(of)?))),
            Kind::Negated(of) => number(Number::Negated(Box::new(self.number(of)?))),
            Kind::Two(operator, left, right) => self.two(node.at, *operator, left, right),
            Kind::Among(of, list) => self.among(of, list),
            Kind::If(condition, then, otherwise) => self.conditional(condition, then, otherwise),
            Kind::Call(function, arguments) => self.call(*function, arguments),
        }
    }

    fn column(&mut self, at: usize, side: Side, name: &str) -> Option<Typed> {
        let of_side = |known: &&Known| known.side == side;
        let mut columns = self.scope.columns.iter().filter(of_side);
        let Some(known) = columns.clone().find(|known| known.name == name) else {
            let names = || columns.clone().map(|known| known.name.as_str());
            let nearest = nearest(name, names()).map(str::to_owned);
            let mut known = names().take(NAMED).collect::<Vec<_>>().join(", ");
            if columns.nth(NAMED).is_some() {
                known.push_str(", ...");
            } else if known.is_empty() {
                known.push_str("none");
            }
            let name = name.to_owned();
            return self.misfit(Misfit::UnknownColumn { at, side, name, nearest, known });
        };
        let Some(of) = known.of else {
            return self.misfit(Misfit::Sensitive { at, name: name.to_owned() });
        };
        self.sides[usize::from(side == Side::Response)] = true;
        let place = self.needs.place(side, name);
        Some(match of {
            Type::Number => Typed::Number(Number::Column(place)),
            Type::Text => Typed::Text(Text::Column(place)),
            Type::Truth => Typed::Truth(Truth::Column(place)),
        })
    }

    fn label(&mut self, at: usize) -> Option<Typed> {
        self.labelled = true;
        match self.scope.label {
            None => self.misfit(Misfit::NoLabel { at }),
            Some(Type::Number) => Some(Typed::Number(Number::Label)),
            Some(Type::Text) => Some(Typed::Text(Text::Label)),
            Some(Type::Truth) => Some(Typed::Truth(Truth::Label)),
        }
    }

    fn two(&mut self, at: usize, operator: Operator, left: &Node, right: &Node) -> Option<Typed> {
        match operator {
            Operator::And | Operator::Or => {
                let (left, right) = (self.truth(left), self.truth(right));
                let (left, right) = (Box::new(left?), Box::new(right?));
                Some(Typed::Truth(match operator {
                    Operator::And => Truth::And(left, right),
                    _ => Truth::Or(left, right),
                }))
            }
            Operator::Arithmetic(of) => {
                let (left, right) = (self.number(left), self.number(right));
                Some(Typed::Number(Number::Two(of, Box::new(left?), Box::new(right?))))
            }
            Operator::Compare(comparison) => {
                let (left, right) = (self.bind(left), self.bind(right));
                self.compare(at, comparison, left?, right?)
            }
        }
    }

    fn compare(
        &mut self,
        at: usize,
        comparison: Comparison,
        left: Typed,
        right: Typed,
    ) -> Option<Typed> {
        let (of_left, of_right) = (left.of().words(), right.of().words());
        match (comparison, left, right) {
            (Comparison::Equal, Typed::Text(left), Typed::Text(right)) => {
                Some(Typed::Truth(Truth::Same(Box::new(left), Box::new(right))))
            }
            (Comparison::Unequal, Typed::Text(left), Typed::Text(right)) => {
                let same = Truth::Same(Box::new(left), Box::new(right));
                Some(Typed::Truth(Truth::Not(Box::new(same))))
            }
            (_, left, right) => match (left.number(), right.number()) {
                (Ok(left), Ok(right)) => {
                    let (left, right) = (Box::new(left), Box::new(right));
                    Some(Typed::Truth(Truth::Compare(comparison, left, right)))
                }
                _ => self.misfit(Misfit::Incomparable { at, left: of_left, right: of_right }),
            },
        }
    }

    fn among(&mut self, of: &Node, list: &[Node]) -> Option<Typed> {
        let numbers = list.iter().map(|node| match node.kind {
            Kind::Number(number) => Some(number),
            _ => None,
        });
        let texts = list.iter().map(|node| match &node.kind {
            Kind::Text(text) => Some(text.as_str().into()),
            _ => None,
        });
        let (numbers, texts): (Option<Vec<f64>>, Option<Vec<Box<str>>>) =
            (numbers.collect(), texts.collect());
        let bound = self.bind(of)?;
        let found = bound.of();
        match (bound, numbers, texts) {
            (Typed::Text(of), _, Some(texts)) => {
                Some(Typed::Truth(Truth::AmongTexts(Box::new(of), texts)))
            }
            (Typed::Text(_), ..) => self.misfit(Misfit::WrongType {
                at: list.first().map_or(of.at, |first| first.at),
                expected: "texts",
                found: "a number",
            }),
            (bound, Some(numbers), _) => match bound.number() {
                Ok(of) => Some(Typed::Truth(Truth::AmongNumbers(Box::new(of), numbers))),
                Err(other) => self.wrong(of, Type::Number.words(), other.of()),
            },
            _ => self.wrong(of, Type::Text.words(), found),
        }
    }

    fn conditional(&mut self, condition: &Node, then: &Node, otherwise: &Node) -> Option<Typed> {
        let condition = self.truth(condition);
        let (first, second) = (self.bind(then), self.bind(otherwise));
        let (condition, first, second) = (Box::new(condition?), first?, second?);
        match (first, second) {
            (Typed::Text(first), Typed::Text(second)) => {
                Some(Typed::Text(Text::If(condition, Box::new(first), Box::new(second))))
            }
            (Typed::Truth(first), Typed::Truth(second)) => {
                Some(Typed::Truth(Truth::If(condition, Box::new(first), Box::new(second))))
            }
            (first, second) => match (first.number(), second.number()) {
                (Ok(first), Ok(second)) => {
                    Some(Typed::Number(Number::If(condition, Box::new(first), Box::new(second))))
                }
                (Ok(_), Err(other)) => self.wrong(otherwise, Type::Number.words(), other.of()),
                (Err(_), _) => self.wrong(otherwise, Type::Text.words(), Type::Number),
            },
        }
    }

    fn call(&mut self, function: Function, arguments: &[Node]) -> Option<Typed> {
        let number = |number| Some(Typed::Number(number));
        match (function, arguments) {
            (Function::Of(of), [one]) => number(Number::Call(of, Box::new(self.number(one)?))),
            (Function::Size, [one]) => number(Number::Size(Box::new(self.text(one)?))),
            (Function::Power, [base, exponent]) => {
                let (base, exponent) = (self.number(base), self.number(exponent));
                let (base, exponent) = (Box::new(base?), Box::new(exponent?));
                number(Number::Two(Arithmetic::Power, base, exponent))
            }
            (Function::Least | Function::Greatest, several) => {
                let all: Vec<_> = several.iter().map(|of| self.number(of)).collect();
                let all: Vec<Number> = all.into_iter().collect::<Option<_>>()?;
                number(match function {
                    Function::Least => Number::Least(all),
                    _ => Number::Greatest(all),
                })
            }
            (Function::Has, [one]) => Some(Typed::Truth(Truth::Has(Box::new(self.bind(one)?)))),
            // The parser counted the arguments.
            (Function::Of(_) | Function::Size | Function::Power | Function::Has, _) => None,
        }
    }
}

//! Tokens put together by how strongly operators bind (Pratt, "Top down operator precedence", POPL
//! 1973). It does not know which columns there are, nor what their values can be.

use tidegate_contract::protocol::Side;

use super::token::{Token, tokens};
use super::{
    Arithmetic, Comparison, ExpressionError, FUNCTIONS, Function, Kind, MAX_BYTES, MAX_DEPTH, Node,
    Operator,
};
use crate::nearest::nearest;

/// How strongly each binds, from the weakest.
const CONDITIONAL: u8 = 1;
const COMPARISON: u8 = 4;
const UNARY: u8 = 7;

/// The words that begin a value.
const ROOTS: [&str; 5] = ["inputs", "outputs", "label", "true", "false"];

/// Words of other languages, and what is written here.
const ELSEWHERE: [(&str, &str); 5] =
    [("and", "`&&`"), ("or", "`||`"), ("not", "`!`"), ("AND", "`&&`"), ("OR", "`||`")];

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Node, ExpressionError> {
    if text.len() > MAX_BYTES {
        return Err(ExpressionError::TooLong);
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, open: 0 };
    let root = parser.expression(CONDITIONAL)?;
    match parser.peek() {
        Token::End => Ok(root),
        _ => parser.unexpected("an operator or the end"),
    }
}

struct Parser {
    /// The last is the end, which nobody passes.
    tokens: Vec<(usize, Token)>,
    next: usize,
    /// Expressions that are being read inside each other.
    open: usize,
}

impl Parser {
    fn at(&self) -> usize {
        self.tokens[self.next].0
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].1
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn takes(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Token::Sign(found) if *found == sign);
        if there {
            self.advance();
        }
        there
    }

    fn expect(&mut self, sign: &str, expected: &'static str) -> Result<(), ExpressionError> {
        if self.takes(sign) { Ok(()) } else { self.unexpected(expected) }
    }

    fn unexpected<T>(&self, expected: &'static str) -> Result<T, ExpressionError> {
        let expected = match self.peek() {
            Token::Name(name) => {
                ELSEWHERE.iter().find(|(word, _)| word == name).map_or(expected, |(_, sign)| sign)
            }
            _ => expected,
        };
        let found = self.peek().to_string();
        Err(ExpressionError::Unexpected { at: self.at(), expected, found })
    }

    /// An expression whose operators bind at least so strongly.
    fn expression(&mut self, least: u8) -> Result<Node, ExpressionError> {
        self.open += 1;
        if self.open > MAX_DEPTH {
            return Err(ExpressionError::TooDeep { at: self.at() });
        }
        let mut left = self.operand()?;
        loop {
            let at = self.at();
            let Some((strength, sign)) = infix(self.peek()) else { break };
            if strength < least {
                break;
            }
            self.advance();
            let kind = match sign {
                Infix::Conditional => {
                    let then = self.expression(CONDITIONAL)?;
                    self.expect(":", "`:` and what holds otherwise")?;
                    let otherwise = self.expression(CONDITIONAL)?;
                    Kind::If(Box::new(left), Box::new(then), Box::new(otherwise))
                }
                Infix::Among => Kind::Among(Box::new(left), self.list()?),
                Infix::Operator(operator) => {
                    let right = self.expression(strength + 1)?;
                    Kind::Two(operator, Box::new(left), Box::new(right))
                }
            };
            left = node(at, kind)?;
            if strength == COMPARISON
                && infix(self.peek()).is_some_and(|(next, _)| next == COMPARISON)
            {
                return self.unexpected("`&&`: comparisons do not chain");
            }
        }
        self.open -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node, ExpressionError> {
        let at = self.at();
        let kind = match self.peek().clone() {
            Token::Number(number) => self.past(Kind::Number(number)),
            Token::Text(text) => self.past(Kind::Text(text)),
            Token::Sign("(") => {
                self.advance();
                let inner = self.expression(CONDITIONAL)?;
                self.expect(")", "`)`")?;
                return Ok(inner);
            }
            Token::Sign("-") => {
                self.advance();
                Kind::Negated(Box::new(self.expression(UNARY)?))
            }
            Token::Sign("!") => {
                self.advance();
                Kind::Not(Box::new(self.expression(UNARY)?))
            }
            Token::Name(name) => self.named(&name)?,
            Token::Sign(_) | Token::End => {
                return self.unexpected("a column such as `outputs.score`, or a value");
            }
        };
        node(at, kind)
    }

    fn past(&mut self, kind: Kind) -> Kind {
        self.advance();
        kind
    }

    fn named(&mut self, name: &str) -> Result<Kind, ExpressionError> {
        let at = self.at();
        if ELSEWHERE.iter().any(|(word, _)| *word == name) {
            return self.unexpected("");
        }
        self.advance();
        let called = matches!(self.peek(), Token::Sign("("));
        let unknown = |nearest: Option<&str>, known: String| {
            let (name, nearest) = (name.to_owned(), nearest.map(str::to_owned));
            Err(ExpressionError::UnknownName { at, name, nearest, known })
        };
        if called {
            let function = FUNCTIONS.iter().find(|(known, _)| *known == name);
            let names = FUNCTIONS.map(|(known, _)| known);
            return match function {
                Some((_, function)) => self.call(at, *function),
                None => unknown(nearest(name, names), names.join(", ")),
            };
        }
        match name {
            "inputs" => Ok(Kind::Column(Side::Request, self.column()?)),
            "outputs" => Ok(Kind::Column(Side::Response, self.column()?)),
            "label" => Ok(Kind::Label),
            "true" => Ok(Kind::Truth(true)),
            "false" => Ok(Kind::Truth(false)),
            _ => unknown(nearest(name, ROOTS), "inputs.NAME, outputs.NAME, label".to_owned()),
        }
    }

    /// The name of a column, as bodies have it: `.user.age`, `.x[3]`, `.items[].price` or
    /// `["hours-per-week"]`.
    fn column(&mut self) -> Result<String, ExpressionError> {
        const EXPECTED: &str =
            "the name of a column, as in `inputs.age` or `inputs[\"hours-per-week\"]`";
        let mut column = String::new();
        loop {
            if self.takes(".") {
                let Token::Name(name) = self.peek().clone() else {
                    return self.unexpected(EXPECTED);
                };
                self.advance();
                if !column.is_empty() {
                    column.push('.');
                }
                column.push_str(&name);
            } else if matches!(self.peek(), Token::Sign("[")) {
                self.advance();
                match self.peek().clone() {
                    Token::Text(name) if column.is_empty() => {
                        self.advance();
                        column = name;
                    }
                    Token::Number(place) if !column.is_empty() => {
                        self.advance();
                        column.push_str(&format!("[{place}]"));
                    }
                    Token::Sign("]") if !column.is_empty() => column.push_str("[]"),
                    _ => return self.unexpected(EXPECTED),
                }
                self.expect("]", "`]`")?;
            } else if column.is_empty() {
                return self.unexpected(EXPECTED);
            } else {
                return Ok(column);
            }
        }
    }

    fn call(&mut self, at: usize, function: Function) -> Result<Kind, ExpressionError> {
        self.expect("(", "`(`")?;
        let mut arguments = Vec::new();
        if !self.takes(")") {
            loop {
                arguments.push(self.expression(CONDITIONAL)?);
                if self.takes(")") {
                    break;
                }
                self.expect(",", "`,` or `)`")?;
            }
        }
        let (takes, fits) = match function {
            Function::Of(_) | Function::Size => ("one value", arguments.len() == 1),
            Function::Has => ("one column", arguments.len() == 1),
            Function::Power => ("two numbers", arguments.len() == 2),
            Function::Least | Function::Greatest => ("two numbers or more", arguments.len() >= 2),
        };
        if !fits {
            let (function, found) = (function.name(), arguments.len());
            return Err(ExpressionError::Arguments { at, function, takes, found });
        }
        Ok(Kind::Call(function, arguments))
    }

    /// `["EU", "UK"]`: texts or numbers, at least one.
    fn list(&mut self) -> Result<Vec<Node>, ExpressionError> {
        self.expect("[", "a list such as `[\"EU\", \"UK\"]`")?;
        let mut values = Vec::new();
        loop {
            let at = self.at();
            let negative = self.takes("-");
            let kind = match self.peek().clone() {
                Token::Number(number) => Kind::Number(if negative { -number } else { number }),
                Token::Text(text) if !negative => Kind::Text(text),
                _ => return self.unexpected("a text or a number"),
            };
            self.advance();
            values.push(node(at, kind)?);
            if self.takes("]") {
                return Ok(values);
            }
            self.expect(",", "`,` or `]`")?;
        }
    }
}

/// What may stand after a value.
enum Infix {
    Conditional,
    Among,
    Operator(Operator),
}

fn infix(token: &Token) -> Option<(u8, Infix)> {
    let operator = |strength, operator| Some((strength, Infix::Operator(operator)));
    let compare = |comparison| operator(COMPARISON, Operator::Compare(comparison));
    let arithmetic = |strength, of| operator(strength, Operator::Arithmetic(of));
    match token {
        Token::Sign("?") => Some((CONDITIONAL, Infix::Conditional)),
        Token::Sign("||") => operator(2, Operator::Or),
        Token::Sign("&&") => operator(3, Operator::And),
        Token::Sign("==") => compare(Comparison::Equal),
        Token::Sign("!=") => compare(Comparison::Unequal),
        Token::Sign("<") => compare(Comparison::Less),
        Token::Sign("<=") => compare(Comparison::AtMost),
        Token::Sign(">") => compare(Comparison::Greater),
        Token::Sign(">=") => compare(Comparison::AtLeast),
        Token::Name(name) if name == "in" => Some((COMPARISON, Infix::Among)),
        Token::Sign("+") => arithmetic(5, Arithmetic::Add),
        Token::Sign("-") => arithmetic(5, Arithmetic::Subtract),
        Token::Sign("*") => arithmetic(6, Arithmetic::Multiply),
        Token::Sign("/") => arithmetic(6, Arithmetic::Divide),
        Token::Sign("%") => arithmetic(6, Arithmetic::Remainder),
        _ => None,
    }
}

fn node(at: usize, kind: Kind) -> Result<Node, ExpressionError> {
    let deepest = match &kind {
        Kind::Number(_) | Kind::Text(_) | Kind::Truth(_) | Kind::Column(..) | Kind::Label => 0,
        Kind::Not(of) | Kind::Negated(of) | Kind::Among(of, _) => of.depth,
        Kind::Two(_, left, right) => left.depth.max(right.depth),
        Kind::If(of, then, otherwise) => of.depth.max(then.depth).max(otherwise.depth),
        Kind::Call(_, arguments) => arguments.iter().map(|of| of.depth).max().unwrap_or(0),
    };
    if deepest >= MAX_DEPTH {
        return Err(ExpressionError::TooDeep { at });
    }
    Ok(Node { at, depth: deepest + 1, kind })
}

#[cfg(test)]
mod tests {
    use super::super::{Expression, ExpressionError, MAX_BYTES};
    use super::*;

    /// An expression with brackets around all that belongs together.
    fn shown(node: &Node) -> String {
        let all = |nodes: &[Node]| nodes.iter().map(shown).collect::<Vec<_>>().join(", ");
        match &node.kind {
            Kind::Number(number) => number.to_string(),
            Kind::Text(text) => format!("{text:?}"),
            Kind::Truth(truth) => truth.to_string(),
            Kind::Column(Side::Request, name) => format!("i.{name}"),
            Kind::Column(Side::Response, name) => format!("o.{name}"),
            Kind::Label => "label".to_owned(),
            Kind::Not(of) => format!("!{}", shown(of)),
            Kind::Negated(of) => format!("-{}", shown(of)),
            Kind::Two(operator, a, b) => format!("({} {operator:?} {})", shown(a), shown(b)),
            Kind::Among(of, list) => format!("({} in [{}])", shown(of), all(list)),
            Kind::If(of, a, b) => format!("({} ? {} : {})", shown(of), shown(a), shown(b)),
            Kind::Call(function, of) => format!("{}({})", function.name(), all(of)),
        }
    }

    fn check(text: &str, expected: &str) {
        let read = text.parse::<Expression>().map(|read| shown(&read.root));
        let read = read.unwrap_or_else(|error| error.to_string());
        let short = [
            ("Arithmetic(Add)", "+"),
            ("Arithmetic(Subtract)", "-"),
            ("Arithmetic(Multiply)", "*"),
            ("Arithmetic(Divide)", "/"),
            ("Compare(Greater)", ">"),
            ("Compare(Equal)", "=="),
            ("And", "&&"),
            ("Or", "||"),
        ];
        let read = short.iter().fold(read, |read, (long, sign)| read.replace(long, sign));
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn operators_bind_as_they_do_in_cel() {
        check("1 + 2 * 3 - 4", "((1 + (2 * 3)) - 4)");
        check("-outputs.a * 2 > 1 && !true || false", "((((-o.a * 2) > 1) && !true) || false)");
        check("(1 + 2) * 3", "((1 + 2) * 3)");
        check("true ? 1 : false ? 2 : 3", "(true ? 1 : (false ? 2 : 3))");
        check("label == 1 ? 2 + 3 : 4", "((label == 1) ? (2 + 3) : 4)");
        check("max(abs(label), 1, 2e-1)", "max(abs(label), 1, 0.2)");
        check("inputs.a in [\"x\", 'y\\'s', -3]", "(i.a in [\"x\", \"y's\", -3])");
    }

    #[test]
    fn columns_are_named_as_bodies_name_them() {
        check("inputs.user.age", "i.user.age");
        check("inputs.x[3]", "i.x[3]");
        check("inputs.items[].price", "i.items[].price");
        check("outputs[\"hours-per-week\"]", "o.hours-per-week");
        check("inputs.größe", "i.größe");
        check("inputs.in", "i.in");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_the_nearest_right_word() {
        check(
            "",
            "character 1: expected a column such as `outputs.score`, or a value, found the end",
        );
        check(
            "outputs.score >",
            "character 16: expected a column such as `outputs.score`, or a value, found the end",
        );
        check("outputs.score = 1", "character 15: expected `==`, found `=`");
        check("label and true", "character 7: expected `&&`, found `and`");
        check("not label", "character 1: expected `!`, found `not`");
        check("output.score > 1", "character 1: `output` is not known; did you mean `outputs`?");
        check(
            "score > 1",
            "character 1: `score` is not known; known here: inputs.NAME, outputs.NAME, label",
        );
        check("asb(label)", "character 1: `asb` is not known; did you mean `abs`?");
        check("abs(1, 2)", "character 1: `abs` takes one value, found 2");
        check("min(1)", "character 1: `min` takes two numbers or more, found 1");
        check("1 < label < 3", "character 11: expected `&&`: comparisons do not chain, found `<`");
        check("(1 + 2", "character 7: expected `)`, found the end");
        check(
            "inputs > 1",
            "character 8: expected the name of a column, as in `inputs.age` or `inputs[\"hours-per-week\"]`, found `>`",
        );
        check("label == 'x", "character 10: expected a closing quote, found none");
        check("label in []", "character 11: expected a text or a number, found `]`");
        check(
            "1e999 > label",
            "character 1: expected a number that a double can hold, found `1e999`",
        );
        check(
            "label # 1",
            "character 7: expected a name, a number or a sign such as `+`, found `#`",
        );
        check("1 2", "character 3: expected an operator or the end, found `2`");
    }

    #[test]
    fn length_and_depth_are_bounded_however_they_come_about() {
        let read = |text: String| text.parse::<Expression>().map(|_| ());
        assert_eq!(read(" ".repeat(MAX_BYTES + 1)), Err(ExpressionError::TooLong));
        let deep = [
            "(".repeat(1_000),
            "-".repeat(1_000),
            "!".repeat(1_000),
            format!("1{}", " + 1".repeat(200)),
            "abs(".repeat(200),
            "true ? 1 : ".repeat(80),
        ];
        for text in deep {
            assert!(matches!(read(text.clone()), Err(ExpressionError::TooDeep { .. })), "{text}");
        }
        assert_eq!(read(format!("1{}", " + 1".repeat(MAX_DEPTH - 1))), Ok(()));
        assert_eq!(
            read(format!("1{}", " + 1".repeat(MAX_DEPTH))),
            Err(ExpressionError::TooDeep { at: 255 })
        );
    }
}

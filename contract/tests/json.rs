//! The lexer against `serde_json`, over generated, broken and arbitrarily cut texts.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value};
use tidegate_contract::json::{
    Error, Event, Form, Lexer, MAX_DEPTH, MAX_TOKEN_BYTES, Number, Plain, Scalar,
};

/// All events of a text that comes in these chunks, as words, and how it ended.
fn events<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Result<(), Error>) {
    let mut lexer = Lexer::default();
    let mut told = Vec::new();
    let mut read = Ok(());
    for chunk in chunks {
        read = feed(&mut lexer, chunk, |event| told.push(format!("{event:?}")));
    }
    let last = lexer.finish().map(|event| told.extend(event.map(|event| format!("{event:?}"))));
    (told, read.and(last))
}

/// Pulls all events of a chunk.
fn feed(lexer: &mut Lexer, chunk: &[u8], mut out: impl FnMut(Event<'_>)) -> Result<(), Error> {
    let mut at = 0;
    while let Some(event) = lexer.next(chunk, &mut at)? {
        out(event);
    }
    Ok(())
}

fn read(text: &[u8]) -> Result<(), Error> {
    events([text]).1
}

/// Builds the tree that the events describe.
#[derive(Default)]
struct Tree {
    open: Vec<(Value, String)>,
    key: String,
    root: Option<Value>,
}

impl Tree {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Key(key) => key.text.clone_into(&mut self.key),
            Event::ObjectStart => self.open(Value::Object(Map::new())),
            Event::ArrayStart => self.open(Value::Array(Vec::new())),
            Event::ObjectEnd | Event::ArrayEnd => {
                let (value, key) = self.open.pop().expect("was opened");
                self.key = key;
                self.put(value);
            }
            Event::Scalar(Scalar::Null) => self.put(Value::Null),
            Event::Scalar(Scalar::Bool(value)) => self.put(Value::Bool(value)),
            Event::Scalar(Scalar::NotFinite(value)) => panic!("{value} is not RFC 8259's"),
            Event::Scalar(Scalar::Text(text)) => self.put(Value::String(text.text.to_owned())),
            Event::Scalar(Scalar::Number(number)) => {
                self.put(serde_json::from_str(number.text).expect("a number"));
            }
        }
    }

    fn open(&mut self, value: Value) {
        self.open.push((value, std::mem::take(&mut self.key)));
    }

    fn put(&mut self, value: Value) {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Value::Array(values), _)) => values.push(value),
            Some((Value::Object(values), _)) => {
                values.insert(std::mem::take(&mut self.key), value);
            }
            Some(_) => panic!("only containers are open"),
        }
    }
}

fn tree(text: &[u8]) -> Option<Value> {
    let mut lexer = Lexer::default();
    let mut tree = Tree::default();
    feed(&mut lexer, text, |event| tree.event(event)).ok()?;
    if let Some(event) = lexer.finish().ok()? {
        tree.event(event);
    }
    tree.root
}

/// Whether both readers agree on a text: on accepting it, and on what it says.
fn agree(text: &[u8]) -> Result<(), TestCaseError> {
    let theirs = serde_json::from_slice::<Value>(text);
    if let Err(error) = &theirs
        && (error.to_string().contains("number out of range")
            || error.to_string().contains("recursion limit"))
    {
        return Ok(());
    }
    match read(text) {
        Err(Error::TooDeep { .. }) => Ok(()),
        ours => {
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "ours {:?}, theirs {:?}", ours, theirs);
            prop_assert_eq!(tree(text), theirs.ok());
            Ok(())
        }
    }
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("JSON has no NaN", |value| value.is_finite())
            .prop_map(|value| { serde_json::to_string(&value).expect("finite") }),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("text")),
        "\"(\\\\u[0-9a-fD]{4}|\\\\[nrtbf\"/\\\\]|[a-z é\u{1F600}]){0,9}\"",
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let blank = prop_oneof![Just(""), Just(" "), Just("\n\t\r ")];
        prop_oneof![
            (proptest::collection::vec(inner.clone(), 0..6), blank.clone()).prop_map(
                |(values, blank)| {
                    format!("[{blank}{}{blank}]", values.join(&format!("{blank},{blank}")))
                }
            ),
            (proptest::collection::vec((any::<String>(), inner), 0..6), blank).prop_map(
                |(members, blank)| {
                    let members: Vec<String> = members
                        .iter()
                        .map(|(key, value)| {
                            let key = serde_json::to_string(key).expect("text");
                            format!("{blank}{key}{blank}:{blank}{value}")
                        })
                        .collect();
                    format!("{{{}{blank}}}", members.join(","))
                }
            ),
        ]
    })
}

/// Pieces that make texts which are almost JSON.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece: Vec<&[u8]> = vec![
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"a\"",
        b"\"",
        b"\\",
        b"\\u",
        b"d83d",
        b"\\ude00",
        b"0041",
        b"1",
        b"-",
        b"0",
        b".",
        b"e",
        b"E+",
        b"true",
        b"fals",
        b"e",
        b"null",
        b" ",
        b"\n",
        b"\xc3",
        b"\xa9",
        b"\xff",
        b"\x1f",
        b"\xf0\x9f",
        b"\x98\x80",
        b"12",
        b"\"k\":",
        b"nul",
    ];
    proptest::collection::vec(proptest::sample::select(piece), 0..12)
        .prop_map(|pieces| pieces.concat())
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<proptest::sample::Index>(), any::<u8>(), 0..4_u8);
    (json(), proptest::collection::vec(change, 1..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (at, byte, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, b"\"\\[]{},:-.e0 \x80"[usize::from(byte) % 14]),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_serde_json_accepts_is_accepted_and_says_the_same(text in json()) {
        agree(text.as_bytes())?;
    }

    #[test]
    fn what_serde_json_refuses_is_refused(text in prop_oneof![mutated(), pieces()]) {
        agree(&text)?;
    }

    #[test]
    fn cutting_changes_nothing(
        text in prop_oneof![json().prop_map(String::into_bytes), mutated(), pieces()],
        size in 1..7_usize,
    ) {
        prop_assert_eq!(events(text.chunks(size)), events([text.as_slice()]));
    }

    #[test]
    fn long_texts_are_cut_alike_however_they_come(
        text in "[a-zé\u{1F600}]{200,300}",
        size in 1..40_usize,
    ) {
        let text = format!("[\"{text}\\n{text}\", {}1.5]", "1".repeat(300));
        let (told, read) = events(text.as_bytes().chunks(size));
        prop_assert_eq!(read, Ok(()));
        prop_assert_eq!((told, read), events([text.as_bytes()]));
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: u32| {
        let depth = depth as usize;
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(read(nested(MAX_DEPTH).as_bytes()), Ok(()));
    let too_deep = Err(Error::TooDeep { at: u64::from(MAX_DEPTH) });
    assert_eq!(read(nested(MAX_DEPTH + 1).as_bytes()), too_deep);
    assert_eq!(read(nested(100_000).as_bytes()), too_deep);
}

#[test]
fn a_long_text_keeps_its_start_and_says_that_it_was_cut() {
    // 255 letters leave one byte, which the two of an e acute do not fit.
    let text = format!("\"{}é\"", "a".repeat(MAX_TOKEN_BYTES - 1));
    let mut lexer = Lexer::default();
    let mut lengths = Vec::new();
    let read = feed(&mut lexer, text.as_bytes(), |event| {
        if let Event::Scalar(Scalar::Text(text)) = event {
            lengths.push((text.text.len(), text.cut));
        }
    });
    assert_eq!(read, Ok(()));
    assert_eq!(lengths, [(MAX_TOKEN_BYTES - 1, true)]);
}

#[test]
fn numbers_that_are_not_finite_are_read_as_python_writes_them() {
    let text = b"[NaN, Infinity,-Infinity,1]";
    for size in 1..text.len() {
        let (told, read) = events(text.chunks(size));
        assert_eq!(read, Ok(()), "chunks of {size}");
        let told = told.join(" ");
        for word in ["NotFinite(NaN)", "NotFinite(inf)", "NotFinite(-inf)"] {
            assert!(told.contains(word), "chunks of {size}: {told}");
        }
    }
    for bad in ["[nan]", "[NaN1]", "[Inf]", "[-NaN]", "[+Infinity]", "[--Infinity]", "NaM"] {
        assert!(read(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn errors_say_where_and_what() {
    let message = |text: &[u8]| read(text).expect_err("bad").to_string();
    assert_eq!(message(b"[1 2]"), "byte 3: expected `,` or `]`, got `2`");
    assert_eq!(message(b"{\"a\" 1}"), "byte 5: expected `:`, got `1`");
    assert_eq!(message(b"[01]"), "byte 2: expected `,` or `]`, got `1`");
    assert_eq!(message(b"[1.]"), "byte 3: expected a digit, got `]`");
    assert_eq!(message(b"\"\xff\""), "byte 1: a text that is not UTF-8");
    assert_eq!(message(b"{} x"), "byte 3: expected nothing after the end, got `x`");
    assert_eq!(message(b"[1"), "byte 2: the body ends before it is whole");
    assert_eq!(message(b"\"\\ud800x\""), "byte 7: a surrogate escape without its other half");
}

#[test]
fn a_number_past_a_double_is_json_all_the_same() {
    assert_eq!(read(b"1e999"), Ok(()));
}

/// How many scalars of a text there are, and how it ended, when numbers are passed over where they may be,
/// and lists of so many of them.
fn passing(
    chunks: &[&[u8]],
    plain: &Plain,
    width: Option<u64>,
    fits: impl Fn(&Number<'_>) -> bool,
) -> (u64, u64, Result<(), Error>) {
    let mut lexer = Lexer::default();
    let (mut scalars, mut passed) = (0, 0);
    let mut count = |event: Event<'_>| {
        if let Event::Scalar(scalar) = event {
            scalars += 1;
            if let Scalar::Number(number) = scalar {
                passed += u64::from(fits(&number));
            }
        }
    };
    let mut bulk = 0;
    let mut read = || -> Result<(), Error> {
        for chunk in chunks {
            let mut at = 0;
            loop {
                let lists = lexer.lists(chunk, &mut at, plain, width)?;
                assert!(width.is_none_or(|width| lists.numbers == lists.count * width));
                bulk += lists.numbers + lexer.numbers(chunk, &mut at, plain)?;
                match lexer.next(chunk, &mut at)? {
                    Some(event) => count(event),
                    None => break,
                }
            }
        }
        if let Some(event) = lexer.finish()? {
            count(event);
        }
        Ok(())
    };
    let read = read();
    (scalars + bulk, passed + bulk, read)
}

/// Whether passing over numbers changes nothing: the same count of values, the same count of those that
/// fit, and the same error as when each is looked at.
fn passing_agrees(
    text: &[u8],
    size: usize,
    plain: &Plain,
    width: Option<u64>,
) -> Result<(), TestCaseError> {
    let fits = |number: &Number<'_>| {
        let runs = number.text.split(|letter: char| !letter.is_ascii_digit());
        let digits = runs.map(str::len).max().unwrap_or(0);
        let within = |(least, greatest)| {
            number.value().is_some_and(|value| value >= least && value <= greatest)
        };
        (number.form == Form::Whole || !plain.whole && number.form == Form::Fraction)
            && (plain.negative || !number.text.starts_with('-'))
            && plain.range.is_none_or(within)
            && digits as u64 <= u64::from(plain.max_digits)
    };
    let chunks: Vec<&[u8]> = text.chunks(size).collect();
    let looking = Plain { max_digits: 0, ..*plain };
    let (scalars, passed, read) = passing(&chunks, plain, width, fits);
    let (each, fitting, slow) = passing(&chunks, &looking, width, fits);
    prop_assert_eq!(read, slow);
    if read.is_ok() {
        prop_assert_eq!((scalars, passed), (each, fitting));
    }
    Ok(())
}

/// Which numbers need no look, of every kind.
fn plains() -> impl Strategy<Value = Plain> {
    (
        any::<bool>(),
        prop_oneof![Just(u32::MAX), 1..12_u32],
        any::<bool>(),
        proptest::option::of(prop_oneof![
            (-60.0..60.0_f64, 0.0..60.0_f64).prop_map(|(least, span)| (least, least + span)),
            // Ends that numbers meet.
            (
                proptest::sample::select(vec![-1000.0, -100.0, -10.0, -1.0, -0.5, 0.0, 1.0]),
                proptest::sample::select(vec![0.0, 0.5, 1.0, 9.0, 10.0, 100.0, 99_999.0]),
            ),
        ]),
    )
        .prop_map(|(whole, max_digits, negative, range)| Plain {
            whole,
            max_digits,
            negative,
            range,
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000, rng_seed: RngSeed::Fixed(7), failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn passing_over_numbers_changes_nothing(
        values in proptest::collection::vec(
            "(0|-?9{1,3}\\.9{15,20}|-?10{0,3}\\.0{0,20}1?|-?[1-9][0-9]{0,4}|-?[0-9]{1,2}\\.[0-9]{1,18}|-0|1e[+-]?[0-9]|-?[1-9][0-9]{50,90}|\\[[0-9]{1,2}(,[0-9]{1,3}){0,9}\\])[ \n]{0,1}",
            0..40),
        separator in ",( |\t\r\n|)",
        size in prop_oneof![1..200_usize, Just(10_000)],
        plain in plains(),
    ) {
        passing_agrees(format!("[{}]", values.join(&separator)).as_bytes(), size, &plain, None)?;
    }

    #[test]
    fn passing_over_what_is_broken_finds_the_same_error(
        values in proptest::collection::vec("-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,9})?", 1..60),
        changes in proptest::collection::vec(
            (any::<proptest::sample::Index>(), proptest::sample::select(b"0123456789-.,eE+ ][\"x\n".to_vec())),
            0..4),
        size in prop_oneof![1..200_usize, Just(10_000)],
        plain in plains(),
    ) {
        let mut text = format!("[{}]", values.join(",")).into_bytes();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        passing_agrees(&text, size, &plain, None)?;
        let accepted = passing(&[&text], &plain, None, |_| true).2.is_ok();
        let theirs = serde_json::from_slice::<Value>(&text);
        let out_of_range = theirs.as_ref().is_err_and(|error| error.to_string().contains("number out of range"));
        prop_assert!(accepted == theirs.is_ok() || out_of_range, "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn passing_over_lists_changes_nothing_and_finds_the_same_errors(
        lists in proptest::collection::vec(
            proptest::collection::vec("-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,9})?", 1..5), 1..40),
        width in proptest::option::of(1..4_u64),
        even in any::<bool>(),
        spaced in any::<bool>(),
        changes in proptest::collection::vec(
            (any::<proptest::sample::Index>(), proptest::sample::select(b"0123456789-.,,eE+ ][[]]\"x\n".to_vec())),
            0..3),
        size in prop_oneof![1..200_usize, Just(10_000)],
        plain in plains(),
    ) {
        let comma = if spaced { ", " } else { "," };
        let lists = lists.into_iter().map(|mut list| {
            if even {
                list.resize(3, "1".to_owned());
            }
            format!("[{}]", list.join(comma))
        });
        let mut text = format!("[{}]", lists.collect::<Vec<_>>().join(comma)).into_bytes();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        passing_agrees(&text, size, &plain, width)?;
        let accepted = passing(&[&text], &plain, width, |_| true).2.is_ok();
        let theirs = serde_json::from_slice::<Value>(&text);
        let out_of_range = theirs.as_ref().is_err_and(|error| error.to_string().contains("number out of range"));
        prop_assert!(accepted == theirs.is_ok() || out_of_range, "{}", String::from_utf8_lossy(&text));
    }
}

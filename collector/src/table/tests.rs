//! What a table makes of files, good and bad.

use std::path::Path;

use parquet::basic::{Compression, ZstdLevel};

use crate::table::error::TableError;
use crate::table::specimen::{Cells, Specimen, as_parquet, file, folder};
use crate::table::{Cell, Kind, Reading, Table};

/// Reads every column of a file: its name, kind and cells as text.
fn read(path: &Path, reading: &Reading) -> Result<Vec<(String, Kind, Vec<String>)>, TableError> {
    let table = Table::open(path, reading)?;
    let all: Vec<_> = (0..table.names().len()).collect();
    let columns = table.columns(&all, &mut |_| {})?;
    let mut cells = vec![Vec::new(); columns.len()];
    let mut each = |at: usize, cell: Cell<'_>| {
        cells[at].push(match cell {
            Cell::Null => "null".to_owned(),
            Cell::Number(value) => value.to_string(),
            Cell::Boolean(value) => value.to_string(),
            Cell::Text(text) => text.to_owned(),
        });
    };
    table.scan(&columns, &mut each, &mut |_| {})?;
    Ok(columns.into_iter().zip(cells).map(|(c, cells)| (c.name, c.kind, cells)).collect())
}

fn check(content: &str, columns: &[(&str, Kind, &[&str])]) {
    let dir = folder();
    let path = file(dir.path(), "data.csv", content);
    let got = read(&path, &Reading::default()).expect("a table");
    let got: Vec<_> = got
        .iter()
        .map(|(name, kind, cells)| {
            (name.as_str(), *kind, cells.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let wanted: Vec<_> = columns.iter().map(|(n, k, cells)| (*n, *k, cells.to_vec())).collect();
    assert_eq!(got, wanted, "{content:?}");
}

fn refusal(content: impl AsRef<[u8]>, reading: &Reading) -> String {
    let dir = folder();
    let path = file(dir.path(), "data.csv", content);
    let error = read(&path, reading).expect_err("a refusal").to_string();
    assert!(error.contains("data.csv"), "names the file: {error}");
    error
}

const BLANKS: &str = "age, wage ,sex,member\n 39, 1.5,Male , true\n7,2,\"Fe, male\",False\n";

#[test]
fn cells_are_typed_by_all_of_their_column_and_texts_are_left_as_they_are() {
    check(
        BLANKS,
        &[
            ("age", Kind::Integer, &["39", "7"]),
            ("wage", Kind::Number, &["1.5", "2"]),
            ("sex", Kind::Text, &["Male ", "Fe, male"]),
            ("member", Kind::Boolean, &["true", "false"]),
        ],
    );
}

#[test]
fn texts_lose_the_blanks_at_their_ends_where_that_is_asked_for() {
    let dir = folder();
    let path = file(dir.path(), "data.csv", BLANKS);
    let got = read(&path, &Reading { trim: true, ..Reading::default() }).expect("a table");
    assert_eq!(got[2].2, ["Male", "Fe, male"]);
}

#[test]
fn one_word_among_numbers_makes_the_column_text() {
    check(
        "a,b\n1,true\n10k,2\n",
        &[("a", Kind::Text, &["1", "10k"]), ("b", Kind::Text, &["true", "2"])],
    );
}

#[test]
fn empty_cells_and_the_words_of_pandas_are_null() {
    check(
        "a,b,c\n,x,NA\n3,NaN,NA\n",
        &[
            ("a", Kind::Integer, &["null", "3"]),
            ("b", Kind::Text, &["x", "null"]),
            ("c", Kind::Text, &["null", "null"]),
        ],
    );
}

#[test]
fn the_words_for_null_can_be_chosen() {
    let dir = folder();
    let path = file(dir.path(), "data.csv", "a,b\n?,NA\n1,x\n");
    let reading = Reading { nulls: vec!["?".to_owned()], ..Reading::default() };
    let got = read(&path, &reading).expect("a table");
    assert_eq!(got[0].2, ["null", "1"]);
    assert_eq!(got[1].2, ["NA", "x"]);
}

#[test]
fn semicolons_and_tabs_are_found_without_being_told() {
    check("a;b\n1,5;2\n", &[("a", Kind::Text, &["1,5"]), ("b", Kind::Integer, &["2"])]);
    check("a\tb\n1\t2\n", &[("a", Kind::Integer, &["1"]), ("b", Kind::Integer, &["2"])]);
    check("only\n1\n", &[("only", Kind::Integer, &["1"])]);
}

#[test]
fn line_breaks_in_quotes_a_byte_order_mark_and_carriage_returns_do_no_harm() {
    check(
        "\u{feff}a,b\r\n\"x\ny\",1\r\n",
        &[("a", Kind::Text, &["x\ny"]), ("b", Kind::Integer, &["1"])],
    );
}

#[test]
fn the_row_index_of_pandas_has_an_empty_name() {
    check(",a\n0,5\n1,6\n", &[("", Kind::Integer, &["0", "1"]), ("a", Kind::Integer, &["5", "6"])]);
}

#[test]
fn counted_names_of_pandas_are_a_header() {
    check("0,1\n5,6\n", &[("0", Kind::Integer, &["5"]), ("1", Kind::Integer, &["6"])]);
}

#[test]
fn a_file_without_header_is_refused_with_the_cure() {
    let error = refusal("73, Not in universe, 0\n58, Private, 4\n", &Reading::default());
    assert!(error.contains("column 1 is `73`") && error.contains("--names"), "{error}");
}

#[test]
fn names_can_be_given_for_a_file_without_header() {
    let dir = folder();
    let path = file(dir.path(), "data.csv", "73,x\n58,y\n");
    let names = vec!["age".to_owned(), "work".to_owned()];
    let got = read(&path, &Reading { names, ..Reading::default() }).expect("a table");
    assert_eq!(got[0], ("age".to_owned(), Kind::Integer, vec!["73".to_owned(), "58".to_owned()]));
    let names = vec!["age".to_owned()];
    let error = refusal("73,x\n", &Reading { names, ..Reading::default() });
    assert!(error.contains("has 2 columns, but --names gives 1"), "{error}");
}

#[test]
fn faults_name_row_column_and_cure() {
    let says = |content: &[u8], parts: &[&str]| {
        let error = refusal(content, &Reading::default());
        for part in parts {
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        }
    };
    says(b"", &["is empty"]);
    says(b"a,b\n", &["no rows"]);
    says(b"a,b\n1,2\n3\n", &["row 2 (line 3)", "1 cells", "has 2"]);
    says(b"a,b\n\"1\n\n\",2\n1,2,3\n", &["row 2 (line 5)", "3 cells"]);
    says(b"a,b\n1,caf\xe9\n", &["row 1 (line 2)", "column `b`", "iconv"]);
    says(b"a,a\n1,2\n", &["columns 1 and 2", "`a`", "rename"]);
    says(b"a,,c\n1,2,3\n", &["column 2 has no name"]);
    says(b"\x1f\x8b\x08\0", &["gzip", "gunzip"]);
    says(b"\xff\xfea\0", &["UTF-16"]);
    says(b"a\0b\n", &["neither text nor Parquet"]);
}

#[test]
fn a_quote_left_open_does_not_read_the_file_into_memory() {
    let mut content = b"a,b\n1,\"".to_vec();
    content.resize(40 << 20, b'x');
    let error = refusal(content, &Reading::default());
    assert!(error.contains("row 1 (line 2)") && error.contains("16 MiB"), "{error}");
}

fn specimen() -> Specimen {
    vec![
        ("whole", Cells::Whole(vec![Some(1), None, Some(-3)])),
        ("number", Cells::Number(vec![Some(0.5), Some(f64::NAN), None])),
        ("flag", Cells::Boolean(vec![Some(true), None, Some(false)])),
        ("text", Cells::Text(vec![Some("a|b".to_owned()), None, Some("\u{e9}".to_owned())])),
        ("day", Cells::Date(vec![Some(0), Some(20_780), None])),
        ("at", Cells::Instant(vec![Some(0), None, Some(1_500_000)])),
    ]
}

#[test]
fn parquet_is_read_by_its_own_types_whatever_its_codec() {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(parquet::basic::GzipLevel::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for codec in codecs {
        let dir = folder();
        let path = as_parquet(dir.path(), &specimen(), 2, codec);
        let got = read(&path, &Reading::default()).expect("a table");
        let cells: Vec<_> = got.iter().map(|(_, kind, cells)| (*kind, cells.join(" "))).collect();
        let wanted = [
            (Kind::Integer, "1 null -3"),
            (Kind::Number, "0.5 null null"),
            (Kind::Boolean, "true null false"),
            (Kind::Text, "a|b null \u{e9}"),
            (Kind::Text, "1970-01-01 2026-11-23 null"),
            (Kind::Text, "1970-01-01T00:00:00Z null 1970-01-01T00:00:01.500000Z"),
        ];
        assert_eq!(cells, wanted.map(|(kind, cells)| (kind, cells.to_owned())), "{codec}");
    }
}

#[test]
fn parquet_cut_short_is_refused_at_every_length() {
    let dir = folder();
    let path = as_parquet(dir.path(), &specimen(), 2, Compression::SNAPPY);
    let whole = std::fs::read(&path).expect("the file");
    for length in (1..whole.len()).step_by(7) {
        let path = file(dir.path(), "cut.parquet", &whole[..length]);
        let error = read(&path, &Reading::default()).expect_err("a refusal").to_string();
        assert!(error.contains("cut.parquet") && error.contains("cannot be read"), "{error}");
    }
}

#[test]
fn bad_text_in_parquet_names_its_row_across_row_groups() {
    let dir = folder();
    let mark = "MARKMARK".to_owned();
    let texts = (0..6).map(|row| Some(if row == 4 { mark.clone() } else { "fine".into() }));
    let first = ("first", Cells::Whole((0..6).map(Some).collect()));
    let specimen = vec![first, ("text", Cells::Text(texts.collect()))];
    let path = as_parquet(dir.path(), &specimen, 3, Compression::UNCOMPRESSED);
    let mut bytes = std::fs::read(&path).expect("the file");
    for at in 0..bytes.len() - mark.len() {
        if bytes[at..].starts_with(mark.as_bytes()) {
            bytes[at] = 0xff;
        }
    }
    let path = file(dir.path(), "data.parquet", bytes);
    let error = read(&path, &Reading::default()).expect_err("a refusal").to_string();
    assert!(error.contains("row 5, column `text`: not UTF-8"), "{error}");
}

#[test]
fn parquet_with_a_damaged_byte_is_read_or_refused() {
    let dir = folder();
    let path = as_parquet(dir.path(), &specimen(), 2, Compression::SNAPPY);
    let whole = std::fs::read(&path).expect("the file");
    let mut refused = 0;
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        let path = file(dir.path(), "damaged.parquet", damaged);
        if let Err(error) = read(&path, &Reading::default()) {
            assert!(error.to_string().contains("damaged.parquet"), "{error}");
            refused += 1;
        }
    }
    assert!(refused > whole.len() / 10, "{refused} refused");
}

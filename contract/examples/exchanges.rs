//! Reads captured exchanges and says what was read of them, a line a body: its format, its rows, or why it
//! could not be read.
//!
//! `cargo run -p tidegate-contract --example exchanges -- FOLDER`, where each folder below has the files
//! `request.head`, `request.body`, `response.head` and `response.body` as they were on the wire.

use std::fs;
use std::path::{Path, PathBuf};

use tidegate_contract::check::Check;
use tidegate_contract::format::Format;
use tidegate_contract::inflate::{Coding, Inflate};
use tidegate_contract::protocol::{Head, Protocol, Side};

/// A head: its first line, and its headers.
struct Lines(String);

impl Lines {
    fn of(path: &Path) -> Option<Self> {
        Some(Self(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned()))
    }

    fn word(&self, place: usize) -> &str {
        self.0.lines().next().unwrap_or_default().split(' ').nth(place).unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        let header = self.0.lines().skip(1).find_map(|line| {
            let (known, value) = line.trim_start_matches(':').split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        header.unwrap_or_default()
    }

    fn json_bytes(&self) -> Option<u64> {
        self.header("inference-header-content-length").parse().ok()
    }
}

/// What a body says, in words.
fn read(format: Format, side: Side, head: &Lines, body: &[u8]) -> String {
    let mut plain = Vec::new();
    let plain = match Coding::named(head.header("content-encoding")) {
        None => body,
        Some(coding) => {
            let mut inflate = Inflate::new(coding);
            let mut take = |bytes: &[u8]| plain.extend_from_slice(bytes);
            if let Err(error) =
                inflate.feed(body, &mut take).and_then(|()| inflate.finish(&mut take))
            {
                return format!("{format}: {error}");
            }
            &plain
        }
    };
    let mut check = Check::new(None, format, side).packed_by(head.header("grpc-encoding"));
    check.feed(plain);
    let verdict = check.finish();
    match verdict.violations.first() {
        None => format!("{format}: {} rows", verdict.rows),
        Some(violation) => format!("{format}: UNREADABLE, {}", violation.got),
    }
}

fn exchange(folder: &Path) -> Option<(String, String)> {
    let request = Lines::of(&folder.join("request.head"))?;
    let head = Head {
        method: request.word(0),
        path: request.word(1),
        content_type: request.header("content-type"),
        json_bytes: request.json_bytes(),
    };
    let Some(call) = Protocol::Auto.call(&head) else {
        return Some(("asks nothing".to_owned(), String::new()));
    };
    let body = fs::read(folder.join("request.body")).unwrap_or_default();
    let asked = read(call.request, Side::Request, &request, &body);
    let answered = Lines::of(&folder.join("response.head")).map_or_else(String::new, |response| {
        if response.word(1) != "200" {
            return format!("status {}", response.word(1));
        }
        let format = call.response(response.header("content-type"), response.json_bytes());
        let body = fs::read(folder.join("response.body")).unwrap_or_default();
        read(format, Side::Response, &response, &body)
    });
    Some((asked, answered))
}

fn main() {
    let mut open: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    while let Some(folder) = open.pop() {
        if let Some((asked, answered)) = exchange(&folder) {
            println!("{:<56} {asked:<44} {answered}", folder.display());
        }
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut below: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        below.retain(|path| path.is_dir());
        below.sort();
        open.extend(below.into_iter().rev());
    }
}

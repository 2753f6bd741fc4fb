//! The rules of the house, held against its own files: which room may use which, one door for each
//! outside dependency, and documents that tell the truth. It runs no Envoy.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tidegate_tests::people::{self, Era};
use tidegate_tests::tools;
use xtask::stage::Stage;

const DOCUMENTS: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "envoy/README.md"];
const ROOMS: [&str; 9] =
    ["proto", "contract", "detectors", "filter", "collector", "envoy", "tests", "xtask", "bench"];

/// Every file of the checkout that is ours, by its path from the root.
fn files() -> Vec<String> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder of ours").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if name == "target" || name == ".git" {
                // Cargo's and git's own.
            } else if path.is_dir() {
                walk(root, &path, found);
            } else {
                let path = path.strip_prefix(root).expect("below the root");
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(&tools::root(), &tools::root(), &mut found);
    found.sort();
    found
}

/// A text of ours; what is not text reads as empty.
fn read(path: &str) -> String {
    std::fs::read_to_string(tools::root().join(path)).unwrap_or_default()
}

fn sources() -> impl Iterator<Item = String> {
    files().into_iter().filter(|path| path.ends_with(".rs"))
}

/// The dependencies that the manifest of a room names, in whichever section.
fn dependencies(room: &str) -> BTreeSet<String> {
    let manifest = read(&format!("{room}/Cargo.toml"));
    assert!(!manifest.is_empty(), "{room} has no manifest");
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside && let Some(name) = line.split(['.', ' ', '=']).next() {
            found.insert(name.to_owned());
        }
    }
    found
}

/// The spans between single backticks of a text, outside its fenced blocks.
fn code_spans(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")).collect()
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}");
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match &mut open {
            Some(_) if line.starts_with("```") => found.extend(open.take()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
            None if line == opening => open = Some(String::new()),
            None => {}
        }
    }
    found
}

#[test]
fn arrows_between_the_rooms_run_one_way() {
    let allowed: [(&str, &[&str]); 8] = [
        ("proto", &[]),
        ("contract", &[]),
        ("detectors", &[]),
        ("filter", &["tidegate-proto", "tidegate-contract"]),
        ("collector", &["tidegate-proto", "tidegate-contract", "tidegate-detectors"]),
        ("xtask", &[]),
        ("tests", &["xtask"]),
        (
            "bench",
            &[
                "tidegate-proto",
                "tidegate-contract",
                "tidegate-detectors",
                "tidegate-collector",
                "xtask",
            ],
        ),
    ];
    for (room, may_use) in allowed {
        for used in dependencies(room) {
            let ours = used.starts_with("tidegate-") || used == "xtask";
            assert!(!ours || may_use.contains(&used.as_str()), "{room} must not use {used}");
        }
    }
}

#[test]
fn each_outside_dependency_has_one_door() {
    // What its use looks like in code, and the files and folders where it may stand.
    let doors: [(&str, &[&str]); 25] = [
        (
            "envoy_types::",
            &[
                "collector/src/xds/",
                "collector/src/serve.rs",
                "bench/src/fleet.rs",
                "bench/src/traffic/peers.rs",
            ],
        ),
        ("prometheus_client::", &["collector/src/metrics.rs"]),
        ("opentelemetry_otlp::", &["collector/src/telemetry.rs"]),
        ("opentelemetry_sdk::", &["collector/src/telemetry.rs"]),
        ("tracing_subscriber::", &["collector/src/telemetry.rs"]),
        ("opentelemetry_proto::", &["tests/src/spans.rs"]),
        ("axum::", &["collector/src/api/", "collector/src/serve.rs"]),
        (
            "tonic::",
            &[
                "collector/src/intake.rs",
                "collector/src/serve.rs",
                "collector/src/xds/server.rs",
                "tests/src/spans.rs",
                "bench/src/fleet.rs",
                "bench/src/traffic/peers.rs",
            ],
        ),
        ("ureq::", &["collector/src/client.rs", "xtask/src/stage/http.rs"]),
        (
            "clap::",
            &[
                "collector/src/cli.rs",
                "collector/src/init/",
                "collector/src/main.rs",
                "collector/src/profile/",
                "xtask/src/main.rs",
                "collector/src/check/",
                "collector/src/labels/post.rs",
                "collector/src/rollout/command.rs",
                "collector/src/manual/mod.rs",
                "collector/src/simulate/",
                "collector/src/export.rs",
                "collector/src/fetched.rs",
            ],
        ),
        ("saphyr_parser::", &["collector/src/config/yaml.rs"]),
        ("crc32fast::", &["collector/src/journal.rs"]),
        ("redis::", &["collector/src/state/door.rs"]),
        // The profile's tests write Parquet to read it back.
        (
            "parquet::",
            &[
                "collector/src/table/",
                "collector/src/profile/tests.rs",
                "bench/src/labelled.rs",
                "bench/src/mixed.rs",
            ],
        ),
        // Of `contract`, a module of its own.
        ("csv::", &["collector/src/table/", "contract/src/body.rs"]),
        (
            "nix::",
            &["xtask/src/stage/process.rs", "bench/src/clock.rs", "bench/reader/src/main.rs"],
        ),
        ("wat::", &["bench/src/traffic/proxy.rs"]),
        ("flate2::", &["contract/src/inflate.rs", "contract/tests/", "tests/tests/", "bench/"]),
        ("object_store::", &["collector/src/store/shelf.rs"]),
        ("rustls::", &["collector/src/store/shelf.rs"]),
        ("siphasher::", &["contract/src/sensitive.rs"]),
        ("base64::", &["detectors/src/letters.rs", "filter/src/problem.rs"]),
        ("ctrlc::", &["xtask/src/main.rs"]),
        (
            "extern \"C\"",
            &["filter/src/host.rs", "filter/src/native/abi.rs", "bench/reader/src/module.rs"],
        ),
        (
            "SystemTime",
            &[
                "collector/src/clock.rs",
                "collector/src/profile/mod.rs",
                "filter/src/native/fleet.rs",
                "xtask/src/",
            ],
        ),
    ];
    let mut elsewhere = Vec::new();
    for path in sources().filter(|path| path != "tests/tests/house.rs") {
        for (number, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for (sign, places) in &doors {
                let Some(at) = code.find(sign) else { continue };
                let word = |letter: char| letter.is_alphanumeric() || "_:.".contains(letter);
                let part_of_another = code[..at].ends_with(word) && sign.ends_with("::");
                let allowed = places.iter().any(|place| path.starts_with(place));
                if !part_of_another && !allowed {
                    elsewhere.push(format!("{path}:{}: {sign}", number + 1));
                }
            }
        }
    }
    assert_eq!(elsewhere, Vec::<String>::new(), "a dependency is used beside its door");
    for (sign, places) in doors {
        let used = |place: &&str| {
            sources().any(|path| {
                path.starts_with(place) && read(&path).contains(sign.trim_end_matches("::"))
            })
        };
        for place in places {
            assert!(used(place), "the door of `{sign}`, {place}, is gone");
        }
    }
}

#[test]
fn every_file_says_first_what_lives_in_it() {
    for path in sources() {
        let first = read(&path).lines().next().unwrap_or_default().to_owned();
        assert!(first.starts_with("//! "), "{path} begins with `{first}`");
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_house() {
    for room in ROOMS.iter().filter(|room| **room != "envoy") {
        let manifest = read(&format!("{room}/Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{room}/Cargo.toml");
    }
}

#[test]
fn nothing_names_a_place_of_one_machine() {
    let places: Vec<String> =
        ["root", "home", "work", "Users"].iter().map(|place| format!("/{place}/")).collect();
    let mut named = Vec::new();
    for path in files() {
        for (number, line) in read(&path).lines().enumerate() {
            for place in &places {
                // A path begins there; `at/home/` is something else.
                let begins = line.match_indices(place.as_str()).any(|(at, _)| {
                    !line[..at].ends_with(|before: char| {
                        before.is_alphanumeric() || "}*_.-<>".contains(before)
                    })
                });
                if begins {
                    named.push(format!("{path}:{}: {line}", number + 1));
                }
            }
        }
    }
    assert_eq!(named, Vec::<String>::new());
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let files = files();
    let mut gone = Vec::new();
    for document in DOCUMENTS {
        let text = read(document);
        let folder = Path::new(document).parent().expect("a document lies somewhere");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            let there = path.is_empty() || tools::root().join(folder).join(path).exists();
            if !link.contains("://") && !there {
                gone.push(format!("{document}: {link}"));
            }
        }
        for span in code_spans(&text) {
            let room = ROOMS.iter().find(|room| span.starts_with(&format!("{room}/")));
            let plain = !span.contains([' ', '{', '*', '$', ':']);
            let there = if (room.is_some() || span.starts_with(".ci/")) && plain {
                tools::root().join(&span).exists()
            } else if span.ends_with(".rs") && plain && !FOREIGN.contains(&span.as_str()) {
                let end = format!("/{span}");
                files.iter().any(|path| path.ends_with(&end))
            } else {
                true
            };
            if !there {
                gone.push(format!("{document}: {span}"));
            }
        }
    }
    assert_eq!(gone, Vec::<String>::new(), "named, and not there");
}

/// Files of other projects that the documents speak of.
const FOREIGN: [&str; 2] = ["hostcalls.rs", "dispatcher.rs"];

#[test]
fn every_room_is_on_the_map() {
    let map = read("ARCHITECTURE.md");
    for room in ROOMS {
        assert!(map.contains(&format!("`{room}/`")), "ARCHITECTURE.md does not name {room}/");
    }
}

/// The commands of a document: lines of its `sh` blocks and its code spans.
fn commands(text: &str) -> Vec<String> {
    let lines = blocks(text, "sh").join("\n");
    let lines =
        lines.lines().map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    lines.chain(code_spans(text)).filter(|command| !command.is_empty()).collect()
}

fn run(program: PathBuf, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).current_dir(folder).output().expect("the command runs")
}

/// Holds that the subcommand is there and knows the options of the line.
fn check_command(document: &str, line: &str, words: &[&str], help: &Output) {
    assert!(help.status.success(), "{document}: `{line}` is no command");
    let help = String::from_utf8_lossy(&help.stdout);
    for option in words.iter().filter(|word| word.starts_with('-') && word.len() > 1) {
        let option = option.split('=').next().unwrap_or_default();
        assert!(help.contains(option), "{document}: `{line}`: there is no option {option}");
    }
}

#[test]
fn every_command_that_a_document_names_is_there() {
    let mut checked = 0;
    for document in DOCUMENTS {
        for line in commands(&read(document)) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["tidegate", name, rest @ ..] if name.starts_with(char::is_alphabetic) => {
                    let help = run(tools::tidegate(), &tools::root(), &[name, "--help"]);
                    check_command(document, &line, rest, &help);
                    checked += 1;
                }
                ["cargo", "xtask", name, rest @ ..] => {
                    // Its own binary is not among the tools: the recipes and their options are
                    // read where they are written.
                    let recipes = read("xtask/src/main.rs");
                    let recipe = name[..1].to_uppercase() + &name[1..];
                    let known = [" {", ",", "("].map(|end| format!("\n    {recipe}{end}"));
                    assert!(
                        known.iter().any(|known| recipes.contains(known)),
                        "{document}: `{line}`"
                    );
                    for option in rest.iter().filter_map(|word| word.strip_prefix("--")) {
                        assert!(recipes.contains(&format!(" {option}:")), "{document}: `{line}`");
                    }
                    checked += 1;
                }
                _ => {}
            }
        }
    }
    assert!(
        checked >= 8,
        "only {checked} commands were found: are the documents still read right?"
    );
}

#[test]
fn the_examples_of_the_documents_can_be_used_as_they_are() {
    let stage = Stage::open(&tools::stages(), "house-examples").expect("a folder for the play");
    let people = people::people(1994, 1000, Era::Training);
    stage.write("train.csv", &people::csv(&people)).expect("writable");
    let folder = stage.folder();
    let made = run(tools::tidegate(), folder, &["profile", "train.csv", "--out", "profile"]);
    assert!(made.status.success());
    let mut configurations = 0;
    for document in DOCUMENTS {
        let text = read(document);
        let defaults = |yaml: &&String| yaml.starts_with("defaults:");
        for yaml in blocks(&text, "yaml").iter().filter(|yaml| yaml.contains("\nmodels:")) {
            for defaults in blocks(&text, "yaml").iter().filter(defaults) {
                stage.write("tidegate.yaml", &format!("{defaults}\n{yaml}")).expect("writable");
                let checked = run(tools::tidegate(), folder, &["serve", "--check"]);
                assert!(checked.status.success(), "{document}: {defaults}");
            }
            configurations += 1;
            stage.write("tidegate.yaml", yaml).expect("writable");
            let checked = run(tools::tidegate(), folder, &["serve", "--check"]);
            assert!(
                checked.status.success(),
                "{document}: {}",
                String::from_utf8_lossy(&checked.stderr)
            );

            // What may be added, as the prose says, and the contracts that are shown.
            let more =
                code_spans(&text).into_iter().filter(|span| span.starts_with("telemetry: {"));
            for telemetry in more {
                stage.write("tidegate.yaml", &format!("{telemetry}\n{yaml}")).expect("writable");
                let checked = run(tools::tidegate(), folder, &["serve", "--check"]);
                assert!(checked.status.success(), "{document}: {telemetry}");
            }
            let with = yaml.replace("    profile:", "    contract: ./contract.json\n    profile:");
            for contract in blocks(&text, "json").iter().filter(|json| json.contains("\"inputs\""))
            {
                stage.write("contract.json", contract).expect("writable");
                stage.write("tidegate.yaml", &with).expect("writable");
                let checked = run(tools::tidegate(), folder, &["serve", "--check"]);
                assert!(
                    checked.status.success(),
                    "{document}: {}",
                    String::from_utf8_lossy(&checked.stderr)
                );
            }
        }
    }
    assert!(configurations > 0, "no document shows a tidegate.yaml");
}

#[test]
fn the_changelog_knows_the_version() {
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
    let version = version.expect("the workspace has a version").trim_end_matches('"');
    let changelog = read("CHANGELOG.md");
    let known = changelog.lines().any(|line| {
        line.starts_with("## ") && (line.contains(version) || line.contains("Unreleased"))
    });
    assert!(known, "CHANGELOG.md has neither {version} nor Unreleased");
}

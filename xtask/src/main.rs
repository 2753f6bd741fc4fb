//! `cargo xtask`: the recipes a person and CI run. It knows their names and arguments, not how
//! they are made.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use xtask::stage::process::{all_end, end_all};
use xtask::terminal::Terminal;
use xtask::tools::{Error, Tools};
use xtask::{demo, recipes};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The recipes of Tidegate", version)]
struct Arguments {
    #[command(subcommand)]
    recipe: Recipe,
}

#[derive(Subcommand)]
enum Recipe {
    /// Watch a model being protected: real Envoy, real model server, real data
    Demo {
        /// Plain progress lines, nothing that moves
        #[arg(long)]
        headless: bool,
        /// Write what happened as JSON
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// Send the collector's spans to your own OTLP receiver, e.g. http://127.0.0.1:4317
        #[arg(long, value_name = "URL")]
        otlp: Option<String>,
    },
    /// Run every test of the workspace, with the real tools
    Test {
        /// Passed on to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the filter and print its path and size
    Filter {
        /// As a dynamic module of Envoy instead of WebAssembly
        #[arg(long)]
        module: bool,
    },
    /// Measure speeds beside those of peers
    Bench {
        /// What to measure
        what: Bench,
        /// A line of JSON for each figure
        #[arg(long)]
        json: bool,
    },
    /// Measure what the statistics are held to; exits with 1 where one is not good enough
    Quality {
        /// Only these: ks, clusters, series, outliers, tables, correlations, joint, month,
        /// distances, estimates, sketch, profile, sequential
        topics: Vec<String>,
        /// A line of JSON for each figure
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// The detectors and sketches, on one thread
    Detectors,
    /// What a request costs Envoy, with our filter and with others, beside Envoy alone
    Filter,
    /// How soon a decision is in effect, in one real Envoy and in a hundred simulated ones
    Loop,
    /// How fast bodies are checked, in V8 and natively
    Reader,
}

impl Bench {
    fn run(self, terminal: Terminal, json: bool) -> Result<u8, Error> {
        match self {
            Self::Detectors => recipes::measure_statistics(terminal, "detectors", &[], json),
            Self::Filter => recipes::measure(terminal, "filter", json),
            Self::Loop => recipes::measure(terminal, "loop", json),
            Self::Reader => recipes::measure_reader(terminal, json),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut terminal = Terminal::detect();
    stop_on_ctrl_c(terminal);
    let played = match arguments.recipe {
        Recipe::Filter { module } => {
            recipes::filter(terminal, module).map(|()| 0).map_err(|error| error.to_string())
        }
        Recipe::Test { arguments } => {
            recipes::test(terminal, &arguments).map_err(|error| error.to_string())
        }
        Recipe::Bench { what, json } => what.run(terminal, json).map_err(|error| error.to_string()),
        Recipe::Quality { topics, json } => {
            recipes::measure_statistics(terminal, "quality", &topics, json)
                .map_err(|error| error.to_string())
        }
        Recipe::Demo { headless, report, otlp } => {
            if headless {
                terminal = Terminal::plain();
            }
            Tools::find(terminal)
                .map_err(|error| error.to_string())
                .and_then(|tools| {
                    demo::play(&tools, terminal, report.as_deref(), otlp.as_deref())
                        .map_err(|error| error.to_string())
                })
                .map(|()| 0)
        }
    };
    while all_end() {
        // What was played broke off because all is being stopped; the handler leaves for us.
        std::thread::park();
    }
    match played {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            terminal.failure(&message);
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C, SIGTERM and SIGHUP end everything that was started, then us.
fn stop_on_ctrl_c(terminal: Terminal) {
    let handler = move || {
        terminal.act("Stopping everything that was started");
        end_all();
        std::process::exit(130);
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        terminal.failure(&format!("Ctrl-C will not stop what is started: {error}"));
    }
}

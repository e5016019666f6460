//! Parses, runs, exits: the only place that decides an exit code.
//!
//! Next: `cli/mod.rs`, the commands; `lib.rs`, the parts.

use clap::Parser;
use ebbflow::cli::{self, Cli, Command, Failure};
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A third of a task's time with 200,000 customers was glibc's malloc (`benches/task.rs`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// 0 done, 1 failure while running, 2 bad usage or configuration, 3 no such customer.
fn main() -> ExitCode {
    // Bad arguments end the process here, with 2; `--help` and `--version` with 0.
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) | Err(Failure::StdoutClosed) => ExitCode::SUCCESS,
        Err(failure @ Failure::Running(_)) => exit(&failure, 1),
        Err(failure @ Failure::Usage(_)) => exit(&failure, 2),
        Err(failure @ Failure::Unknown(_)) => exit(&failure, 3),
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let log = cli.log.as_deref();
    match &cli.command {
        Command::CheckConfig(args) => cli::check_config(args, log),
        Command::Run(args) => cli::run(args, log),
        Command::Replay(args) => cli::replay(args, log),
        Command::Topics(args) => cli::topics(args, log),
        Command::Demo(args) => cli::demo(args, log),
        Command::Why(args) => cli::why(args, log),
    }
}

fn exit(failure: &Failure, code: u8) -> ExitCode {
    cli::warn(&format!("ebbflow: {failure}"));
    ExitCode::from(code)
}

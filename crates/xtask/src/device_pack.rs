//! `cargo xtask device-pack [--run] [--tiny] [--device NAME] [--to FOLDER]`: what tests and measures a GPU, in one folder.
//!
//! The folder holds stripped programs and `run.sh`, packed with xz to at most 40 MiB, and needs nothing of the machine
//! that it travels to but the GPU's driver: the kernels' tests, their speeds, a maker of models with random weights, and a
//! program that steps them. `--run` runs it here. Read next: `device_pack.sh`, `docs/apple.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::command::{Steps, output};

const USAGE: &str = "cargo xtask device-pack [--run] [--tiny] [--device NAME] [--to FOLDER]";
const SCRIPT: &str = include_str!("device_pack.sh");
const MOST_BYTES: u64 = 40 << 20;

#[derive(Default)]
struct Options {
    is_run: bool,
    is_tiny: bool,
    device: Option<String>,
    to: Option<String>,
}

/// Makes the folder, and runs it with `--run`.
pub fn run(arguments: &[String]) -> ExitCode {
    let Some(options) = parse(arguments) else {
        eprintln!("usage: {USAGE}");
        return ExitCode::from(2);
    };
    let folder = PathBuf::from(options.to.as_deref().unwrap_or("target/device-pack"));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut steps = Steps::default();
    for arguments in [
        ["--package", "olivine-gpu", "--example", "matmul_bench"],
        ["--package", "olivine-lm", "--example", "step_speed"],
        ["--package", "olivine-testkit", "--bin", "random-model"],
    ] {
        let all = [&["build", "--release"], &arguments[..]].concat();
        steps.run(arguments[3], &cargo, &all, &[]);
    }
    steps.step("pack", || pack(&cargo, &folder));
    if options.is_run {
        let script = folder.join("run.sh").display().to_string();
        let mut arguments = vec![&script[..]];
        arguments.extend(options.is_tiny.then_some("--tiny"));
        arguments.extend(options.device.iter().flat_map(|name| ["--device", name]));
        steps.run("run", "sh", &arguments, &[]);
    }
    steps.finish()
}

fn parse(arguments: &[String]) -> Option<Options> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--run" => options.is_run = true,
            "--tiny" => options.is_tiny = true,
            "--device" => options.device = Some(arguments.next()?.clone()),
            "--to" => options.to = Some(arguments.next()?.clone()),
            _ => return None,
        }
    }
    Some(options)
}

fn pack(cargo: &str, folder: &Path) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(fail)?;
    let programs = [
        ("kernels", kernels(cargo)?),
        ("matmul_bench", "target/release/examples/matmul_bench".into()),
        ("step_speed", "target/release/examples/step_speed".into()),
        ("random-model", "target/release/random-model".into()),
    ];
    let mut bytes = 0;
    for (name, from) in programs {
        let to = folder.join(name);
        fs::copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
        let to = to.display().to_string();
        output("strip", &[&to]).ok_or("strip failed")?;
        // Without xz they travel as they are; the script takes both.
        let packed = format!("{to}.xz");
        let _ = fs::remove_file(&packed);
        if output("xz", &["-9", &to]).is_none() {
            println!("no xz here: {name} is left as it is");
        }
        let made = if Path::new(&packed).exists() { &packed } else { &to };
        bytes += fs::metadata(made).map_err(fail)?.len();
    }
    fs::write(folder.join("run.sh"), SCRIPT).map_err(fail)?;
    let state = output("git", &["describe", "--always", "--dirty"]).unwrap_or_default();
    fs::write(folder.join("commit"), state).map_err(fail)?;
    println!("{}: {:.1} MiB; run it with: sh run.sh", folder.display(), bytes as f64 / (1 << 20) as f64);
    if bytes > MOST_BYTES { Err(format!("{bytes} bytes are more than {MOST_BYTES}")) } else { Ok(()) }
}

/// Builds the kernels' tests; where they lie.
fn kernels(cargo: &str) -> Result<PathBuf, String> {
    let arguments = ["test", "--release", "--package", "olivine-gpu", "--test", "kernels", "--no-run"];
    let output = Command::new(cargo).args(arguments).output().map_err(|error| format!("{cargo}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let path = text.lines().rev().find_map(|line| line.split_once("kernels/main.rs (")?.1.strip_suffix(')'));
    path.map(PathBuf::from).ok_or_else(|| format!("cargo {}: {text}", arguments.join(" ")))
}

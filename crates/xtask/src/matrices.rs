//! `cargo xtask matrices`: the kernels with matrices in hardware on Mesa's software device, which has them (8 by 8, as
//! Metal) since 26.1. No stable Debian has that Mesa yet, so it is unpacked into a folder under `target` with the C library that
//! it wants, from the machine's own Debian mirror; nothing is installed. Where that cannot be had, all is skipped, aloud.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::command::{Steps, output};

/// Debian's release, and where newer packages for it come from.
const SUITES: [&str; 2] = ["trixie", "trixie-backports"];
const LIBRARIES: &str = "root/usr/lib/x86_64-linux-gnu";

/// Runs the tests of products.
pub fn run() -> ExitCode {
    let folder = PathBuf::from("target/mesa");
    if let Err(reason) = unpacked(&folder) {
        eprintln!("SKIPPED: kernels with matrices in hardware have NOT been tested: {reason}");
        return ExitCode::SUCCESS;
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let folder = std::fs::canonicalize(&folder).expect("made above");
    let libraries = folder.join(LIBRARIES);
    let driver = folder.join("lvp.json");
    // The driver needs a newer C library than the machine's, so its own loader starts the tests.
    let loader = libraries.join("ld-linux-x86-64.so.2");
    let runner = format!("{} --library-path {}", loader.display(), libraries.display());
    let driver = driver.display().to_string();
    let common = [("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", &runner[..]), ("VK_DRIVER_FILES", &driver[..])];
    let mut steps = Steps::default();
    // Its matrices are the work of 8 threads; where there are none, the tests fail that were told to use them.
    let environment = [common[0], common[1], ("LP_NATIVE_VECTOR_WIDTH", "256"), ("OLIVINE_MATRICES", "on")];
    let arguments = [
        "test",
        "--release",
        "--package",
        "olivine-gpu",
        "--test",
        "kernels",
        "--",
        "products",
        "matmul",
        "--nocapture",
    ];
    steps.run("products with matrices in hardware", &cargo, &arguments, &environment);
    steps.finish()
}

/// Bring the driver into `folder`, unless it is there.
fn unpacked(folder: &Path) -> Result<(), String> {
    let library = folder.join(LIBRARIES).join("libvulkan_lvp.so");
    if library.exists() {
        return Ok(());
    }
    let mirror = mirror().ok_or("there is no Debian mirror among the sources of apt")?;
    let fail = |error: std::io::Error| format!("{}: {error}", folder.display());
    for name in ["state/lists/partial", "cache/archives/partial", "root"] {
        std::fs::create_dir_all(folder.join(name)).map_err(fail)?;
    }
    let folder = std::fs::canonicalize(folder).map_err(fail)?;
    let keys = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg";
    let sources: String = SUITES.iter().map(|suite| format!("deb [{keys}] {mirror} {suite} main\n")).collect();
    std::fs::write(folder.join("sources.list"), sources).map_err(fail)?;
    std::fs::write(folder.join("status"), "").map_err(fail)?;
    let at = |name: &str| folder.join(name).display().to_string();
    let options = [
        format!("Dir::Etc::sourcelist={}", at("sources.list")),
        "Dir::Etc::sourceparts=/dev/null".to_string(),
        format!("Dir::State={}", at("state")),
        format!("Dir::State::status={}", at("status")),
        format!("Dir::Cache={}", at("cache")),
        "APT::Install-Recommends=false".to_string(),
        "APT::Sandbox::User=root".to_string(),
    ];
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.arg("-qq").args(options.iter().flat_map(|option| ["-o", option])).args(arguments);
        match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!("apt-get: {}", String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => Err(format!("apt-get: {error}")),
        }
    };
    apt(&["update"])?;
    apt(&["-y", "--download-only", "-t", SUITES[1], "install", "mesa-vulkan-drivers", "libvulkan1"])?;
    let archives = std::fs::read_dir(folder.join("cache/archives")).map_err(fail)?;
    for archive in archives.flatten().map(|entry| entry.path()) {
        if archive.extension().is_some_and(|extension| extension == "deb") {
            let (archive, root) = (archive.display().to_string(), at("root"));
            output("dpkg", &["-x", &archive, &root]).ok_or_else(|| format!("dpkg -x {archive} failed"))?;
        }
    }
    std::fs::remove_dir_all(folder.join("cache")).map_err(fail)?;
    let driver = folder.join(LIBRARIES).join("libvulkan_lvp.so");
    let text = format!(
        "{{\"ICD\": {{\"api_version\": \"1.4.0\", \"library_path\": \"{}\"}}, \"file_format_version\": \"1.0.0\"}}\n",
        driver.display()
    );
    std::fs::write(folder.join("lvp.json"), text).map_err(fail)?;
    if driver.exists() { Ok(()) } else { Err(format!("{} is not in the packages", driver.display())) }
}

/// The first Debian mirror that apt knows.
fn mirror() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files
        .extend(std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path()));
    let text: String = files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let is_mirror = |word: &&str| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(str::split_whitespace).find(is_mirror).map(str::to_string)
}

//! Memory in bytes: what the machine has, and a budget that all engines of a process share.
//!
//! Invariant: what is reserved of a [`MemoryBudget`] never exceeds it; a [`Reservation`] gives its bytes back when it is
//! dropped. Read next: `engine.rs`, where weights, activations and caches are reserved.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use olivine_lm::cache::PAGE_TOKENS;
use olivine_lm::spec::KvGroup;

/// Bytes that engines may take together: weights, activations, caches, adapters.
#[derive(Debug)]
pub struct MemoryBudget {
    total: usize,
    reserved: Mutex<usize>,
    released: Condvar,
}

/// A part of a budget.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    bytes: usize,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(total: usize) -> Arc<MemoryBudget> {
        Arc::new(MemoryBudget { total, reserved: Mutex::new(0), released: Condvar::new() })
    }

    /// All of it.
    pub fn total(&self) -> usize {
        self.total
    }

    /// What nobody has reserved.
    pub fn free(&self) -> usize {
        self.total - *self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take `bytes`, waiting for others to give back what they are about to. None when that takes longer.
    pub fn reserve(self: &Arc<MemoryBudget>, bytes: usize, patience: Duration) -> Option<Reservation> {
        let until = Instant::now() + patience;
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        while self.total - *reserved < bytes {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || bytes > self.total {
                return None;
            }
            reserved = self.released.wait_timeout(reserved, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *reserved += bytes;
        Some(Reservation { budget: self.clone(), bytes })
    }
}

impl Reservation {
    /// How many bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        *self.budget.reserved.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.budget.released.notify_all();
    }
}

/// Bytes that a process may still take where models lie: of a GPU's own memory, else what the system calls available, within
/// the limits of a container. None where nobody tells.
pub fn available_bytes() -> Option<usize> {
    if let Some(room) = olivine_lm::room_bytes() {
        return Some(room);
    }
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return most_of_all_memory() };
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: usize = line.split_whitespace().next()?.parse().ok()?;
    let system = kibibytes * 1024;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    Some(left_by_groups(Path::new("/sys/fs/cgroup"), &groups).map_or(system, |left| left.min(system)))
}

/// macOS tells how much memory there is; a quarter is left to others.
fn most_of_all_memory() -> Option<usize> {
    let output = Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    let bytes: usize = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    Some(bytes / 4 * 3)
}

/// What control groups leave: the least of those that the process is in, of version 2 (`0::/path`) or 1
/// (`5:memory:/path`). Cached pages of files that can be dropped at once count as free. `root` is where they are mounted.
fn left_by_groups(root: &Path, groups: &str) -> Option<usize> {
    let mut least = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (mount, limit, usage, cached) = match controllers {
            "" => (root.to_path_buf(), "memory.max", "memory.current", "inactive_file"),
            list if list.split(',').any(|controller| controller == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            }
            _ => continue,
        };
        // In a container the path may be that of the host, which is not mounted: its own group is the root then.
        let group = mount.join(path.trim_start_matches('/'));
        for folder in group.ancestors().take_while(|folder| folder.starts_with(&mount)) {
            let number = |file: &str| std::fs::read_to_string(folder.join(file)).ok()?.trim().parse::<usize>().ok();
            let Some(limit) = number(limit) else { continue };
            let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
            let cached = stat.lines().find_map(|line| line.strip_prefix(cached)?.trim().parse::<usize>().ok());
            let used = number(usage).unwrap_or(0).saturating_sub(cached.unwrap_or(0));
            let left = limit.saturating_sub(used);
            least = Some(least.map_or(left, |least: usize| least.min(left)));
        }
    }
    least
}

/// Pages of a group that a sequence of `tokens` holds at most, when it is computed in small pieces.
pub(crate) fn pages_for(kind: KvGroup, tokens: usize) -> usize {
    let all = tokens.div_ceil(PAGE_TOKENS);
    match kind {
        KvGroup::Full => all,
        KvGroup::Window(window) => all.min(window.div_ceil(PAGE_TOKENS) + 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_budget_is_not_exceeded_and_gets_back_what_is_dropped() {
        let budget = MemoryBudget::new(100);
        let first = budget.reserve(60, Duration::ZERO).expect("it fits");
        assert!(budget.reserve(41, Duration::from_millis(20)).is_none());
        assert!(budget.reserve(101, Duration::from_secs(60)).is_none(), "never: nobody waits for it");
        let second = budget.reserve(40, Duration::ZERO).expect("it fits");
        assert_eq!((budget.free(), first.bytes(), second.bytes()), (0, 60, 40));
        let waiting = budget.clone();
        let thread = std::thread::spawn(move || waiting.reserve(50, Duration::from_secs(60)).map(|r| r.bytes()));
        drop(first);
        assert_eq!(thread.join().expect("no panic"), Some(50));
        drop(second);
        assert_eq!(budget.free(), 100);
    }

    #[test]
    fn the_tightest_control_group_counts() {
        let scratch = Scratch(std::env::temp_dir().join(format!("olivine-cgroup-{}", std::process::id())));
        let write = |path: &str, text: &str| {
            let path = scratch.0.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            std::fs::write(path, text).expect("writable");
        };
        assert_eq!(left_by_groups(&scratch.0, "0::/a/b\n"), None, "no limits");
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "1000\n");
        write("a/memory.current", "700\n");
        write("a/memory.stat", "anon 400\nactive_file 1\ninactive_file 250\n");
        assert_eq!(left_by_groups(&scratch.0, "0::/a/b\n"), Some(550));
        write("memory.max", "500\n");
        write("memory.current", "100\n");
        assert_eq!(left_by_groups(&scratch.0, "0::/a/b\n"), Some(400));
        assert_eq!(left_by_groups(&scratch.0, "0::/somewhere/else\n"), Some(400));
        write("memory/job/memory.limit_in_bytes", "300\n");
        write("memory/job/memory.usage_in_bytes", "100\n");
        let version_1 = "7:cpu,cpuacct:/job\n5:memory:/job\n1:name=systemd:/job\n";
        assert_eq!(left_by_groups(&scratch.0, version_1), Some(200));
    }
}

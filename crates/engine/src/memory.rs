//! How much memory there is for the cache when nobody says so.

/// Bytes that a process may still take: what the system calls available, within the limits of a container.
/// None where the system does not tell.
pub fn available_bytes() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: usize = line.split_whitespace().next()?.parse().ok()?;
    let system = kibibytes * 1024;
    Some(container_bytes().map_or(system, |limit| limit.min(system)))
}

/// What a control group leaves.
fn container_bytes() -> Option<usize> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<usize>().ok();
    let limit = number("/sys/fs/cgroup/memory.max")?;
    Some(limit.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)))
}

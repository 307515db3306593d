//! Finding the processes that a run started: their stores lie in its folder, and so their environment names it.

use std::path::Path;
use std::time::{Duration, Instant};

/// The processes whose environment names this folder.
pub(crate) fn of(folder: &Path) -> Vec<u32> {
    let wanted = folder.file_name().expect("a temporary folder has a name").to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/proc").expect("this test reads /proc");
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    ids.filter(|id| *id != std::process::id())
        .filter(|id| {
            let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&wanted)
        })
        .collect()
}

/// Waits for the last of them to end: the system takes a moment after a kill.
pub(crate) fn assert_none_of(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = of(folder);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "these processes are left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

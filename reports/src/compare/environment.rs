//! Whether two runs were of one machine and one harness. Runs on different ones say nothing about each other.

use crate::info::{Environment, RunInfo};
use crate::numbers::grouped;

/// How much memory may differ and still be the same: kernels keep a little more or less for themselves.
const MEMORY_SHARE: f64 = 0.02;

/// How much has to be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The machine and the build: versions and back ends may be what is compared.
    Machine,
    /// The versions and the back end, too.
    Everything,
}

/// What is different, one line each: `processor: AMD EPYC and Intel Xeon`.
#[must_use]
pub fn differences(a: &RunInfo, b: &RunInfo, scope: Scope) -> Vec<String> {
    let mut found = of_machines(&a.environment, &b.environment);
    if scope == Scope::Everything {
        let mut compared = vec![("back end", a.backend.clone(), b.backend.clone())];
        let names = a.versions.keys().chain(b.versions.keys().filter(|name| !a.versions.contains_key(*name)));
        for name in names {
            let version = |of: &RunInfo| of.versions.get(name).cloned().unwrap_or_default();
            compared.push((name, version(a), version(b)));
        }
        found.extend(unequal(compared));
    }
    found
}

/// What is different about the machines and the builds.
#[must_use]
pub fn of_machines(one: &Environment, other: &Environment) -> Vec<String> {
    let mut compared = vec![
        ("system", one.os.clone(), other.os.clone()),
        ("architecture", one.arch.clone(), other.arch.clone()),
        ("processor", one.processor.clone(), other.processor.clone()),
        ("cores", one.cores.to_string(), other.cores.to_string()),
        ("build", one.build.clone(), other.build.clone()),
    ];
    if one.memory_bytes.abs_diff(other.memory_bytes) as f64
        > MEMORY_SHARE * one.memory_bytes.max(other.memory_bytes) as f64
    {
        let mebibytes = |bytes: u64| format!("{} MiB", grouped(bytes >> 20));
        compared.push(("memory", mebibytes(one.memory_bytes), mebibytes(other.memory_bytes)));
    }
    unequal(compared)
}

fn unequal(compared: Vec<(&str, String, String)>) -> Vec<String> {
    let told = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    compared
        .into_iter()
        .filter(|(_, one, other)| one != other)
        .map(|(name, one, other)| format!("{name}: {} and {}", told(&one), told(&other)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let mut a = RunInfo::new("a run", 1);
        a.versions.insert("shakedown".to_owned(), "0.1.0".to_owned());
        a.environment.memory_bytes = 8 << 30;
        let mut b = a.clone();
        b.environment.memory_bytes = (8 << 30) - (8 << 23);
        assert_eq!(differences(&a, &b, Scope::Everything), [""; 0], "a kernel that keeps less for itself");
        b.environment.cores = 16;
        b.environment.processor = "another".to_owned();
        b.environment.memory_bytes = 4 << 30;
        b.versions.insert("shakedown".to_owned(), "0.2.0".to_owned());
        a.environment.cores = 2;
        a.environment.processor = String::new();
        let machine = ["processor: unknown and another", "cores: 2 and 16", "memory: 8,192 MiB and 4,096 MiB"];
        assert_eq!(differences(&a, &b, Scope::Machine), machine);
        assert_eq!(differences(&a, &b, Scope::Everything)[3..], ["shakedown: 0.1.0 and 0.2.0"]);
    }
}

//! The books of a sampler: what each thread and process had used when it was last seen, added up by whose it is.
//!
//! Threads are read in nanoseconds (`/proc/self/task/*/schedstat`), processes in clock ticks (`/proc/*/stat`), usually of
//! 10 ms. What a thread used between its last reading and its end is booked to the rest of the process.

use super::threads::Whose;
use super::{BrokersAt, Processes, SamplerError, Watched};
use crate::clock::{RunClock, nanoseconds};
use procfs::process::{Process, Stat, all_processes};
use procfs::{CpuPressure, Current as _, CurrentSI as _, KernelStats, ProcError, ProcResult};
use shakedown_reports::resources::Reading;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

pub(super) struct Accounts {
    watched: Watched,
    process: Process,
    /// What each thread of the generator and the brokers had used when it was last seen.
    threads: BTreeMap<i32, u64>,
    processes: BTreeMap<i32, u64>,
    generator_ns: u64,
    brokers_ns: u64,
    services_ns: u64,
    last: Instant,
    tick_ns: u64,
}

impl From<ProcError> for SamplerError {
    fn from(error: ProcError) -> Self {
        Self::Unknown(error.to_string())
    }
}

impl Accounts {
    pub(super) fn open(watched: Watched) -> Result<Self, SamplerError> {
        Ok(Self {
            watched,
            process: Process::myself()?,
            threads: BTreeMap::new(),
            processes: BTreeMap::new(),
            generator_ns: 0,
            brokers_ns: 0,
            services_ns: 0,
            last: Instant::now(),
            tick_ns: 1_000_000_000 / procfs::ticks_per_second().max(1),
        })
    }

    pub(super) fn reading(&mut self, clock: RunClock, messages: u64) -> Result<Reading, SamplerError> {
        let own = self.process.stat()?;
        let since = self.last.elapsed();
        self.last = Instant::now();
        let busiest_ns = self.look_at_threads()?;
        let resident_bytes = memory(&own) + self.look_at_processes();
        let embedded_ns = match self.watched.brokers {
            BrokersAt::ThisProcess => self.brokers_ns,
            BrokersAt::Processes(_) | BrokersAt::Elsewhere => 0,
        };
        let kernel = KernelStats::current()?.total;
        let ticks = |ticks: u64| ticks.saturating_mul(self.tick_ns);
        let interrupts = kernel.irq.unwrap_or_default() + kernel.softirq.unwrap_or_default();
        // Where the kernel does not count pressure nothing is said of it.
        let pressure_us = CpuPressure::current().map_or(0, |pressure| pressure.some.total);
        Ok(Reading {
            at_ns: clock.now_ns(),
            generator_cpu_ns: self.generator_ns,
            brokers_cpu_ns: self.brokers_ns,
            services_cpu_ns: self.services_ns,
            other_cpu_ns: self.used_ns(&own).saturating_sub(self.generator_ns + embedded_ns),
            machine_cpu_ns: ticks(kernel.user + kernel.nice + kernel.system + interrupts),
            busiest_generator_thread: busiest_ns as f64 / nanoseconds(since).max(1) as f64,
            resident_bytes,
            stolen_ns: ticks(kernel.steal.unwrap_or_default()),
            pressure_cpu_ns: pressure_us.saturating_mul(1_000),
            messages,
        })
    }

    /// Books what the threads of this process have used; how much the busiest of the generator's did.
    fn look_at_threads(&mut self) -> Result<u64, SamplerError> {
        let mut busiest_ns = 0;
        let is_first = self.threads.is_empty();
        let mut seen = BTreeSet::new();
        // A thread may end while it is looked at.
        for task in self.process.tasks()?.filter_map(Result::ok) {
            let Ok((name, used_ns)) = name_and_time(&task, self.tick_ns) else { continue };
            let whose = self.watched.bystanders.whose(task.tid, &name);
            if whose == Whose::Others {
                continue;
            }
            seen.insert(task.tid);
            let before_ns = self.threads.insert(task.tid, used_ns).unwrap_or(0);
            let spent_ns = used_ns.saturating_sub(before_ns);
            match (whose, &self.watched.brokers) {
                (Whose::Generator, _) => {
                    self.generator_ns += spent_ns;
                    busiest_ns = busiest_ns.max(spent_ns);
                }
                (Whose::Brokers, BrokersAt::ThisProcess) => self.brokers_ns += spent_ns,
                // Somebody else's cluster in this process.
                (Whose::Brokers | Whose::Others, _) => {}
            }
        }
        self.threads.retain(|thread, _| seen.contains(thread));
        Ok(if is_first { 0 } else { busiest_ns })
    }

    /// Books what other processes have used; how much memory they have.
    fn look_at_processes(&mut self) -> u64 {
        let ask = |processes: &Processes| processes().into_iter().filter_map(|id| i32::try_from(id).ok()).collect();
        let services: BTreeSet<i32> = ask(&self.watched.services);
        let brokers: BTreeSet<i32> = match &self.watched.brokers {
            BrokersAt::Processes(processes) => ask(processes),
            BrokersAt::ThisProcess | BrokersAt::Elsewhere => BTreeSet::new(),
        };
        if services.is_empty() && brokers.is_empty() {
            return 0;
        }
        let mut resident_bytes = 0;
        for process in all_processes().into_iter().flatten().filter_map(Result::ok) {
            let Ok(stat) = process.stat() else { continue };
            let is_of = |group: &BTreeSet<i32>| group.contains(&stat.pid) || group.contains(&stat.pgrp);
            let (is_broker, is_service) = (is_of(&brokers), is_of(&services));
            if !is_broker && !is_service {
                continue;
            }
            resident_bytes += memory(&stat);
            let used_ns = self.used_ns(&stat);
            let before_ns = self.processes.insert(stat.pid, used_ns).unwrap_or(0);
            let spent_ns = used_ns.saturating_sub(before_ns);
            if is_broker {
                self.brokers_ns += spent_ns;
            } else {
                self.services_ns += spent_ns;
            }
        }
        resident_bytes
    }

    fn used_ns(&self, stat: &Stat) -> u64 {
        (stat.utime + stat.stime).saturating_mul(self.tick_ns)
    }
}

fn memory(stat: &Stat) -> u64 {
    stat.rss.saturating_mul(procfs::page_size())
}

/// What a thread is called, and the nanoseconds that it ran; by its ticks where the kernel does not keep more.
fn name_and_time(task: &procfs::process::Task, tick_ns: u64) -> ProcResult<(String, u64)> {
    let stat = task.stat()?;
    let by_ticks = (stat.utime + stat.stime).saturating_mul(tick_ns);
    let used_ns = match task.schedstat() {
        Ok(schedule) if schedule.sum_exec_runtime > 0 => schedule.sum_exec_runtime,
        _ => by_ticks,
    };
    Ok((stat.comm, used_ns))
}

//! A scenario laid over its system: what the scenario says wins, key by key.

use super::derived;
use crate::language::document::Spanned;
use crate::language::raw::{
    RawCluster, RawExpect, RawFlow, RawLimits, RawLoad, RawScenario, RawService, RawSystem, RawTopic,
};
use crate::language::raw_books::RawConserved;
use crate::language::raw_equipment::{RawCache, RawStore};
use crate::language::raw_faults::RawFault;
use crate::language::raw_stand_ins::{RawPaymentProvider, RawStandIn, RawStandIns};
use crate::language::setting::{Named, Whole};
use std::path::Path;

/// Everything that both files say, with every place kept.
#[derive(Debug)]
pub struct Merged {
    /// The scenario's name.
    pub name: Option<Spanned<String>>,
    /// The seed.
    pub seed: Option<Spanned<Whole<0, 9_223_372_036_854_775_807>>>,
    /// What the system is called: its file's name without `.toml`.
    pub system: Option<String>,
    /// Where services keep their data that do not say so themselves.
    pub store: Option<Spanned<RawStore>>,
    /// Where services cache what they read that do not say so themselves.
    pub cache: Option<Spanned<RawCache>>,
    /// The cluster.
    pub cluster: RawCluster,
    /// Topics.
    pub topics: Named<RawTopic>,
    /// Services.
    pub services: Named<RawService>,
    /// Stand-ins.
    pub stand_ins: RawStandIns,
    /// Flows.
    pub flows: Named<RawFlow>,
    /// Rules of conservation.
    pub conserved: Named<RawConserved>,
    /// The load.
    pub load: Option<Spanned<RawLoad>>,
    /// Faults.
    pub faults: Vec<Spanned<RawFault>>,
    /// Expectations.
    pub expect: Option<Spanned<RawExpect>>,
    /// Limits.
    pub limits: Option<Spanned<RawLimits>>,
}

/// Takes each listed key from the upper layer where it has one.
macro_rules! overlay {
    ($base:expr, $top:expr; $($field:ident),+) => {
        $( if $top.$field.is_some() { $base.$field = $top.$field; } )+
    };
}

impl Merged {
    /// Lays the scenario over the system.
    #[must_use]
    pub fn new(scenario: RawScenario, system: Option<RawSystem>) -> Self {
        let mut base = system.unwrap_or(RawSystem {
            description: None,
            cluster: None,
            topics: None,
            services: None,
            stand_ins: None,
            flows: None,
            conserved: None,
        });
        let mut cluster = value(base.cluster.take()).unwrap_or(RawCluster {
            backend: None,
            brokers: None,
            controllers: None,
            memory: None,
            config: None,
        });
        if let Some(top) = value(scenario.cluster) {
            overlay!(cluster, top; backend, brokers, controllers, memory);
            cluster.config = combine_maps(cluster.config.take(), top.config);
        }
        let mut merged = Self {
            name: scenario.name,
            seed: scenario.seed,
            system: scenario.system.and_then(|system| stem(&system.value)),
            store: scenario.store,
            cache: scenario.cache,
            cluster,
            topics: combine(base.topics, scenario.topics, |base, top| {
                overlay!(base, top; partitions, replication_factor, message, book);
                base.config = combine_maps(base.config.take(), top.config);
            }),
            services: combine(base.services, scenario.services, |base, top| {
                overlay!(base, top; command, ready, instances, group, consumes, produces, calls, port, figures, ledger);
                overlay!(base, top; store, cache, backlog, failpoint);
                base.env = combine_maps(base.env.take(), top.env);
                base.books = combine_maps(base.books.take(), top.books);
            }),
            stand_ins: stand_ins(value(base.stand_ins), value(scenario.stand_ins)),
            flows: combine(base.flows, scenario.flows, |base, top| *base = top),
            conserved: combine(base.conserved, scenario.conserved, |base, top| *base = top),
            load: scenario.load,
            faults: value(scenario.fault).unwrap_or_default(),
            expect: scenario.expect,
            limits: scenario.limits,
        };
        derived::add_topics(&mut merged);
        merged
    }
}

/// The name behind the folders of a path, without its `.toml`.
fn stem(system: &str) -> Option<String> {
    let name = Path::new(system).file_name()?.to_str()?;
    Some(name.strip_suffix(".toml").unwrap_or(name).to_owned())
}

fn value<T>(spanned: Option<Spanned<T>>) -> Option<T> {
    spanned.map(|spanned| spanned.value)
}

fn stand_ins(base: Option<RawStandIns>, top: Option<RawStandIns>) -> RawStandIns {
    let nothing = || RawStandIns { payment_provider: None, warehouse: None, mailbox: None };
    let (base, top) = (base.unwrap_or_else(nothing), top.unwrap_or_else(nothing));
    let plain = |base: &mut RawStandIn, top: RawStandIn| overlay!(base, top; latency);
    RawStandIns {
        payment_provider: over(base.payment_provider, top.payment_provider, |base, top: RawPaymentProvider| {
            overlay!(base, top; latency, decline_above, decline_every);
        }),
        warehouse: over(base.warehouse, top.warehouse, plain),
        mailbox: over(base.mailbox, top.mailbox, plain),
    }
}

/// What the upper layer says laid over what the lower one does, at the place of the upper one.
fn over<T>(base: Option<Spanned<T>>, top: Option<Spanned<T>>, overlay: impl FnOnce(&mut T, T)) -> Option<Spanned<T>> {
    match (base, top) {
        (Some(mut base), Some(top)) => {
            overlay(&mut base.value, top.value);
            Some(Spanned { value: base.value, place: top.place })
        }
        (base, top) => top.or(base),
    }
}

fn combine<T>(
    base: Option<Spanned<Named<T>>>,
    top: Option<Spanned<Named<T>>>,
    mut overlay: impl FnMut(&mut T, T),
) -> Named<T> {
    let mut entries = value(base).unwrap_or_default().0;
    for (name, upper) in value(top).unwrap_or_default().0 {
        match entries.iter_mut().find(|(existing, _)| existing.value == name.value) {
            // Errors about the combination point at the scenario: it is the file that somebody is writing.
            Some((place, lower)) => {
                *place = name;
                overlay(&mut lower.value, upper.value);
                lower.place = upper.place;
            }
            None => entries.push((name, upper)),
        }
    }
    Named(entries)
}

fn combine_maps<T>(base: Option<Spanned<Named<T>>>, top: Option<Spanned<Named<T>>>) -> Option<Spanned<Named<T>>> {
    let place = top.as_ref().or(base.as_ref())?.place;
    Some(Spanned { value: combine(base, top, |base, top| *base = top), place })
}

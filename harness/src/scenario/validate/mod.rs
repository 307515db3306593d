//! From what the files say to a scenario that can be run; every dangling name and missing datum is an error here.
//!
//! Each part has its file: [`topics`], [`services`] with what they are equipped with ([`equipment`]), the [`stand_ins`]
//! that they call and how these fail, [`flows`], [`load`] with those over HTTP ([`http_load`]), [`faults`] with what each
//! of them does ([`deeds`]) and when ([`triggers`]), those on [`requests`] and [`servers`], other [`disturbances`] and
//! [`interventions`], [`expect`] with those on [`groups`], [`books`] and the rules over them ([`book_rules`]).

mod book_rules;
mod books;
mod client_properties;
mod deeds;
mod disturbances;
mod equipment;
mod expect;
mod faults;
mod flows;
mod groups;
mod http_load;
mod interventions;
mod load;
mod load_arrivals;
mod operations;
mod requests;
mod scope;
mod servers;
mod services;
mod stand_ins;
mod topics;
mod triggers;

mod scenario;

pub use scenario::{Capabilities, scenario};

#[cfg(test)]
mod back_ends;
#[cfg(test)]
mod book_messages;
#[cfg(test)]
mod fault_messages;
#[cfg(test)]
mod messages;
